//! Who gives way where memory is short: the idle workers that were used least recently, and of those
//! that are to be always awake only when no other is idle.
//!
//! Ends nothing that is at work: where nobody is idle, those that want to start wait (`starts`).

mod machine;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use types::{Sleep, UnixMillis};

use crate::tenant::Tenant;
use crate::{Inner, admin, lifecycle};
use machine::Machine;

/// How often one looks.
const EVERY: Duration = Duration::from_secs(1);

/// How often one looks for somebody who has become idle while others wait.
const WHILE_WAITING: Duration = Duration::from_millis(100);

/// How long a worker that gives way may take to stop.
const DRAIN: Duration = Duration::from_secs(1);

/// What a worker is taken to hold, in bytes, as long as none has been measured.
const ASSUMED: u64 = 4 << 20;

/// Of the idle workers one in so many is put to sleep at each look while the machine is short.
const SHARE: usize = 8;

/// The part of the machine's memory, one in so many, that is left free where the operator says
/// nothing, and the most that it is.
const FREE_SHARE: u64 = 20;
const MOST_FREE: u64 = 512 << 20;

/// Hundredths of the last ten seconds in which something waited for memory, from which on workers
/// are put to sleep: less is the noise of a machine that works.
const STALLED: f64 = 10.0;

/// The part of the machine's memory, one in so many, that may be left for waits to matter: a tenant
/// that thrashes within its own limit makes the kernel report waits while there is plenty.
const PLENTY: u64 = 4;

pub(crate) fn start(inner: &Arc<Inner>) {
    let scope = Arc::clone(inner);
    inner.tasks.spawn_until_stopped(async move {
        loop {
            let held_up = look(&scope).await;
            let pause = if held_up { WHILE_WAITING } else { EVERY };
            if tokio::time::timeout(pause, scope.starts.short()).await.is_ok() && held_up {
                // Asked again at once by whoever waits; idle workers do not come faster for it.
                tokio::time::sleep_until(tokio::time::Instant::now() + WHILE_WAITING).await;
            }
        }
    });
}

/// Memory of all workers and of the machine, and what follows from it.
async fn look(inner: &Arc<Inner>) -> bool {
    let all = inner.directory.all();
    let machine = Machine::read().await;
    let (sum, mean) = memory(&all);
    let mut too_many = 0;
    let mut room = None;
    let bounds = &inner.workers;
    if let Some(most) = bounds.max_memory {
        room = Some(most.saturating_sub(sum) / mean);
        too_many = sum.saturating_sub(most).div_ceil(mean);
    }
    let mut is_short = false;
    if let Some(machine) = machine {
        let usual = (machine.total / FREE_SHARE).min(MOST_FREE);
        let free = bounds.min_available.unwrap_or(usual);
        let left = machine.available.saturating_sub(free) / mean;
        room = Some(room.map_or(left, |room: u64| room.min(left)));
        is_short = machine.available < free
            || (machine.stalled >= STALLED && machine.available < machine.total / PLENTY);
    }
    inner.starts.set_room(room.map(|room| usize::try_from(room).unwrap_or(usize::MAX)));
    let held_up = inner.starts.held_up();
    let mut wanted = usize::try_from(too_many).unwrap_or(usize::MAX);
    wanted = wanted.max(held_up.min(inner.starts.at_once()));
    // Those that are on their way out count.
    wanted = wanted.saturating_sub(inner.leaving.load(Ordering::Acquire));
    if wanted > 0 || is_short {
        give_way(inner, &all, wanted, is_short);
    }
    held_up > 0
}

/// What all workers hold, and what one does on average.
fn memory(all: &[Arc<Tenant>]) -> (u64, u64) {
    let (mut workers, mut measured, mut sum) = (0_u64, 0_u64, 0_u64);
    for worker in all.iter().filter_map(|tenant| tenant.worker.load_full()) {
        let held = worker.memory.load(Ordering::Relaxed);
        workers = workers.saturating_add(1);
        measured = measured.saturating_add(u64::from(held > 0));
        sum = sum.saturating_add(held);
    }
    let mean = sum.checked_div(measured).filter(|mean| *mean > 0).unwrap_or(ASSUMED);
    (sum.saturating_add(workers.saturating_sub(measured).saturating_mul(mean)), mean)
}

/// Puts idle workers to sleep.
fn give_way(inner: &Arc<Inner>, all: &[Arc<Tenant>], wanted: usize, is_short: bool) {
    let now = inner.clock.now();
    let mut idle: Vec<_> = all.iter().filter_map(|it| Some((rank(inner, it, now)?, it))).collect();
    idle.sort_by_key(|(rank, _)| *rank);
    let share = if is_short { idle.len().div_ceil(SHARE) } else { 0 };
    for ((is_warm, since), tenant) in idle.into_iter().take(wanted.max(share)) {
        // Whoever holds the control is already moving the worker.
        let Ok(control) = Arc::clone(&tenant.control).try_lock_owned() else { continue };
        if is_warm {
            tracing::warn!(tenant = %tenant.id, "memory is short: a warm worker is put to sleep");
        } else {
            let idle_ms = now.saturating_sub(since);
            tracing::info!(tenant = %tenant.id, idle_ms, "memory is short: a worker is put to sleep");
        }
        inner.metrics.gave_way();
        inner.leaving.fetch_add(1, Ordering::AcqRel);
        let (scope, tenant) = (Arc::clone(inner), Arc::clone(tenant));
        drop(inner.tasks.spawn(async move {
            lifecycle::rest(&scope, &tenant, DRAIN).await;
            scope.leaving.fetch_sub(1, Ordering::AcqRel);
            drop(control);
        }));
    }
}

/// In which order idle workers give way; none for one that is at work.
fn rank(inner: &Inner, tenant: &Tenant, now: UnixMillis) -> Option<(bool, UnixMillis)> {
    let since = admin::idle_since(tenant, now)?;
    Some((inner.sleep_of(tenant) == Sleep::Warm, since))
}
