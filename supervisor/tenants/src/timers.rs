//! The timer of each tenant: kept over its worker's sleep and the supervisor's restart, and rung by
//! waking the worker.
//!
//! Knows when and never what for: the worker decides what is due. Does not lose a ring: the time
//! stays until the worker has set another one or has answered that it was woken.

mod bell;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use proto::host::timers_server::Timers as Service;
use proto::host::{TimerReply, TimerRequest};
use tonic::{Request, Response, Status};
use types::UnixMillis;

use crate::tenant::Tenant;
use crate::{Error, Inner};

pub(crate) use bell::{Bell, LONGEST_LEAD_MS, start};

/// How long after a failed ring it is tried again; doubled for each wake in a row that the worker did
/// not answer.
const AGAIN_MS: u64 = 5_000;

/// How often that is doubled: to a little more than five minutes.
const DOUBLINGS: u32 = 6;

/// Settings of a timer that one tenant may make at once: each is a durable write of the supervisor.
const BURST: u64 = 240;

/// How long it takes until one more may be made.
const REFILL_MS: u64 = 250;

/// The timer of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    /// Milliseconds since the epoch; 0 for none.
    at: AtomicU64,
    /// Before this it is not tried again.
    not_before: AtomicU64,
    /// Wakes in a row that the worker did not answer.
    unanswered: AtomicU32,
    ringing: AtomicBool,
    /// The time for which the worker was started ahead; 0 for none.
    ahead_of: AtomicU64,
    rate: Mutex<Rate>,
    /// Held while the record is written, so that the record and `at` are of the same setting.
    writing: tokio::sync::Mutex<()>,
}

/// How a ring ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ring {
    Woken,
    /// The worker could not be started; whoever starts workers leaves one that fails alone for longer
    /// and longer.
    NotStarted,
    NotAnswered,
}

/// How fast a timer may be set.
#[derive(Debug, Default)]
struct Rate {
    used: u64,
    since: UnixMillis,
}

impl Rate {
    fn take(&mut self, now: UnixMillis) -> bool {
        let back = now.saturating_sub(self.since) / REFILL_MS;
        if back > 0 {
            self.used = self.used.saturating_sub(back);
            // What is left of the time counts towards the next one.
            self.since = self.since.saturating_add(back.saturating_mul(REFILL_MS));
        }
        let free = self.used < BURST;
        self.used += u64::from(free);
        free
    }
}

impl Timer {
    /// The worker has set another time.
    fn set(&self, at: UnixMillis) {
        // A worker that does not answer when it is woken does not get round its wait by setting again.
        if self.unanswered.load(Ordering::Relaxed) == 0 {
            self.not_before.store(0, Ordering::Relaxed);
        }
        self.at.store(at, Ordering::Release);
    }

    /// Takes what the records say, at the start of the supervisor.
    pub(crate) fn load(&self, at: UnixMillis) {
        self.at.store(at, Ordering::Release);
    }

    /// The time, if the worker is to be woken now.
    fn due(&self, now: UnixMillis) -> Option<UnixMillis> {
        let at = self.at.load(Ordering::Acquire);
        let due = at > 0 && at <= now && self.not_before.load(Ordering::Relaxed) <= now;
        (due && !self.ringing.load(Ordering::Acquire)).then_some(at)
    }

    /// When the worker is to be woken next, unless that is under way; it may be over.
    fn next(&self) -> Option<UnixMillis> {
        let at = self.at.load(Ordering::Acquire);
        let is_awaited = at > 0 && !self.ringing.load(Ordering::Acquire);
        is_awaited.then(|| at.max(self.not_before.load(Ordering::Relaxed)))
    }

    /// Whether the worker is to be woken within `lead_ms` from now on.
    pub(crate) fn is_near(&self, now: UnixMillis, lead_ms: u64) -> bool {
        let at = self.at.load(Ordering::Acquire);
        at >= now && at <= now.saturating_add(lead_ms)
    }

    /// The worker has been woken for `at`, or could not be.
    fn rang(&self, at: UnixMillis, ring: Ring, now: UnixMillis) {
        let unanswered = match ring {
            Ring::Woken => 0,
            Ring::NotStarted => self.unanswered.load(Ordering::Relaxed),
            Ring::NotAnswered => self.unanswered.load(Ordering::Relaxed).saturating_add(1),
        };
        self.unanswered.store(unanswered, Ordering::Relaxed);
        if ring == Ring::Woken {
            // A worker that has set another time meanwhile is woken for that one.
            let _unless_set_anew =
                self.at.compare_exchange(at, 0, Ordering::AcqRel, Ordering::Acquire);
        } else {
            let doublings = unanswered.saturating_sub(1).min(DOUBLINGS);
            let wait = AGAIN_MS.saturating_mul(1 << doublings);
            self.not_before.store(now.saturating_add(wait), Ordering::Relaxed);
        }
        self.ringing.store(false, Ordering::Release);
    }
}

