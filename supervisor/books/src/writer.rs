//! The thread that alone writes the books: takes what waits, writes it as one block, tells those who
//! wait, and syncs now and then. While it cannot write, nothing is granted, and what was posted is kept.

mod close;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ledger::{Day, Entry, Kind, Unwritten};
use tokio::sync::oneshot;
use types::{Chain, Clock};

use crate::Error;
use crate::folder::Folder;
use crate::lines::MAX_TEXT;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::queue::{Item, Queue, is_same};
use crate::tail::Tail;

/// How often the clock is looked at, and writing tried again that has failed.
const EVERY: Duration = Duration::from_secs(1);

/// Entries of one block, so that its bytes are bounded.
const MAX_BLOCK: usize = 4096;

/// Kept entries from which on uses of one account become one: holds bound the others.
const MAX_KEPT: usize = 65_536;

/// Why a block was not written, and the block.
type Undone = (Error, Vec<Entry>);

type Told = Option<oneshot::Sender<Result<(), Unwritten>>>;

/// What the writer shares with everybody else.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) folder: Folder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) queue: Queue,
    pub(crate) metrics: Metrics,
    live: Mutex<Live>,
}

impl Shared {
    pub(crate) fn new(
        folder: Folder,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        (live, last_id): (Live, u64),
    ) -> Self {
        Self { folder, clock, queue: Queue::after(last_id), metrics, live: Mutex::new(live) }
    }

    /// The sums.
    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        // Additions do not stop half-way.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's own.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    /// The day of the file that is written; it never goes back.
    day: Day,
    tail: Option<Tail>,
    /// The file names every hold that was open before it.
    carried: bool,
    /// Holds that are open, with all that is set aside.
    open: BTreeMap<u64, Entry>,
    /// What was posted and could not be written yet, in order.
    kept: Vec<Entry>,
    /// When to try again, after a failure.
    retry_at: Option<Instant>,
    /// No entry counts against this day or an earlier one any more.
    frozen: Option<Day>,
    /// When to try again to close what could not be closed.
    close_at: Option<Instant>,
    buffer: Vec<u8>,
}

impl Writer {
    /// A writer whose first file is that of `day` or a later one, with the holds that are open.
    pub(crate) fn new(shared: Arc<Shared>, day: Day, open: BTreeMap<u64, Entry>) -> Self {
        let frozen = shared.live().closed_through();
        shared.metrics.writable.set(1);
        Self {
            shared,
            day,
            tail: None,
            // Every file from the first unclosed day on is read at the next start.
            carried: true,
            open,
            kept: Vec::new(),
            retry_at: None,
            frozen,
            close_at: None,
            buffer: Vec::new(),
        }
    }

    /// Settles, in full, the holds that an earlier run has left open, and brings that to the disk.
    pub(crate) fn reconcile(&mut self) -> Result<(), Error> {
        let at = self.shared.clock.now();
        let settled = self.open.values().map(|hold| Entry {
            kind: Kind::Settle,
            at,
            estimated: true,
            reconciled: true,
            ..hold.clone()
        });
        let settled: Vec<Entry> = settled.collect();
        if !settled.is_empty() {
            tracing::warn!(holds = settled.len(), "holds of an earlier run are settled in full");
        }
        for block in settled.chunks(MAX_BLOCK) {
            self.write(block.to_vec()).map_err(|(err, _block)| err)?;
        }
        self.sync()
    }

    /// Writes until it is asked to stop.
    pub(crate) fn run(mut self) {
        // However this ends, nobody waits for ever.
        let _closing = Closing(Arc::clone(&self.shared));
        loop {
            let taken = self.shared.queue.take(self.patience());
            let mut items = taken.items.into_iter().peekable();
            loop {
                self.turn(items.by_ref().take(MAX_BLOCK).collect());
                if items.peek().is_none() {
                    break;
                }
            }
            self.say_how_it_is();
            if taken.last {
                return self.finish();
            }
        }
    }

