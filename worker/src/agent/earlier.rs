//! A run that this process does not remember, as its session's transcript tells of it.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::sync::Arc;

use proto::host::Usage;
use serde::Deserialize;
use tokio::sync::watch;
use types::UnixMillis;

use super::history::MAX_SCAN;
use super::run::{RunHandle, RunOutcome, RunStatus};
use crate::openai::Fault;
use crate::store::{Line, MAX_LINE, StoredMessage, Tail};

/// What a transcript's end says.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    /// The last entry that clients see.
    pub(crate) leaf: Option<String>,
    /// The run that was looked for, which has ended one way or another.
    pub(crate) run: Option<RunHandle>,
    /// Whether that run was cut off before it had answered.
    pub(crate) is_cut: bool,
}

/// Looks for the run `run_id` in as much of the transcript `session` as is read for a turn.
pub(crate) fn look(file: &File, session: &str, run_id: &str) -> io::Result<Earlier> {
    let mut tail = Tail::of(file, MAX_LINE)?;
    let named = serde_json::to_string(run_id)?;
    let (mut leaf, mut after, mut scanned) = (None, None, 0);
    while scanned < MAX_SCAN
        && let Some(bytes) = tail.next_line()?
    {
        scanned += bytes.len();
        // Most lines are not read: this is done for every new message.
        let names_it = std::str::from_utf8(&bytes).is_ok_and(|line| line.contains(&named));
        if (names_it || leaf.is_none())
            && let Some(line) = Line::parse(&bytes)
        {
            if leaf.is_none() && matches!(&*line.kind, "message" | "compaction") {
                leaf = line.id.as_deref().map(str::to_owned);
            }
            if let Some((outcome, is_cut)) = outcome(&line, run_id, after.as_deref()) {
                let session_id = Some(session.to_owned());
                let outcome = Arc::new(RunOutcome { session_id, ..outcome });
                let run = RunHandle::new(Arc::from(run_id), watch::channel(Some(outcome)).1);
                return Ok(Earlier { leaf, run: Some(run), is_cut });
            }
        }
        after = Some(bytes);
    }
    Ok(Earlier { leaf, run: None, is_cut: false })
}

/// How the run has ended whose answer, or failing that whose prompt, this line is, and whether it
/// was cut off before it had one. `after` is the line after it.
fn outcome(line: &Line<'_>, run_id: &str, after: Option<&[u8]>) -> Option<(RunOutcome, bool)> {
    let message = line.message()?;
    match &*message.role {
        "assistant" if message.run_id.as_deref() == Some(run_id) => {
            Some((answered(line, &message), false))
        }
        "user" if message.idempotency_key.as_deref() == Some(run_id) => {
            // A command is stored together with its answer, which no run has made.
            let answer = after.filter(|_| message.exclude_from_context).and_then(Line::parse);
            let said = answer.as_ref().and_then(|line| Some((line, line.message()?)));
            Some(
                said.map_or_else(
                    || (cut_short(), true),
                    |(line, said)| (answered(line, &said), false),
                ),
            )
        }
        _ => None,
    }
}

fn answered(line: &Line<'_>, message: &StoredMessage<'_>) -> RunOutcome {
    let details = line.message.and_then(|message| serde_json::from_str(message.get()).ok());
    let details: Details<'_> = details.unwrap_or_default();
    let error = details.error_message.map(|why| Fault::earlier(&*why));
    let (status, stop_reason) = match message.stop_reason.as_deref() {
        Some("error") if error.is_some() => (RunStatus::Error, "error"),
        Some("aborted") if error.is_some() => (RunStatus::Timeout, "timeout"),
        Some("aborted") => (RunStatus::Aborted, "rpc"),
        Some("length") => (RunStatus::Ok, "length"),
        Some("toolUse") => (RunStatus::Ok, "toolUse"),
        // The provider's filter took the answer: the run itself went well.
        Some("error") => (RunStatus::Ok, "error"),
        Some(_) | None => (RunStatus::Ok, "stop"),
    };
    RunOutcome {
        status,
        text: message.text(),
        usage: details.usage.map(Used::counted),
        error,
        provider: details.provider.unwrap_or_default().into_owned(),
        model: details.model.unwrap_or_default().into_owned(),
        session_id: None,
        stop_reason,
        started_at: details.timestamp,
        ended_at: details.timestamp,
    }
}

fn cut_short() -> RunOutcome {
    let error = Some(Fault::earlier("The run was cut short by a restart."));
    RunOutcome { error, ..RunOutcome::lost() }
}

/// What of an answer only this needs.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Details<'a> {
    #[serde(borrow)]
    provider: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error_message: Option<Cow<'a, str>>,
    usage: Option<Used>,
    timestamp: UnixMillis,
}

/// Tokens as they are stored.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Used {
    input: u64,
    output: u64,
    cache_read: u64,
}

impl Used {
    fn counted(self) -> Usage {
        let Self { input, output, cache_read } = self;
        let input_tokens = input.saturating_add(cache_read);
        Usage { input_tokens, output_tokens: output, cached_tokens: cache_read, ..Usage::default() }
    }
}
