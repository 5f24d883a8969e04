//! One event as it is known in memory.

use std::sync::Arc;

use bytes::Bytes;
use records::{InboxRow, InboxState};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::totals::Room;

/// What those hear who wait for an event that they have brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Nothing yet.
    Pending,
    /// What the worker has answered.
    Given(Bytes),
    /// It is kept, and will be dealt with later.
    Later,
    /// It could not be kept.
    Failed,
    /// It is given up, and why.
    GivenUp(String),
}

/// The names by which people know an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Label {
    pub(super) account: String,
    pub(super) lane: String,
    pub(super) event: String,
}

/// How far an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is being written.
    Storing,
    /// It waits for its turn.
    Waiting,
    /// It is being handed to a worker.
    Handing,
    /// This worker has it.
    Handed { worker: u64 },
    /// It was refused to whoever brought it, and is being taken away.
    Removing,
    /// That it is dealt with is being written.
    Settling,
    /// It is dealt with, which is yet to be written.
    Settled,
    /// That it is given up, or gone after that, is being written.
    Dying,
    /// It is given up.
    Dead,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) row: InboxRow,
    pub(super) label: Label,
    pub(super) phase: Phase,
    /// Whether the present attempt is written.
    pub(super) is_claimed: bool,
    /// The worker that it is being handed to, until that one's end is noticed.
    pub(super) to: Option<u64>,
    /// Whether somebody was told that it is kept.
    pub(super) is_acknowledged: bool,
    /// Before this it is not handed over again.
    pub(super) not_before: Instant,
    /// The content, until it is handed over for the first time.
    pub(super) content: Option<Bytes>,
    pub(super) progress: Arc<watch::Sender<Progress>>,
    pub(super) room: Room,
}

impl Entry {
    /// Whether it keeps back those that come after it in its lane.
    pub(super) const fn is_ahead(&self) -> bool {
        matches!(self.phase, Phase::Storing | Phase::Waiting | Phase::Handing | Phase::Removing)
    }

    /// Whether it is given up, or about to be.
    pub(super) const fn is_dead(&self) -> bool {
        matches!(self.phase, Phase::Dying | Phase::Dead)
    }

    /// Whether it will be dealt with, or is.
    pub(super) const fn is_kept(&self) -> bool {
        !self.is_dead() && !matches!(self.phase, Phase::Removing)
    }

    /// Has it wait again.
    pub(super) fn wait(&mut self, until: Instant) {
        self.phase = Phase::Waiting;
        self.is_claimed = false;
        self.to = None;
        self.not_before = until;
        self.row.state = InboxState::Ready;
    }

    /// Has it wait as if it had not been its turn: no worker was asked.
    pub(super) fn pause(&mut self, until: Instant) {
        self.row.attempts = self.row.attempts.saturating_sub(u32::from(self.is_claimed));
        self.wait(until);
    }
}
