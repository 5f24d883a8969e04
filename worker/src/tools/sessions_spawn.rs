//! `sessions_spawn`: a task for a sub-agent, which works in a session of its own and is heard of
//! when it has ended.
//!
//! It has the tools of the run that starts it at most, for as long as its session is there. What it
//! says comes to the session that started it as an event, in a turn of its own.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::async_trait;
use types::AgentId;

use super::arguments::{Arguments, invalid};
use super::inside::MAX_KEY;
use super::spawns::Place;
use super::{Allowed, Context, Failure, Group, Outcome, Row, Tool, inside};
use crate::agent::{self, RunHandle, RunOutcome, RunRequest, RunStatus, SessionKey, Source};
use crate::service::Core;
use crate::store::{self, Change, Fields, SessionId};
use crate::{Error, heartbeat};

/// Bytes of a task, as of any message that is not a person's.
const MAX_TASK: usize = 64 << 10;
/// Characters of a label.
const MAX_LABEL: usize = 100;
/// How many runs may have started each other.
pub(super) const MAX_DEPTH: u8 = 2;
/// Seconds of one run: two days, as long as any run may take.
const MAX_SECONDS: u64 = 172_800;
/// Characters of what a sub-agent said that its starter is told; all of it is in its session.
const MAX_TOLD: usize = 12_000;

#[derive(Debug)]
pub(super) struct SessionsSpawn;

static ROW: Row = Row {
    name: "sessions_spawn",
    label: "Spawn sub-agent",
    group: Group::Sessions,
    is_read_only: false,
    description: "Starts a sub-agent for one task, which runs in the background in a session of its \
                  own; this session is told of its result when it has ended, so do not wait for it. \
                  It has at most the tools that you have.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["task"],"properties":{"task":{"type":"string","description":"What is to be done, with everything that must be known for it."},"label":{"type":"string","description":"What it is called."},"agentId":{"type":"string","description":"Another agent than this one."},"model":{"type":"string","description":"Another model: PROVIDER/MODEL."},"thinking":{"type":"string","description":"off, minimal, low, medium, high or xhigh."},"runTimeoutSeconds":{"type":"integer","minimum":0,"maximum":172800,"description":"How long it may take."},"cleanup":{"type":"string","enum":["keep","delete"],"description":"Whether its session stays; keep if absent."}}}"#,
};

/// What a model wants.
struct Wanted {
    task: String,
    label: Option<String>,
    agent: AgentId,
    model: Option<String>,
    thinking: Option<String>,
    timeout: Option<Duration>,
    delete: bool,
}

#[async_trait]
impl Tool for SessionsSpawn {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        if context.depth >= MAX_DEPTH {
            let why = format!("Sub-agents start others {MAX_DEPTH} deep at most.");
            return Err(Failure::Refused(why));
        }
        let wanted = wanted(context, arguments)?;
        inside::reach(context, &wanted.agent)?;
        inside::known(&context.core, &wanted.agent).await?;
        let place = context.core.spawns.take(context.key.as_str())?;
        let (key, handle) = start(context, &wanted).await?;
        follow(context, &wanted, &key, &handle, place);
        inside::json(&json!({
            "status": "accepted",
            "childSessionKey": key.as_str(),
            "runId": handle.id(),
            "note": "You will be told when it has ended.",
        }))
    }
}

fn wanted(context: &Context, arguments: Value) -> Result<Wanted, Failure> {
    let mut arguments = Arguments::new(arguments)?;
    let task = arguments.required(&["task"], MAX_TASK)?;
    let label = arguments.text(&["label"], MAX_LABEL)?;
    let agent = arguments.text(&["agentId"], MAX_KEY)?;
    let model = arguments.text(&["model"], MAX_KEY)?;
    let thinking = arguments.text(&["thinking"], MAX_KEY)?;
    let timeout = arguments.whole(&["runTimeoutSeconds"], 0..=MAX_SECONDS)?;
    let cleanup = arguments.word(&["cleanup"], &["keep", "delete"])?;
    arguments.word(&["runtime"], &["subagent"])?;
    arguments.word(&["mode"], &["run"])?;
    arguments.end()?;
    if task.trim().is_empty() {
        return Err(invalid(&["task"], "must not be empty"));
    }
    let agent = match agent {
        None => context.key.agent().clone(),
        Some(id) => id.parse().map_err(|_no_id| invalid(&["agentId"], "is no agent's id"))?,
    };
    if let Some(model) = model.as_deref().filter(|model| !context.core.models().has(model)) {
        return Err(invalid(&["model"], &format!("is none that may be used: {model}")));
    }
    let thinking = agent::thinking(thinking.as_deref()).map_err(inside::fault)?;
    let timeout = timeout.filter(|s| *s > 0).map(Duration::from_secs);
    let label = label.filter(|label| !label.trim().is_empty());
    let delete = cleanup == Some("delete");
    Ok(Wanted { task, label, agent, model, thinking, timeout, delete })
}

