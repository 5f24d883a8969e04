//! One run of a job, from its claim to the line in the run log.
//!
//! Begins no turn itself: `agent` does, and this waits for it.

use std::time::Duration;

use api::cron::{DeliveryStatus, Job, LogUsage, Payload, RunStatus, WakeMode};
use serde::Serialize;
use tokio::time::Instant;
use types::{AgentId, UnixMillis};

use super::state::{self, After, Ended};
use super::table::Keep;
use super::tend::Claim;
use super::{Edit, Failed, change, deliver, pump};
use crate::agent::{self, RunHandle, RunOutcome, RunRequest, SessionKey, Source, Stand};
use crate::runs::Run;
use crate::service::Core;
use crate::tools::Allowed;
use crate::{heartbeat, store, tools};

/// How long after it could not be written that a run has ended this is tried again, and at most.
const WRITE_AGAIN: Duration = Duration::from_secs(1);
const WRITE_AGAIN_MOST: Duration = Duration::from_secs(15);
/// How long the session of a run is kept.
const KEEP_SESSION_MS: u64 = 24 * 3_600_000;
/// Sessions that one run puts away at most.
const MAX_PRUNED: usize = 32;

/// What the event `cron` carries.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told<'a> {
    pub(crate) job_id: &'a str,
    pub(crate) action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<&'a Job>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_at_ms: Option<UnixMillis>,
}

/// Says what happens to a job.
pub(crate) fn tell(core: &Core, action: &'static str, id: &str, job: Option<&Job>) {
    let told = Told { job_id: id, action, job, run_at_ms: None };
    core.events.emit("cron", "", &told);
}

/// Starts the run as a task of its own.
pub(crate) fn start(core: &Core, claim: Claim) {
    // Counted as a run, so that a drain waits for what is to be written down at its end.
    let (run, background) = (core.runs.begin(), core.events.background());
    let (core, tasks) = (core.clone(), core.tasks.clone());
    drop(tasks.spawn(async move {
        let (job_id, run_at_ms) = (claim.job.id.as_str(), Some(claim.began));
        let told = Told { job_id, action: "started", job: None, run_at_ms };
        core.events.emit("cron", "", &told);
        let ended = perform(&core, &claim).await;
        if ended.status == RunStatus::Error && core.is_ending().await {
            // Not the end of it: the next process goes on.
            return drop((run, background));
        }
        finish(&core, &run, &claim, ended).await;
        if let Err(failed) = pump(&core).await {
            tracing::error!(?failed, "what is due after a run was not looked at");
        }
        drop((run, background));
    }));
}

/// Writes the end of a run down, however long the files or the timer cannot be written: until then the job
/// does not run again. What the process's end cuts off here the next one does.
async fn finish(core: &Core, run: &Run, claim: &Claim, ended: Ended) {
    let id = claim.job.id.as_str();
    tracing::info!(job = id, run = ended.run_id, status = ?ended.status, "job ended");
    let mut wait = WRITE_AGAIN;
    while let Err(failed) = finished(core, claim, &ended).await {
        tracing::error!(?failed, "the end of a job's run was not written down");
        tokio::select! {
            () = tokio::time::sleep_until(Instant::now() + wait) => {}
            () = run.stopped() => return,
        }
        if core.cron.is_closed() {
            return;
        }
        wait = (wait * 2).min(WRITE_AGAIN_MOST);
    }
    prune(core, &agent_of(&claim.job)).await;
}

async fn finished(core: &Core, claim: &Claim, ended: &Ended) -> Result<(), Failed> {
    let id = claim.job.id.as_str();
    let written = change(core, Keep::Nothing, |table, now| {
        // A job that was removed while it ran, or a later run: nothing to write down.
        let Some(job) = table.job(id).filter(|job| job.state.running_at_ms == Some(claim.began))
        else {
            return Ok(Edit::unchanged(None));
        };
        let after = state::end(job, ended, now);
        let entry = state::entry(job, ended, now);
        if after == After::Remove {
            drop(table.take(id));
        }
        Ok(Edit { value: Some((entry.clone(), after)), changed: true, log: vec![entry] })
    });
    if let Some((entry, after)) = written.await? {
        core.events.emit("cron", "", &entry);
        if after == After::Remove {
            tell(core, "removed", id, None);
        }
    }
    Ok(())
}

