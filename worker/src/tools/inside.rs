//! The gateway's own methods, as tools call them: for the tenant whose worker this is.

use api::ApiError;
use proto::worker::Caller;
use serde::Serialize;
use types::AgentId;

use super::{Context, Failure, Outcome};
use crate::agent::SessionKey;
use crate::methods::Call;
use crate::openai::Fault;
use crate::service::Core;
use crate::store::{self, Row};

/// Bytes of a session key or a label, as a model writes it.
pub(super) const MAX_KEY: usize = 512;

/// A call of methods on behalf of a run.
pub(super) fn call(context: &Context) -> Call<'_> {
    Call {
        core: &context.core,
        caller: Caller::default(),
        request_id: context.run_id.clone(),
        interim: None,
        event_id: String::new(),
        settled: false,
        redelivered: false,
    }
}

/// What a model is told of a method that failed.
pub(super) fn failed(err: ApiError) -> Failure {
    if err.code == api::Code::InvalidRequest {
        return Failure::Invalid(err.message);
    }
    Failure::Failed(err.message)
}

/// What a model is told of a run or a model call that failed.
pub(super) fn fault(fault: Fault) -> Failure {
    match fault.status {
        400..=428 => Failure::Invalid(fault.message),
        _ => Failure::Failed(fault.message),
    }
}

/// What a model is told where our own files fail. Logs the cause.
pub(super) fn storage(err: &crate::Error) -> Failure {
    fault(Fault::storage(err))
}

/// A result as JSON, which is also what programs get.
pub(super) fn json(value: &impl Serialize) -> Result<Outcome, Failure> {
    let text = serde_json::to_string(value)
        .map_err(|err| Failure::Failed(format!("The result has no JSON form: {err}.")))?;
    Ok(Outcome::text(text))
}

/// Whether a run may reach other agents than its own: their sessions and jobs.
pub(super) fn reaches_others(context: &Context) -> bool {
    context.core.live.now().settings.tools.agent_to_agent.enabled
}

/// Refuses another agent than the run's own, unless the settings open agents to each other.
pub(super) fn reach(context: &Context, agent: &AgentId) -> Result<(), Failure> {
    if agent == context.key.agent() || reaches_others(context) {
        return Ok(());
    }
    let why = format!("`{agent}` is another agent: tools.agentToAgent.enabled is not set.");
    Err(Failure::Refused(why))
}

/// The session that a model names; a name without an agent is of the run's own. One of another agent
/// is refused where that is not to be reached.
pub(super) fn key(context: &Context, text: &str) -> Result<SessionKey, Failure> {
    let text = text.trim();
    let whole = text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("agent:"));
    let parsed = if whole {
        SessionKey::parse(text)
    } else {
        SessionKey::parse(&format!("agent:{}:{text}", context.key.agent()))
    };
    let key = parsed.map_err(fault)?;
    reach(context, key.agent())?;
    Ok(key)
}

/// The entry of a session, if there is one.
pub(super) async fn entry(core: &Core, key: &SessionKey) -> Result<Option<Row>, Failure> {
    let key = key.clone();
    let read = core.store.job(move |root| store::session(root, key.agent(), key.as_str()));
    read.await.map_err(|err| storage(&err))
}

/// Refuses an agent that the tenant does not have.
pub(super) async fn known(core: &Core, agent: &AgentId) -> Result<(), Failure> {
    let wanted = agent.clone();
    let found = core.store.job(move |root| store::has_agent(root, &wanted)).await;
    if found.map_err(|err| storage(&err))? {
        return Ok(());
    }
    Err(Failure::Invalid(format!("There is no agent `{agent}`.")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::tools::testing::Bench;

    #[tokio::test]
    async fn other_agents_are_out_of_reach_until_the_settings_say_otherwise() {
        let bench = Bench::new().await;
        let made = json!({"name": "ops", "workspace": "x"});
        bench.harness.call("agents.create", &made).await.unwrap();
        let job = |more: serde_json::Value| {
            let mut job = json!({
                "schedule": {"kind": "every", "everyMs": 3_600_000},
                "payload": {"kind": "agentTurn", "message": "go"},
            });
            job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"action": "add", "job": job})
        };
        let their = "agent:ops:main";
        let refused = [
            ("sessions_history", json!({"sessionKey": their})),
            ("sessions_send", json!({"sessionKey": their, "message": "x"})),
            ("sessions_send", json!({"sessionKey": "x", "agentId": "ops", "message": "x"})),
            ("session_status", json!({"sessionKey": their})),
            ("sessions_spawn", json!({"task": "x", "agentId": "ops"})),
            ("cron", job(json!({"agentId": "ops"}))),
            ("cron", job(json!({"sessionKey": their}))),
            ("cron", job(json!({"sessionTarget": "session:agent:ops:main"}))),
        ];
        for (tool, arguments) in refused {
            let why = bench.refusal(tool, arguments).await;
            assert!(why.contains("`ops` is another agent"), "{tool}: {why}");
        }
        let open = json!({"tools": {"agentToAgent": {"enabled": true}}});
        bench.harness.configure(&open).await;
        let why = bench.refusal("sessions_history", json!({"sessionKey": their})).await;
        assert!(why.contains("There is no session"), "{why}");
        let added = bench.text("cron", job(json!({"agentId": "ops"}))).await;
        let added: serde_json::Value = serde_json::from_str(&added).unwrap();
        bench.harness.configure(&json!({})).await;
        for action in ["run", "runs", "remove", "update"] {
            let mut asked = json!({"action": action, "jobId": added["id"]});
            if action == "update" {
                asked["patch"] = json!({"agentId": "main"});
            }
            let why = bench.refusal("cron", asked).await;
            assert!(why.contains("`ops` is another agent"), "{action}: {why}");
        }
        let listed = bench.text("cron", json!({"action": "list"})).await;
        assert!(!listed.contains("ops"), "{listed}");
    }
}
