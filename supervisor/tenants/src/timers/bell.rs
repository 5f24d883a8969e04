//! Who rings: one task that waits for the earliest time of all, and starts workers a little ahead where
//! many are due at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use types::UnixMillis;

use super::Ring;
use crate::tenant::{Cause, Tenant};
use crate::{Error, Inner};

/// How long one waits at most: a clock that was set, or a machine that slept, is noticed by then.
const LONGEST_WAIT_MS: u64 = 5_000;

/// How far ahead of its time a worker is started at most.
pub(crate) const LONGEST_LEAD_MS: u64 = 3_000;

/// What a start is taken to need before any was measured, and at least.
const LEAST_START_MS: u64 = 5;

/// How long a worker may take to answer that it was woken.
const ANSWER: Duration = Duration::from_secs(30);

/// What is shared between whoever sets timers and whoever waits for them.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    /// Until when it waits.
    waits_until: AtomicU64,
    changed: Notify,
    /// What a start takes, in microseconds, as a moving mean.
    start_us: AtomicU64,
}

impl Bell {
    /// Somebody has set a timer to `at`; 0 for none.
    pub(crate) fn sooner(&self, at: UnixMillis) {
        // A worker that is awake needs no start ahead, but one may be asleep by then.
        let noticed = at.saturating_sub(LONGEST_LEAD_MS);
        if at > 0 && noticed < self.waits_until.load(Ordering::Acquire) {
            self.look();
        }
    }

    /// Somebody who could not be woken may be now.
    pub(crate) fn look(&self) {
        self.changed.notify_one();
    }

    /// A worker was started.
    pub(crate) fn started(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mean = self.start_us.load(Ordering::Relaxed);
        let mean = if mean == 0 { took } else { mean.saturating_mul(7).saturating_add(took) / 8 };
        self.start_us.store(mean, Ordering::Relaxed);
    }

    /// How long before their time so many are to be started, `at_once` of them at a time.
    fn lead_ms(&self, many: usize, at_once: usize) -> u64 {
        // Starts share the machine, so each takes longer when others are under way, and with what else there is
        // to do: twice what is expected. A worker that is there too soon waits, and one that is not makes jobs late.
        let start = (self.start_us.load(Ordering::Relaxed) / 1000).max(LEAST_START_MS);
        let rounds = u64::try_from(many.div_ceil(at_once.max(1))).unwrap_or(u64::MAX);
        start.saturating_mul(rounds.saturating_add(1)).saturating_mul(2).min(LONGEST_LEAD_MS)
    }
}

/// Rings every timer at its time from now on.
pub(crate) fn start(inner: &Arc<Inner>) {
    let scope = Arc::clone(inner);
    inner.tasks.spawn_until_stopped(async move {
        loop {
            let bell = &scope.bell;
            let now = scope.clock.now();
            // Whoever sets a timer while it is looked at is told apart by this.
            bell.waits_until.store(u64::MAX, Ordering::Release);
            let next = look(&scope, now).unwrap_or(u64::MAX);
            let until = next.min(now.saturating_add(LONGEST_WAIT_MS));
            bell.waits_until.store(until, Ordering::Release);
            let wait = Duration::from_millis(until.saturating_sub(now));
            // A look that came for nothing is harmless.
            drop(tokio::time::timeout(wait, bell.changed.notified()).await);
        }
    });
}

/// Rings what is due, starts what will be soon, and says when to look again. A suspended tenant's
/// timer waits for its resumption, a parked one's for the end of its parking.
fn look(inner: &Arc<Inner>, now: UnixMillis) -> Option<UnixMillis> {
    let mut soon = Vec::new();
    let mut next: Option<UnixMillis> = None;
    for tenant in inner.directory.all() {
        let Some(at) = tenant.timer.next() else { continue };
        if tenant.row.load().suspended || inner.tasks.is_stopping() {
            continue;
        }
        let at = at.max(tenant.parked_until.load(Ordering::Relaxed));
        if at <= now {
            ring(inner, &tenant, now);
        } else if at <= now.saturating_add(LONGEST_LEAD_MS) && may_need_start(&tenant) {
            soon.push((at, tenant));
        } else {
            // Looked at when it may be started ahead.
            let seen =
                if may_need_start(&tenant) { at.saturating_sub(LONGEST_LEAD_MS) } else { at };
            let seen = if seen > now { seen } else { at };
            next = Some(next.map_or(seen, |it| it.min(seen)));
        }
    }
    let ahead = start_ahead(inner, soon, now);
    [next, ahead].into_iter().flatten().min()
}