    /// One block, and what is due.
    fn turn(&mut self, items: Vec<Item>) {
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.recover();
        }
        let (entries, told): (Vec<Entry>, Vec<Told>) =
            items.into_iter().map(|item| (item.entry, item.told)).unzip();
        if self.retry_at.is_some() {
            self.keep(entries, told);
        } else if let Err((err, entries)) = self.attempt(entries) {
            self.failed(&err);
            self.keep(entries, told);
        } else {
            told.into_iter().flatten().for_each(|told| tell(told, Ok(())));
        }
        if self.retry_at.is_none() {
            self.sync_when_due().unwrap_or_else(|err| self.failed(&err));
        }
        self.close_what_is_due();
    }

    /// Writes a block into the file of today, or gives it back.
    fn attempt(&mut self, entries: Vec<Entry>) -> Result<(), Undone> {
        let today = Day::of(self.shared.clock.now());
        if today > self.day
            && let Err(err) = self.turn_to(today)
        {
            return Err((err, entries));
        }
        self.write(entries)
    }

    /// Writes what is open into a new file first, then `entries`, as one block; or gives them back.
    fn write(&mut self, mut entries: Vec<Entry>) -> Result<(), Undone> {
        let carry = if self.carried { Vec::new() } else { self.still_open() };
        if entries.is_empty() && carry.is_empty() {
            return Ok(());
        }
        for entry in &mut entries {
            self.book(entry);
        }
        match self.append([&carry, &entries]) {
            Ok(ends) => {
                self.carried = true;
                self.count_in(carry.into_iter().chain(entries), &ends);
                Ok(())
            }
            Err(err) => Err((err, entries)),
        }
    }

    /// Where in the buffer each line ends, once all are written.
    fn append(&mut self, blocks: [&[Entry]; 2]) -> Result<Vec<usize>, Error> {
        let mut ends = Vec::new();
        self.buffer.clear();
        for entry in blocks.into_iter().flatten() {
            serde_json::to_writer(&mut self.buffer, entry).map_err(Error::Unwritable)?;
            ends.push(self.buffer.len());
            self.buffer.push(b'\n');
        }
        let tail = match &mut self.tail {
            Some(tail) => tail,
            None => self.tail.insert(Tail::open(&self.shared.folder, self.day)?),
        };
        let path = self.shared.folder.lines(self.day);
        tail.append(&self.buffer).map_err(Error::file("write", &path))?;
        Ok(ends)
    }

    fn still_open(&self) -> Vec<Entry> {
        let at = self.shared.clock.now();
        self.open.values().map(|hold| Entry { kind: Kind::Carried, at, ..hold.clone() }).collect()
    }

    /// Makes the entry what is written: against a day that is open, and of bounded length.
    fn book(&self, entry: &mut Entry) {
        if self.frozen >= Some(entry.day) || entry.day > self.day {
            entry.booked_from.get_or_insert(entry.day);
            entry.day = self.day;
        }
        let texts = [
            &mut entry.token,
            &mut entry.agent,
            &mut entry.session,
            &mut entry.provider,
            &mut entry.model,
            &mut entry.price_version,
        ];
        for text in texts.into_iter().flatten().filter(|text| text.len() > MAX_TEXT) {
            let cut = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
            *text = Arc::from(cut);
        }
    }

    /// What was written, into the sums and the open holds.
    fn count_in(&mut self, block: impl Iterator<Item = Entry>, ends: &[usize]) {
        let metrics = &self.shared.metrics;
        metrics.entries.inc_by(u64::try_from(ends.len()).unwrap_or(u64::MAX));
        metrics.bytes.inc_by(u64::try_from(self.buffer.len()).unwrap_or(u64::MAX));
        let mut live = self.shared.live();
        live.days.entry(self.day).or_default();
        let mut start = 0;
        for (entry, end) in block.zip(ends) {
            live.add(self.day, &entry, self.buffer.get(start..*end).unwrap_or_default());
            start = end.saturating_add(1);
            apply(&mut self.open, entry);
        }
    }

    /// Goes on in the file of `today`.
    fn turn_to(&mut self, today: Day) -> Result<(), Error> {
        self.sync()?;
        self.tail = None;
        self.day = today;
        self.carried = self.open.is_empty();
        Ok(())
    }

    fn sync_when_due(&mut self) -> Result<(), Error> {
        let path = self.shared.folder.lines(self.day);
        self.tail.as_mut().map_or(Ok(()), Tail::sync_when_due).map_err(Error::file("sync", &path))
    }

    fn sync(&mut self) -> Result<(), Error> {
        let path = self.shared.folder.lines(self.day);
        self.tail.as_mut().map_or(Ok(()), Tail::sync).map_err(Error::file("sync", &path))
    }

    /// Keeps what nobody waits for, and tells the others.
    fn keep(&mut self, entries: Vec<Entry>, told: Vec<Told>) {
        for (entry, told) in entries.into_iter().zip(told) {
            match told {
                Some(told) => tell(told, Err(Unwritten)),
                None if self.kept.len() < MAX_KEPT || entry.kind != Kind::Use => {
                    self.kept.push(entry);
                }
                None => match self.kept.iter_mut().rev().find(|kept| is_same(kept, &entry)) {
                    Some(kept) => kept.amount.add(&entry.amount),
                    None => self.kept.push(entry),
                },
            }
        }
    }

    fn failed(&mut self, err: &Error) {
        self.shared.metrics.failures.inc();
        if self.shared.queue.is_writable() {
            tracing::error!(error = %Chain(err), "the books cannot be written: no paid work is accepted");
        }
        self.shared.queue.set_writable(false);
        self.retry_at = Some(Instant::now() + EVERY);
    }

    /// Tries again.
    fn recover(&mut self) {
        match self.write_kept() {
            Ok(()) => {
                self.retry_at = None;
                self.shared.queue.set_writable(true);
                tracing::info!("the books can be written again");
            }
            Err(err) => self.failed(&err),
        }
    }

    fn write_kept(&mut self) -> Result<(), Error> {
        let path = self.shared.folder.lines(self.day);
        self.tail.as_mut().map_or(Ok(()), Tail::mend).map_err(Error::file("mend", &path))?;
        while !self.kept.is_empty() {
            let block = self.kept.drain(..self.kept.len().min(MAX_BLOCK)).collect();
            if let Err((err, mut block)) = self.attempt(block) {
                block.append(&mut self.kept);
                self.kept = block;
                return Err(err);
            }
        }
        // Room for a line, and a disk that takes it, is what has to be shown.
        self.sync()
    }

    fn patience(&self) -> Duration {
        let sync = self.tail.as_ref().and_then(Tail::until_sync);
        sync.filter(|_| self.retry_at.is_none()).unwrap_or(EVERY).min(EVERY)
    }

    fn say_how_it_is(&self) {
        let metrics = &self.shared.metrics;
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.writable.set(self.shared.queue.is_writable().into());
        metrics.open_holds.set(number(self.open.len()));
        metrics.kept.set(number(self.kept.len()));
        let unsynced = self.tail.as_ref().map(Tail::unsynced_for).unwrap_or_default();
        metrics.unsynced_seconds.set(unsynced.as_secs_f64());
    }

    fn finish(mut self) {
        let ended = if self.retry_at.is_some() { self.write_kept() } else { self.sync() };
        if let Err(err) = ended {
            let lines = self.kept.len();
            tracing::error!(error = %Chain(&err), lines, "the books end unwritten: the next start settles what is open in full");
        }
    }
}

fn tell(told: oneshot::Sender<Result<(), Unwritten>>, result: Result<(), Unwritten>) {
    if told.send(result).is_err() {
        tracing::debug!("nobody waits for the line any more; another one ends its hold");
    }
}

/// What an entry does to the holds that are open.
pub(crate) fn apply(open: &mut BTreeMap<u64, Entry>, entry: Entry) {
    match entry.kind {
        Kind::Hold | Kind::Carried => drop(open.insert(entry.id, entry)),
        Kind::TopUp => {
            if let Some(hold) = open.get_mut(&entry.id) {
                hold.amount.add(&entry.amount);
            }
        }
        Kind::Settle | Kind::Release => drop(open.remove(&entry.id)),
        Kind::Use => {}
    }
}

/// Closes the queue when the writer ends, in whatever way.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.queue.close();
        self.0.metrics.writable.set(0);
    }
}

#[cfg(test)]
mod tests;
