//! The books: what the ledger grants and settles, line by line on the disk, and what it comes to.
//!
//! A line is in the file of the day on which it was written before what it says is granted. Days and
//! months are closed into snapshots with a digest, reports are made from the lines, and anybody who has
//! the files can compare the two. Nothing here knows a limit or a price, and nothing here forgets a
//! tenant that is gone: what was billed stays billed.

mod error;
mod folder;
mod lines;
mod live;
mod metrics;
mod month;
mod queue;
mod report;
mod snapshot;
mod start;
mod sums;
mod tail;
mod verify;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ledger::{Account, Amount, Day, Entry, Journal, Ledger, Unwritten, Writing};
use prometheus_client::registry::Registry;
use types::{Clock, Level, TenantId, Window};

pub use error::Error;
pub use live::{Opening, Used};
pub use month::Month;
pub use report::{Format, Group, Query, Row, report, rows};
pub use snapshot::Record;
pub use sums::{Names, Sums};
pub use verify::{Checked, Difference, verify};

use folder::Folder;
use live::MAX_MONTHS;
use metrics::Metrics;
use snapshot::Reader;
use start::Loaded;
use writer::{Shared, Writer};

/// Days that can be asked for at once.
pub const MAX_DAYS: u64 = 800;

/// The folder of the books in the state directory.
pub const FOLDER: &str = "ledger";

/// The books of an installation. A clone is a handle to the same books; the last one that is dropped
/// waits until everything is on the disk.
#[derive(Debug, Clone)]
pub struct Books(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Keeps other processes out.
    _lock: File,
}

/// What a tenant used on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayRow {
    /// Which day.
    pub day: Day,
    /// Whether it is closed: then it never changes.
    pub closed: bool,
    /// The SHA-256 digest of the lines behind the sums, in hexadecimal; none while the day is open.
    pub digest: Option<String>,
    /// What was used.
    pub sums: Sums,
}

/// What a tenant used in one month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonthRow {
    /// Which month.
    pub month: Month,
    /// What was used.
    pub used: Amount,
}

