//! `agent`, `agent.wait` and `agent.identity.get`.

use std::time::Duration;

use api::ApiError;
use api::agent::{
    Accepted, Agent, AgentMeta, AgentParams, AgentReply, AgentResult, Identity, IdentityParams,
    Meta, Payload, Usage, WaitParams, Waited,
};
use serde_json::json;
use types::AgentId;

use super::chat::{check_message, check_run_id, expect_id, images, known_state};
use super::sessions::{keyed, known};
use super::{Call, failed, known_model, session_key, storage};
use crate::agent::{self, RunHandle, RunOutcome, RunRequest, RunStatus, SessionKey, Source};
use crate::agents;
use crate::store::{self, Dir};

/// Bytes of what a caller adds to the system prompt.
const MAX_SYSTEM: usize = 64 << 10;
/// How long `agent.wait` waits where nothing is said, and at most, in milliseconds.
const WAIT: u64 = 30_000;
const MAX_WAIT: u64 = 3_600_000;

impl Agent for Call<'_> {
    async fn agent(&self, params: AgentParams) -> Result<AgentReply, ApiError> {
        let run_id = check_run_id(&params.idempotency_key)?.to_owned();
        let key = session(self, &params).await?;
        let accepted = Accepted {
            run_id: run_id.clone(),
            session_key: key.as_str().to_owned(),
            agent_id: key.agent().clone(),
            status: "accepted",
            accepted_at: self.core.store.now(),
        };
        let run = match self.core.desk.find(&run_id, Some(key.as_str())) {
            Some(run) => run,
            None => begin(self, params, key, run_id).await?,
        };
        self.answer_first(&accepted).await?;
        // Whoever asked may go away: the run is a task of its own.
        reply(&run, &*run.done().await)
    }

    async fn wait(&self, params: WaitParams) -> Result<Waited, ApiError> {
        let run_id = params.run_id;
        let Some(run) = self.core.desk.find(&run_id, None) else {
            return Ok(waited(run_id, None));
        };
        let wait = Duration::from_millis(params.timeout_ms.unwrap_or(WAIT).min(MAX_WAIT));
        let ended = tokio::time::timeout(wait, run.done()).await;
        Ok(waited(run_id, ended.ok().as_deref()))
    }

    async fn identity(&self, params: IdentityParams) -> Result<Identity, ApiError> {
        let of_session = match params.session_key.as_deref().filter(|key| !key.is_empty()) {
            Some(key) => Some(keyed(key, params.agent_id.as_ref())?.agent().clone()),
            None => None,
        };
        let id = params.agent_id.or(of_session).unwrap_or_else(AgentId::main);
        let wanted = id.clone();
        let read = self.core.store.job(move |root| agents::get(root, &wanted)).await;
        let Some(agent) = read.map_err(|err| storage(&err))? else {
            return Err(super::unknown_agent(id.as_str()));
        };
        let name_source = if agent.settings.name.is_some() { "agent" } else { "default" };
        let avatar_status = match agent.settings.avatar.as_deref() {
            None => "none",
            Some(avatar) if avatar.starts_with("data:") => "data",
            Some(avatar) if avatar.starts_with("https:") || avatar.starts_with("http:") => "remote",
            Some(_) => "local",
        };
        Ok(Identity {
            name: agent.name().to_owned(),
            name_source,
            avatar: agent.settings.avatar,
            avatar_status,
            emoji: agent.settings.emoji,
            agent_id: agent.id,
        })
    }
}

/// The session that a message is for.
async fn session(call: &Call<'_>, params: &AgentParams) -> Result<SessionKey, ApiError> {
    let named = params.session_key.as_deref().filter(|key| !key.trim().is_empty());
    let key = match (named, params.session_id.as_deref().filter(|id| !id.is_empty())) {
        (Some(key), _) => keyed(key, params.agent_id.as_ref())?,
        (None, Some(id)) => with_id(call, params.agent_id.clone(), id).await?,
        (None, None) => {
            let agent = params.agent_id.clone().unwrap_or_else(AgentId::main);
            session_key(&format!("agent:{agent}:main"))?
        }
    };
    known(call, key.agent()).await?;
    Ok(key)
}

