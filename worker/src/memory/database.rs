//! The index as `SQLite` keeps it: files, their pieces, the words in them, and vectors.
//!
//! Only the worker's own statements get here; what a tenant wrote is always a parameter.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Transaction, params};
use serde::Serialize;

use super::chunk::chunks;
use super::corpus::Stamp;
use super::{corpus, rank};
use crate::Error;
use crate::store::Dir;

/// Another number makes every index anew.
const VERSION: i64 = 1;
/// Words of a query that count.
const MAX_WORDS: usize = 32;
/// Bytes of a snippet.
const MAX_SNIPPET: usize = 700;
/// Vectors that are compared in one search.
const MAX_COMPARED: i64 = 20_000;

/// Bytes of files that one job takes in, and what a file counts at least: for some milliseconds no
/// other job needs that thread.
const SLICE: u64 = 256 << 10;
const MIN_WORK: u64 = 1 << 10;

/// One process uses it, so that no lock and no shared memory are needed; its pages take 256 KiB at
/// most; and nothing of it is mapped, for a file that is cut off would kill the process.
const SETTINGS: &str = "
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = TRUNCATE;
    PRAGMA synchronous = NORMAL;
    PRAGMA mmap_size = 0;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -256;
    PRAGMA trusted_schema = OFF;
";

const TABLES: &str = "
    CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT UNIQUE NOT NULL, state TEXT NOT NULL);
    CREATE TABLE pieces (
        id INTEGER PRIMARY KEY AUTOINCREMENT, file INTEGER NOT NULL,
        first INTEGER NOT NULL, last INTEGER NOT NULL);
    CREATE INDEX pieces_of ON pieces (file);
    CREATE VIRTUAL TABLE words USING fts5 (
        text, tokenize = 'porter unicode61 remove_diacritics 2');
    CREATE TABLE vectors (piece INTEGER PRIMARY KEY, vector BLOB NOT NULL);
    CREATE TABLE model (name TEXT NOT NULL);
";

/// An open index.
#[derive(Debug)]
pub(super) struct Database(Connection);

/// Something to do so that the index is as the files are.
#[derive(Debug)]
pub(super) enum Work {
    /// The file has gone.
    Forget { file: i64 },
    /// It is new, or has changed.
    Read { file: Option<i64>, stamp: Stamp },
}

impl Work {
    const fn size(&self) -> u64 {
        match self {
            Self::Forget { .. } => MIN_WORK,
            Self::Read { stamp, .. } => stamp.size.saturating_add(MIN_WORK),
        }
    }
}

/// A plan in parts that each are one job: one file, or as many as are small together.
pub(super) fn slices(plan: Vec<Work>) -> Vec<Vec<Work>> {
    let mut slices: Vec<Vec<Work>> = Vec::new();
    let mut left = 0;
    for work in plan {
        let size = work.size();
        if let Some(slice) = slices.last_mut().filter(|_| size <= left) {
            left -= size;
            slice.push(work);
        } else {
            left = SLICE.saturating_sub(size);
            slices.push(vec![work]);
        }
    }
    slices
}

/// A piece that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hit {
    /// Beneath the workspace.
    pub(crate) path: String,
    pub(crate) start_line: u32,
    pub(crate) end_line: u32,
    /// From 0 to 1.
    pub(crate) score: f64,
    pub(crate) snippet: String,
}

