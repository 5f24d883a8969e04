//! `cron.*`.

use api::ApiError;
use api::cron::{
    AddParams, Added, Cron, Enqueued, IdParams, Job, JobList, JobView, ListParams, Removed, RunLog,
    RunMode, RunParams, RunsParams, RunsScope, SortDir, Status, StatusParams, UpdateParams,
};
use types::AgentId;

use super::{Call, bounded, storage};
use crate::cron::{self, Edit, Failed, Keep, MAX_JOBS, Started, Table, input, log};
use crate::store;

mod select;

impl Cron for Call<'_> {
    async fn list(&self, params: ListParams) -> Result<JobList, ApiError> {
        let limit = bounded("limit", params.limit, [1, 200], 50)?;
        let offset = usize::try_from(params.offset.unwrap_or(0)).unwrap_or(usize::MAX);
        let mut jobs = cron::read(self.core).await.map_err(failed)?.jobs;
        let newest = jobs.iter().map(|job| job.updated_at_ms).max().unwrap_or(0);
        let snapshot_revision = format!("{newest:x}-{}", jobs.len());
        jobs.retain(|job| select::job(job, &params));
        select::sort(&mut jobs, &params);
        let (total, compact) = (jobs.len(), params.compact == Some(true));
        let page = jobs.into_iter().skip(offset).take(limit);
        let jobs: Vec<_> = page.map(|job| JobView::of(job, compact)).collect();
        let next = offset.saturating_add(jobs.len());
        let has_more = next < total;
        let next_offset = has_more.then_some(next);
        Ok(JobList { jobs, snapshot_revision, total, offset, limit, has_more, next_offset })
    }

    async fn status(&self, _params: StatusParams) -> Result<Status, ApiError> {
        let jobs = cron::read(self.core).await.map_err(failed)?.jobs;
        let enabled = self.core.live.now().settings.cron.is_on();
        let next = jobs.iter().filter(|job| job.enabled).filter_map(|job| job.state.next_run_at_ms);
        Ok(Status {
            enabled,
            triggers_enabled: false,
            store_path: "cron/jobs.json",
            storage: "file",
            jobs: jobs.len(),
            next_wake_at_ms: next.min().filter(|_| enabled),
        })
    }

    async fn get(&self, params: IdParams) -> Result<Job, ApiError> {
        let id = id_of("cron.get", params.id, params.job_id)?;
        let mut table = cron::read(self.core).await.map_err(failed)?;
        table.take(&id).ok_or_else(|| cron::not_found(&id))
    }

    async fn add(&self, params: AddParams) -> Result<Added, ApiError> {
        self.known_agent(params.agent_id.as_deref()).await?;
        let (id, declared) = (uuid::Uuid::new_v4().to_string(), params.declaration_key.clone());
        let key = declared.clone();
        let add = move |table: &mut Table, now| {
            let new = input::job(id, params, now)?;
            let same = |job: &&mut Job| key.is_some() && job.declaration_key == key;
            if let Some(job) = table.jobs.iter_mut().find(same) {
                let updated = input::redeclare(job, new, now);
                let value = (job.clone(), false, updated);
                return Ok(Edit { value, changed: updated, log: Vec::new() });
            }
            if table.jobs.len() >= MAX_JOBS {
                let message = format!("there are {MAX_JOBS} jobs already; remove one first");
                return Err(ApiError::new(api::Code::ResourceExhausted, message));
            }
            table.jobs.push(new.clone());
            Ok(Edit::changed((new, true, false)))
        };
        let added = cron::change(self.core, Keep::Backup, add).await.map_err(failed)?;
        let (job, created, updated) = added;
        if created || updated {
            let action = if created { "added" } else { "updated" };
            cron::tell(self.core, action, &job.id, Some(&job));
        }
        let job = Box::new(job);
        let is_declared = declared.is_some();
        Ok(if is_declared { Added::Declared { created, updated, job } } else { Added::Job(job) })
    }

    async fn update(&self, params: UpdateParams) -> Result<Job, ApiError> {
        let id = id_of("cron.update", params.id, params.job_id)?;
        self.known_agent(params.patch.agent_id.as_ref().and_then(|it| it.as_deref())).await?;
        let (expected, patch) = (params.expected_config_revision, params.patch);
        let update = move |table: &mut Table, now| {
            let job = table.job(&id).ok_or_else(|| cron::not_found(&id))?;
            if expected.is_some() && expected != job.config_revision {
                let message = "the job was changed since; get it again and retry";
                return Err(ApiError::invalid(message));
            }
            input::patch(job, patch, now)?;
            Ok(Edit::changed(job.clone()))
        };
        let job = cron::change(self.core, Keep::Backup, update).await.map_err(failed)?;
        cron::tell(self.core, "updated", &job.id, Some(&job));
        Ok(job)
    }

    async fn remove(&self, params: IdParams) -> Result<Removed, ApiError> {
        let job_id = id_of("cron.remove", params.id, params.job_id)?;
        let removed = cron::remove(self.core, |job| job.id == job_id).await.map_err(failed)? > 0;
        Ok(Removed { ok: true, removed, job_id })
    }

    async fn run(&self, params: RunParams) -> Result<Enqueued, ApiError> {
        let id = id_of("cron.run", params.id, params.job_id)?;
        let slots = self.core.live.now().settings.cron.slots();
        let mode = params.mode.unwrap_or(RunMode::Force);
        let claim = move |table: &mut Table, now| cron::claim_one(table, &id, mode, slots, now);
        let started = cron::change(self.core, Keep::Nothing, claim).await.map_err(failed)?;
        Ok(match started {
            Started::Run(claim) => {
                let run_id = Some(claim.run_id.clone());
                cron::start(self.core, *claim);
                Enqueued { ok: true, enqueued: Some(true), run_id, ..Enqueued::default() }
            }
            Started::Not(why) => {
                Enqueued { ok: true, ran: Some(false), reason: Some(why), ..Enqueued::default() }
            }
        })
    }

    async fn runs(&self, params: RunsParams) -> Result<RunLog, ApiError> {
        let limit = bounded("limit", params.limit, [1, 200], 50)?;
        let offset = usize::try_from(params.offset.unwrap_or(0)).unwrap_or(usize::MAX);
        let id = params.id.as_ref().or(params.job_id.as_ref()).cloned();
        let all = match params.scope {
            Some(scope) => scope == RunsScope::All,
            None => id.is_none(),
        };
        let id = if all { None } else { Some(id_of("cron.runs", id, None)?) };
        let jobs = cron::read(self.core).await.map_err(failed)?.jobs;
        let read = move |root: &store::Dir| match &id {
            // What is no job id has no log, and never becomes a file name.
            Some(id) if !cron::is_job_id(id) => Ok(Vec::new()),
            Some(id) => log::of_job(root, id),
            None => log::of_all(root),
        };
        let mut entries = self.core.store.job(read).await.map_err(|err| storage(&err))?;
        entries.retain(|entry| select::entry(entry, &jobs, &params));
        entries.sort_by_key(|entry| entry.ts);
        if params.sort_dir != Some(SortDir::Asc) {
            entries.reverse();
        }
        let total = entries.len();
        let entries: Vec<_> = entries.into_iter().skip(offset).take(limit).collect();
        let next = offset.saturating_add(entries.len());
        let has_more = next < total;
        let next_offset = has_more.then_some(next);
        Ok(RunLog { entries, total, offset, limit, has_more, next_offset })
    }
}

