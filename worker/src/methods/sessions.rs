//! `sessions.*`.

use std::fs::File;

use api::ApiError;
use api::sessions::{
    DeleteParams, Deleted, ListParams, Preview, PreviewItem, PreviewList, PreviewParams,
    SessionList, SessionRow, Sessions,
};

use super::{Call, bounded, session_key, storage};
use crate::Error;
use crate::agent::SessionKey;
use crate::store::{self, Dir, Line, MAX_LINE, Row, StoredMessage, Tail};

/// Keys of one preview.
const MAX_KEYS: usize = 64;
/// Bytes of one transcript that a preview reads.
const MAX_SCAN: usize = 4 << 20;

impl Sessions for Call<'_> {
    async fn list(&self, params: ListParams) -> Result<SessionList, ApiError> {
        let limit = bounded("limit", params.limit, [1, 1000], 100)?;
        let ts = self.core.store.now();
        let since = params.active_minutes.map(|minutes| u64::from(minutes) * 60_000);
        let oldest = since.map_or(0, |since| ts.saturating_sub(since));
        let read = move |root: &Dir| {
            let mut rows = Vec::new();
            for agent in store::agents(root)? {
                if params.agent_id.as_ref().is_none_or(|wanted| *wanted == agent) {
                    rows.extend(store::sessions(root, &agent)?);
                }
            }
            Ok(rows)
        };
        let mut rows: Vec<Row> = self.core.store.job(read).await.map_err(|err| storage(&err))?;
        rows.retain(|row| row.updated_at >= oldest);
        rows.sort_by(|a, b| b.updated_at.cmp(&a.updated_at).then_with(|| a.key.cmp(&b.key)));
        rows.truncate(limit);
        let sessions: Vec<_> = rows.into_iter().map(session_row).collect();
        Ok(SessionList { ts, count: sessions.len(), sessions })
    }

    async fn preview(&self, params: PreviewParams) -> Result<PreviewList, ApiError> {
        let limit = bounded("limit", params.limit, [1, 50], 12)?;
        let max_chars = bounded("maxChars", params.max_chars, [20, 2000], 240)?;
        if !(1..=MAX_KEYS).contains(&params.keys.len()) {
            return Err(ApiError::invalid(format!("keys must be 1 to {MAX_KEYS}")));
        }
        let mut keys = Vec::with_capacity(params.keys.len());
        for text in params.keys {
            keys.push((session_key(&text)?, text));
        }
        let read = move |root: &Dir| {
            let preview = |(key, text)| preview(root, &key, text, limit, max_chars);
            keys.into_iter().map(preview).collect::<Result<Vec<_>, Error>>()
        };
        let previews = self.core.store.job(read).await.map_err(|err| storage(&err))?;
        Ok(PreviewList { ts: self.core.store.now(), previews })
    }

    async fn delete(&self, params: DeleteParams) -> Result<Deleted, ApiError> {
        let key = session_key(&params.key)?;
        let runs = &self.core.runs;
        let place =
            runs.line_up(key.as_str()).map_err(|busy| ApiError::unavailable(busy.to_string()))?;
        drop(runs.stop_turns(key.as_str(), None));
        let _lane = place.turn().await;
        let deleted = self.core.store.delete(key.agent(), key.as_str()).await;
        let deleted = deleted.map_err(|err| storage(&err))?;
        Ok(Deleted { ok: true, key: params.key, deleted })
    }
}

fn session_row(row: Row) -> SessionRow {
    let [input_tokens, output_tokens, total_tokens] = row.totals;
    SessionRow {
        key: row.key,
        session_id: row.session_id.as_str().to_owned(),
        updated_at: row.updated_at,
        model: row.model,
        input_tokens,
        output_tokens,
        total_tokens,
    }
}

fn preview(
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
    if text.is_empty() {
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
