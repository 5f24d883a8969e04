//! Events that the supervisor has handed over and that a run has taken: `deliveries/events.jsonl`.
//!
//! An event may come again, because the supervisor or this process ended before it was said what
//! became of it. What is here says which run has it, in which transcript to look for it, and whether
//! that run has answered. A line is appended for each change; the newest of an event holds.

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use types::UnixMillis;

use crate::Error;
use crate::service::Core;
use crate::store::Dir;

const FOLDER: &str = "deliveries";
const FILE: &str = "events.jsonl";
/// Events that are remembered, the newest: many times what may be under way at once.
const MAX_EVENTS: usize = 2048;
/// Lines from which the file is written anew: as many as make the writing cheap.
const MAX_LINES: usize = 3 * MAX_EVENTS;
/// Bytes of the file that are read: so many lines with the longest keys.
const MAX_BYTES: u64 = 16 << 20;

/// What has become of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// A run has taken it: its message is in the transcript, or about to be.
    Adopted,
    /// It is over.
    Answered,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) event: String,
    pub(crate) run: String,
    /// The key of the session.
    pub(crate) key: String,
    /// The name of the transcript, where there is one.
    #[serde(default)]
    pub(crate) session: String,
    pub(crate) stage: Stage,
    pub(crate) at: UnixMillis,
}

/// The events, read when the first one comes.
#[derive(Debug, Default)]
pub(crate) struct Adopted(Mutex<Option<Book>>);

#[derive(Debug, Default)]
struct Book {
    records: HashMap<String, Record>,
    /// In the order in which they came first.
    order: VecDeque<String>,
    lines: usize,
    /// Whether the last line was cut off by a crash.
    is_torn: bool,
}

impl Book {
    fn put(&mut self, record: Record) {
        self.lines += 1;
        if let Some(known) = self.records.get_mut(&record.event) {
            *known = record;
            return;
        }
        self.order.push_back(record.event.clone());
        self.records.insert(record.event.clone(), record);
        while self.order.len() > MAX_EVENTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.records.remove(&oldest);
        }
    }

    fn read(root: &Dir) -> Result<Self, Error> {
        let io = Error::io("read the events");
        let Some(dir) = root.sub(FOLDER).map_err(io)? else { return Ok(Self::default()) };
        let bytes = dir.read_start(FILE, MAX_BYTES).map_err(Error::io("read the events"))?;
        let bytes = bytes.unwrap_or_default();
        let mut book = Self::default();
        for line in bytes.split(|byte| *byte == b'\n') {
            if let Ok(record) = serde_json::from_slice(line) {
                book.put(record);
            }
        }
        book.is_torn = bytes.last().is_some_and(|last| *last != b'\n');
        Ok(book)
    }

    /// Every record that is kept, as the file would have it.
    fn encode(&self) -> Result<Vec<u8>, Error> {
        let records = self.order.iter().filter_map(|event| self.records.get(event));
        lines(records)
    }
}

fn lines<'a, I: Iterator<Item = &'a Record>>(records: I) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for record in records {
        let invalid = |source| Error::Invalid { what: "an event", source };
        serde_json::to_writer(&mut bytes, record).map_err(invalid)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

fn append(root: &Dir, bytes: &[u8]) -> std::io::Result<()> {
    let dir = root.sub_or_create(FOLDER)?;
    let (mut file, is_new) = match dir.file_to_append(FILE)? {
        Some(file) => (file, false),
        None => (dir.create_new(FILE)?, true),
    };
    file.write_all(bytes)?;
    file.sync_data()?;
    if is_new { dir.sync() } else { Ok(()) }
}

/// What is known of an event.
pub(crate) async fn find(core: &Core, event: &str) -> Result<Option<Record>, Error> {
    let mut book = core.adopted.0.lock().await;
    let book = match &mut *book {
        Some(book) => book,
        none => none.insert(core.store.job(Book::read).await?),
    };
    Ok(book.records.get(event).cloned())
}

/// Writes down what has become of events, durably.
pub(crate) async fn note(core: &Core, records: Vec<Record>) -> Result<(), Error> {
    let mut book = core.adopted.0.lock().await;
    let book = match &mut *book {
        Some(book) => book,
        none => none.insert(core.store.job(Book::read).await?),
    };
    let mut bytes = lines(records.iter())?;
    if book.lines + records.len() > MAX_LINES {
        for record in records {
            book.put(record);
        }
        let whole = book.encode()?;
        let replace = move |root: &Dir| {
            let written = root.sub_or_create(FOLDER).and_then(|dir| dir.replace(FILE, &whole));
            written.map_err(Error::io("write the events"))
        };
        core.store.job(replace).await?;
        (book.lines, book.is_torn) = (book.order.len(), false);
        return Ok(());
    }
    if book.is_torn {
        bytes.insert(0, b'\n');
    }
    let appended =
        core.store.job(move |root| append(root, &bytes).map_err(Error::io("write the events")));
    // Where that fails nobody knows what is there: a line may be torn, and none is believed.
    let appended = appended.await.inspect_err(|_failed| book.is_torn = true);
    appended?;
    book.is_torn = false;
    for record in records {
        book.put(record);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(event: &str, stage: Stage) -> Record {
        let (run, key, session) = (format!("run-{event}"), "k".to_owned(), "s".to_owned());
        Record { event: event.to_owned(), run, key, session, stage, at: 1 }
    }

    #[test]
    fn the_newest_line_holds_and_a_torn_one_is_passed_over() {
        let temporary = tempfile::tempdir().unwrap();
        let root = Dir::open(temporary.path()).unwrap();
        assert!(Book::read(&root).unwrap().records.is_empty());
        let both = [record("a", Stage::Adopted), record("a", Stage::Answered)];
        append(&root, &lines(both.iter()).unwrap()).unwrap();
        append(&root, b"{\"event\":\"b\",\"ru").unwrap();
        let book = Book::read(&root).unwrap();
        assert!(book.is_torn);
        append(&root, b"\n").unwrap();
        append(&root, &lines([record("c", Stage::Adopted)].iter()).unwrap()).unwrap();
        let book = Book::read(&root).unwrap();
        assert!(!book.is_torn);
        assert_eq!(book.records.len(), 2);
        assert_eq!(book.records["a"].stage, Stage::Answered);
        assert_eq!(book.records["c"].stage, Stage::Adopted);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut book = Book::default();
        for n in 0..MAX_EVENTS + 2 {
            book.put(record(&n.to_string(), Stage::Adopted));
            book.put(record(&n.to_string(), Stage::Answered));
        }
        assert_eq!(book.records.len(), MAX_EVENTS);
        assert!(!book.records.contains_key("1"));
        assert!(book.records.contains_key("2"));
        assert_eq!(book.encode().unwrap().split(|byte| *byte == b'\n').count(), MAX_EVENTS + 1);
    }
}