impl Call<'_> {
    /// Refuses an agent that there is not.
    pub(super) async fn known_agent(&self, id: Option<&str>) -> Result<(), ApiError> {
        let Some(id) = id else { return Ok(()) };
        let agent: AgentId =
            id.parse().map_err(|err| ApiError::invalid(format!("agentId: {err}")))?;
        let found = self.core.store.job(move |root| store::has_agent(root, &agent)).await;
        if found.map_err(|err| storage(&err))? {
            return Ok(());
        }
        Err(ApiError::invalid(format!("agentId: there is no agent {id}")))
    }
}

/// The job that a request names, by exactly one of two fields.
fn id_of(method: &str, id: Option<String>, job_id: Option<String>) -> Result<String, ApiError> {
    match (id, job_id) {
        (Some(id), None) | (None, Some(id)) if !id.is_empty() && id.len() <= 256 => Ok(id),
        (Some(_), Some(_)) => Err(ApiError::invalid(format!(
            "invalid {method} params: id and jobId exclude each other"
        ))),
        (None, None) => Err(ApiError::invalid(format!("invalid {method} params: missing id"))),
        (Some(_), None) | (None, Some(_)) => {
            Err(ApiError::invalid(format!("invalid {method} params: id has 1 to 256 bytes")))
        }
    }
}

/// What a caller is told of a change that did not take place.
pub(super) fn failed(failed: Failed) -> ApiError {
    match failed {
        Failed::Refused(error) => error,
        Failed::Storage(crate::Error::TooLong { .. }) => ApiError::new(
            api::Code::ResourceExhausted,
            "the jobs of a tenant have at most 4 MiB together",
        ),
        Failed::Storage(error) => storage(&error),
        Failed::Timer(status) => {
            tracing::warn!(%status, "the timer was not set");
            let message = "the timer could not be set; try again later";
            let error = ApiError::unavailable(message);
            ApiError { retry_after_ms: Some(1_000), ..error }
        }
    }
}
