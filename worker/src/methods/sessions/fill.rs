//! Titles and the starts of last messages for entries that lack them, as older ones do: read from
//! the transcript, for a few sessions per call, and written into the entry.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};

use serde_json::Value;
use types::AgentId;

use super::super::Call;
use super::list::Found;
use crate::Error;
use crate::store::{
    self, Change, Dir, Fields, Line, MAX_LINE, MAX_PREVIEW, MAX_TITLE, Tail, start_of,
};

/// Transcripts that one call reads for titles that an entry lacks.
const MAX_FILLED: usize = 100;
/// Bytes of the start, and of the end, of a transcript that are read for them.
const MAX_LOOK: usize = 64 << 10;

/// Reads what entries lack.
#[derive(Debug, Default)]
pub(super) struct Filler {
    looked_at: usize,
    pub(super) filled: Vec<(AgentId, String, Fields)>,
}

impl Filler {
    /// Adds what one session lacks, unless enough transcripts were read already.
    pub(super) fn fill(&mut self, root: &Dir, (agent, row): &mut Found) -> Result<(), Error> {
        let lacks_title = row.meta.derived_title.is_none();
        let lacks_last = row.meta.last_message_preview.is_none()
            && row.meta.derived_title.as_deref() != Some("");
        if !(lacks_title || lacks_last) || self.looked_at >= MAX_FILLED {
            return Ok(());
        }
        self.looked_at += 1;
        let mut fields = Fields::new();
        let file = store::transcript(root, agent, &row.session_id)?;
        let look = |look: fn(&File) -> std::io::Result<String>| match &file {
            Some(file) => look(file).map_err(Error::io("read a transcript")),
            None => Ok(String::new()),
        };
        if lacks_title {
            let title = look(first_of_user)?;
            fields.insert("derivedTitle", Value::String(title.clone()));
            row.meta.derived_title = Some(title);
        }
        if lacks_last {
            let last = look(last_of_all)?;
            fields.insert("lastMessagePreview", Value::String(last.clone()));
            row.meta.last_message_preview = Some(last);
        }
        self.filled.push((agent.clone(), row.key.clone(), fields));
        Ok(())
    }
}

/// The start of what the user said first; empty where that is not near the transcript's start.
fn first_of_user(file: &File) -> std::io::Result<String> {
    let max = u64::try_from(MAX_LOOK).unwrap_or(u64::MAX);
    for line in BufReader::new(file.take(max)).split(b'\n') {
        let line = line?;
        let message = Line::parse(&line).and_then(|line| line.message());
        if let Some(message) = message.filter(|it| it.role == "user" && it.origin().is_none()) {
            let start = start_of(&message.text(), MAX_TITLE);
            if !start.is_empty() {
                return Ok(start);
            }
        }
    }
    Ok(String::new())
}

/// The start of the last message; empty where that is not near the transcript's end.
fn last_of_all(file: &File) -> std::io::Result<String> {
    let mut tail = Tail::of(file, MAX_LINE)?;
    let mut scanned = 0;
    while scanned < MAX_LOOK
        && let Some(line) = tail.next_line()?
    {
        scanned += line.len();
        let message = Line::parse(&line).and_then(|line| line.message());
        let message = message.filter(|message| matches!(&*message.role, "user" | "assistant"));
        let message = message.filter(|message| message.origin().is_none());
        let start = message.map(|message| start_of(&message.text(), MAX_PREVIEW));
        if let Some(start) = start.filter(|start| !start.is_empty()) {
            return Ok(start);
        }
    }
    Ok(String::new())
}

/// Writes into the entries what was read for them. Should that fail it is read again next time.
pub(super) async fn write_back(call: &Call<'_>, filled: Vec<(AgentId, String, Fields)>) {
    let commits = filled.into_iter().map(|(agent, key, fields)| async move {
        call.core.store.commit(&agent, &key, Change::Note { fields }).await
    });
    for written in futures_util::future::join_all(commits).await {
        if let Err(err) = written {
            tracing::debug!(error = %types::Chain(&err), "titles could not be written");
        }
    }
}
