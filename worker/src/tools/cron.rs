//! `cron`: the jobs of the tenant, through the methods that people use.
//!
//! A job that a run makes or changes has at most the tools of that run, and never this one: no job
//! makes more of itself.

use api::ApiError;
use api::cron::{Cron as Jobs, IdParams, Job, ListParams, Payload, RunParams, RunsParams};
use api::cron::{StatusParams, UpdateParams};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tonic::async_trait;
use types::AgentId;

use super::arguments::{Arguments, invalid};
use super::inside::MAX_KEY;
use super::{Allowed, Context, Failure, Group, Outcome, Row, Tool, inside, policy, rows};
use crate::{cron, heartbeat};

/// Bytes of what a session is told.
const MAX_TEXT: usize = 64 << 10;
/// Characters of the name of a job that is given none.
const MAX_NAME: usize = 60;
/// Jobs of one list.
const MAX_LISTED: u32 = 100;
/// Members of a patch that change what a job does, or as whom.
const DEEDS: [&str; 5] = ["payload", "sessionTarget", "sessionKey", "agentId", "wakeMode"];

#[derive(Debug)]
pub(super) struct Cron;

static ROW: Row = Row {
    name: "cron",
    label: "Cron",
    group: Group::Automation,
    is_read_only: false,
    description: "Looks at and changes scheduled jobs and reminders. A job: {name, schedule: {kind: \
                  \"at\", at: RFC 3339} | {kind: \"every\", everyMs} | {kind: \"cron\", expr, tz}, \
                  payload: {kind: \"agentTurn\", message} for a turn in a session of its own whose \
                  result is announced, or {kind: \"systemEvent\", text} to tell this session \
                  something}. wake tells this session something now or with its next turn.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["action"],"properties":{"action":{"type":"string","enum":["status","list","add","update","remove","run","runs","wake"]},"job":{"type":"object","description":"Of add: the job.","additionalProperties":true},"jobId":{"type":"string","description":"Of update, remove, run and runs."},"patch":{"type":"object","description":"Of update: what changes.","additionalProperties":true},"text":{"type":"string","description":"Of wake: what is told."},"mode":{"type":"string","enum":["now","next-heartbeat"],"description":"Of wake."},"runMode":{"type":"string","enum":["due","force"],"description":"Of run; force if absent."},"includeDisabled":{"type":"boolean","description":"Of list."}}}"#,
};

#[async_trait]
impl Tool for Cron {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        const ACTIONS: [&str; 8] =
            ["status", "list", "add", "update", "remove", "run", "runs", "wake"];
        let mut arguments = Arguments::new(arguments)?;
        let action = arguments.word(&["action"], &ACTIONS)?;
        let call = inside::call(context);
        match action.ok_or_else(|| invalid(&["action"], "is missing"))? {
            "status" => answer(Jobs::status(&call, StatusParams {}).await),
            "list" => {
                let all = arguments.switch(&["includeDisabled"])?;
                let own = (!inside::reaches_others(context)).then(|| context.key.agent());
                let params = json!({"limit": MAX_LISTED, "includeDisabled": all, "agentId": own});
                answer(Jobs::list(&call, read::<ListParams>("list", params)?).await)
            }
            "add" => {
                let job = object(&mut arguments, "job")?;
                check_target(context, &job)?;
                let job = complete(context, job);
                answer(Jobs::add(&call, read("job", job)?).await)
            }
            "update" => update(context, &mut arguments).await,
            "remove" => {
                let id = Some(reached(context, &mut arguments).await?.id);
                answer(Jobs::remove(&call, IdParams { id, job_id: None }).await)
            }
            "run" => {
                let mode = arguments.word(&["runMode"], &["due", "force"])?;
                let id = reached(context, &mut arguments).await?.id;
                let params = json!({"id": id, "mode": mode});
                answer(Jobs::run(&call, read::<RunParams>("run", params)?).await)
            }
            "runs" => {
                let id = Some(reached(context, &mut arguments).await?.id);
                let params = RunsParams { id, ..RunsParams::default() };
                answer(Jobs::runs(&call, params).await)
            }
            _ => wake(context, &mut arguments).await,
        }
    }
}

fn answer(answered: Result<impl serde::Serialize, ApiError>) -> Result<Outcome, Failure> {
    inside::json(&answered.map_err(inside::failed)?)
}

/// The job that is named, which must be one that the run may reach.
async fn reached(context: &Context, arguments: &mut Arguments) -> Result<Job, Failure> {
    let id = Some(arguments.required(&["jobId", "id"], MAX_KEY)?);
    let params = IdParams { id, job_id: None };
    let job = Jobs::get(&inside::call(context), params).await.map_err(inside::failed)?;
    cron::agents_of(&job).iter().try_for_each(|agent| inside::reach(context, agent))?;
    Ok(job)
}

