//! `chat.history`: a page of a conversation from its end, or what has come since a page.

use std::fs::File;

use api::ApiError;
use api::chat::{
    Delta, History, HistoryPage, HistoryParams, Message, MessageParams, Pending, PendingInputs,
};
use serde_json::json;
use serde_json::value::RawValue;

use super::super::sessions::{defaults, keyed};
use super::super::{Call, bounded, storage};
use super::clip;
use crate::agent::{Mark, SessionKey, marked};
use crate::sessions::View;
use crate::store::{self, Dir, Line, MAX_LINE, Row, Tail};
use crate::{Error, heartbeat};

/// Bytes of a history. A method's reply is held whole, here and in the supervisor.
const MAX_BYTES: u32 = 4 << 20;
/// Bytes of a transcript that are read for one page.
const MAX_SCAN: usize = 64 << 20;
/// Messages that wait, in one reply.
const MAX_PENDING: usize = 20;

/// A page, or what has come since a cursor.
pub(super) async fn history(call: &Call<'_>, params: HistoryParams) -> Result<History, ApiError> {
    if params.cursor.is_some() {
        return since(call, params).await.map(|delta| History::Since(Box::new(delta)));
    }
    page(call, params).await.map(|page| History::Page(Box::new(page)))
}

/// What is wanted of a transcript.
#[derive(Debug, Clone)]
struct Wanted {
    limit: usize,
    offset: usize,
    max_chars: usize,
    max_bytes: usize,
    /// Characters of an acknowledgement, which is not shown.
    ack_chars: usize,
    /// The newest entry of the page.
    newest: Option<String>,
    /// The place of the first entry that is not wanted any more, and its id.
    until: Option<(u64, String)>,
}

impl Wanted {
    fn new(call: &Call<'_>, params: &HistoryParams) -> Result<Self, ApiError> {
        let settings = call.core.live.now().settings;
        let max_bytes = params.max_bytes.map(|max| max.min(MAX_BYTES));
        Ok(Self {
            limit: bounded("limit", params.limit, [1, 1000], 200)?,
            offset: bounded("offset", params.offset, [0, 1_000_000], 0)?,
            max_chars: bounded("maxChars", params.max_chars, [1, 500_000], 12_000)?,
            max_bytes: bounded("maxBytes", max_bytes, [1024, MAX_BYTES], MAX_BYTES)?,
            ack_chars: settings.agents.defaults.heartbeat.ack_chars(),
            newest: params.message_id.clone(),
            until: None,
        })
    }
}

/// What was read of a transcript.
#[derive(Debug, Default)]
struct Read {
    /// Oldest first.
    messages: Vec<Box<RawValue>>,
    /// Place and id of the newest entry.
    newest: Option<(u64, String)>,
    has_more: bool,
    entries: u64,
    /// Whether the entry was met that is not wanted any more.
    met: bool,
}

async fn page(call: &Call<'_>, params: HistoryParams) -> Result<HistoryPage, ApiError> {
    let key = keyed(&params.session_key, params.agent_id.as_ref())?;
    let wanted = Wanted::new(call, &params)?;
    let offset = wanted.offset;
    let known = params.session_id;
    let (row, read) = read_both(call, &key, wanted).await?;
    // A client that asks for another transcript than the one that there is gets none.
    let is_other = known.zip(row.as_ref()).is_some_and(|(id, row)| id != row.session_id.as_str());
    let (row, read) = if is_other { (None, Read::default()) } else { (row, read) };
    let view = View::new(call.core);
    let shown = u32::try_from(offset.saturating_add(read.messages.len())).unwrap_or(u32::MAX);
    let meta = row.as_ref().map(|row| row.meta.clone()).unwrap_or_default();
    Ok(HistoryPage {
        session_key: key.as_str().to_owned(),
        session_id: row.as_ref().map(|row| row.session_id.as_str().to_owned()),
        pending_inputs: pending(call, &key),
        delta_cursor: row.as_ref().map(|row| cursor(row, read.newest.as_ref())),
        next_offset: read.has_more.then_some(shown),
        has_more: read.has_more,
        total_messages: read.entries,
        messages: read.messages,
        defaults: defaults(&view),
        thinking_level: meta.thinking_level,
        verbose_level: meta.verbose_level,
        session_info: row.as_ref().map(|row| view.row(row)),
    })
}

async fn since(call: &Call<'_>, params: HistoryParams) -> Result<Delta, ApiError> {
    let key = keyed(&params.session_key, params.agent_id.as_ref())?;
    let mut wanted = Wanted::new(call, &params)?;
    let cursor_in = params.cursor.unwrap_or_default();
    let mut parts = cursor_in.splitn(3, ':');
    let (session, seq, id) = (parts.next(), parts.next(), parts.next());
    let Some(seq) = seq.and_then(|seq| seq.parse::<u64>().ok()) else { return Ok(Delta::Reset) };
    wanted.until = Some((seq, id.unwrap_or_default().to_owned()));
    let (row, read) = read_both(call, &key, wanted).await?;
    let Some(row) = row.filter(|row| Some(row.session_id.as_str()) == session) else {
        return Ok(Delta::Reset);
    };
    if !read.met {
        return Ok(Delta::Reset);
    }
    Ok(Delta::Delta {
        delta_cursor: cursor(&row, read.newest.as_ref()),
        messages: read.messages,
        session_info: View::new(call.core).row(&row),
        pending_inputs: pending(call, &key),
    })
}