impl Books {
    /// Opens the books in `dir`, which is made if need be, settles what an earlier run has left open,
    /// closes days that are over, and begins to write. Blocks: a million lines take some seconds.
    ///
    /// # Errors
    /// When another process has them open, when a line is damaged, and when what was left open cannot
    /// be settled.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>, registry: &mut Registry) -> Result<Self, Error> {
        let folder = Folder::at(dir);
        let lock = folder.own()?;
        let now = clock.now();
        let Loaded { live, open, last_id, last_file } = Loaded::read(&folder, now)?;
        let metrics = Metrics::register(registry);
        let shared = Arc::new(Shared::new(folder, clock, metrics, (live, last_id)));
        let day = Day::of(now).max(last_file.unwrap_or(Day::of(0)));
        let mut writer = Writer::new(Arc::clone(&shared), day, open);
        writer.reconcile()?;
        writer.close_what_is_due();
        let thread = std::thread::Builder::new().name("books".to_owned());
        let thread = thread.spawn(move || writer.run());
        let thread = thread.map_err(Error::file("start the thread of", dir))?;
        Ok(Self(Arc::new(Inner { shared, thread: Mutex::new(Some(thread)), _lock: lock })))
    }

    /// What the tenant has used so far in the windows that are now open. A tenant whose id was another's
    /// before goes on where that one was.
    pub fn opening(&self, tenant: &TenantId) -> Opening {
        self.0.shared.live().opening(tenant, self.0.shared.clock.now())
    }

    /// Gives a new account what its tenant has used so far in the windows that are now open.
    pub fn carry_to(&self, account: &Account) {
        let now = self.0.shared.clock.now();
        let Opening { minute, hour, day, month } =
            self.0.shared.live().opening(account.tenant(), now);
        let windows = [
            (Window::Minute, minute),
            (Window::Hour, hour),
            (Window::Day, day),
            (Window::Month, month),
        ];
        for (window, used) in windows {
            account.carry((Level::Tenant, None), window, &used.total, now);
            let named = [
                (Level::Token, used.by_token),
                (Level::Agent, used.by_agent),
                (Level::Session, used.by_session),
            ];
            for (level, names) in named {
                for (name, used) in names.iter().filter(|(name, _)| !name.is_empty()) {
                    let name: Arc<str> = Arc::from(&**name);
                    account.carry((level, Some(&name)), window, used, now);
                }
            }
        }
    }

    /// Gives a new ledger what all tenants together have used, those that are gone included.
    pub fn carry_to_all(&self, ledger: &Ledger) {
        let Opening { minute, hour, day, month } = self.installation();
        ledger.carry(Window::Minute, &minute.total);
        ledger.carry(Window::Hour, &hour.total);
        ledger.carry(Window::Day, &day.total);
        ledger.carry(Window::Month, &month.total);
    }

    /// What all tenants together have used, those that are gone included. Only totals are given.
    pub fn installation(&self) -> Opening {
        self.0.shared.live().installation(self.0.shared.clock.now())
    }

    /// What the tenant used on each day from `from` to `to` on which it used something, oldest first.
    ///
    /// # Errors
    /// When there are more than [`MAX_DAYS`], or a snapshot cannot be read.
    pub async fn days(&self, tenant: &TenantId, from: Day, to: Day) -> Result<Vec<DayRow>, Error> {
        let (shared, tenant) = (Arc::clone(&self.0.shared), tenant.clone());
        let read = move || days(&shared, &tenant, from, to);
        tokio::task::spawn_blocking(read).await.map_err(|_gone| Error::Closed)?
    }

    /// What the tenant used in the last `count` months, this one included, newest first; at most those
    /// of two years, and only those in which it used something.
    pub fn months(&self, tenant: &TenantId, count: usize) -> Vec<MonthRow> {
        let live = self.0.shared.live();
        let first = Month::of(Day::of(self.0.shared.clock.now()));
        let months = std::iter::successors(Some(first), |month| Some(month.previous()));
        let rows = months.take(count.min(MAX_MONTHS));
        let rows = rows.map(|month| MonthRow { month, used: live.month(tenant, month) });
        rows.filter(|row| !row.used.is_zero()).collect()
    }

    /// The last day that is closed.
    pub fn last_closed(&self) -> Option<Day> {
        self.0.shared.live().closed_through()
    }

    /// Waits until everything that was posted is on the disk; nothing can be written afterwards.
    pub async fn close(&self) {
        let inner = Arc::clone(&self.0);
        if tokio::task::spawn_blocking(move || inner.close()).await.is_err() {
            tracing::error!("closing the books panicked");
        }
    }
}

impl Inner {
    fn close(&self) {
        self.shared.queue.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the books panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Journal for Books {
    fn write(&self, entry: Entry) -> Writing {
        match self.0.shared.queue.ask(entry) {
            Ok(answer) => Box::pin(async { answer.await.unwrap_or(Err(Unwritten)) }),
            Err(refused) => Box::pin(std::future::ready(Err(refused))),
        }
    }

    fn post(&self, entry: Entry) {
        self.0.shared.queue.post(entry);
    }

    fn is_writable(&self) -> bool {
        self.0.shared.queue.is_writable()
    }

    fn next_id(&self) -> u64 {
        self.0.shared.queue.next_id()
    }
}

fn days(shared: &Shared, tenant: &TenantId, from: Day, to: Day) -> Result<Vec<DayRow>, Error> {
    let mut found = Vec::new();
    let (mut day, mut count) = (from, 0);
    while day <= to {
        count += 1;
        if count > MAX_DAYS {
            return Err(Error::Range { max: MAX_DAYS });
        }
        let live = shared.live();
        let closed = live.closed_through() >= Some(day);
        let sums = live.day(tenant, day).cloned();
        drop(live);
        let path = shared.folder.snapshot(day);
        let row = if closed && path.exists() {
            let record = Reader::open(&path)?.find(tenant)?;
            record.map(|it| DayRow { day, closed, digest: Some(it.digest), sums: it.sums })
        } else {
            sums.map(|sums| DayRow { day, closed, digest: None, sums })
        };
        found.extend(row);
        day = day.next();
    }
    Ok(found)
}