/// Reads every timer from the records, at the start of the supervisor.
pub(crate) async fn load(inner: &Inner) -> Result<(), Error> {
    for row in inner.records.timers().await.map_err(Error::Records)? {
        if let Some(tenant) = inner.directory.find(&row.tenant) {
            tenant.timer.load(row.at);
        }
    }
    Ok(())
}

/// Reads one tenant's timer again, after its records were replaced.
pub(crate) async fn reload(inner: &Inner, tenant: &Tenant) -> Result<(), Error> {
    let _writing = tenant.timer.writing.lock().await;
    let row = inner.records.timer(&tenant.id).await.map_err(Error::Records)?;
    tenant.timer.load(row.map_or(0, |row| row.at));
    Ok(())
}

/// Has a worker that sleeps look at what is due.
pub(crate) async fn ring_soon(inner: &Inner, tenant: &Tenant) -> Result<(), Error> {
    let _writing = tenant.timer.writing.lock().await;
    let now = inner.clock.now();
    inner.records.set_timer(&tenant.id, Some(now)).await.map_err(Error::Records)?;
    tenant.timer.set(now);
    inner.bell.sooner(now);
    Ok(())
}

/// The power to set the one timer of one tenant, as it is served on its worker's pair.
#[derive(Debug)]
pub(crate) struct Power {
    inner: Arc<Inner>,
    tenant: Arc<Tenant>,
}

impl Power {
    pub(crate) fn new(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Self {
        Self { inner: Arc::clone(inner), tenant: Arc::clone(tenant) }
    }
}

#[tonic::async_trait]
impl Service for Power {
    async fn set(&self, request: Request<TimerRequest>) -> Result<Response<TimerReply>, Status> {
        let (timer, at) = (&self.tenant.timer, request.into_inner().at_ms);
        let now = self.inner.clock.now();
        if !timer.rate.lock().unwrap_or_else(PoisonError::into_inner).take(now) {
            return Err(Status::resource_exhausted("the timer is set too often; try again later"));
        }
        let writing = timer.writing.lock().await;
        let row = (at > 0).then_some(at);
        self.inner.records.set_timer(&self.tenant.id, row).await.map_err(|err| {
            let error = types::Chain(&err);
            tracing::error!(tenant = %self.tenant.id, error = %error, "a timer was not written");
            Status::unavailable("the timer could not be written")
        })?;
        timer.set(at);
        self.inner.bell.sooner(at);
        drop(writing);
        Ok(Response::new(TimerReply {}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_rings_once_until_it_is_set_again() {
        let timer = Timer::default();
        assert_eq!(timer.due(u64::MAX), None);
        timer.load(10);
        assert_eq!((timer.due(9), timer.due(10)), (None, Some(10)));
        timer.ringing.store(true, Ordering::Release);
        assert_eq!(timer.due(10), None);
        timer.rang(10, Ring::Woken, 11);
        assert_eq!(timer.due(u64::MAX), None);
    }

    #[test]
    fn a_time_that_was_set_while_it_rang_stays() {
        let timer = Timer::default();
        timer.load(10);
        timer.ringing.store(true, Ordering::Release);
        timer.load(20);
        timer.rang(10, Ring::Woken, 11);
        assert_eq!((timer.due(19), timer.due(20)), (None, Some(20)));
    }

    #[test]
    fn a_failed_ring_is_tried_again_a_little_later() {
        let timer = Timer::default();
        timer.load(10);
        timer.rang(10, Ring::NotStarted, 11);
        assert_eq!((timer.due(11), timer.due(11 + AGAIN_MS)), (None, Some(10)));
    }

    #[test]
    fn a_worker_that_does_not_answer_is_left_alone_for_longer_and_longer() {
        let timer = Timer::default();
        let mut waits = Vec::new();
        for _ in 0..10 {
            timer.rang(10, Ring::NotAnswered, 0);
            timer.set(10);
            waits.push(timer.not_before.load(Ordering::Relaxed) / AGAIN_MS);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64, 64]);
        timer.rang(10, Ring::Woken, 0);
        timer.set(10);
        assert_eq!(timer.due(10), Some(10));
    }

    #[test]
    fn a_timer_is_set_so_often_and_no_oftener() {
        let mut rate = Rate::default();
        assert!((0..BURST).all(|_| rate.take(1_000_000)));
        assert!(!rate.take(1_000_000));
        assert!(rate.take(1_000_000 + REFILL_MS));
        assert!(!rate.take(1_000_000 + REFILL_MS));
        // Looked at when nearly two may be made, it is one now and one a moment later.
        let nearly = 1_000_000 + REFILL_MS * 3 - 1;
        assert!(rate.take(nearly) && !rate.take(nearly) && rate.take(nearly + 1));
    }
}