/// The session whose transcript has this id, or a new one that is called so.
async fn with_id(
    call: &Call<'_>,
    agent: Option<AgentId>,
    id: &str,
) -> Result<SessionKey, ApiError> {
    let agent = agent.unwrap_or_else(AgentId::main);
    let (of, wanted) = (agent.clone(), id.to_owned());
    let read = move |root: &Dir| {
        let rows = store::sessions(root, &of)?;
        Ok(rows.into_iter().find(|row| row.session_id.as_str() == wanted).map(|row| row.key))
    };
    let found = call.core.store.job(read).await.map_err(|err| storage(&err))?;
    session_key(&found.unwrap_or_else(|| format!("agent:{agent}:explicit:{id}")))
}

async fn begin(
    call: &Call<'_>,
    params: AgentParams,
    key: SessionKey,
    run_id: String,
) -> Result<RunHandle, ApiError> {
    if params.message.trim().is_empty() && params.attachments.is_empty() {
        return Err(ApiError::invalid("message must not be empty without attachments"));
    }
    check_message(&params.message)?;
    let known = known_state(call, &key, &run_id).await?;
    if let Some(run) = known.earlier.run {
        return Ok(run);
    }
    expect_id(known.row.as_ref(), params.expected_existing_session_id.as_deref())?;
    let model = match (params.provider.as_deref(), params.model) {
        (Some(provider), Some(model)) if !model.contains('/') => {
            Some(format!("{provider}/{model}"))
        }
        (_, model) => model,
    };
    if let Some(model) = &model {
        known_model(call, model)?;
    }
    let system = params.extra_system_prompt.filter(|text| !text.trim().is_empty());
    if system.as_ref().is_some_and(|text| text.len() > MAX_SYSTEM) {
        let message = format!("extraSystemPrompt must have at most {MAX_SYSTEM} bytes");
        return Err(ApiError::invalid(message));
    }
    let mut request = RunRequest::new(key, params.message, Source::Agent);
    request.run_id = run_id;
    request.images = images(params.attachments)?;
    request.model = model;
    request.extra_system = system.into_iter().collect();
    request.params.reasoning_effort =
        agent::thinking(params.thinking.as_deref()).map_err(failed)?;
    request.deliver = params.deliver;
    request.timeout = params.timeout.filter(|s| *s > 0).map(Duration::from_secs);
    request.request_id.clone_from(&call.request_id);
    request.client.clone_from(&call.caller.client);
    agent::run(call.core, request).await.map_err(failed)
}

fn reply(run: &RunHandle, ended: &RunOutcome) -> Result<AgentReply, ApiError> {
    let message = || ended.error.as_ref().map_or_else(String::new, |fault| fault.message.clone());
    let (status, summary) = match ended.status {
        RunStatus::Ok => ("ok", "completed".to_owned()),
        RunStatus::Aborted => ("timeout", "aborted".to_owned()),
        RunStatus::Timeout => ("timeout", message()),
        RunStatus::Error => {
            let error = ended.error.clone().map(failed);
            let error = error.unwrap_or_else(|| ApiError::unavailable("the run failed"));
            return Err(error.with_details(json!({"runId": run.id(), "status": "error"})));
        }
    };
    let usage = ended.usage.map(|used| Usage {
        input: used.input_tokens.saturating_sub(used.cached_tokens),
        output: used.output_tokens,
        cache_read: used.cached_tokens,
        cache_write: 0,
        total: used.input_tokens.saturating_add(used.output_tokens),
    });
    let payload = Payload { text: ended.text.clone(), media_url: None };
    let payloads = if ended.text.is_empty() { Vec::new() } else { vec![payload] };
    let meta = Meta {
        duration_ms: ended.ended_at.saturating_sub(ended.started_at),
        agent_meta: AgentMeta {
            session_id: ended.session_id.clone(),
            provider: ended.provider.clone(),
            model: ended.model.clone(),
            usage,
        },
        aborted: ended.status == RunStatus::Aborted,
    };
    let result = AgentResult { payloads, meta };
    Ok(AgentReply { run_id: run.id().to_owned(), status, summary, result })
}

fn waited(run_id: String, ended: Option<&RunOutcome>) -> Waited {
    let status = match ended.map(|ended| ended.status) {
        Some(RunStatus::Ok) => "ok",
        Some(RunStatus::Error) => "error",
        Some(RunStatus::Timeout | RunStatus::Aborted) | None => "timeout",
    };
    Waited {
        run_id,
        status,
        started_at: ended.map(|ended| ended.started_at),
        ended_at: ended.map(|ended| ended.ended_at),
        error: ended.and_then(|ended| Some(ended.error.as_ref()?.message.clone())),
        stop_reason: ended.map(|ended| ended.stop_reason),
    }
}
