//! What has come for one tenant, from before it is acknowledged until its worker has dealt with it.
//!
//! Each conversation is a lane: its events are handed over in the order in which they came, and the
//! first that cannot be handed over keeps back those of its lane and no others. What is handed over
//! is not done: that its worker says, and a worker that is lost before has not said it.

mod accept;
mod entry;
mod hand;
mod last;
mod shown;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use records::store::Rev;
use records::{InboxRow, Shelf};
use settings::Sealer;
use tokio::sync::{OnceCell, watch};
use tokio::time::Instant;
use types::{TenantId, UnixMillis};

pub use accept::{Accepted, New};
pub use entry::Progress;
pub use hand::{Failure, Job};
pub use last::Evicted;
pub use shown::{Listed, Standing};

use crate::age::Age;
use crate::{Error, Shared};
use state::State;

/// Events of one tenant that are not dealt with: more than its worker takes at once.
pub const MAX_WAITING: usize = 1024;
/// Bytes of them, so that one tenant cannot fill the store.
pub const MAX_BYTES: usize = 64 << 20;
/// Events that are given up and whose content is still there; the oldest goes when one more comes.
pub const MAX_DEAD: usize = 64;
/// Bytes of them: more than the largest event has.
pub const MAX_DEAD_BYTES: usize = 32 << 20;
/// How long they are kept: a month, in which somebody looks.
pub const KEEP_DEAD_MS: u64 = 30 * 24 * 3_600_000;
/// How often an event is handed over before it is given up.
pub const MAX_ATTEMPTS: u32 = 12;
/// Events of one tenant and one source that are being handed over at once: those of one, which may
/// take long, keep back none of another.
const MAX_HANDING: usize = 64;
/// Of these, those that came over one account: one hook whose runs take long keeps back the tenant's
/// others only so far.
const MAX_HANDING_OF_ONE: usize = 32;
/// Marks of one tenant by which events are known that were dealt with.
const MAX_MARKS: usize = 2048;
/// How long a mark is kept, unless there are too many: longer than any network repeats an event.
const KEEP_MS: u64 = 7 * 24 * 3_600_000;
/// The longest name of an account, conversation or event, in bytes.
pub const MAX_NAME: usize = 1024;

const SHELF: Shelf = Shelf::Inbox;

/// What content and labels are sealed for.
const CONTENT: &str = "inbox";
const LABEL: &str = "inbox-label";

/// The inbox of one tenant.
#[derive(Debug)]
pub struct Inbox {
    tenant: TenantId,
    shared: Shared,
    state: Mutex<State>,
    loaded: OnceCell<Loaded>,
}

/// What is found out when the box is first used.
#[derive(Debug)]
struct Loaded {
    owner: Rev,
    sealer: Sealer,
    age: Age,
}

/// Who waits for what comes of an event.
type Waiter = watch::Receiver<Progress>;

impl Inbox {
    /// The box of a tenant; reads nothing.
    pub fn new(tenant: TenantId, shared: Shared) -> Self {
        Self { tenant, shared, state: Mutex::default(), loaded: OnceCell::new() }
    }

    /// Takes a row that was there when the gateway started.
    pub fn restore(&self, row: InboxRow) {
        self.lock().unread.push(row);
    }

    /// Whether anything waits to be handed over, be it at a later time.
    pub fn waits(&self) -> bool {
        self.lock().waits()
    }

    /// Whether anything is to be handed over now, for which a worker is needed. What was there when the
    /// gateway started is known after [`Inbox::tidy`].
    pub fn is_due(&self) -> bool {
        self.lock().is_due(Instant::now())
    }

    /// Whether [`Inbox::tidy`] or [`Inbox::evict`] has anything to do, for which no worker is needed.
    pub fn is_untidy(&self) -> bool {
        let state = self.lock();
        let is_surplus =
            |loaded| state.surplus(self.shared.totals(), self.too_old(loaded)).is_some();
        !state.unread.is_empty() || state.is_behind() || self.loaded.get().is_some_and(is_surplus)
    }

    /// What was given up before this goes.
    fn too_old(&self, loaded: &Loaded) -> UnixMillis {
        loaded.age.before(self.shared.0.clock.now(), KEEP_DEAD_MS)
    }

    /// Reads what the records hold beside the rows, once.
    async fn loaded(&self) -> Result<&Loaded, Error> {
        let load = async || {
            let records = &self.shared.0.records;
            let marks = records.shelf_marks(SHELF, &self.tenant).await.map_err(Error::Records)?;
            let sealer = self.shared.0.settings.sealer(&self.tenant).await;
            let sealer = sealer.map_err(Error::Sealed)?;
            let mut state = self.lock();
            state.marks = marks.count;
            state.next = state.next.max(marks.last.saturating_add(1));
            let newest = state.unread.iter().map(|row| row.received_at.max(row.dead_at)).max();
            let newest = newest.unwrap_or(0).max(marks.newest);
            // In an empty box there is nothing that a clock which is wrong could make old.
            let newest = if newest == 0 { self.shared.0.clock.now() } else { newest };
            for row in std::mem::take(&mut state.unread) {
                state.add(&self.shared, &sealer, row);
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

/// A channel on which is told what comes of an event.
fn progress() -> Arc<watch::Sender<Progress>> {
    Arc::new(watch::Sender::new(Progress::Pending))
}

#[cfg(test)]
mod tests;
