//! What the workers of one tenant send: kept before it is acknowledged, brought where it goes part by
//! part, and not repeated where nobody knows whether it was brought.
//!
//! Knows no network: a [`Sink`] brings one part, and says by what means one finds out what became of a
//! part of which no answer came.

mod over;
mod send;
mod shown;
mod take;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use records::store::Rev;
use records::{OutboxRow, OutboxState, Shelf};
use serde::{Deserialize, Serialize};
use settings::Sealer;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use types::{TenantId, UnixMillis};

pub use shown::Listed;
pub use take::Taken;

use crate::age::Age;
use crate::totals::{Kind, Room, Size, Totals};
use crate::{Error, Shared};

/// Intents of one tenant that are not sent yet.
pub const MAX_WAITING: usize = 256;
/// Bytes of them.
pub const MAX_BYTES: usize = 16 << 20;
/// Parts of one intent.
pub const MAX_PARTS: usize = 16;
/// Bytes of all parts of one intent.
pub const MAX_CONTENT: usize = 256 << 10;
/// The longest id of an intent, and the longest place that it goes to, in bytes.
pub const MAX_ID: usize = 128;
/// See [`MAX_ID`].
pub const MAX_PLACE: usize = 4096;
/// Intents that were not sent, or of which nobody knows, that are shown; the oldest goes when one more
/// comes.
pub const MAX_ENDED: usize = 64;
/// Bytes of them.
pub const MAX_ENDED_BYTES: usize = 16 << 20;
/// How long they are shown: a month, in which somebody looks.
pub const KEEP_ENDED_MS: u64 = 30 * 24 * 3_600_000;
/// Intents of one tenant that are being brought at once.
pub const MAX_BRINGING: usize = 8;
/// Of these, those that go to one place: one that does not answer keeps back what goes elsewhere only
/// so far.
pub const MAX_BRINGING_TO_ONE: usize = 2;
/// Attempts at one part, without those after which one was told when to come again.
pub const MAX_ATTEMPTS: u32 = 8;
/// How old an intent may be for being told to wait to be no attempt, in milliseconds: a day.
pub const MAX_WAITING_MS: u64 = 24 * 3_600_000;
/// Marks by which intents are known that were dealt with.
const MAX_MARKS: usize = 2048;
/// How long a mark is kept, unless there are too many.
const KEEP_MS: u64 = 7 * 24 * 3_600_000;

const SHELF: Shelf = Shelf::Outbox;
const CONTENT: &str = "outbox";
const LABEL: &str = "outbox-label";

/// How one finds out what became of a part of which no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// The far end takes a part with the same key once: it is sent again.
    DurableKey,
    /// One can look whether it is there: [`Sink::look`].
    ReadBack,
    /// Not at all: it is shown as unknown, and not sent again.
    None,
}

/// One part on its way.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Where it goes.
    pub place: &'a str,
    /// What is unique of it, and the same at each attempt.
    pub key: &'a str,
    /// What it says.
    pub content: &'a [u8],
    /// When its intent was taken: no attempt is older.
    pub since: UnixMillis,
    /// When it was last attempted or looked for: no attempt is younger.
    pub tried: UnixMillis,
    /// What it takes the place of, as that is called where it is.
    pub over: Option<&'a str>,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is there, and called so where that can be said.
    Sent(Option<String>),
    /// It is certainly not there, and may be later.
    Retry(String),
    /// The same, not before so many milliseconds, which the far end has asked for.
    Wait(u64, String),
    /// Nobody knows whether it is there.
    Unknown(String),
    /// It will never be there.
    Failed(String),
}

/// What is found where a part may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is not there.
    Absent,
    /// It is, and called so where that can be said.
    There(Option<String>),
}

/// What brings parts to one kind of place.
#[async_trait]
pub trait Sink: Send + Sync + std::fmt::Debug {
    /// How one finds out what became of a part.
    fn means(&self) -> Means;

    /// Brings one part.
    async fn send(&self, part: Part<'_>) -> Fate;

    /// Whether the part is there; `None` where that cannot be said.
    async fn look(&self, _part: Part<'_>) -> Option<Seen> {
        None
    }
}

/// What a worker hands over.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Unique within the tenant.
    pub id: String,
    /// The kind of sink.
    pub sink: Cow<'static, str>,
    /// Where it goes.
    pub place: String,
    /// Intents of one lane are brought one after the other; one of no lane waits for none.
    pub lane: String,
    /// What is sent, in this order.
    pub parts: Vec<Bytes>,
    /// The id of an earlier intent, whose first part the first of these takes the place of, where that
    /// is there.
    pub over: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Label {
    id: String,
    place: String,
    #[serde(default)]
    lane: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    over: Option<String>,
}

#[derive(Debug)]
struct Entry {
    row: OutboxRow,
    label: Label,
    is_busy: bool,
    not_before: Instant,
    room: Room,
}

#[derive(Debug, Default)]
struct State {
    unread: Vec<OutboxRow>,
    next: u64,
    marks: usize,
    entries: BTreeMap<u64, Entry>,
    keys: HashMap<String, u64>,
}

/// The outbox of one tenant.
#[derive(Debug)]
pub struct Outbox {
    tenant: TenantId,
    shared: Shared,
    state: Mutex<State>,
    loaded: OnceCell<Loaded>,
    revising: over::Turns,
}

#[derive(Debug)]
struct Loaded {
    owner: Rev,
    sealer: Sealer,
    age: Age,
}

impl Outbox {
    /// The box of a tenant; reads nothing.
    pub fn new(tenant: TenantId, shared: Shared) -> Self {
        let (state, revising) = (Mutex::default(), over::Turns::default());
        Self { tenant, shared, state, loaded: OnceCell::new(), revising }
    }

