//! Which jobs and runs a request wants, and in which order. Pure.

use api::cron::{
    EnabledFilter, Job, LastRunFilter, ListParams, LogEntry, RunStatus, RunsParams, Schedule,
    ScheduleKind, SortBy, SortDir, TriggerFilter,
};

/// Whether a list has this job.
pub(super) fn job(job: &Job, params: &ListParams) -> bool {
    let wanted = match (params.enabled, params.include_disabled) {
        (Some(EnabledFilter::All), _) | (None, Some(true)) => true,
        (Some(EnabledFilter::Enabled) | None, _) => job.enabled,
        (Some(EnabledFilter::Disabled), _) => !job.enabled,
    };
    let kind = match params.schedule_kind {
        None | Some(ScheduleKind::All) => true,
        Some(ScheduleKind::At) => matches!(job.schedule, Schedule::At { .. }),
        Some(ScheduleKind::Every) => matches!(job.schedule, Schedule::Every { .. }),
        Some(ScheduleKind::Cron) => matches!(job.schedule, Schedule::Cron { .. }),
        Some(ScheduleKind::OnExit | ScheduleKind::Stream) => false,
    };
    let agent = params.agent_id.as_deref();
    let trigger = params.trigger != Some(TriggerFilter::Conditional);
    let texts = [
        Some(job.id.as_str()),
        Some(job.name.as_str()),
        job.display_name.as_deref(),
        job.description.as_deref(),
        job.agent_id.as_deref(),
    ];
    wanted
        && kind
        && trigger
        && agent.is_none_or(|agent| job.agent_id.as_deref().unwrap_or("main") == agent)
        && ended(params.last_run_status, job.state.last_run_status)
        && has(params.query.as_deref(), &texts)
}

/// Sorts what a list has. What has no next time comes last, whichever end comes first.
pub(super) fn sort(jobs: &mut [Job], params: &ListParams) {
    let descending = params.sort_dir == Some(SortDir::Desc);
    jobs.sort_by(|a, b| {
        let order = match params.sort_by.unwrap_or(SortBy::NextRun) {
            SortBy::Name => a.name.to_lowercase().cmp(&b.name.to_lowercase()),
            SortBy::Updated => a.updated_at_ms.cmp(&b.updated_at_ms),
            SortBy::NextRun => match (a.state.next_run_at_ms, b.state.next_run_at_ms) {
                (Some(a), Some(b)) => a.cmp(&b),
                (a, b) => return b.is_some().cmp(&a.is_some()),
            },
        };
        let order = if descending { order.reverse() } else { order };
        order.then_with(|| a.id.cmp(&b.id))
    });
}

/// Whether a list has this run. `jobs` are those that there still are.
pub(super) fn entry(entry: &LogEntry, jobs: &[Job], params: &RunsParams) -> bool {
    let statuses = params.statuses.as_deref().unwrap_or_default();
    let deliveries = params.delivery_statuses.as_deref().unwrap_or_default();
    let of_agent = |agent: &str| {
        let job = jobs.iter().find(|job| job.id == entry.job_id);
        job.is_some_and(|job| job.agent_id.as_deref().unwrap_or("main") == agent)
    };
    let texts = [entry.summary.as_deref(), entry.error.as_deref(), entry.job_name.as_deref()];
    let run = params.run_id.as_ref();
    (statuses.is_empty() || entry.status.is_some_and(|status| statuses.contains(&status)))
        && ended(params.status, entry.status)
        && (deliveries.is_empty()
            || entry.delivery_status.is_some_and(|status| deliveries.contains(&status)))
        && params.delivery_status.is_none_or(|status| entry.delivery_status == Some(status))
        && run.is_none_or(|run| entry.run_id.as_ref() == Some(run))
        && params.agent_id.as_deref().is_none_or(of_agent)
        && has(params.query.as_deref(), &texts)
}

fn ended(wanted: Option<LastRunFilter>, status: Option<RunStatus>) -> bool {
    match wanted {
        None | Some(LastRunFilter::All) => true,
        Some(LastRunFilter::Ok) => status == Some(RunStatus::Ok),
        Some(LastRunFilter::Error) => status == Some(RunStatus::Error),
        Some(LastRunFilter::Skipped) => status == Some(RunStatus::Skipped),
        Some(LastRunFilter::Unknown) => status.is_none(),
    }
}

fn has(query: Option<&str>, texts: &[Option<&str>]) -> bool {
    let Some(query) = query.map(|query| query.trim().to_lowercase()) else { return true };
    texts.iter().flatten().any(|text| text.to_lowercase().contains(&query))
}
