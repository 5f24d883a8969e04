//! Writes to a store until it is killed, and says on standard output what was acknowledged. The
//! crash tests start it; it never ends by itself, and it checks nothing.
//!
//! Each writer's commit `n` adds the keys `<writer>/a/<n>` and `<writer>/b/<n>`, removes those of
//! commit `n - 50` and counts: whoever finds one half of that has found a torn commit.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use records::store::{Commit, Guard, Op, Store};
use records::{Error, SledStore};
use types::SystemClock;

/// Writers at once, so that commits share a sync.
const WRITERS: usize = 4;

/// Commits of one writer whose keys are there at once.
const WINDOW: u64 = 50;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).ok_or("usage: crash_writer DIR")?;
    let store = SledStore::open(Path::new(&dir), Arc::new(SystemClock)).await?;
    try_join_all((0..WRITERS).map(|writer| write(&store, writer))).await?;
    Ok(())
}

async fn write(store: &SledStore, writer: usize) -> Result<(), Box<dyn std::error::Error>> {
    let count = Bytes::from(format!("{writer}/count"));
    let mut guard = match store.get(&count).await? {
        Some(item) => Guard::Modified(count.clone(), item.modified),
        None => Guard::Absent(count.clone()),
    };
    let mut n = match store.get(&count).await? {
        Some(item) => std::str::from_utf8(&item.value)?.parse()?,
        None => 0_u64,
    };
    loop {
        n += 1;
        let mut ops = vec![Op::put(count.clone(), n.to_string().into_bytes())];
        for half in ["a", "b"] {
            ops.push(Op::put(format!("{writer}/{half}/{n:08}"), value(writer, n)));
            if let Some(old) = n.checked_sub(WINDOW) {
                ops.push(Op::Delete(format!("{writer}/{half}/{old:08}").into()));
            }
        }
        let Commit::Done(rev) = store.commit(vec![guard], ops).await? else {
            return Err(Box::new(Error::Exists));
        };
        guard = Guard::Modified(count.clone(), rev);
        std::io::stdout().lock().write_all(format!("{writer} {n}\n").as_bytes())?;
    }
}

/// From a few bytes to more than half a page, and no two alike.
fn value(writer: usize, n: u64) -> Vec<u8> {
    let length = 10 + usize::try_from(n * 37 % 2500).unwrap_or(0);
    format!("{writer}:{n};").into_bytes().into_iter().cycle().take(length).collect()
}
