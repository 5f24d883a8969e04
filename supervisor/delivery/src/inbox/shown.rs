//! What people see of an inbox, and what they may do with what was given up.

use records::InboxState;
use tokio::time::Instant;
use types::UnixMillis;

use super::entry::{Entry, Phase, Progress};
use super::state::State;
use super::{Inbox, SHELF};
use crate::Error;
use crate::totals::Kind;

/// One event, for people.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// Where it came in.
    pub source: String,
    /// Its conversation.
    pub lane: String,
    /// Its name where it comes from.
    pub event: String,
    /// How far it has come.
    pub state: Standing,
    /// How often it was handed over.
    pub attempts: u32,
    /// When it came.
    pub received_at: UnixMillis,
    /// Bytes of it.
    pub bytes: usize,
    /// Why it was not dealt with at the last attempt.
    pub why: String,
}

/// How far an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It waits for its turn.
    Ready,
    /// It is being handed over.
    Claimed,
    /// A worker has it.
    Handed,
    /// It is given up.
    Dead,
}

impl Standing {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Claimed => "claimed",
            Self::Handed => "handed",
            Self::Dead => "dead",
        }
    }
}

impl Inbox {
    /// Every event that is not dealt with, in the order in which they came.
    ///
    /// # Errors
    /// When the box cannot be read.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        self.loaded().await?;
        let state = self.lock();
        let listed = state.entries.values().filter_map(|entry| {
            let standing = match entry.phase {
                Phase::Waiting => Standing::Ready,
                Phase::Handing => Standing::Claimed,
                Phase::Handed { .. } => Standing::Handed,
                Phase::Dying | Phase::Dead => Standing::Dead,
                Phase::Storing | Phase::Removing | Phase::Settling | Phase::Settled => {
                    return None;
                }
            };
            Some(Listed {
                id: entry.row.key.clone(),
                source: entry.row.source.clone(),
                lane: entry.label.lane.clone(),
                event: entry.label.event.clone(),
                state: standing,
                attempts: entry.row.attempts,
                received_at: entry.row.received_at,
                bytes: entry.row.bytes,
                why: entry.row.why.clone(),
            })
        });
        Ok(listed.collect())
    }

    /// Whether this event is kept and not given up: it will be dealt with.
    pub fn is_live(&self, event_id: &str) -> bool {
        let mut state = self.lock();
        state.of_key(event_id).is_some_and(|entry| entry.is_kept())
    }

    /// Whether a run of this id deals with an event that is kept: one that is named as the event is
    /// where it comes from, or after the event.
    pub fn is_run_of(&self, run_id: &str) -> bool {
        let named = run_id.split(':').next_back().unwrap_or(run_id);
        let state = self.lock();
        let mut live = state.entries.values().filter(|entry| entry.is_kept());
        live.any(|entry| entry.label.event == run_id || entry.row.key == named)
    }

    /// Whoever brought the event is to hear that it is kept. False where it is not any more: then they
    /// hear what has become of it, or nothing.
    #[must_use]
    pub fn acknowledge(&self, event_id: &str) -> bool {
        let mut state = self.lock();
        let kept = state.of_key(event_id).filter(|entry| entry.is_kept());
        kept.map(|entry| entry.is_acknowledged = true).is_some()
    }

    /// Has an event that was given up tried again, from the first attempt on.
    ///
    /// # Errors
    /// When there is none of this name, it is not given up, too many wait, or that cannot be written.
    pub async fn retry(&self, event_id: &str) -> Result<(), Error> {
        let loaded = self.loaded().await?;
        let row = {
            let mut state = self.lock();
            let entry = dead(&mut state, event_id)?;
            let mut row = entry.row.clone();
            self.admit(&state, row.bytes)?;
            (row.attempts, row.state, row.dead_at) = (0, InboxState::Ready, 0);
            dead(&mut state, event_id)?.phase = Phase::Dying;
            row
        };
        let of = (&self.tenant, loaded.owner);
        let written = self.shared.0.records.shelf_update(SHELF, of, row.seq, &row).await;
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(&row.seq) {
            if written.is_ok() {
                entry.row = row;
                entry.room.turn(Kind::Event);
                entry.progress.send_replace(Progress::Later);
                entry.wait(Instant::now());
            } else {
                entry.phase = Phase::Dead;
            }
        }
        drop(state);
        written.map_err(Error::Records)
    }

    /// Lets go of an event that was given up.
    ///
    /// # Errors
    /// When there is none of this name, it is not given up, or that cannot be written.
    pub async fn discard(&self, event_id: &str) -> Result<(), Error> {
        self.loaded().await?;
        let seq = {
            let mut state = self.lock();
            let entry = dead(&mut state, event_id)?;
            entry.phase = Phase::Dying;
            entry.row.seq
        };
        self.bury(seq).await
    }
}

/// The event of this name, which is given up.
fn dead<'a>(state: &'a mut State, event_id: &str) -> Result<&'a mut Entry, Error> {
    let entry = state.of_key(event_id).ok_or(Error::NotFound)?;
    if entry.phase == Phase::Dead { Ok(entry) } else { Err(Error::State { state: "not dead" }) }
}