/// One message, longer than a page shows it.
pub(super) async fn one(call: &Call<'_>, params: MessageParams) -> Result<Message, ApiError> {
    let key = keyed(&params.session_key, params.agent_id.as_ref())?;
    let max_chars = bounded("maxChars", params.max_chars, [1, 2_000_000], 500_000)?;
    let id = params.message_id;
    let read = move |root: &Dir| {
        let Some(row) = store::session(root, key.agent(), key.as_str())? else { return Ok(None) };
        let Some(file) = store::transcript(root, key.agent(), &row.session_id)? else {
            return Ok(None);
        };
        find(&file, &id, max_chars).map_err(Error::io("read a transcript"))
    };
    let message = call.core.store.job(read).await.map_err(|err| storage(&err))?;
    let unavailable_reason = message.is_none().then_some("not_found");
    Ok(Message { ok: message.is_some(), message, unavailable_reason })
}

fn find(file: &File, id: &str, max_chars: usize) -> std::io::Result<Option<Box<RawValue>>> {
    let mut tail = Tail::of(file, MAX_LINE)?;
    let (mut seq, mut scanned) = (store::lines(file)?, 0);
    while scanned < MAX_SCAN
        && let Some(bytes) = tail.next_line()?
    {
        scanned += bytes.len();
        seq = seq.saturating_sub(1);
        let Some(line) = Line::parse(&bytes) else { continue };
        if line.id.as_deref() == Some(id) && line.kind == "message" {
            let message = clip::clipped(&line, max_chars, true);
            return Ok(message.map(|message| marked(&message, Mark { id, seq, run_id: None })));
        }
    }
    Ok(None)
}

async fn read_both(
    call: &Call<'_>,
    key: &SessionKey,
    wanted: Wanted,
) -> Result<(Option<Row>, Read), ApiError> {
    let key = key.clone();
    let read = move |root: &Dir| {
        let Some(row) = store::session(root, key.agent(), key.as_str())? else {
            return Ok((None, Read::default()));
        };
        let read = match store::transcript(root, key.agent(), &row.session_id)? {
            Some(file) => read(&file, &wanted).map_err(Error::io("read a transcript"))?,
            None => Read::default(),
        };
        Ok((Some(row), read))
    };
    call.core.store.job(read).await.map_err(|err| storage(&err))
}

/// Reads a transcript from its end.
fn read(file: &File, wanted: &Wanted) -> std::io::Result<Read> {
    let mut tail = Tail::of(file, MAX_LINE)?;
    let mut seq = store::lines(file)?;
    let mut read = Read { entries: seq.saturating_sub(1), ..Read::default() };
    let (mut skip, mut bytes, mut scanned) = (wanted.offset, 0, 0);
    let mut begun = wanted.newest.is_none();
    while let Some(line_bytes) = tail.next_line()? {
        scanned += line_bytes.len();
        seq = seq.saturating_sub(1);
        let Some(line) = Line::parse(&line_bytes) else { continue };
        if line.kind == "session" {
            // A cursor of an empty page names no entry.
            read.met |= wanted.until.as_ref().is_some_and(|(_, id)| id.is_empty());
            break;
        }
        let id = line.id.as_deref().unwrap_or_default();
        if let Some((until, until_id)) = &wanted.until
            && seq <= *until
            && !until_id.is_empty()
        {
            read.met = seq == *until && id == until_id;
            break;
        }
        read.newest.get_or_insert_with(|| (seq, id.to_owned()));
        begun |= wanted.newest.as_deref() == Some(id);
        let Some(message) = shown(&line, seq, wanted).filter(|_| begun) else { continue };
        if skip > 0 {
            skip -= 1;
            continue;
        }
        bytes += message.get().len();
        let is_full = read.messages.len() >= wanted.limit || bytes > wanted.max_bytes;
        if is_full || scanned > MAX_SCAN {
            read.has_more = true;
            break;
        }
        read.messages.push(message);
    }
    // Nothing has come since: the newest entry is the one that the cursor names.
    if read.newest.is_none() {
        read.newest.clone_from(&wanted.until);
    }
    read.messages.reverse();
    Ok(read)
}

/// An entry as a client shows it.
fn shown(line: &Line<'_>, seq: u64, wanted: &Wanted) -> Option<Box<RawValue>> {
    match &*line.kind {
        "message" => {
            let stored = line.message();
            if stored.as_ref().is_some_and(|it| heartbeat::is_hidden(it, wanted.ack_chars)) {
                return None;
            }
            let message = clip::clipped(line, wanted.max_chars, false)?;
            let id = line.id.as_deref().unwrap_or_default();
            let run_id = stored.and_then(|it| it.run_id);
            Some(marked(&message, Mark { id, seq, run_id: run_id.as_deref() }))
        }
        "compaction" => clip::compaction(line),
        _ => None,
    }
}

fn cursor(row: &Row, newest: Option<&(u64, String)>) -> String {
    let (seq, id) = newest.map_or((0, ""), |(seq, id)| (*seq, id.as_str()));
    format!("{}:{seq}:{id}", row.session_id.as_str())
}

/// The messages that wait in a session.
fn pending(call: &Call<'_>, key: &SessionKey) -> PendingInputs {
    let mut waiting = call.core.desk.waiting(key.as_str());
    waiting.retain(|one| !one.is_hidden);
    let total = waiting.len();
    let item = |one: crate::agent::Waiting| Pending {
        id: one.run_id.clone(),
        message: json!({
            "role": "user",
            "content": [{"type": "text", "text": clip::start(&one.message)}],
            "timestamp": one.accepted_at,
            "idempotencyKey": one.run_id,
        }),
        run_id: one.run_id,
        accepted_at: one.accepted_at,
        state: "queued",
    };
    PendingInputs { items: waiting.into_iter().take(MAX_PENDING).map(item).collect(), total }
}
