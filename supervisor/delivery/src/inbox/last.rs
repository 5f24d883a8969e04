//! The end of an event: dealt with, given up, and gone after that.

use records::{InboxState, Keep, KeyMark, Mark};
use tokio::time::Instant;

use super::entry::{Phase, Progress};
use super::hand::{PAUSE, again, cut};
use super::{Inbox, KEEP_MS, MAX_MARKS, SHELF};
use crate::Error;
use crate::totals::{Kind, count};

/// An event that was given up and is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evicted {
    /// Its name.
    pub id: String,
    /// Why it was given up.
    pub why: String,
    /// Why it is gone.
    pub because: &'static str,
}

impl Inbox {
    /// The worker says what has become of an event. Gives why it was given up, where it was.
    ///
    /// # Errors
    /// When that cannot be written: it is tried again by [`Inbox::tidy`].
    pub async fn settled(
        &self,
        event_id: &str,
        is_again: bool,
        why: &str,
    ) -> Result<Option<String>, Error> {
        let (seq, given_up) = {
            let mut state = self.lock();
            let Some(entry) = state.of_key(event_id) else { return Ok(None) };
            if !matches!(entry.phase, Phase::Handing | Phase::Handed { .. }) {
                return Ok(None);
            }
            entry.is_acknowledged = true;
            let given_up = is_again && again(entry, why);
            if !is_again {
                entry.phase = Phase::Settling;
            }
            (entry.row.seq, given_up)
        };
        if given_up {
            self.give_up(seq, why).await?;
            return Ok(Some(why.to_owned()));
        }
        if !is_again {
            self.settle(seq).await?;
        }
        Ok(None)
    }

    /// A worker is gone, and what it had is handed over again. What it is being handed is either refused to
    /// whoever hands it over, or [taken](Inbox::given) too late. Gives what is to be given up.
    pub fn lost(&self, worker: u64) -> Vec<u64> {
        let mut state = self.lock();
        for entry in state.entries.values_mut().filter(|it| it.to == Some(worker)) {
            entry.to = None;
        }
        let had = state.entries.values_mut().filter(|it| it.phase == Phase::Handed { worker });
        let over = had.filter_map(|entry| {
            again(entry, "its worker ended before it was dealt with").then_some(entry.row.seq)
        });
        over.collect()
    }

    /// Gives an event up: its content stays for people to have it tried again. Those who wait for it
    /// hear why.
    ///
    /// # Errors
    /// When that cannot be written: it waits then, and is given up at its next attempt.
    pub async fn give_up(&self, seq: u64, why: &str) -> Result<(), Error> {
        let loaded = self.loaded().await?;
        let row = {
            let mut state = self.lock();
            let Some(entry) = state.entries.get_mut(&seq) else { return Ok(()) };
            if !matches!(entry.phase, Phase::Waiting | Phase::Handing | Phase::Handed { .. }) {
                return Ok(());
            }
            entry.phase = Phase::Dying;
            entry.row.why = cut(why.to_owned());
            let mut row = entry.row.clone();
            (row.state, row.dead_at) = (InboxState::Dead, self.shared.0.clock.now());
            row
        };
        let of = (&self.tenant, loaded.owner);
        let written = self.shared.0.records.shelf_update(SHELF, of, seq, &row).await;
        {
            let mut state = self.lock();
            if let Some(entry) = state.entries.get_mut(&seq) {
                if written.is_ok() {
                    entry.progress.send_replace(Progress::GivenUp(row.why.clone()));
                    (entry.row, entry.phase) = (row, Phase::Dead);
                    entry.room.turn(Kind::Dead);
                } else {
                    entry.wait(Instant::now() + PAUSE);
                }
            }
        }
        written.map_err(Error::Records)?;
        count(&self.shared.totals().dead);
        Ok(())
    }

    /// Reads what was there when the gateway started, and writes what could not be written before.
    ///
    /// # Errors
    /// When it still cannot be.
    pub async fn tidy(&self) -> Result<(), Error> {
        self.loaded().await?;
        let settled: Vec<u64> = {
            let mut state = self.lock();
            let settled = state.entries.values_mut().filter(|it| it.phase == Phase::Settled);
            let begun = settled.map(|entry| {
                entry.phase = Phase::Settling;
                entry.row.seq
            });
            begun.collect()
        };
        let mut done = Ok(());
        for seq in settled {
            let settled = self.settle(seq).await;
            done = done.and(settled);
        }
        done
    }

    /// Lets one event go that was given up, where they are too many, too large or too old; `None`
    /// where none has to.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn evict(&self) -> Result<Option<Evicted>, Error> {
        let loaded = self.loaded().await?;
        let (seq, evicted) = {
            let mut state = self.lock();
            let surplus = state.surplus(self.shared.totals(), self.too_old(loaded));
            let Some((seq, because)) = surplus else { return Ok(None) };
            let Some(entry) = state.entries.get_mut(&seq) else { return Ok(None) };
            entry.phase = Phase::Dying;
            let (id, why) = (entry.row.key.clone(), entry.row.why.clone());
            (seq, Evicted { id, why, because })
        };
        self.bury(seq).await?;
        count(&self.shared.totals().evicted);
        Ok(Some(evicted))
    }

    /// Takes away what is [`Phase::Dying`] and was given up before.
    pub(super) async fn bury(&self, seq: u64) -> Result<(), Error> {
        let buried = self.finish(seq, Mark::Dead).await;
        if buried.is_err()
            && let Some(entry) = self.lock().entries.get_mut(&seq)
        {
            entry.phase = Phase::Dead;
        }
        buried
    }

    /// Takes away what is [`Phase::Settling`].
    async fn settle(&self, seq: u64) -> Result<(), Error> {
        let settled = self.finish(seq, Mark::Done).await;
        if settled.is_err() {
            if let Some(entry) = self.lock().entries.get_mut(&seq) {
                entry.phase = Phase::Settled;
            }
        } else {
            count(&self.shared.totals().settled);
        }
        settled
    }

    /// Takes a row away, and leaves a mark.
    async fn finish(&self, seq: u64, mark: Mark) -> Result<(), Error> {
        let loaded = self.loaded().await?;
        let (key, marks) = {
            let state = self.lock();
            let Some(entry) = state.entries.get(&seq) else { return Ok(()) };
            (entry.row.key.clone(), state.marks)
        };
        let now = self.shared.0.clock.now();
        let since = loaded.age.before(now, KEEP_MS);
        let keep = Keep { since, count: marks, most: MAX_MARKS };
        let made = KeyMark { seq, mark, at: now, there: None };
        let of = (&self.tenant, loaded.owner);
        let removed = self.shared.0.records.shelf_finish(SHELF, of, (&key, made), None, keep).await;
        let removed = removed.map_err(Error::Records)?;
        let mut state = self.lock();
        state.marks = state.marks.saturating_add(1).saturating_sub(removed);
        drop(state.take(seq));
        Ok(())
    }
}
