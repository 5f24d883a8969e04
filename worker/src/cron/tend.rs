//! Claims what is due, in the order of its times and no more at once than there are slots, and
//! starts what was claimed once that is durable.

use api::ApiError;
use api::cron::{Job, RunMode};
use types::UnixMillis;

use super::state::{self, Due};
use super::table::{Keep, Table};
use super::{Edit, Failed, change, read, run, running};
use crate::service::Core;

/// A run that is on disk as begun and not begun yet.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) job: Job,
    pub(crate) began: UnixMillis,
    pub(crate) run_id: String,
    /// Whether an earlier process had begun it.
    pub(crate) is_again: bool,
}

impl Claim {
    /// A run that an earlier process had begun.
    pub(super) fn again(job: Job, began: UnixMillis) -> Self {
        let run_id = state::run_id(&job, began);
        Self { job, began, run_id, is_again: true }
    }
}

/// What came of asking for a run.
#[derive(Debug)]
pub(crate) enum Started {
    Run(Box<Claim>),
    /// Why there is none.
    Not(&'static str),
}

/// Runs what is due. Everything that is to be run later has its time when this returns.
pub(crate) async fn pump(core: &Core) -> Result<(), Failed> {
    let settings = core.live.now().settings;
    if core.cron.is_closed() {
        return Ok(());
    }
    if !settings.cron.is_on() {
        return read(core).await.map(drop);
    }
    let slots = settings.cron.slots();
    let claims = change(core, Keep::Nothing, |table, now| Ok(claim(table, now, slots))).await?;
    for claim in claims {
        run::start(core, claim);
    }
    Ok(())
}

fn claim(table: &mut Table, now: UnixMillis, slots: usize) -> Edit<Vec<Claim>> {
    let mut free = slots.saturating_sub(running(&table.jobs));
    let mut edit = Edit::unchanged(Vec::new());
    let mut order: Vec<_> = table.jobs.iter_mut().collect();
    order.sort_by_key(|job| job.state.next_run_at_ms);
    for job in order {
        match state::due(job, now) {
            Due::Not => continue,
            Due::Overlapped => state::skip(job, now),
            Due::Missed => {
                state::skip(job, now);
                let ended = state::missed(job, now);
                state::end(job, &ended, now);
                edit.log.push(state::entry(job, &ended, now));
            }
            Due::Now if free == 0 => continue,
            Due::Now => {
                free -= 1;
                edit.value.push(begin(job, false, now));
            }
        }
        edit.changed = true;
    }
    edit
}

fn begin(job: &mut Job, is_manual: bool, now: UnixMillis) -> Claim {
    state::begin(job, is_manual, now);
    let began = job.state.running_at_ms.unwrap_or(now);
    Claim { job: job.clone(), began, run_id: state::run_id(job, began), is_again: false }
}

/// Claims a run that somebody asks for.
pub(crate) fn claim_one(
    table: &mut Table,
    id: &str,
    mode: RunMode,
    slots: usize,
    now: UnixMillis,
) -> Result<Edit<Started>, ApiError> {
    let taken = running(&table.jobs);
    let job = table.job(id).ok_or_else(|| not_found(id))?;
    let why = match mode {
        _ if job.state.running_at_ms.is_some() => Some("already-running"),
        RunMode::IfEnabled if !job.enabled => Some("disabled"),
        RunMode::Due if state::due(job, now) != Due::Now => Some("not-due"),
        RunMode::Due | RunMode::Force | RunMode::IfEnabled => None,
    };
    if let Some(why) = why {
        return Ok(Edit::unchanged(Started::Not(why)));
    }
    if taken >= slots {
        let message = format!("{slots} runs of jobs are under way; try again when one has ended");
        return Err(ApiError::unavailable(message));
    }
    Ok(Edit::changed(Started::Run(Box::new(begin(job, true, now)))))
}

/// There is no such job.
pub(crate) fn not_found(id: &str) -> ApiError {
    let shown: String = id.chars().take(64).collect();
    let details = serde_json::json!({"code": "CRON_JOB_NOT_FOUND", "jobId": shown});
    ApiError::invalid(format!("cron job not found: {shown}")).with_details(details)
}
