//! The one timer that the supervisor keeps for this worker, and who wants it for when.
//!
//! It is never later than the earliest wish: it is moved forward before a wish is written down and
//! backward after, so that a crash in between wakes the worker too early and never too late.

use tokio::sync::Mutex;
use tonic::Status;
use types::UnixMillis;

use crate::upcalls::Timers;

/// Who wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Jobs,
    Heartbeats,
}

/// The timer.
#[derive(Debug)]
pub(crate) struct Alarm {
    timers: Timers,
    state: Mutex<State>,
}

/// What the supervisor has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Held {
    #[default]
    Unknown,
    Nothing,
    Time(UnixMillis),
}

#[derive(Debug, Default)]
struct State {
    held: Held,
    jobs: Option<UnixMillis>,
    heartbeats: Option<UnixMillis>,
}

impl State {
    fn earliest(&self) -> Option<UnixMillis> {
        self.jobs.into_iter().chain(self.heartbeats).min()
    }
}

impl Alarm {
    pub(crate) fn new(timers: Timers) -> Self {
        Self { timers, state: Mutex::default() }
    }

    /// The supervisor has rung for `due_at`: it has that time and forgets it.
    pub(crate) async fn rang(&self, due_at: UnixMillis) {
        self.state.lock().await.held = Held::Time(due_at);
    }

    /// Whether the time for which the supervisor has rung is to be kept by it: the next one could not be
    /// set, and without either nobody would be woken again.
    pub(crate) async fn is_to_be_kept(&self, due_at: UnixMillis) -> bool {
        let state = self.state.lock().await;
        let held = Held::Time(due_at);
        state.held == held && state.earliest().is_some_and(|next| Held::Time(next) != held)
    }

    /// Makes sure that the worker is woken at `at`, before that is written down.
    pub(crate) async fn before(&self, at: Option<UnixMillis>) -> Result<(), Status> {
        let Some(at) = at else { return Ok(()) };
        let mut state = self.state.lock().await;
        if let Held::Time(held) = state.held
            && held <= at
        {
            return Ok(());
        }
        let at = state.earliest().map_or(at, |other| at.min(other));
        self.timers.set(Some(at)).await?;
        state.held = Held::Time(at);
        Ok(())
    }

    /// Takes a wish that is written down. A timer that is too early is only a wake for nothing.
    pub(crate) async fn after(&self, wish: Wish, at: Option<UnixMillis>) {
        let mut state = self.state.lock().await;
        match wish {
            Wish::Jobs => state.jobs = at,
            Wish::Heartbeats => state.heartbeats = at,
        }
        let earliest = state.earliest();
        let wanted = earliest.map_or(Held::Nothing, Held::Time);
        // A time that is still there from an earlier process only wakes for nothing.
        let unknown_and_unwanted = state.held == Held::Unknown && earliest.is_none();
        if unknown_and_unwanted || state.held == wanted {
            return;
        }
        match self.timers.set(earliest).await {
            Ok(()) => state.held = wanted,
            Err(status) => tracing::warn!(%status, "the timer is left too early"),
        }
    }
}