fn may_need_start(tenant: &Tenant) -> bool {
    tenant.worker.load().as_ref().is_none_or(|worker| worker.is_gone())
}

/// Starts those workers of which it is time, and says when the next thing is to be done.
fn start_ahead(
    inner: &Arc<Inner>,
    mut soon: Vec<(UnixMillis, Arc<Tenant>)>,
    now: UnixMillis,
) -> Option<UnixMillis> {
    soon.sort_by_key(|(at, _)| *at);
    let mut next: Option<UnixMillis> = None;
    let many = soon.len();
    for (at, tenant) in soon {
        let begin = at.saturating_sub(inner.bell.lead_ms(many, inner.starts.at_once()));
        let seen = if begin > now {
            begin
        } else {
            // Once for each time: where it fails, the ring tries again.
            if tenant.timer.ahead_of.swap(at, Ordering::AcqRel) != at {
                let scope = Arc::clone(inner);
                drop(inner.tasks.spawn(async move {
                    // Whoever starts workers has logged why one does not start.
                    drop(tenant.ready_for(&scope, Cause::Upkeep).await);
                }));
            }
            at
        };
        next = Some(next.map_or(seen, |it| it.min(seen)));
    }
    next
}

fn ring(inner: &Arc<Inner>, tenant: &Arc<Tenant>, now: UnixMillis) {
    let Some(at) = tenant.timer.due(now) else { return };
    tenant.timer.ringing.store(true, Ordering::Release);
    let (inner, tenant) = (Arc::clone(inner), Arc::clone(tenant));
    let scope = inner.tasks.clone();
    drop(scope.spawn(async move {
        let (ring, failed) = match wake(&inner, &tenant, at).await {
            Ok(()) => (Ring::Woken, None),
            Err((ring, err)) => (ring, Some(err)),
        };
        tenant.timer.rang(at, ring, inner.clock.now());
        inner.bell.look();
        if let Some(err) = failed {
            let error = types::Chain(&err);
            tracing::warn!(tenant = %tenant.id, error = %error, "a timer could not be rung");
        }
    }));
}

async fn wake(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    at: UnixMillis,
) -> Result<(), (Ring, Error)> {
    let ready = tenant.ready_for(inner, Cause::Upkeep).await;
    let (worker, pass) = ready.map_err(|err| (Ring::NotStarted, err))?;
    let woken = tokio::time::timeout(ANSWER, worker.wake(at)).await;
    // An idle worker that was woken is in use from now on, not since its last request: it says a
    // moment later that it has runs in the background.
    tenant.last_used.fetch_max(inner.clock.now(), Ordering::Relaxed);
    drop(pass);
    let woken = match woken {
        Ok(woken) => woken.map_err(|status| worker.failure(status)),
        Err(_elapsed) => Err(Error::Timeout),
    };
    woken.map_err(|err| (Ring::NotAnswered, err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_are_due_the_earlier_one_begins() {
        let bell = Bell::default();
        assert_eq!(bell.lead_ms(1, 4), 4 * LEAST_START_MS);
        bell.started(Duration::from_millis(40));
        assert_eq!((bell.lead_ms(1, 4), bell.lead_ms(50, 4)), (160, 1120));
        assert_eq!(bell.lead_ms(100_000, 4), LONGEST_LEAD_MS);
        for _ in 0..100 {
            bell.started(Duration::from_millis(10));
        }
        assert!(bell.lead_ms(1, 4) < 60, "{bell:?}");
    }
}
