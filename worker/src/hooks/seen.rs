//! Idempotency keys of hooks, over the worker's sleep too: `cron/hook-keys.json`.

use serde::{Deserialize, Serialize};
use types::UnixMillis;

use crate::Error;
use crate::service::Core;
use crate::store::Dir;

const FILE: &str = "hook-keys.json";
/// Keys that are remembered; the oldest goes when one more comes.
const MAX_KEYS: usize = 256;
/// How long a key is remembered.
const KEEP_MS: u64 = 24 * 3_600_000;
/// Bytes of the file: so many keys of the longest kind, escaped.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    keys: Vec<Key>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    key: String,
    run_id: String,
    at: UnixMillis,
}

/// Remembers the key durably, or gives the run that it was given before. No key is always new.
pub(super) async fn first(core: &Core, key: &str, run_id: &str) -> Result<Option<String>, Error> {
    if key.is_empty() {
        return Ok(None);
    }
    let (key, run_id, now) = (key.to_owned(), run_id.to_owned(), core.store.now());
    let _one_at_a_time = core.hook_keys.lock().await;
    core.store.job(move |root| remember(root, key, run_id, now)).await
}

fn remember(
    root: &Dir,
    key: String,
    run_id: String,
    at: UnixMillis,
) -> Result<Option<String>, Error> {
    let io = Error::io("remember an idempotency key");
    let dir = root.sub_or_create(crate::cron::FOLDER).map_err(io)?;
    let stored = dir.read_start(FILE, MAX_BYTES).map_err(Error::io("read idempotency keys"))?;
    // A file that cannot be read is forgotten: a hook must not fail for good because of it.
    let mut seen: Seen =
        stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    seen.keys.retain(|seen| seen.at.saturating_add(KEEP_MS) > at);
    if let Some(seen) = seen.keys.iter().find(|seen| seen.key == key) {
        return Ok(Some(seen.run_id.clone()));
    }
    if seen.keys.len() >= MAX_KEYS {
        seen.keys.remove(0);
    }
    seen.keys.push(Key { key, run_id, at });
    let invalid = |source| Error::Invalid { what: "an idempotency key", source };
    let bytes = serde_json::to_vec(&seen).map_err(invalid)?;
    dir.replace(FILE, &bytes).map_err(Error::io("remember an idempotency key"))?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_for_one_run_for_a_day() {
        let temporary = tempfile::tempdir().unwrap();
        let root = Dir::open(temporary.path()).unwrap();
        let check = |key: &str, run: &str, at: u64, want: Option<&str>| {
            let got = remember(&root, key.to_owned(), run.to_owned(), at).unwrap();
            assert_eq!(got.as_deref(), want, "{key} {run}");
        };
        check("a", "1", 10, None);
        check("a", "2", 11, Some("1"));
        check("b", "3", 11, None);
        check("a", "4", 10 + KEEP_MS, None);
        for n in 0..MAX_KEYS {
            check(&n.to_string(), "n", 10 + KEEP_MS, None);
        }
        check("a", "5", 10 + KEEP_MS, None);
    }
}
