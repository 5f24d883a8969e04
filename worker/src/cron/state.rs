//! What becomes of a job: due, begun, ended, broken off. Pure: the job and the time go in, the
//! changed job comes out.
//!
//! A job runs once for each of its times: that it runs is written down before it does, and what
//! was running when the process ended goes on from what is in its transcript.

use api::cron::{
    AutoDisabled, DeliveryStatus, DisabledReason, Job, LogAction, LogEntry, LogUsage, RunStatus,
    Schedule,
};
use types::UnixMillis;

use super::schedule::Times;

/// How long after its time a job that runs once may still run, for example after a suspension.
const AT_LATEST_MS: u64 = 24 * 3_600_000;
/// How long a recurring job waits after its n-th failure in a row, at least.
const BACK_OFF_MS: [u64; 5] = [30_000, 60_000, 300_000, 900_000, 3_600_000];
/// The failure in a row with which a recurring job is switched off.
const MAX_ERRORS: u64 = 10;
/// How often one run is gone on with: whatever ends the process each time is not to do so for ever.
const MAX_RESUMED: u32 = 5;
/// Characters of an error or a summary that are kept.
const MAX_TEXT: usize = 2_000;

/// Whether a job is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Not now.
    Not,
    /// Now.
    Now,
    /// It runs already; this time is left out.
    Overlapped,
    /// It runs once, and its time is too long ago.
    Missed,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) status: RunStatus,
    pub(crate) error: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) delivery: DeliveryStatus,
    pub(crate) delivery_error: Option<String>,
    pub(crate) session_key: Option<String>,
    pub(crate) session_id: Option<String>,
    pub(crate) run_id: String,
    pub(crate) model: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) usage: Option<LogUsage>,
}

impl Ended {
    /// A run of which there is nothing to say but how it ended.
    pub(crate) fn new(status: RunStatus, run_id: String, error: Option<String>) -> Self {
        Self {
            status,
            error,
            summary: None,
            delivery: DeliveryStatus::NotRequested,
            delivery_error: None,
            session_key: None,
            session_id: None,
            run_id,
            model: None,
            provider: None,
            usage: None,
        }
    }
}

/// Whether a job stays after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Remove,
}

/// The checked schedule of a stored job; one that cannot be read any more has no times.
fn times(job: &Job) -> Option<Times> {
    Times::new(&job.schedule, &job.id, job.created_at_ms).ok()
}

/// Sets when the job runs next, as if it had just been made or changed.
pub(crate) fn arm(job: &mut Job, now: UnixMillis) {
    job.state.next_run_at_ms =
        if job.enabled { times(job).and_then(|it| it.next(now)) } else { None };
}

/// Whether the job is to run at `now`.
pub(crate) fn due(job: &Job, now: UnixMillis) -> Due {
    let Some(at) = job.state.next_run_at_ms.filter(|at| job.enabled && *at <= now) else {
        return Due::Not;
    };
    if job.state.running_at_ms.is_some() {
        return Due::Overlapped;
    }
    let once = matches!(job.schedule, Schedule::At { .. });
    if once && at.saturating_add(AT_LATEST_MS) < now { Due::Missed } else { Due::Now }
}

/// Leaves out the times up to `now`: however many a recurring job has missed, it runs once.
pub(crate) fn skip(job: &mut Job, now: UnixMillis) {
    job.state.next_run_at_ms = match job.schedule {
        Schedule::At { .. } => None,
        Schedule::Every { .. }
        | Schedule::Cron { .. }
        | Schedule::OnExit { .. }
        | Schedule::Stream { .. } => times(job).and_then(|times| times.next(now)),
    };
}

/// The run begins, at its time or because somebody asked for it. To be written durably before it does.
pub(crate) fn begin(job: &mut Job, is_manual: bool, now: UnixMillis) {
    // Two runs of a job never have the same time: their sessions are named after it.
    let last = job.state.last_run_at_ms.unwrap_or(0);
    job.state.running_at_ms = Some(now.max(last.saturating_add(1)));
    job.state.running_is_manual = is_manual.then_some(true);
    if job.state.next_run_at_ms.is_some_and(|at| at <= now) {
        skip(job, now);
    }
}

/// The run has ended, or did not take place.
pub(crate) fn end(job: &mut Job, ended: &Ended, now: UnixMillis) -> After {
    let began = job.state.running_at_ms.take();
    (job.state.resumed, job.state.running_is_manual) = (None, None);
    let state = &mut job.state;
    state.last_run_at_ms = began.or(Some(now));
    state.last_run_status = Some(ended.status);
    state.last_status = Some(ended.status);
    state.last_error = ended.error.as_deref().map(short);
    state.last_duration_ms = began.map(|began| now.saturating_sub(began));
    state.last_delivered = match ended.delivery {
        DeliveryStatus::Delivered => Some(true),
        DeliveryStatus::NotDelivered => Some(false),
        DeliveryStatus::Unknown | DeliveryStatus::NotRequested => None,
    };
    state.last_delivery_status = Some(ended.delivery);
    state.last_delivery_error = ended.delivery_error.as_deref().map(short);
    let failed = ended.status == RunStatus::Error;
    let errors = if failed { state.consecutive_errors.unwrap_or(0).saturating_add(1) } else { 0 };
    state.consecutive_errors = Some(errors);
    if matches!(job.schedule, Schedule::At { .. }) {
        return end_once(job, ended.status);
    }
    if failed && errors >= MAX_ERRORS {
        switch_off(job, DisabledReason::ConsecutiveFailures, errors, now);
    } else if job.enabled {
        let earliest = if failed { now.saturating_add(back_off(errors)) } else { now };
        let next = job.state.next_run_at_ms.filter(|at| *at > now);
        let next = next.or_else(|| times(job)?.next(now));
        match next {
            Some(next) => job.state.next_run_at_ms = Some(next.max(earliest)),
            None => switch_off(job, DisabledReason::ScheduleErrors, errors.max(1), now),
        }
    }
    After::Keep
}

