//! What runs now: counted, stoppable, and one turn at a time in each session.
//!
//! Knows nothing of what a run does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// Turns of all sessions, those that wait for their session included.
const MAX_TURNS: usize = 512;
/// Turns of one session, of which one runs and the others wait.
const MAX_IN_LANE: usize = 32;

/// The runs of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    under_way: AtomicU32,
    /// Told when the last run ends.
    idle: Notify,
    /// Told of the same, for all who wait.
    emptied: Notify,
    stop: CancellationToken,
    turns: Mutex<HashMap<String, Entry>>,
    lanes: Mutex<HashMap<String, Lane>>,
}

#[derive(Debug)]
struct Entry {
    session_key: String,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Lane {
    users: usize,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Too much is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Busy {
    /// Too many turns of one session.
    #[error("{MAX_IN_LANE} turns of this session are under way or waiting")]
    Session,
    /// Too many turns of all sessions.
    #[error("{MAX_TURNS} turns are under way or waiting")]
    Worker,
}

/// A run that is counted and can be stopped. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Run {
    runs: Runs,
    stop: CancellationToken,
    /// Of a turn: under which id it is listed.
    id: Option<String>,
}

/// A place in the lane of one session, given up when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    runs: Runs,
    session_key: String,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Runs {
    /// Begins a run that belongs to no session.
    pub(crate) fn begin(&self) -> Run {
        self.0.under_way.fetch_add(1, Ordering::Relaxed);
        Run { runs: self.clone(), stop: self.0.stop.clone(), id: None }
    }

    /// Begins a turn of a session under `id`.
    pub(crate) fn begin_turn(&self, id: &str, session_key: &str) -> Result<(Run, Place), Busy> {
        let place = self.line_up(session_key)?;
        let stop = self.0.stop.child_token();
        let entry = Entry { session_key: session_key.to_owned(), stop: stop.clone() };
        let mut turns = lock(&self.0.turns);
        if turns.len() >= MAX_TURNS {
            return Err(Busy::Worker);
        }
        turns.insert(id.to_owned(), entry);
        drop(turns);
        self.0.under_way.fetch_add(1, Ordering::Relaxed);
        Ok((Run { runs: self.clone(), stop, id: Some(id.to_owned()) }, place))
    }

    /// A place in the lane of a session, for what must not overlap its turns.
    pub(crate) fn line_up(&self, session_key: &str) -> Result<Place, Busy> {
        let mut lanes = lock(&self.0.lanes);
        let lane = lanes.entry(session_key.to_owned()).or_default();
        if lane.users >= MAX_IN_LANE {
            return Err(Busy::Session);
        }
        lane.users += 1;
        let turn = Arc::clone(&lane.turn);
        drop(lanes);
        Ok(Place { runs: self.clone(), session_key: session_key.to_owned(), turn })
    }

    /// Stops the turns of a session, or only the one called `id`, and gives their ids.
    pub(crate) fn stop_turns(&self, session_key: &str, id: Option<&str>) -> Vec<String> {
        let turns = lock(&self.0.turns);
        let matching = turns.iter().filter(|(run, entry)| {
            entry.session_key == session_key && id.is_none_or(|id| id == run.as_str())
        });
        let stopped = matching.map(|(run, entry)| {
            entry.stop.cancel();
            run.clone()
        });
        stopped.collect()
    }

    /// The turns that are under way or waiting, by session.
    pub(crate) fn by_session(&self) -> HashMap<String, Vec<String>> {
        let mut by_session: HashMap<String, Vec<String>> = HashMap::new();
        for (run, entry) in &*lock(&self.0.turns) {
            by_session.entry(entry.session_key.clone()).or_default().push(run.clone());
        }
        by_session
    }

    /// The turns of the session that are under way or waiting.
    pub(crate) fn of(&self, session_key: &str) -> Vec<String> {
        let turns = lock(&self.0.turns);
        let of_session = turns.iter().filter(|(_, entry)| entry.session_key == session_key);
        of_session.map(|(run, _)| run.clone()).collect()
    }

    /// Whether a turn of the session is under way or waiting.
    pub(crate) fn has_turns(&self, session_key: &str) -> bool {
        lock(&self.0.turns).values().any(|entry| entry.session_key == session_key)
    }

    /// Waits until no run is under way.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            if self.count() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Stops everything, now and from now on.
    pub(crate) fn stop_all(&self) {
        self.0.stop.cancel();
    }

    /// Whether everything has been stopped: the process ends.
    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// Resolves when the last run has ended since the last time that this resolved.
    pub(crate) async fn idle(&self) {
        self.0.idle.notified().await;
    }

    /// How many runs are under way.
    pub(crate) fn count(&self) -> u32 {
        self.0.under_way.load(Ordering::Relaxed)
    }
}

impl Run {
    /// Resolves when somebody stops this run.
    pub(crate) fn stopped(&self) -> WaitForCancellationFuture<'_> {
        self.stop.cancelled()
    }

    /// A handle on the stop signal that outlives a borrow.
    pub(crate) fn stop_signal(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Whether the whole process stops, rather than this run alone.
    pub(crate) fn is_shutdown(&self) -> bool {
        self.runs.0.stop.is_cancelled()
    }
}

impl Place {
    /// Waits for the lane to be free, and keeps it for as long as the guard lives.
    pub(crate) async fn turn(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.runs.0.under_way.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.runs.0.idle.notify_one();
            self.runs.0.emptied.notify_waiters();
        }
        if let Some(id) = &self.id {
            lock(&self.runs.0.turns).remove(id);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lanes = lock(&self.runs.0.lanes);
        if let Some(lane) = lanes.get_mut(&self.session_key) {
            lane.users -= 1;
            if lane.users == 0 {
                lanes.remove(&self.session_key);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lane_admits_one_and_bounds_those_who_wait() {
        let runs = Runs::default();
        let places: Vec<_> = (0..MAX_IN_LANE).map(|_| runs.line_up("a").unwrap()).collect();
        assert_eq!(runs.line_up("a").unwrap_err(), Busy::Session);
        runs.line_up("b").unwrap();
        let first = places[0].turn().await;
        assert!(futures_util::poll!(std::pin::pin!(places[1].turn())).is_pending());
        drop(first);
        drop(places[1].turn().await);
        drop(places);
        assert!(lock(&runs.0.lanes).is_empty());
    }

    #[tokio::test]
    async fn stopping_reaches_the_named_turns_only() {
        let runs = Runs::default();
        let (one, _) = runs.begin_turn("1", "a").unwrap();
        let (two, _) = runs.begin_turn("2", "a").unwrap();
        let (other, _) = runs.begin_turn("3", "b").unwrap();
        assert_eq!(runs.stop_turns("a", Some("2")), ["2"]);
        two.stopped().await;
        assert!(futures_util::poll!(std::pin::pin!(one.stopped())).is_pending());
        assert_eq!(runs.count(), 3);
        runs.stop_all();
        one.stopped().await;
        other.stopped().await;
        drop((one, two, other));
        assert_eq!(runs.count(), 0);
        assert_eq!(runs.stop_turns("a", None), Vec::<String>::new());
    }
}