/// Refuses a job, or a change of one, that would act for an agent that the run may not reach.
fn check_target(context: &Context, fields: &Map<String, Value>) -> Result<(), Failure> {
    let wrong = |name: &'static str| invalid(&[name], "must be a text");
    match fields.get("agentId") {
        None => {}
        Some(Value::String(id)) => {
            let no_id = |_invalid| invalid(&["agentId"], "is no agent's id");
            inside::reach(context, &id.parse().map_err(no_id)?)?;
        }
        // A job without an agent is the main one's.
        Some(Value::Null) => inside::reach(context, &AgentId::main())?,
        Some(_) => return Err(wrong("agentId")),
    }
    for name in ["sessionKey", "sessionTarget"] {
        match fields.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(target)) => {
                let target = target.strip_prefix("session:").unwrap_or(target);
                inside::key(context, target)?;
            }
            Some(_) => return Err(wrong(name)),
        }
    }
    Ok(())
}

fn object(arguments: &mut Arguments, name: &'static str) -> Result<Map<String, Value>, Failure> {
    match arguments.value(&[name])? {
        Some(Value::Object(fields)) => Ok(fields),
        Some(_) => Err(invalid(&[name], "must be an object")),
        None => Err(invalid(&[name], "is missing")),
    }
}

fn read<T: DeserializeOwned>(name: &str, value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|err| Failure::Invalid(format!("{name}: {err}")))
}

/// The tools of a job that this run makes.
fn inherited(context: &Context) -> Allowed {
    context.allowed.without(&["cron"])
}

/// A new job with what a model leaves out: whose it is, where it runs, and what it may use.
fn complete(context: &Context, mut job: Map<String, Value>) -> Value {
    let mut payload = match job.remove("payload") {
        Some(Value::Object(payload)) => payload,
        other => {
            // Refused by the method, which says what it must be.
            job.insert("payload".to_owned(), other.unwrap_or(Value::Null));
            return Value::Object(job);
        }
    };
    let is_event = payload.get("kind").and_then(Value::as_str) == Some("systemEvent");
    let text = payload.get(if is_event { "text" } else { "message" }).and_then(Value::as_str);
    let name: String = text.unwrap_or("job").chars().take(MAX_NAME).collect();
    let target = if is_event { "main" } else { "isolated" };
    narrow(&mut payload, &inherited(context));
    let own = context.key.as_str();
    let defaults = [
        ("name", Value::from(name)),
        ("agentId", context.key.agent().as_str().into()),
        ("sessionKey", own.into()),
        ("sessionTarget", target.into()),
        ("wakeMode", "now".into()),
    ];
    for (field, value) in defaults {
        job.entry(field).or_insert(value);
    }
    job.insert("payload".to_owned(), Value::Object(payload));
    let owner = json!({"agentId": context.key.agent(), "sessionKey": own});
    job.insert("owner".to_owned(), owner);
    Value::Object(job)
}

/// Leaves a payload no tool that is not in `most`.
fn narrow(payload: &mut Map<String, Value>, most: &Allowed) {
    let wanted = payload.get("toolsAllow").cloned();
    let wanted = wanted.and_then(|list| serde_json::from_value::<Vec<String>>(list).ok());
    let left = match wanted {
        Some(list) => policy::listed(rows(), &list).and(most),
        None => most.clone(),
    };
    payload.insert("toolsAllow".to_owned(), left.names().into());
    payload.remove("toolsAllowIsDefault");
}

async fn update(context: &Context, arguments: &mut Arguments) -> Result<Outcome, Failure> {
    let call = inside::call(context);
    let job = reached(context, arguments).await?;
    let mut patch = object(arguments, "patch")?;
    check_target(context, &patch)?;
    if DEEDS.iter().any(|name| patch.contains_key(*name)) {
        let mut payload = match patch.remove("payload") {
            None => Map::new(),
            Some(Value::Object(payload)) => payload,
            Some(_) => return Err(invalid(&["patch"], "must have an object as payload")),
        };
        // What the job has is no more than what it may have had, and what this run has.
        let had = listed(&job).map(|list| policy::listed(rows(), list));
        let most = inherited(context);
        let most = had.map_or_else(|| most.clone(), |had| had.and(&most));
        narrow(&mut payload, &most);
        patch.insert("payload".to_owned(), Value::Object(payload));
    }
    let mut params = read::<UpdateParams>("patch", json!({"id": job.id, "patch": patch}))?;
    // What was looked at is what is changed.
    params.expected_config_revision = job.config_revision;
    answer(Jobs::update(&call, params).await)
}

fn listed(job: &Job) -> Option<&Vec<String>> {
    match &job.payload {
        Payload::SystemEvent { tools_allow, .. }
        | Payload::AgentTurn { tools_allow, .. }
        | Payload::Command { tools_allow, .. }
        | Payload::Script { tools_allow, .. } => tools_allow.as_ref(),
    }
}

async fn wake(context: &Context, arguments: &mut Arguments) -> Result<Outcome, Failure> {
    let text = arguments.required(&["text"], MAX_TEXT)?;
    let mode = arguments.word(&["mode"], &["now", "next-heartbeat"])?;
    let (core, key) = (&context.core, &context.key);
    let told = if mode == Some("next-heartbeat") {
        heartbeat::queue(core, key, &text, Some(&context.allowed)).await
    } else {
        heartbeat::tell(core, key, &text, Some(context.allowed.clone())).await
    };
    told.map_err(|err| inside::storage(&err))?;
    inside::json(&json!({"ok": true}))
}
