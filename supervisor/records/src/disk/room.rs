//! Keeping the database's file from growing.
//!
//! A segment of sled's file is used again once all pages in it have been written anew elsewhere. sled moves pages out
//! of segments that are half out of date: one each time that it writes one anew, and some more in its own thread,
//! which may get no processor where there is much to do; and always those of the first such segment in the file, so
//! that where there is always one, pages in later ones stay for ever. So where the file becomes larger than is of
//! use, who writes walks through all rows, a few pages with every group of commits, and has each page written anew.
//! Everything that was written before the walk is room then.

use std::fs::File;
use std::ops::Bound::{Excluded, Unbounded};

use sled::IVec;

use super::database;
use crate::Error;

/// Bytes that the file may have for each byte of the newest dump, which is at least two of what is in it, and
/// beside that, before pages are moved.
const SPREAD: u64 = 2;
const LEAST: u64 = 64 << 20;

/// Pages that are written anew with one group of commits.
const PAGES: usize = 16;

/// Rows from one page that is written anew to the next: sled has up to 16 in one, and splits it in two then.
/// Where walks begin differs, so that a page which one of them passes over is found by the next.
const STRIDE: usize = 8;

/// Changes of a page with the last of which sled writes it anew at the latest.
const CHANGES: u8 = 10;

/// Makes room.
#[derive(Default)]
pub(super) struct Room {
    /// The row after which the walk goes on, where there is one.
    walk: Option<IVec>,
    /// Walks that have begun.
    walks: usize,
    /// Length of the file after the last walk, or less where it has become smaller: as long as it is not longer,
    /// there is still room in it.
    enough: u64,
}

impl Room {
    /// Goes on with a walk, or begins one where the file has grown, and has far more than is needed for what a
    /// dump of this many bytes holds.
    pub(super) fn make(&mut self, db: &sled::Db, file: &File, dump: u64) -> Result<(), Error> {
        let most = dump.saturating_mul(SPREAD).saturating_add(LEAST);
        file.metadata().map_or(Ok(()), |it| self.keep_below(db, it.len(), most))
    }

    fn keep_below(&mut self, db: &sled::Db, len: u64, most: u64) -> Result<(), Error> {
        self.enough = self.enough.min(len);
        if self.walk.is_none() && len > most.max(self.enough) {
            self.walk = db.iter().keys().nth(self.walks % STRIDE).transpose().map_err(database)?;
            self.walks = self.walks.wrapping_add(1);
        }
        if let Some(after) = self.walk.take() {
            self.walk = walk(db, after)?;
            if self.walk.is_none() {
                self.enough = len;
            }
        }
        Ok(())
    }
}

/// Has some of the pages after this row written anew; gives the row after which to go on, unless that was all.
fn walk(db: &sled::Db, after: IVec) -> Result<Option<IVec>, Error> {
    let mut rows = db.range((Excluded(after), Unbounded)).keys();
    let mut last = None;
    for _ in 0..PAGES {
        last = rows.nth(STRIDE - 1).transpose().map_err(database)?;
        let Some(row) = &last else { break };
        write_anew(db, row)?;
    }
    Ok(last)
}

/// Has the page with this row written anew, by taking away beside it what is not there: sled notes that too.
fn write_anew(db: &sled::Db, row: &[u8]) -> Result<(), Error> {
    let beside = [row, &[0]].concat();
    let nothing = None::<&[u8]>;
    for _ in 0..CHANGES {
        // Where there is such a row after all, it stays.
        if db.compare_and_swap(&beside, nothing, nothing).map_err(database)?.is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const EVENTS: u64 = 6_000;
    /// How many later ones one stays.
    const LAG: u64 = 100;

    /// Without sled's own thread, which gets no time.
    fn open(dir: &Path) -> sled::Db {
        let config = sled::Config::new().path(dir).cache_capacity(1 << 20);
        config.flush_every_ms(Some(3_600_000)).open().unwrap()
    }

    fn len(dir: &Path) -> u64 {
        fs::metadata(dir.join("db")).unwrap().len()
    }

    /// What stays while others come and go: three rows of each event are written, and one of them is removed
    /// some events later.
    fn churn(dir: &Path, most: u64) -> u64 {
        let (db, mut room) = (open(dir), Room::default());
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
                room.keep_below(&db, len(dir), most).unwrap();
                db.flush().unwrap();
            }
        }
        assert_eq!(u64::try_from(db.len()).unwrap(), 2 * EVENTS);
        len(dir)
    }

    #[test]
    fn the_file_does_not_grow_with_what_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let without = churn(&dir.path().join("without"), u64::MAX);
        let with = churn(&dir.path().join("with"), 4 << 20);
        assert!(with < without / 2, "{with} of {without}");
    }

    /// Steps of the walk that this length of the file brings about.
    fn steps(room: &mut Room, db: &sled::Db, len: u64) -> usize {
        let mut steps = 0;
        loop {
            room.keep_below(db, len, 100).unwrap();
            steps += 1;
            if room.walk.is_none() {
                return steps;
            }
        }
    }

    #[test]
    fn a_walk_begins_where_the_file_has_become_too_large_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path());
        let rows = |db: &sled::Db| db.iter().map(Result::unwrap).collect::<Vec<_>>();
        for n in 0..1_000_u32 {
            // One of them is where nothing is expected.
            db.insert(n.to_be_bytes(), vec![7; 20]).unwrap();
            db.insert([&n.to_be_bytes()[..], &[0]].concat(), vec![8; 20]).unwrap();
        }
        let (before, mut room) = (rows(&db), Room::default());
        assert_eq!(steps(&mut room, &db, 100), 1, "not too large");
        assert_eq!(room.walks, 0);
        let whole = 2_000 / (PAGES * STRIDE) + 1;
        assert_eq!(steps(&mut room, &db, 200), whole);
        assert_eq!((steps(&mut room, &db, 200), room.walks), (1, 1), "there is room in it");
        assert_eq!((steps(&mut room, &db, 201), room.walks), (whole, 2), "no more");
        assert_eq!((steps(&mut room, &db, 150), room.walks), (1, 2), "smaller");
        assert_eq!((steps(&mut room, &db, 151), room.walks), (whole, 3), "and grows again");
        assert_eq!(rows(&db), before);
        // Nor is a row lost or found where the file is read again.
        db.flush().unwrap();
        let copy = tempfile::tempdir().unwrap();
        for name in ["conf", "db"] {
            fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        assert_eq!(rows(&open(copy.path())), before);
    }
}