    /// Takes a row that was there when the gateway started.
    pub fn restore(&self, row: OutboxRow) {
        self.lock().unread.push(row);
    }

    /// Whether there is anything to be sent.
    pub fn has_work(&self) -> bool {
        let state = self.lock();
        let waits = |entry: &Entry| !entry.row.state.is_over() && !entry.is_busy;
        !state.unread.is_empty() || state.entries.values().any(waits)
    }

    /// Whether [`Outbox::tidy`] has anything to do, for which nothing has to be sent.
    pub fn is_untidy(&self) -> bool {
        let Some(loaded) = self.loaded.get() else { return !self.lock().unread.is_empty() };
        self.lock().surplus(self.shared.totals(), self.too_old(loaded)).is_some()
    }

    /// What ended before this goes.
    fn too_old(&self, loaded: &Loaded) -> UnixMillis {
        loaded.age.before(self.shared.0.clock.now(), KEEP_ENDED_MS)
    }

    async fn loaded(&self) -> Result<&Loaded, Error> {
        let load = async || {
            let records = &self.shared.0.records;
            let marks = records.shelf_marks(SHELF, &self.tenant).await.map_err(Error::Records)?;
            let sealer = self.shared.0.settings.sealer(&self.tenant).await;
            let sealer = sealer.map_err(Error::Sealed)?;
            let mut state = self.lock();
            state.marks = marks.count;
            state.next = state.next.max(marks.last.saturating_add(1));
            let newest = state.unread.iter().map(|row| row.received_at.max(row.changed_at)).max();
            let newest = newest.unwrap_or(0).max(marks.newest);
            // In an empty box there is nothing that a clock which is wrong could make old.
            let newest = if newest == 0 { self.shared.0.clock.now() } else { newest };
            for row in std::mem::take(&mut state.unread) {
                let label = sealer.open(LABEL, &row.key, &row.label).ok();
                let label = label.and_then(|label| serde_json::from_slice(&label).ok());
                let unread = || Label { id: row.key.clone(), ..Label::default() };
                let label = label.unwrap_or_else(unread);
                state.put(&self.shared, row, label);
            }
            drop(state);
            Ok(Loaded { owner: marks.owner, sealer, age: Age::from(newest) })
        };
        self.loaded.get_or_try_init(load).await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intent {
    fn label(&self) -> Label {
        let (id, place) = (self.id.clone(), self.place.clone());
        Label { id, place, lane: self.lane.clone(), over: self.over.clone() }
    }
}

impl Entry {
    /// Whether nothing of its lane comes before it, of those that were looked at.
    fn is_first(&self, lanes: &mut HashSet<String>) -> bool {
        self.label.lane.is_empty() || lanes.insert(self.label.lane.clone())
    }
}

impl State {
    fn put(&mut self, shared: &Shared, mut row: OutboxRow, label: Label) {
        // Whoever was about to send it is gone, and nobody knows whether it was sent.
        row.is_ambiguous |= row.state == OutboxState::Sending;
        let kind = if row.state.is_over() { Kind::Dead } else { Kind::Intent };
        let seq = row.seq;
        self.next = self.next.max(seq.saturating_add(1));
        self.keys.insert(row.key.clone(), seq);
        let entry = Entry {
            label,
            is_busy: false,
            not_before: Instant::now(),
            room: Room::take(shared, row.bytes, kind),
            row,
        };
        self.entries.insert(seq, entry);
    }

    /// What is over, or what is not.
    fn size(&self, is_over: bool) -> Size {
        let counted = self.entries.values().filter(|it| it.row.state.is_over() == is_over);
        counted.fold(Size::default(), |size, entry| size.and(entry.row.bytes))
    }

    /// One of those that are over which has to go: one that ended before this time, or the oldest where
    /// they are too many or too large.
    fn surplus(&self, totals: &Totals, before: UnixMillis) -> Option<u64> {
        let over = || self.entries.values().filter(|it| it.row.state.is_over());
        if let Some(old) = over().find(|it| it.row.changed_at < before) {
            return Some(old.row.seq);
        }
        let ended = self.size(true);
        let is_much = ended.rows > MAX_ENDED || ended.bytes > MAX_ENDED_BYTES;
        let oldest = over().next().filter(|_| is_much || totals.is_surplus(ended));
        oldest.map(|entry| entry.row.seq)
    }

    fn take(&mut self, seq: u64) {
        if let Some(entry) = self.entries.remove(&seq) {
            self.keys.remove(&entry.row.key);
        }
    }
}

/// The sinks that there are, by their kinds.
pub type Sinks = HashMap<Cow<'static, str>, Arc<dyn Sink>>;

#[cfg(test)]
mod tests;
