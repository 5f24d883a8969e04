//! Every move of a tenant's worker: start, drain, stop, crash, park.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use audit::{Act, Ended, Who};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use types::UnixMillis;

use crate::starts::{LONGEST_PLACE, Place, Seat};
use crate::tenant::Tenant;
use crate::view::State;
use crate::worker::Worker;
use crate::{Error, Inner, launch};

/// Crashes that lie further apart than this are not a loop.
const LOOP_WINDOW_MS: u64 = 60_000;

/// How long a tenant waits after its n-th crash in one window: short ones are a pause before the
/// next start, from [`PARK_AFTER`] on the tenant is parked.
const BACK_OFF_MS: [u64; 9] = [0, 100, 500, 2_000, 30_000, 60_000, 120_000, 300_000, 600_000];

/// The crash from which a tenant is parked, and its requests are refused rather than kept waiting.
const PARK_AFTER: usize = 5;

/// What is remembered of a tenant's crashes; held by whoever moves its worker.
#[derive(Debug, Default)]
pub(crate) struct Control {
    /// Crashes in the present window.
    crashes: usize,
    last_crash: UnixMillis,
    /// When a start was refused because there was no room.
    turned_away: Option<Instant>,
}

impl Control {
    /// Notes a crash and says how long to wait before the next start.
    fn crashed(&mut self, now: UnixMillis) -> u64 {
        let pause = BACK_OFF_MS.get(self.crashes).or(BACK_OFF_MS.last()).copied().unwrap_or(0);
        let again = now.saturating_sub(self.last_crash) <= LOOP_WINDOW_MS.saturating_add(pause);
        self.crashes = if again { self.crashes.saturating_add(1) } else { 1 };
        self.last_crash = now;
        let index = self.crashes.saturating_sub(1).min(BACK_OFF_MS.len().saturating_sub(1));
        BACK_OFF_MS.get(index).copied().unwrap_or(0)
    }

    /// Whether a start was refused for want of room since `asked`.
    pub(crate) fn was_turned_away(&self, asked: Instant) -> bool {
        self.turned_away.is_some_and(|at| at >= asked)
    }

    const fn parks(&self) -> bool {
        self.crashes >= PARK_AFTER
    }
}

/// Starts and verifies a worker. The caller holds the tenant's control.
pub(crate) async fn start(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    control: &mut OwnedMutexGuard<Control>,
) -> Result<Arc<Worker>, Error> {
    may_start(inner, tenant)?;
    if let Some(old) = tenant.worker.swap(None) {
        old.end().await;
        if note_crash(inner, tenant, control) {
            tracing::warn!(tenant = %tenant.id, crashes = control.crashes, "tenant parked");
            parked(inner, tenant);
        }
    }
    wait_out_back_off(inner, tenant, control).await?;
    let _busy = Busy::new(tenant, State::Starting);
    let entered = inner.starts.enter(&tenant.wanted).await;
    let (place, seat) = entered.inspect_err(|why| {
        if matches!(why, Error::Full) {
            inner.metrics.turned_away();
            control.turned_away = Some(Instant::now());
            tracing::info!(tenant = %tenant.id, "no room for a worker");
        }
    })?;
    may_start(inner, tenant)?;
    let started = Instant::now();
    let changes = tenant.settings_changes.load(Ordering::Acquire);
    match launched(inner, tenant, place, seat).await {
        Ok(worker) => {
            inner.metrics.started(started.elapsed());
            inner.bell.started(started.elapsed());
            tenant.worker.store(Some(Arc::clone(&worker)));
            if tenant.settings_changes.load(Ordering::Acquire) != changes {
                // Whoever changed them has found no worker to tell.
                launch::configure(inner, tenant, &worker).await?;
            }
            Ok(worker)
        }
        Err(err) => {
            inner.metrics.start_failed();
            tracing::error!(tenant = %tenant.id, error = %types::Chain(&err), "worker not started");
            if let Error::Unverified(findings) = &err {
                tell_findings(inner, tenant, findings);
            }
            if note_crash(inner, tenant, control) {
                parked(inner, tenant);
            }
            Err(err)
        }
    }
}

/// Whether nothing forbids a start.
fn may_start(inner: &Inner, tenant: &Tenant) -> Result<(), Error> {
    if inner.tasks.is_stopping() {
        return Err(Error::ShuttingDown);
    }
    if tenant.is_ending() {
        return Err(Error::NotFound);
    }
    if tenant.row.load().suspended { Err(Error::Suspended) } else { Ok(()) }
}

/// Launches a worker; others may start meanwhile once it takes long.
async fn launched(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    place: Place,
    seat: Seat,
) -> Result<Arc<Worker>, Error> {
    let mut launch = std::pin::pin!(launch::launch(inner, tenant, seat));
    let soon = tokio::time::timeout(LONGEST_PLACE, &mut launch).await;
    drop(place);
    match soon {
        Ok(launched) => launched,
        Err(_elapsed) => launch.await,
    }
}

