//! Keeping an event, before anybody is told that it is kept.

use bytes::Bytes;
use records::{InboxRow, InboxState, Inserted, Mark};
use tokio::time::Instant;

use super::entry::{Entry, Label, Phase, Progress};
use super::state::State;
use super::{CONTENT, Inbox, LABEL, MAX_BYTES, MAX_NAME, MAX_WAITING, SHELF, Waiter, progress};
use crate::totals::{Kind, Room, count};
use crate::{Error, name};

/// How often a number is tried that was found to be taken: one is taken where a commit was made of
/// which nobody could be told.
const TRIES: usize = 64;

/// An event that has come.
#[derive(Debug, Clone)]
pub struct New<'a> {
    /// Where it came in, for people and metrics.
    pub source: &'static str,
    /// The account that it came over.
    pub account: &'a str,
    /// Its conversation.
    pub lane: &'a str,
    /// Its name in the account and conversation.
    pub event: &'a str,
    /// What it says.
    pub content: Bytes,
    /// Whether who brings it hears that it is kept as soon as it is: then nobody else brings it again, and no
    /// refusal removes it. Else they wait for what becomes of it.
    pub is_acknowledged: bool,
}

/// An event that is kept, or was.
#[derive(Debug)]
pub enum Accepted {
    /// It is kept from now on; when its turn comes it is handed over.
    New(Waiter),
    /// It had come before, and is not dealt with yet.
    Known(Waiter),
    /// It had come before, and was dealt with.
    Settled,
    /// It had come before, and was given up.
    GivenUp {
        /// Why.
        why: String,
        /// Whether it is still there, and can be tried again.
        is_there: bool,
    },
}

impl Accepted {
    /// What there is to say of an event that is known only by its mark.
    fn gone(mark: Mark) -> Self {
        if mark == Mark::Dead {
            return Self::GivenUp { why: "it is not kept any more".to_owned(), is_there: false };
        }
        Self::Settled
    }

    /// What there is to say of an event that is still there.
    fn known(entry: &Entry) -> Self {
        if entry.phase == Phase::Dead {
            return Self::GivenUp { why: entry.row.why.clone(), is_there: true };
        }
        Self::Known(entry.progress.subscribe())
    }
}

impl Inbox {
    /// Keeps an event durably. The same event again is not kept a second time. To be run to its end:
    /// whoever drops it half-way leaves an event that waits for the next start of the gateway.
    ///
    /// # Errors
    /// When it cannot be kept. It may be kept all the same where the records do not know.
    pub async fn accept(&self, new: New<'_>) -> Result<Accepted, Error> {
        for (what, name) in [("an account", new.account), ("an event's name", new.event)] {
            if name.len() > MAX_NAME {
                return Err(Error::TooLarge { what, max: MAX_NAME });
            }
        }
        if new.lane.len() > MAX_NAME {
            return Err(Error::TooLarge { what: "a conversation's name", max: MAX_NAME });
        }
        let key = name::event_id(new.account, new.lane, new.event);
        let loaded = self.loaded().await?;
        let label = Label {
            account: new.account.to_owned(),
            lane: new.lane.to_owned(),
            event: new.event.to_owned(),
        };
        let sealed = loaded.sealer.seal(CONTENT, &key, &new.content).map_err(Error::Sealed)?;
        let named = serde_json::to_vec(&label).unwrap_or_default();
        let named = loaded.sealer.seal(LABEL, &key, &named).map_err(Error::Sealed)?;
        let sealed = Bytes::from(sealed);
        for _ in 0..TRIES {
            let row = InboxRow {
                seq: 0,
                key: key.clone(),
                source: new.source.to_owned(),
                label: named.clone(),
                state: InboxState::Ready,
                attempts: 0,
                received_at: self.shared.0.clock.now(),
                bytes: sealed.len(),
                why: String::new(),
                dead_at: 0,
            };
            let row = match self.reserve(row, label.clone(), &new)? {
                Reserved::Known(known) => {
                    count(&self.shared.totals().duplicates);
                    return Ok(known);
                }
                Reserved::New(row) => row,
            };
            if let Some(accepted) = self.store(row, &sealed).await? {
                return Ok(accepted);
            }
        }
        Err(Error::Full { what: "events that were lost from sight", max: TRIES })
    }