/// What a sub-agent may use that a run at this depth starts.
fn inherited(context: &Context) -> Allowed {
    // Jobs and messages would outlive it, or pass for what the user's own agent says.
    let rest = context.allowed.without(&["cron", "message"]);
    if context.depth.saturating_add(1) >= MAX_DEPTH {
        return rest.without(&["sessions_spawn"]);
    }
    rest
}

/// Makes the session with what its runs may do, and only then starts the first one.
async fn start(context: &Context, wanted: &Wanted) -> Result<(SessionKey, RunHandle), Failure> {
    let core = &context.core;
    let id = uuid::Uuid::new_v4();
    let key = format!("agent:{}:subagent:{id}", wanted.agent);
    let key = SessionKey::parse(&key).map_err(inside::fault)?;
    let (depth, tools) = (context.depth.saturating_add(1), inherited(context));
    let mut fields = Fields::from([
        ("spawnedBy", Value::from(context.key.as_str())),
        ("spawnDepth", depth.into()),
        ("toolsAllow", tools.names().into()),
    ]);
    if let Some(label) = &wanted.label {
        fields.insert("displayName", label.as_str().into());
    }
    let set = Change::Set { session: SessionId::new(), fields };
    let stored = core.store.commit(key.agent(), key.as_str(), set).await;
    stored.map_err(|err| inside::storage(&err))?;
    agent::changed(core, &key, "create", None).await;
    let mut request = RunRequest::new(key.clone(), wanted.task.as_str(), Source::Session);
    request.request_id.clone_from(&context.request_id);
    request.model.clone_from(&wanted.model);
    request.params.reasoning_effort.clone_from(&wanted.thinking);
    request.timeout = wanted.timeout;
    request.depth = depth;
    request.ceiling = Some(tools);
    request.extra_system = vec![format!(
        "You are a sub-agent: the session `{}` has started you for the task below. Nobody answers \
         questions. Do it, and give as your last answer what came of it: that is all that the other \
         session is told.",
        context.key.as_str()
    )];
    let handle = agent::run(core, request).await.map_err(inside::fault)?;
    Ok((key, handle))
}

/// Tells the session that started it when it has ended.
fn follow(context: &Context, wanted: &Wanted, key: &SessionKey, handle: &RunHandle, place: Place) {
    let (run, background) = (context.core.runs.begin(), context.core.events.background());
    let (core, parent, ceiling) =
        (context.core.clone(), context.key.clone(), context.allowed.clone());
    let (key, handle, delete) = (key.clone(), handle.clone(), wanted.delete);
    let label = wanted.label.clone();
    let tasks = core.tasks.clone();
    drop(tasks.spawn(async move {
        let outcome = handle.done().await;
        drop(place);
        let text = told(&key, label.as_deref(), &outcome);
        if !core.runs.is_stopping()
            && let Err(err) = tell(&core, &parent, &text, ceiling).await
        {
            tracing::error!(error = %types::Chain(&err), "a session was not told of its sub-agent");
        }
        if delete {
            remove(&core, &key).await;
        }
        drop((run, background));
    }));
}

/// Tells the session of its sub-agent, unless it is gone: a turn would bring it back.
async fn tell(core: &Core, parent: &SessionKey, text: &str, ceiling: Allowed) -> Result<(), Error> {
    let of = parent.clone();
    let found = core.store.job(move |root| store::session(root, of.agent(), of.as_str())).await?;
    if found.is_some() {
        heartbeat::tell(core, parent, text, Some(ceiling)).await?;
    }
    Ok(())
}

async fn remove(core: &Core, key: &SessionKey) {
    match core.store.delete(key.agent(), key.as_str()).await {
        Ok(_) => agent::changed(core, key, "delete", None).await,
        Err(err) => {
            tracing::error!(error = %types::Chain(&err), "the session of a sub-agent stays");
        }
    }
}

fn told(key: &SessionKey, label: Option<&str>, outcome: &RunOutcome) -> String {
    let how = match outcome.status {
        RunStatus::Ok => "has ended",
        RunStatus::Error => "has failed",
        RunStatus::Timeout => "took too long and was stopped",
        RunStatus::Aborted => "was stopped",
    };
    let named = label.map_or_else(String::new, |label| format!(" \"{label}\""));
    let mut text = format!("The sub-agent{named} ({}) {how}.", key.as_str());
    if let Some(fault) = &outcome.error {
        text.push(' ');
        text.push_str(&fault.message);
    }
    if !outcome.text.trim().is_empty() {
        let said: String = outcome.text.chars().take(MAX_TOLD).collect();
        let cut = if said.len() < outcome.text.len() { " [...]" } else { "" };
        text.push_str(" It said:\n\n");
        text.push_str(&said);
        text.push_str(cut);
    }
    text
}
