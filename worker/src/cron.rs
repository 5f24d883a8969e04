//! Jobs: kept in `cron/jobs.json`, woken by the supervisor's timer, run while no client listens.
//!
//! Keeps no time itself, so a sleeping worker misses nothing: it says when it wants to be woken,
//! and asks the file what is due. What a run does is in `run`, what becomes of a job in `state`.

mod alarm;
mod deliver;
mod expr;
pub(crate) mod input;
pub(crate) mod log;
mod remove;
mod run;
mod schedule;
mod settings;
mod state;
mod table;
mod tend;
mod wake;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use api::ApiError;
use api::cron::{Job, LogEntry};
use tonic::Status;
use types::UnixMillis;

pub(crate) use alarm::{Alarm, Wish};
pub(crate) use deliver::post;
pub(crate) use input::MAX_TEXT;
pub(crate) use remove::{agents_of, is_of, remove};
pub(crate) use run::{start, tell};
pub(crate) use schedule::zone;
pub(crate) use settings::CronSettings;
pub(crate) use table::{FOLDER, Keep, MAX_JOBS, Table, is_job_id};

/// Every folder with files of the timers.
pub(crate) const FOLDERS: [&str; 2] = [FOLDER, log::FOLDER];
pub(crate) use tend::{Started, claim_one, not_found, pump};
pub(crate) use wake::{sync, woken};

use tend::Claim;

use crate::service::Core;
use crate::store::Dir;
use crate::upcalls::Timers;
use crate::{Error, archive};

/// While all slots are taken, what is overdue is looked at so much later at the latest; the end of
/// a run looks at it sooner.
const FULL_MS: u64 = 30_000;

/// While a job runs the worker is woken so often: a run in which the process ended goes on soon.
const GUARD_MS: u64 = 15_000;

/// What jobs need beside their file.
#[derive(Debug)]
pub(crate) struct Cron {
    pub(crate) alarm: Alarm,
    /// Held by whoever changes the file.
    writing: tokio::sync::Mutex<Known>,
    closed: AtomicBool,
}

/// What is known of the file while nobody changes it.
#[derive(Debug, Default)]
struct Known {
    /// Whether each run that the file calls under way is this process's. It is not at the start, nor
    /// after a write that failed: such a one may be in the file all the same.
    is_sure: bool,
    /// The runs that this process has under way, by job and time.
    running: BTreeSet<(String, UnixMillis)>,
}

/// Why a change did not take place.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It is not allowed.
    Refused(ApiError),
    /// The tenant's files could not be read or written.
    Storage(Error),
    /// The supervisor did not take the time.
    Timer(Status),
}

impl From<ApiError> for Failed {
    fn from(err: ApiError) -> Self {
        Self::Refused(err)
    }
}

impl From<Error> for Failed {
    fn from(err: Error) -> Self {
        Self::Storage(err)
    }
}

/// What a change of the table comes with.
#[derive(Debug)]
pub(crate) struct Edit<T> {
    pub(crate) value: T,
    /// Whether the table was changed.
    pub(crate) changed: bool,
    /// Lines of the run log, written before the table is.
    pub(crate) log: Vec<LogEntry>,
}

impl<T> Edit<T> {
    /// The table was changed.
    pub(crate) const fn changed(value: T) -> Self {
        Self { value, changed: true, log: Vec::new() }
    }

    /// The table is as it was.
    pub(crate) const fn unchanged(value: T) -> Self {
        Self { value, changed: false, log: Vec::new() }
    }
}

impl Cron {
    /// No jobs are read yet.
    pub(crate) fn new(timers: Timers) -> Self {
        let (writing, closed) = (tokio::sync::Mutex::default(), AtomicBool::new(false));
        Self { alarm: Alarm::new(timers), writing, closed }
    }

