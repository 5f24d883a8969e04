//! What was said in sessions: previews of several, the messages of one.

use std::fs::File;

use api::ApiError;
use api::sessions::{GetParams, Preview, PreviewItem, PreviewList, PreviewParams, SessionMessages};
use serde_json::value::RawValue;

use super::super::{Call, bounded, session_key, storage};
use super::keyed;
use crate::Error;
use crate::agent::SessionKey;
use crate::store::{self, Dir, Line, MAX_LINE, StoredMessage, Tail};

/// Keys of one preview.
const MAX_KEYS: usize = 64;
/// Bytes of one transcript that a preview reads.
const MAX_SCAN: usize = 4 << 20;
/// Bytes of messages of one answer. It is held whole, here and in the supervisor.
const MAX_MESSAGES: usize = 3 << 20;
/// Messages of one preview and characters of one of them; who asks for more gets so many.
const MAX_ITEMS: u32 = 50;
const MAX_CHARS: u32 = 2000;

/// `sessions.preview`.
pub(super) async fn preview(
    call: &Call<'_>,
    params: PreviewParams,
) -> Result<PreviewList, ApiError> {
    let limit = params.limit.map(|limit| limit.min(MAX_ITEMS));
    let limit = bounded("limit", limit, [1, MAX_ITEMS], 12)?;
    let max_chars = params.max_chars.map(|chars| chars.min(MAX_CHARS));
    let max_chars = bounded("maxChars", max_chars, [20, MAX_CHARS], 240)?;
    if !(1..=MAX_KEYS).contains(&params.keys.len()) {
        return Err(ApiError::invalid(format!("keys must be 1 to {MAX_KEYS}")));
    }
    let mut keys = Vec::with_capacity(params.keys.len());
    for text in params.keys {
        keys.push((session_key(&text)?, text));
    }
    let read = move |root: &Dir| {
        let preview = |(key, text)| one(root, &key, text, limit, max_chars);
        keys.into_iter().map(preview).collect::<Result<Vec<_>, Error>>()
    };
    let previews = call.core.store.job(read).await.map_err(|err| storage(&err))?;
    Ok(PreviewList { ts: call.core.store.now(), previews })
}

/// `sessions.get`.
pub(super) async fn get(call: &Call<'_>, params: GetParams) -> Result<SessionMessages, ApiError> {
    let limit = bounded("limit", params.limit, [1, 1000], 200)?;
    let key = keyed(&params.key, params.agent_id.as_ref())?;
    let read = move |root: &Dir| {
        let row = store::session(root, key.agent(), key.as_str())?;
        let file = row.map(|row| store::transcript(root, key.agent(), &row.session_id));
        match file.transpose()?.flatten() {
            Some(file) => messages(&file, limit).map_err(Error::io("read a transcript")),
            None => Ok(Vec::new()),
        }
    };
    let messages = call.core.store.job(read).await.map_err(|err| storage(&err))?;
    Ok(SessionMessages { messages })
}

/// The last messages, oldest first.
fn messages(file: &File, limit: usize) -> std::io::Result<Vec<Box<RawValue>>> {
    let mut messages = Vec::new();
    let mut tail = Tail::of(file, MAX_LINE)?;
    let mut read = 0;
    while messages.len() < limit
        && let Some(line) = tail.next_line()?
    {
        read += line.len();
        if read > MAX_MESSAGES {
            break;
        }
        messages.extend(Line::parse(&line).and_then(|line| line.message.map(ToOwned::to_owned)));
    }
    messages.reverse();
    Ok(messages)
}

fn one(
    root: &Dir,
    key: &SessionKey,
    text: String,
    limit: usize,
    max_chars: usize,
) -> Result<Preview, Error> {
    let Some(row) = store::session(root, key.agent(), key.as_str())? else {
        return Ok(Preview { key: text, status: "missing", items: Vec::new() });
    };
    let items = match store::transcript(root, key.agent(), &row.session_id)? {
        Some(file) => items(&file, limit, max_chars).map_err(Error::io("read a transcript"))?,
        None => Vec::new(),
    };
    let status = if items.is_empty() { "empty" } else { "ok" };
    Ok(Preview { key: text, status, items })
}

fn items(file: &File, limit: usize, max_chars: usize) -> std::io::Result<Vec<PreviewItem>> {
    let mut items = Vec::new();
    let mut tail = Tail::of(file, MAX_LINE)?;
    let mut scanned = 0;
    while items.len() < limit
        && scanned < MAX_SCAN
        && let Some(line) = tail.next_line()?
    {
        scanned += line.len();
        let message = Line::parse(&line).and_then(|line| line.message());
        items.extend(message.as_ref().and_then(|message| item(message, max_chars)));
    }
    items.reverse();
    Ok(items)
}

fn item(message: &StoredMessage<'_>, max_chars: usize) -> Option<PreviewItem> {
    let text = message.text();
    if text.is_empty() || message.origin().is_some() {
        return None;
    }
    let role = match &*message.role {
        "toolResult" => "tool",
        role @ ("user" | "assistant" | "system") => role,
        _ => return None,
    };
    let text = text.chars().take(max_chars).collect();
    Some(PreviewItem { role: role.to_owned(), text })
}