/// The agent whose job it is.
pub(crate) fn agent_of(job: &Job) -> AgentId {
    let named = job.agent_id.as_deref().and_then(|id| id.parse().ok());
    named.unwrap_or_else(AgentId::main)
}

/// The session in which the job takes a turn that `began` then.
pub(super) fn session(job: &Job, began: UnixMillis) -> Result<SessionKey, String> {
    let agent = agent_of(job);
    let named = |name: &str| {
        if name.starts_with("agent:") { name.to_owned() } else { format!("agent:{agent}:{name}") }
    };
    let own = job.session_key.as_deref().unwrap_or("main");
    let key = match job.session_target.as_str() {
        "isolated" => format!("agent:{agent}:cron:{}:run:{began}", job.id),
        "main" | "current" => named(own),
        other => named(other.strip_prefix("session:").unwrap_or(other)),
    };
    SessionKey::parse(&key).map_err(|fault| fault.message)
}

async fn perform(core: &Core, claim: &Claim) -> Ended {
    let failed = |why: String| Ended::new(RunStatus::Error, claim.run_id.clone(), Some(why));
    let key = match session(&claim.job, claim.began) {
        Ok(key) => key,
        Err(why) => return failed(why),
    };
    let agent = key.agent().clone();
    match core.store.job(move |root| store::has_agent(root, &agent)).await {
        Ok(true) => {}
        Ok(false) => return failed(format!("there is no agent {}", key.agent())),
        Err(err) => {
            tracing::error!(error = %types::Chain(&err), "a job's agent was not looked up");
            return failed("the tenant's files could not be read".to_owned());
        }
    }
    match &claim.job.payload {
        Payload::SystemEvent { text, tools_allow, .. } => {
            event(core, claim, &key, (text, ceiling(tools_allow.as_deref()))).await
        }
        Payload::AgentTurn {
            message,
            model,
            fallbacks,
            thinking,
            timeout_seconds,
            tools_allow,
            ..
        } => {
            let mut request = RunRequest::new(key.clone(), message.as_str(), Source::Cron);
            request.run_id.clone_from(&claim.run_id);
            request.model.clone_from(model);
            request.fallbacks.clone_from(fallbacks);
            request.ceiling = ceiling(tools_allow.as_deref());
            request.params.reasoning_effort = match agent::thinking(thinking.as_deref()) {
                Ok(level) => level,
                Err(fault) => return failed(format!("payload.{}", fault.message)),
            };
            request.timeout = timeout_seconds
                .filter(|seconds| *seconds > 0.0)
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let name = &claim.job.name;
            request.extra_system = vec![format!("The scheduled job \"{name}\" starts this turn.")];
            turn(core, claim, &key, request).await
        }
        Payload::Command { .. } | Payload::Script { .. } => {
            failed("programs do not run here".to_owned())
        }
    }
}

/// The tools that a job may use at most, where it says so: as jobs do that a run has made.
fn ceiling(list: Option<&[String]>) -> Option<Allowed> {
    list.map(|list| tools::policy::listed(tools::rows(), list))
}

async fn turn(core: &Core, claim: &Claim, key: &SessionKey, mut request: RunRequest) -> Ended {
    let failed = |why: String| Ended::new(RunStatus::Error, claim.run_id.clone(), Some(why));
    request.event = claim.run_id.as_str().into();
    request.is_followed = true;
    let known = match earlier(core, claim, key, &mut request).await {
        Ok(known) => known,
        Err(why) => return failed(why),
    };
    let outcome = match known {
        Some(handle) => handle.done().await,
        None => match agent::run(core, request).await {
            Ok(handle) => handle.done().await,
            Err(fault) => return failed(fault.message),
        },
    };
    let mut ended = of_outcome(claim, key, &outcome);
    if ended.status == RunStatus::Ok {
        (ended.delivery, ended.delivery_error) =
            deliver::result(core, &claim.job, (key, &claim.run_id), &outcome.text).await;
    }
    ended
}