    /// Begins no more runs: the process ends.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Every job, with its present state.
pub(crate) async fn read(core: &Core) -> Result<Table, Failed> {
    change(core, Keep::Nothing, |table, _now| Ok(Edit::unchanged(table.clone()))).await
}

/// Changes the table durably, one change after the other, and sets the timer.
pub(crate) async fn change<T>(
    core: &Core,
    keep: Keep,
    edit: impl FnOnce(&mut Table, UnixMillis) -> Result<Edit<T>, ApiError> + Send,
) -> Result<T, Failed> {
    let mut known = core.cron.writing.lock().await;
    if !known.is_sure {
        mark_restored(core).await?;
        mark_broken_off(core, &mut known.running).await?;
        known.is_sure = true;
    }
    let mut table = core.store.job(Table::read).await?;
    let now = core.store.now();
    let Edit { value, changed, log } = edit(&mut table, now)?;
    known.is_sure = !changed;
    write(core, &table, keep, changed, log).await?;
    *known = Known { is_sure: true, running: under_way(&table) };
    Ok(value)
}

/// The runs that a table calls under way.
fn under_way(table: &Table) -> BTreeSet<(String, UnixMillis)> {
    let running = table.jobs.iter().filter_map(|job| Some((job, job.state.running_at_ms?)));
    running.map(|(job, began)| (job.id.clone(), began)).collect()
}

async fn write(
    core: &Core,
    table: &Table,
    keep: Keep,
    changed: bool,
    lines: Vec<LogEntry>,
) -> Result<(), Failed> {
    let next = next_due(core, table);
    if changed {
        let bytes = table.encode()?;
        core.cron.alarm.before(next).await.map_err(Failed::Timer)?;
        let store = move |root: &Dir| {
            lines.iter().try_for_each(|line| log::append(root, line))?;
            Table::write(root, &bytes, keep)
        };
        core.store.job(store).await?;
    }
    core.cron.alarm.after(Wish::Jobs, next).await;
    Ok(())
}

/// When the worker is to be woken for a job. Never a time that has passed: the supervisor forgets
/// the time for which it has rung.
fn next_due(core: &Core, table: &Table) -> Option<UnixMillis> {
    let (settings, now) = (core.live.now().settings, core.store.now());
    if !settings.cron.is_on() {
        return None;
    }
    let full = running(&table.jobs) >= settings.cron.slots();
    let earliest = now.saturating_add(if full { FULL_MS } else { 1 });
    let times = table.jobs.iter().filter(|job| job.enabled);
    let next = times.filter_map(|job| job.state.next_run_at_ms).min().map(|at| at.max(earliest));
    // Where this process ends in a run, the next one is not to wait for the next time.
    let guard = (running(&table.jobs) > 0).then(|| now.saturating_add(GUARD_MS));
    next.into_iter().chain(guard).min()
}

fn running(jobs: &[Job]) -> usize {
    jobs.iter().filter(|job| job.state.running_at_ms.is_some()).count()
}

/// In a root that was made of a backup, leaves out what was due or under way before that, once.
async fn mark_restored(core: &Core) -> Result<(), Failed> {
    let Some(at) = core.store.job(archive::restored_at).await? else { return Ok(()) };
    let read = |root: &Dir| {
        let table = Table::read(root)?;
        let last = table.jobs.iter().map(|job| log::last_of_job(root, &job.id));
        let last = last.collect::<Result<Vec<_>, Error>>()?;
        Ok((table, last))
    };
    let (mut table, last) = core.store.job(read).await?;
    let (now, mut lines) = (core.store.now(), Vec::new());
    for (job, line) in table.jobs.iter_mut().zip(last) {
        if let Some((ended, logged)) = state::restored(job, line.as_ref(), at) {
            state::end(job, &ended, now);
            if !logged {
                lines.push(state::entry(job, &ended, now));
            }
        }
    }
    write(core, &table, Keep::Nothing, !table.jobs.is_empty(), lines).await?;
    Ok(core.store.job(archive::forget_restored).await?)
}

/// Goes on with what the file calls under way and is not: what was when the last process ended, and what
/// came into the file by a write that failed. Ends on paper what cannot go on.
async fn mark_broken_off(
    core: &Core,
    known: &mut BTreeSet<(String, UnixMillis)>,
) -> Result<(), Failed> {
    let ours = known.clone();
    let read = move |root: &Dir| {
        let table = Table::read(root)?;
        let stray = under_way(&table).into_iter().filter(|run| !ours.contains(run));
        let last = stray.map(|(id, _)| log::last_of_job(root, &id).map(|line| (id, line)));
        let last = last.collect::<Result<Vec<_>, Error>>()?;
        Ok((table, last))
    };
    let (mut table, last) = core.store.job(read).await?;
    if last.is_empty() {
        return Ok(());
    }
    let (now, mut lines, mut going_on) = (core.store.now(), Vec::new(), Vec::new());
    for (id, line) in last {
        let Some(job) = table.job(&id) else { continue };
        if let Some(began) = state::resume(job, line.as_ref()) {
            going_on.push(Claim::again(job.clone(), began));
            continue;
        }
        let Some((ended, logged)) = state::broken_off(job, line.as_ref()) else { continue };
        let after = state::end(job, &ended, now);
        if !logged {
            lines.push(state::entry(job, &ended, now));
        }
        if after == state::After::Remove {
            drop(table.take(&id));
        }
    }
    write(core, &table, Keep::Nothing, true, lines).await?;
    *known = under_way(&table);
    for claim in going_on {
        start(core, claim);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
