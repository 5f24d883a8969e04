//! Idempotency keys of hooks, over the worker's sleep too: `cron/hook-keys.json`.
//!
//! A key stands for a run that goes on or has had its message. One whose run was refused, or was
//! lost with the process before it ended, is new again: an event may come twice, but is not lost.

use serde::{Deserialize, Serialize};
use tokio::sync::MutexGuard;
use types::UnixMillis;

use crate::Error;
use crate::agent::Desk;
use crate::service::Core;
use crate::store::Dir;

const FILE: &str = "hook-keys.json";
/// Keys that are remembered, as many as the supervisor remembers events; the oldest goes when one more comes.
const MAX_KEYS: usize = 2048;
/// How long a key is remembered.
const KEEP_MS: u64 = 24 * 3_600_000;
/// Bytes of the file: so many keys of the longest kind, escaped.
const MAX_BYTES: u64 = 8 << 20;

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
    /// Whether the run has ended and has had its message.
    #[serde(default)]
    taken: bool,
}

/// Whether a request with a key begins a run.
pub(super) enum Claim<'a> {
    /// This run has been begun for the key.
    Earlier(String),
    /// It does, the run of this id. To be held until the run is accepted: a second request is to find
    /// it.
    New(String, Option<MutexGuard<'a, ()>>),
}

/// Remembers the key durably, or gives the run that it stands for. No key is always new.
pub(super) async fn claim<'a>(core: &'a Core, key: &str, run_id: &str) -> Result<Claim<'a>, Error> {
    if key.is_empty() {
        return Ok(Claim::New(run_id.to_owned(), None));
    }
    let claimed = core.hook_keys.lock().await;
    let new =
        Key { key: key.to_owned(), run_id: run_id.to_owned(), at: core.store.now(), taken: false };
    let desk = core.desk.clone();
    let stands = move |key: &Key| key.taken || has_message(&desk, &key.run_id);
    let earlier = core.store.job(move |root| remember(root, new, stands)).await?;
    Ok(match earlier {
        Known::Stands(run_id) => Claim::Earlier(run_id),
        Known::New(run_id) => Claim::New(run_id, Some(claimed)),
    })
}

/// Remembers that the run of the key has had its message.
pub(super) async fn taken(core: &Core, key: &str, run_id: &str) -> Result<(), Error> {
    let (key, run_id) = (key.to_owned(), run_id.to_owned());
    let _one_at_a_time = core.hook_keys.lock().await;
    let take = move |root: &Dir| {
        let mut seen = Seen::read(root)?;
        let own = seen.keys.iter_mut().find(|seen| seen.key == key && seen.run_id == run_id);
        let Some(own) = own else { return Ok(()) };
        own.taken = true;
        seen.write(root)
    };
    core.store.job(take).await
}

/// Whether a run goes on that is going to have its message, or has had it.
fn has_message(desk: &Desk, run_id: &str) -> bool {
    let ended = desk.find(run_id, None).map(|run| run.ended());
    ended.is_some_and(|ended| ended.is_none_or(|ended| ended.session_id.is_some()))
}

/// The run of a key: one that stands, or one that is to begin.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    Stands(String),
    New(String),
}

fn remember(root: &Dir, mut new: Key, stands: impl Fn(&Key) -> bool) -> Result<Known, Error> {
    let mut seen = Seen::read(root)?;
    seen.keys.retain(|seen| seen.at.saturating_add(KEEP_MS) > new.at);
    if let Some(at) = seen.keys.iter().position(|seen| seen.key == new.key) {
        let known = seen.keys.remove(at);
        if stands(&known) {
            return Ok(Known::Stands(known.run_id));
        }
        // The same run again: its event may come again too, and is to find it.
        new.run_id = known.run_id;
    }
    if seen.keys.len() >= MAX_KEYS {
        seen.keys.remove(0);
    }
    let run_id = new.run_id.clone();
    seen.keys.push(new);
    seen.write(root)?;
    Ok(Known::New(run_id))
}

impl Seen {
    /// A file that cannot be read is forgotten: a hook must not fail for good because of it.
    fn read(root: &Dir) -> Result<Self, Error> {
        let io = Error::io("read idempotency keys");
        let Some(dir) = root.sub(crate::cron::FOLDER).map_err(io)? else {
            return Ok(Self::default());
        };
        let stored = dir.read_start(FILE, MAX_BYTES).map_err(Error::io("read idempotency keys"))?;
        Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    fn write(&self, root: &Dir) -> Result<(), Error> {
        let invalid = |source| Error::Invalid { what: "an idempotency key", source };
        let bytes = serde_json::to_vec(self).map_err(invalid)?;
        let dir = root.sub_or_create(crate::cron::FOLDER);
        let written = dir.and_then(|dir| dir.replace(FILE, &bytes));
        written.map_err(Error::io("remember an idempotency key"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_for_one_run_for_a_day() {
        let temporary = tempfile::tempdir().unwrap();
        let root = Dir::open(temporary.path()).unwrap();
        let check = |key: &str, run: &str, at: u64, want: Option<&str>| {
            let new = Key { key: key.to_owned(), run_id: run.to_owned(), at, taken: false };
            // Runs whose ids end so were refused or lost.
            let got = remember(&root, new, |known| !known.run_id.ends_with('x')).unwrap();
            let want = want.map(str::to_owned);
            match got {
                Known::Stands(run) => assert_eq!(Some(run), want, "{key}"),
                Known::New(_) => assert_eq!(None, want, "{key} {run}"),
            }
        };
        check("a", "1", 10, None);
        check("a", "2", 11, Some("1"));
        check("b", "3x", 11, None);
        check("b", "4", 11, None);
        check("b", "5", 11, None);
        check("c", "4", 11, None);
        check("c", "5", 11, Some("4"));
        check("a", "6", 10 + KEEP_MS, None);
        let mut seen = Seen::read(&root).unwrap();
        let key = |n: usize| Key {
            key: n.to_string(),
            run_id: "n".to_owned(),
            at: 10 + KEEP_MS,
            taken: false,
        };
        seen.keys.extend((seen.keys.len()..MAX_KEYS).map(key));
        seen.write(&root).unwrap();
        check("a", "7", 10 + KEEP_MS, Some("6"));
        // The oldest go: those of `b` and `c`, then this one.
        for more in ["x", "y", "z"] {
            check(more, "8", 10 + KEEP_MS, None);
        }
        check("a", "7", 10 + KEEP_MS, None);
    }
}