fn end_once(job: &mut Job, status: RunStatus) -> After {
    if job.state.next_run_at_ms.is_some() {
        // It was given a new time while it ran.
        return After::Keep;
    }
    job.enabled = false;
    let goes = status == RunStatus::Ok && job.delete_after_run.unwrap_or(true);
    if goes { After::Remove } else { After::Keep }
}

fn switch_off(job: &mut Job, reason: DisabledReason, consecutive_errors: u64, at_ms: UnixMillis) {
    job.enabled = false;
    job.state.next_run_at_ms = None;
    job.state.auto_disabled = Some(AutoDisabled { reason, at_ms, consecutive_errors });
}

fn back_off(errors: u64) -> u64 {
    let index = usize::try_from(errors.saturating_sub(1)).unwrap_or(usize::MAX);
    BACK_OFF_MS.get(index).or(BACK_OFF_MS.last()).copied().unwrap_or(0)
}

/// The line of the run log, for a job as it is after [`end`].
pub(crate) fn entry(job: &Job, ended: &Ended, now: UnixMillis) -> LogEntry {
    LogEntry {
        ts: now,
        job_id: job.id.clone(),
        action: LogAction::Finished,
        status: Some(ended.status),
        error: ended.error.as_deref().map(short),
        summary: ended.summary.as_deref().map(short),
        delivered: job.state.last_delivered,
        delivery_status: Some(ended.delivery),
        delivery_error: ended.delivery_error.as_deref().map(short),
        session_id: ended.session_id.clone(),
        session_key: ended.session_key.clone(),
        run_id: Some(ended.run_id.clone()),
        run_at_ms: job.state.last_run_at_ms,
        duration_ms: job.state.last_duration_ms,
        next_run_at_ms: job.state.next_run_at_ms,
        model: ended.model.clone(),
        provider: ended.provider.clone(),
        usage: ended.usage,
        job_name: Some(job.name.clone()),
    }
}

/// Whether a run that was under way when the process ended goes on: one that has ended does not, nor one
/// in which the process ended again and again. To be written durably before it does.
pub(crate) fn resume(job: &mut Job, logged: Option<&LogEntry>) -> Option<UnixMillis> {
    let began = job.state.running_at_ms?;
    let has_ended = logged.is_some_and(|entry| entry.run_at_ms == Some(began));
    let resumed = job.state.resumed.unwrap_or(0);
    if has_ended || resumed >= MAX_RESUMED {
        return None;
    }
    job.state.resumed = Some(resumed.saturating_add(1));
    Some(began)
}

/// What a run that was under way when the process ended has come to. `logged` is the last line of
/// the job's run log: a run that had ended is not ended a second time.
pub(crate) fn broken_off(job: &Job, logged: Option<&LogEntry>) -> Option<(Ended, bool)> {
    let began = job.state.running_at_ms?;
    let run_id = run_id(job, began);
    if let Some(entry) = logged.filter(|entry| entry.run_at_ms == Some(began)) {
        let mut ended = Ended::new(entry.status?, run_id, entry.error.clone());
        ended.delivery = entry.delivery_status.unwrap_or(DeliveryStatus::Unknown);
        return Some((ended, true));
    }
    let why = "the process ended again and again while the job ran; the run is not repeated";
    let mut ended = Ended::new(RunStatus::Error, run_id, Some(why.to_owned()));
    ended.delivery = DeliveryStatus::Unknown;
    Some((ended, false))
}

/// What becomes of a job in a root that was made of a backup at `at`. What was due by then may have been
/// done since the backup, and nobody knows: it is left out, whether it would run once or again. So is the
/// rest of a run that was under way; `logged` is the last line of its run log. Gives what is to be written
/// as its end, and whether that is in the log already.
pub(crate) fn restored(
    job: &mut Job,
    logged: Option<&LogEntry>,
    at: UnixMillis,
) -> Option<(Ended, bool)> {
    let is_due = job.enabled && job.state.next_run_at_ms.is_some_and(|next| next <= at);
    if is_due {
        skip(job, at);
    }
    if let Some(began) = job.state.running_at_ms {
        let is_logged = logged.is_some_and(|entry| entry.run_at_ms == Some(began));
        if is_logged {
            return broken_off(job, logged);
        }
        let why = "the backup was made while it ran, and nobody knows what it came to".to_owned();
        let mut ended = Ended::new(RunStatus::Skipped, run_id(job, began), Some(why));
        ended.delivery = DeliveryStatus::Unknown;
        return Some((ended, false));
    }
    let once = matches!(job.schedule, Schedule::At { .. });
    (is_due && once).then(|| {
        let why = "its time was between the backup and its restore; it is not repeated".to_owned();
        (Ended::new(RunStatus::Skipped, run_id(job, at), Some(why)), false)
    })
}

/// What did not take place because it was too late.
pub(crate) fn missed(job: &Job, now: UnixMillis) -> Ended {
    let why = "missed: its time was more than a day ago".to_owned();
    Ended::new(RunStatus::Skipped, run_id(job, now), Some(why))
}

/// The id of the run that began then: the same in every process that goes on with it.
pub(crate) fn run_id(job: &Job, began: UnixMillis) -> String {
    let kind = if job.state.running_is_manual == Some(true) { "manual" } else { "cron" };
    format!("{kind}:{}:{began}:0", job.id)
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
pub(super) mod tests;