/// Stops a worker that is not what it was ordered to be, at once and as if it had crashed: a tenant
/// whose workers go wrong again and again is parked.
pub(crate) async fn refuse(
    inner: &Inner,
    tenant: &Tenant,
    worker: &Worker,
    findings: &[sandbox::Finding],
) {
    tell_findings(inner, tenant, findings);
    let mut control = tenant.control.lock().await;
    // Whoever replaced it meanwhile has ended it.
    let is_current = tenant.worker.load().as_ref().is_some_and(|it| it.id == worker.id);
    if !is_current {
        return;
    }
    tenant.worker.store(None);
    worker.end().await;
    note_crash(inner, tenant, &mut control);
    tracing::error!(tenant = %tenant.id, pid = worker.pid, "worker stopped, for it differs");
}

/// A worker that is not confined as ordered: nothing was routed to it.
fn tell_findings(inner: &Inner, tenant: &Tenant, findings: &[sandbox::Finding]) {
    let what: Vec<_> = findings.iter().map(|finding| finding.what).collect();
    let act = Act::new("worker.unverified", Who::GATEWAY).of_tenant(tenant.id.as_str());
    inner.audit.note(act.on(&what.join(" ")), Ended::refused("confinement_differs"));
    for finding in findings {
        tracing::error!(
            tenant = %tenant.id,
            what = finding.what,
            expected = %finding.expected,
            found = %finding.found,
            "confinement differs"
        );
    }
}

fn parked(inner: &Inner, tenant: &Tenant) {
    let act = Act::new("tenant.parked", Who::GATEWAY).of_tenant(tenant.id.as_str());
    inner.audit.note(act, Ended::done());
}

/// Counts a crash. True where it parks the tenant.
fn note_crash(inner: &Inner, tenant: &Tenant, control: &mut Control) -> bool {
    inner.metrics.crashed();
    let now = inner.clock.now();
    let pause = control.crashed(now);
    tenant.parked_until.store(now.saturating_add(pause), Ordering::Relaxed);
    control.parks()
}

/// Waits out a short back-off; refuses where the tenant is parked.
async fn wait_out_back_off(inner: &Inner, tenant: &Tenant, control: &Control) -> Result<(), Error> {
    let now = inner.clock.now();
    let left = tenant.parked_until.load(Ordering::Relaxed).saturating_sub(now);
    if left == 0 {
        return Ok(());
    }
    if control.parks() {
        return Err(Error::Parked { retry_after_s: left.div_ceil(1000) });
    }
    #[expect(clippy::disallowed_methods, reason = "a back-off is time that must pass")]
    tokio::time::sleep(Duration::from_millis(left)).await;
    Ok(())
}

/// Ends the worker, if there is one, after what it has under way or at the deadline. Holding the
/// control makes requests that arrive meanwhile wait for the successor.
pub(crate) async fn drain(tenant: &Tenant, deadline: Duration) {
    if let Some(worker) = tenant.worker.swap(None) {
        let _busy = Busy::new(tenant, State::Draining);
        worker.drain(deadline).await;
    }
}

/// Ends an idle worker; one that turns out to be at work goes on, and counts as just used. Holding the
/// control makes requests that arrive meanwhile wait for what comes of it.
pub(crate) async fn rest(inner: &Inner, tenant: &Tenant, deadline: Duration) {
    if let Some(worker) = tenant.worker.swap(None) {
        let _busy = Busy::new(tenant, State::Draining);
        if !worker.rest(deadline).await {
            tenant.last_used.store(inner.clock.now(), Ordering::Relaxed);
            tenant.worker.store(Some(worker));
        }
    }
}

/// Forgets crashes: an operator asked for a fresh start.
pub(crate) fn forgive(inner: &Inner, tenant: &Tenant, control: &mut Control) {
    *control = Control::default();
    tenant.parked_until.store(0, Ordering::Relaxed);
    inner.bell.look();
}

/// Shows what is being done while it is done.
pub(crate) struct Busy<'a>(&'a Tenant);

impl<'a> Busy<'a> {
    pub(crate) fn new(tenant: &'a Tenant, state: State) -> Self {
        tenant.busy.store(Some(Arc::new(state)));
        Self(tenant)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.store(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_close_together_park_and_a_quiet_time_forgives() {
        let mut control = Control::default();
        let pauses: Vec<_> = (0..5).map(|n| control.crashed(1_000_000 + n * 1_000)).collect();
        assert_eq!(pauses, [0, 100, 500, 2_000, 30_000]);
        assert!(control.parks());
        assert_eq!(control.crashed(1_000_000_000), 0);
        assert!(!control.parks());
    }

    #[test]
    fn a_loop_slower_than_its_parking_is_still_a_loop() {
        let mut control = Control::default();
        let mut now = 0;
        for _ in 0..20 {
            now += control.crashed(now) + 1_000;
        }
        assert_eq!(control.crashed(now), 600_000);
    }
}
