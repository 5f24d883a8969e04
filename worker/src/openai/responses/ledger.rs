//! Which session a response was made in, so that a later request can go on from it: one line each
//! in a file of the tenant's root, the oldest of which are forgotten.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::agent::SessionKey;
use crate::service::Core;
use crate::store::{self, Dir};

const FILE: &str = "responses.jsonl";

/// Bytes of the file beyond which its older half is forgotten: a few thousand responses.
const MAX_BYTES: u64 = 1 << 20;

/// One append or one shortening at a time: a shortening must not lose what is appended meanwhile.
static WRITING: Mutex<()> = Mutex::new(());

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    id: &'a str,
    key: &'a str,
}

/// Notes where a response is made, durably.
pub(super) async fn remember(core: &Core, id: &str, key: &SessionKey) -> Result<(), Error> {
    let line = serde_json::to_string(&Line { id, key: key.as_str() })
        .map_err(|source| Error::Invalid { what: "a response", source })?;
    let append = move |root: &Dir| append(root, &line).map_err(Error::io("note a response"));
    core.store.job(append).await
}

/// The session of a response, if it is known and the session is still there.
pub(super) async fn find(core: &Core, id: &str) -> Result<Option<SessionKey>, Error> {
    let id = id.to_owned();
    let look = move |root: &Dir| {
        let text = read(root).map_err(Error::io("look for a response"))?;
        let Some(key) = key_of(&text, &id) else { return Ok(None) };
        // The file is the tenant's: what is no key names no session.
        let Ok(key) = SessionKey::parse(&key) else { return Ok(None) };
        let row = store::session(root, key.agent(), key.as_str())?;
        Ok(row.is_some().then_some(key))
    };
    core.store.job(look).await
}

fn key_of(text: &str, id: &str) -> Option<String> {
    let lines = text.lines().rev().filter(|line| line.contains(id));
    let mut lines = lines.filter_map(|line| serde_json::from_str::<Line<'_>>(line).ok());
    lines.find(|line| line.id == id).map(|line| line.key.to_owned())
}

fn read(root: &Dir) -> std::io::Result<String> {
    // A file that another program has made longer is read in part.
    let bytes = root.read_start(FILE, 2 * MAX_BYTES)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn append(root: &Dir, line: &str) -> std::io::Result<()> {
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut file, is_new) = match root.file_to_append(FILE)? {
        Some(file) => (file, false),
        None => (root.create_new(FILE)?, true),
    };
    if file.metadata()?.len() > MAX_BYTES {
        let text = read(root)?;
        let half = text.floor_char_boundary(text.len() / 2);
        let newer = text.get(half..).and_then(|text| text.split_once('\n'));
        let newer = newer.map_or("", |(_cut, newer)| newer);
        return root.replace(FILE, format!("{newer}\n{line}\n").as_bytes());
    }
    // A line that a crash has torn must not take this one with it.
    file.write_all(format!("\n{line}\n").as_bytes())?;
    file.sync_data()?;
    if is_new { root.sync() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: usize) -> String {
        let (id, key) = (format!("resp_{n}_"), format!("agent:main:{}", "x".repeat(400)));
        serde_json::to_string(&Line { id: &id, key: &key }).unwrap()
    }

    #[test]
    fn the_oldest_are_forgotten_and_a_torn_line_harms_nobody() {
        let temporary = tempfile::tempdir().unwrap();
        let root = Dir::open(temporary.path()).unwrap();
        append(&root, &line(0)).unwrap();
        let path = temporary.path().join(FILE);
        let torn = std::fs::read_to_string(&path).unwrap() + "{\"id\":\"resp_";
        std::fs::write(&path, torn).unwrap();
        append(&root, &line(1)).unwrap();
        let known = |n: usize| key_of(&read(&root).unwrap(), &format!("resp_{n}_")).is_some();
        assert!(known(0) && known(1) && !known(2));
        for n in 2..3000 {
            append(&root, &line(n)).unwrap();
        }
        assert!(!known(0) && known(2000) && known(2999));
        assert!(std::fs::metadata(&path).unwrap().len() <= MAX_BYTES + 1024);
    }
}
