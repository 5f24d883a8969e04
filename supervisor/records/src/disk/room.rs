//! Keeping the database's file from growing.
//!
//! A segment of sled's file is used again once the pages that are of use in it have been moved. sled moves one page
//! each time that it writes one anew, and its own thread moves some more, for a few milliseconds by the clock in
//! which it may get no processor where there is much to do. Rows that come and go among others that stay leave more
//! than that. So who writes pays: where the file is far larger than what is in it, pages are moved with every group
//! of commits.

use std::fs::File;

use super::database;
use crate::Error;

/// Bytes that the file may have for each byte of the newest dump, which is at least two of what is in it, and
/// beside that, before pages are moved.
const SPREAD: u64 = 2;
const LEAST: u64 = 64 << 20;

/// Pages that are moved with one group of commits.
const PAGES: u8 = 16;

/// Changes of a page after which sled writes it anew.
const CHANGES: u8 = 10;

/// A tree with one page of no meaning: it is written anew so that another is moved.
const TREE: &str = "room";

/// Moves some pages where the file has far more than is needed for what a dump of this many bytes holds.
pub(super) fn make(db: &sled::Db, file: &File, dump: u64) -> Result<(), Error> {
    let most = dump.saturating_mul(SPREAD).saturating_add(LEAST);
    if file.metadata().is_ok_and(|it| it.len() > most) { move_pages(db) } else { Ok(()) }
}

fn move_pages(db: &sled::Db) -> Result<(), Error> {
    let tree = db.open_tree(TREE).map_err(database)?;
    // What is there already is not written again, so each value is another than the one before.
    for change in 0..PAGES * CHANGES {
        tree.insert(b"", &[change]).map_err(database)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const EVENTS: u64 = 3_000;
    /// How many later ones one stays.
    const LAG: u64 = 100;

    /// What stays while others come and go: three rows of each event are written, and one of them is removed
    /// some events later.
    fn churn(dir: &Path, moves: bool) -> u64 {
        let config = sled::Config::new().path(dir).cache_capacity(1 << 20);
        // Its own thread gets no time.
        let db = config.flush_every_ms(Some(3_600_000)).open().unwrap();
        let key = |what: &str, n: u64| format!("{what}/{:02}/{n:08}", n % 20);
        for event in 0..EVENTS {
            let mut batch = sled::Batch::default();
            batch.insert(key("row", event).as_bytes(), vec![1; 1500]);
            // Anywhere among the others.
            let mark = event.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            batch.insert(key("mark", mark).as_bytes(), vec![1; 200]);
            if let Some(old) = event.checked_sub(LAG) {
                batch.remove(key("row", old).as_bytes());
                batch.insert(key("old", old).as_bytes(), vec![1; 100]);
            }
            db.apply_batch(batch).unwrap();
            db.insert(key("row", event), vec![2; 1500]).unwrap();
            if event % 4 == 0 {
                if moves {
                    move_pages(&db).unwrap();
                }
                db.flush().unwrap();
            }
        }
        assert_eq!(u64::try_from(db.len()).unwrap(), 2 * EVENTS);
        fs::metadata(dir.join("db")).unwrap().len()
    }

    #[test]
    fn the_file_does_not_grow_with_what_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let without = churn(&dir.path().join("without"), false);
        let with = churn(&dir.path().join("with"), true);
        assert!(with < without / 2, "{with} of {without}");
    }

    #[test]
    fn nothing_is_moved_while_the_file_is_small_and_what_moves_is_no_row() {
        let dir = tempfile::tempdir().unwrap();
        let db = sled::open(dir.path().join("sled")).unwrap();
        let path = dir.path().join("file");
        let file = File::create(&path).unwrap();
        let moved = |len, dump| {
            file.set_len(len).unwrap();
            db.drop_tree(TREE).unwrap();
            make(&db, &file, dump).unwrap();
            db.tree_names().iter().any(|it| *it == TREE)
        };
        assert!(!moved(LEAST, 0) && moved(LEAST + 1, 0));
        assert!(!moved(LEAST + 10, 5) && moved(LEAST + 11, 5));
        assert!(db.is_empty());
    }
}