impl Database {
    /// The index at `path`, made where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // The file system without locks: nobody else opens it.
        let connection = Connection::open_with_flags_and_vfs(path, flags, c"unix-none")?;
        connection.execute_batch(SETTINGS)?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let mut database = Self(connection);
        if version != VERSION {
            database.make()?;
        }
        Ok(database)
    }

    fn make(&mut self) -> Result<(), Error> {
        let change = self.0.transaction()?;
        for table in ["files", "pieces", "words", "vectors", "model"] {
            change.execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
        }
        change.execute_batch(TABLES)?;
        change.pragma_update(None, "user_version", VERSION)?;
        Ok(change.commit()?)
    }

    /// What is to be done so that the index is as the files are now, and whether that is all of them.
    pub(super) fn plan(&self, workspace: &Dir) -> Result<(Vec<Work>, bool), Error> {
        let (stamps, is_whole) = corpus::stamps(workspace)?;
        let mut known = self.known()?;
        let mut plan = Vec::new();
        for stamp in stamps {
            let file = match known.remove(&stamp.path) {
                Some((_, state)) if state == stamp.state => continue,
                Some((file, _)) => Some(file),
                None => None,
            };
            plan.push(Work::Read { file, stamp });
        }
        plan.extend(known.into_values().map(|(file, _)| Work::Forget { file }));
        Ok((plan, is_whole))
    }

    /// Does a part of the plan.
    pub(super) fn follow(&mut self, workspace: &Dir, slice: &[Work]) -> Result<(), Error> {
        let change = self.0.transaction()?;
        for work in slice {
            match work {
                Work::Forget { file } => {
                    empty(&change, *file)?;
                    change.execute("DELETE FROM files WHERE id = ?1", [file])?;
                }
                Work::Read { file: Some(file), stamp } => {
                    empty(&change, *file)?;
                    let sql = "UPDATE files SET state = ?2 WHERE id = ?1";
                    change.execute(sql, params![file, stamp.state])?;
                    fill(&change, *file, &corpus::text(workspace, &stamp.path)?)?;
                }
                Work::Read { file: None, stamp } => {
                    let sql = "INSERT INTO files (path, state) VALUES (?1, ?2)";
                    change.execute(sql, params![stamp.path, stamp.state])?;
                    let file = change.last_insert_rowid();
                    fill(&change, file, &corpus::text(workspace, &stamp.path)?)?;
                }
            }
        }
        Ok(change.commit()?)
    }

    /// The files that the index knows, with their ids and states.
    fn known(&self) -> Result<HashMap<String, (i64, String)>, Error> {
        let mut query = self.0.prepare("SELECT path, id, state FROM files")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Pieces that have no vector of `model` yet, at most `max`. Those of another model go.
    pub(super) fn missing(&mut self, model: &str, max: usize) -> Result<Vec<(i64, String)>, Error> {
        if self.model()?.as_deref() != Some(model) {
            let change = self.0.transaction()?;
            change.execute_batch("DELETE FROM vectors; DELETE FROM model;")?;
            change.execute("INSERT INTO model (name) VALUES (?1)", [model])?;
            change.commit()?;
        }
        let sql = "SELECT pieces.id, words.text FROM pieces JOIN words ON words.rowid = pieces.id
                   WHERE pieces.id NOT IN (SELECT piece FROM vectors) ORDER BY pieces.id LIMIT ?1";
        let mut query = self.0.prepare(sql)?;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let rows = query.query_map([max], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn model(&self) -> Result<Option<String>, Error> {
        let mut query = self.0.prepare("SELECT name FROM model")?;
        let mut rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.next().transpose()?)
    }

    /// Keeps vectors of pieces that are still there, if the model is still the same.
    pub(super) fn put_vectors(
        &mut self,
        model: &str,
        vectors: &[(i64, Vec<f32>)],
    ) -> Result<(), Error> {
        if vectors.is_empty() || self.model()?.as_deref() != Some(model) {
            return Ok(());
        }
        let change = self.0.transaction()?;
        for (piece, vector) in vectors {
            let bytes: Vec<u8> = vector.iter().flat_map(|it| it.to_le_bytes()).collect();
            let sql = "INSERT OR REPLACE INTO vectors (piece, vector)
                       SELECT id, ?2 FROM pieces WHERE id = ?1";
            change.execute(sql, params![piece, bytes])?;
        }
        Ok(change.commit()?)
    }

    /// Pieces that have words of `text`, the best first.
    pub(super) fn by_words(&self, text: &str, max: usize) -> Result<Vec<i64>, Error> {
        let Some(wanted) = words(text) else { return Ok(Vec::new()) };
        let sql = "SELECT rowid FROM words WHERE words MATCH ?1 ORDER BY rank LIMIT ?2";
        let mut query = self.0.prepare(sql)?;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let rows = query.query_map(params![wanted, max], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Pieces whose vectors are like `wanted`, the best first.
    pub(super) fn by_meaning(&self, wanted: &[f32], max: usize) -> Result<Vec<i64>, Error> {
        let mut query = self.0.prepare("SELECT piece, vector FROM vectors LIMIT ?1")?;
        let mut rows = query.query([MAX_COMPARED])?;
        let mut best: Vec<(f32, i64)> = Vec::new();
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let (numbers, _) = bytes.as_chunks::<4>();
            let vector: Vec<f32> = numbers.iter().map(|it| f32::from_le_bytes(*it)).collect();
            let Some(likeness) = rank::likeness(wanted, &vector) else { continue };
            if likeness > 0.0 {
                best.push((likeness, row.get(0)?));
            }
        }
        best.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        best.truncate(max);
        Ok(best.into_iter().map(|(_, piece)| piece).collect())
    }

    /// The first `max` pieces of `ranked` whose score is enough, as people read them.
    pub(super) fn hits(
        &self,
        ranked: &[(i64, f64)],
        max: usize,
        min_score: f64,
    ) -> Result<Vec<Hit>, Error> {
        let sql = "SELECT files.path, pieces.first, pieces.last, words.text FROM pieces
                   JOIN files ON files.id = pieces.file JOIN words ON words.rowid = pieces.id
                   WHERE pieces.id = ?1";
        let mut query = self.0.prepare(sql)?;
        let mut hits = Vec::new();
        for (piece, score) in ranked.iter().filter(|(_, score)| *score >= min_score).take(max) {
            let rows = query.query_map([piece], |row| {
                let text: String = row.get(3)?;
                let end = text.floor_char_boundary(MAX_SNIPPET);
                let snippet = text.get(..end).unwrap_or_default().to_owned();
                let (path, start_line, end_line) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(Hit { path, start_line, end_line, score: *score, snippet })
            })?;
            for hit in rows {
                hits.push(hit?);
            }
        }
        Ok(hits)
    }
}

fn empty(change: &Transaction<'_>, file: i64) -> Result<(), Error> {
    let of_file = "(SELECT id FROM pieces WHERE file = ?1)";
    change.execute(&format!("DELETE FROM words WHERE rowid IN {of_file}"), [file])?;
    change.execute(&format!("DELETE FROM vectors WHERE piece IN {of_file}"), [file])?;
    change.execute("DELETE FROM pieces WHERE file = ?1", [file])?;
    Ok(())
}

fn fill(change: &Transaction<'_>, file: i64, text: &str) -> Result<(), Error> {
    for chunk in chunks(text) {
        let sql = "INSERT INTO pieces (file, first, last) VALUES (?1, ?2, ?3)";
        change.execute(sql, params![file, chunk.first, chunk.last])?;
        let piece = change.last_insert_rowid();
        let sql = "INSERT INTO words (rowid, text) VALUES (?1, ?2)";
        change.execute(sql, params![piece, chunk.text])?;
    }
    Ok(())
}

/// A query for any of the words of `text`. Each is quoted, so that none means more than itself.
fn words(text: &str) -> Option<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let quoted: Vec<_> = words.take(MAX_WORDS).map(|word| format!("\"{word}\"")).collect();
    (!quoted.is_empty()).then(|| quoted.join(" OR "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_done_in_parts() {
        let check = |sizes: &[u64], wanted: &[usize]| {
            let work = |size: &u64| {
                let (path, state) = (String::new(), String::new());
                Work::Read { file: None, stamp: Stamp { path, state, size: *size } }
            };
            let slices = slices(sizes.iter().map(work).collect());
            assert_eq!(slices.iter().map(Vec::len).collect::<Vec<_>>(), wanted, "{sizes:?}");
        };
        check(&[], &[]);
        check(&[1, 2, 3], &[3]);
        check(&[1 << 20, 1, 1 << 20, 200 << 10, 50 << 10, 9 << 10], &[1, 1, 1, 2, 1]);
    }
}