    /// A place among those that are not dealt with.
    fn reserve(&self, mut row: InboxRow, label: Label, new: &New<'_>) -> Result<Reserved, Error> {
        let mut state = self.lock();
        if let Some(known) = state.of_key(&row.key) {
            return Ok(Reserved::Known(Accepted::known(known)));
        }
        self.admit(&state, row.bytes)?;
        row.seq = state.next;
        let is_claimed = state.is_free(&label.lane);
        if is_claimed {
            row.attempts = 1;
            row.state = InboxState::Claimed { boot: self.shared.0.boot.clone(), worker: 0 };
        }
        state.put(Entry {
            row: row.clone(),
            label,
            phase: Phase::Storing,
            is_claimed,
            to: None,
            is_acknowledged: new.is_acknowledged,
            not_before: Instant::now(),
            content: Some(new.content.clone()),
            progress: progress(),
            room: Room::take(&self.shared, row.bytes, Kind::Event),
        });
        drop(state);
        Ok(Reserved::New(row))
    }

    /// Whether one more event of so many bytes may wait.
    pub(super) fn admit(&self, state: &State, bytes: usize) -> Result<(), Error> {
        let with = state.live().and(bytes);
        let full = |what, max| Err(Error::Full { what, max });
        if with.rows > MAX_WAITING {
            return full("events of a tenant that wait", MAX_WAITING);
        }
        if with.bytes > MAX_BYTES {
            return full("bytes of a tenant's events that wait", MAX_BYTES);
        }
        self.shared.totals().admit(with, bytes, Kind::Event)
    }

    /// Writes the row. `None` where its number was taken.
    async fn store(&self, row: InboxRow, content: &Bytes) -> Result<Option<Accepted>, Error> {
        let loaded = self.loaded().await?;
        let (of, at) = ((&self.tenant, loaded.owner), (row.seq, &*row.key, row.received_at));
        let inserted = self.shared.0.records.shelf_insert(SHELF, of, at, &row, content).await;
        match inserted {
            Ok(Inserted::New) => {
                count(&self.shared.totals().accepted);
                let mut state = self.lock();
                let Some(entry) = state.entries.get_mut(&row.seq) else {
                    return Err(Error::NotFound);
                };
                entry.phase = Phase::Waiting;
                let waiter = entry.progress.subscribe();
                Ok(Some(Accepted::New(waiter)))
            }
            Ok(Inserted::Taken) => {
                let mut state = self.lock();
                drop(state.take(row.seq));
                state.next = state.next.max(row.seq.saturating_add(1));
                Ok(None)
            }
            Ok(Inserted::Known(known)) => {
                let ours = self.lock().take(row.seq);
                count(&self.shared.totals().duplicates);
                if known.mark != Mark::Live {
                    let gone = Accepted::gone(known.mark);
                    tell(ours, &told(&gone));
                    return Ok(Some(gone));
                }
                self.find_again(ours, known.seq).await.map(Some)
            }
            Err(err) => {
                let ours = self.lock().take(row.seq);
                tell(ours, &Progress::Failed);
                Err(Error::Records(err))
            }
        }
    }

    /// Takes a row that was written without anybody having been told of it.
    async fn find_again(&self, ours: Option<Entry>, seq: u64) -> Result<Accepted, Error> {
        let loaded = self.loaded().await?;
        let found = self.shared.0.records.shelf_row(SHELF, &self.tenant, seq).await;
        let found: Option<InboxRow> = found.map_err(Error::Records)?;
        let Some(row) = found else {
            tell(ours, &Progress::Later);
            return Ok(Accepted::Settled);
        };
        let mut state = self.lock();
        let key = row.key.clone();
        if !state.entries.contains_key(&seq) {
            state.add(&self.shared, &loaded.sealer, row);
        }
        let known = state.of_key(&key).map_or(Accepted::Settled, |entry| Accepted::known(entry));
        drop(state);
        // Those who came meanwhile hear the same.
        tell(ours, &told(&known));
        Ok(known)
    }
}

enum Reserved {
    New(InboxRow),
    Known(Accepted),
}

/// What those hear who have brought the same event at the same time.
fn told(accepted: &Accepted) -> Progress {
    match accepted {
        Accepted::GivenUp { why, .. } => Progress::GivenUp(why.clone()),
        Accepted::New(_) | Accepted::Known(_) | Accepted::Settled => Progress::Later,
    }
}

fn tell(entry: Option<Entry>, progress: &Progress) {
    if let Some(entry) = entry {
        entry.progress.send_replace(progress.clone());
    }
}