/// What has become of a run that an earlier process had begun: its end, where it had one.
async fn earlier(
    core: &Core,
    claim: &Claim,
    key: &SessionKey,
    request: &mut RunRequest,
) -> Result<Option<RunHandle>, String> {
    if !claim.is_again {
        return Ok(None);
    }
    let stand = agent::stand(core, key, &claim.run_id, &claim.run_id).await.map_err(|err| {
        tracing::error!(error = %types::Chain(&err), "a job's run was not looked up");
        "the tenant's files could not be read".to_owned()
    })?;
    match stand {
        Stand::Known(handle) => Ok(Some(handle)),
        Stand::Cut(run_id) => {
            (request.resumes, request.run_id) = (true, run_id);
            Ok(None)
        }
        Stand::New => Ok(None),
        // What it has come to went with the transcript that it was in.
        Stand::Answered => Err("its session began anew while the job ran".to_owned()),
    }
}

/// Tells the session something: with a turn of its own, or with the next one that there is.
async fn event(
    core: &Core,
    claim: &Claim,
    key: &SessionKey,
    (text, ceiling): (&str, Option<Allowed>),
) -> Ended {
    if claim.job.wake_mode == WakeMode::Now {
        let asked = heartbeat::Asked { run_id: &claim.run_id, ceiling, is_again: claim.is_again };
        return match heartbeat::tell_and_wait(core, key, text, asked).await {
            Ok(outcome) => of_outcome(claim, key, &outcome),
            Err(why) => Ended::new(RunStatus::Error, claim.run_id.clone(), Some(why)),
        };
    }
    match heartbeat::queue(core, key, text, ceiling.as_ref()).await {
        Ok(_queued) => {
            let mut ended = Ended::new(RunStatus::Ok, claim.run_id.clone(), None);
            ended.summary = Some(text.to_owned());
            ended.session_key = Some(key.as_str().to_owned());
            ended
        }
        Err(err) => {
            tracing::error!(error = %types::Chain(&err), "an event was not queued");
            let why = "the tenant's files could not be written".to_owned();
            Ended::new(RunStatus::Error, claim.run_id.clone(), Some(why))
        }
    }
}

fn of_outcome(claim: &Claim, key: &SessionKey, outcome: &RunOutcome) -> Ended {
    let status = match outcome.status {
        agent::RunStatus::Ok => RunStatus::Ok,
        agent::RunStatus::Error | agent::RunStatus::Timeout | agent::RunStatus::Aborted => {
            RunStatus::Error
        }
    };
    let why = || match (&outcome.error, outcome.status) {
        (Some(fault), _) => fault.message.clone(),
        (None, agent::RunStatus::Timeout) => "the run took too long".to_owned(),
        (None, _) => "the run was stopped".to_owned(),
    };
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let usage = outcome.usage.as_ref().map(|usage| LogUsage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
    });
    Ended {
        status,
        error: (status == RunStatus::Error).then(why),
        summary: text(&outcome.text),
        delivery: DeliveryStatus::NotRequested,
        delivery_error: None,
        session_key: Some(key.as_str().to_owned()),
        session_id: outcome.session_id.clone(),
        run_id: claim.run_id.clone(),
        model: text(&outcome.model),
        provider: text(&outcome.provider),
        usage,
    }
}

/// Puts sessions of runs away that are a day old.
async fn prune(core: &Core, agent: &AgentId) {
    let (of, oldest) = (agent.clone(), core.store.now().saturating_sub(KEEP_SESSION_MS));
    let prefix = format!("agent:{agent}:cron:");
    let read = move |root: &store::Dir| {
        let rows = store::sessions(root, &of)?.into_iter().filter(|row| {
            row.updated_at < oldest && row.key.starts_with(&prefix) && row.key.contains(":run:")
        });
        Ok(rows.map(|row| row.key).take(MAX_PRUNED).collect::<Vec<_>>())
    };
    let old = match core.store.job(read).await {
        Ok(old) => old,
        Err(err) => return tracing::error!(error = %types::Chain(&err), "old sessions stay"),
    };
    for key in old {
        if let Err(err) = core.store.delete(agent, &key).await {
            tracing::error!(error = %types::Chain(&err), "an old session stays");
        }
    }
}
