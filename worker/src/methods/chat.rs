//! `chat.*`.

use std::fs::File;

use api::ApiError;
use api::chat::{AbortParams, Aborted, Chat, History, HistoryParams};
use serde_json::value::RawValue;

use super::{Call, bounded, session_key, storage};
use crate::Error;
use crate::store::{self, Dir, Line, MAX_LINE, Tail};

/// Bytes of a history. A method's reply is held whole, here and in the supervisor.
const MAX_HISTORY: usize = 4 << 20;

impl Chat for Call<'_> {
    async fn history(&self, params: HistoryParams) -> Result<History, ApiError> {
        let limit = bounded("limit", params.limit, [1, 1000], 200)?;
        let key = session_key(&params.session_key)?;
        let read = move |root: &Dir| {
            let Some(row) = store::session(root, key.agent(), key.as_str())? else {
                return Ok((None, Vec::new()));
            };
            let messages = match store::transcript(root, key.agent(), &row.session_id)? {
                Some(file) => messages(&file, limit).map_err(Error::io("read a transcript"))?,
                None => Vec::new(),
            };
            Ok((Some(row.session_id.as_str().to_owned()), messages))
        };
        let read = self.core.store.job(read).await;
        let (session_id, messages) = read.map_err(|err| storage(&err))?;
        Ok(History { session_key: params.session_key, session_id, messages })
    }

    async fn abort(&self, params: AbortParams) -> Result<Aborted, ApiError> {
        let key = session_key(&params.session_key)?;
        let run_ids = self.core.runs.stop_turns(key.as_str(), params.run_id.as_deref());
        Ok(Aborted { ok: true, aborted: !run_ids.is_empty(), run_ids })
    }
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
        if read > MAX_HISTORY {
            break;
        }
        messages.extend(Line::parse(&line).and_then(|line| line.message.map(ToOwned::to_owned)));
    }
    messages.reverse();
    Ok(messages)
}
