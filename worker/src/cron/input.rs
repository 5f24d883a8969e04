//! From what a client sends to a job that can be stored: every limit, named with its field.

use api::ApiError;
use api::cron::{AddParams, Delivery, DeliveryMode, FailureAlert, Job, JobState, Patch, Payload};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use types::{AgentId, UnixMillis};

use super::schedule::Times;
use super::state;
use crate::agent::{self, SessionKey};

/// Characters of a name.
const MAX_NAME: usize = 200;
/// Characters of a description.
const MAX_DESCRIPTION: usize = 2_000;
/// Bytes of a message or of an event's text.
pub(crate) const MAX_TEXT: usize = 64 << 10;
/// Bytes of everything else of a job, as JSON.
const MAX_REST: usize = 16 << 10;
/// Seconds of a turn's time limit: two days, as long as any run may take.
const MAX_TIMEOUT_S: f64 = 172_800.0;

/// A new job.
pub(crate) fn job(id: String, params: AddParams, now: UnixMillis) -> Result<Job, ApiError> {
    let no_script = params.trigger.is_none();
    let mut job = Job {
        id,
        declaration_key: params.declaration_key,
        display_name: params.display_name,
        owner: params.owner,
        agent_id: params.agent_id,
        session_key: params.session_key,
        name: params.name.trim().to_owned(),
        description: params.description,
        enabled: params.enabled.unwrap_or(true),
        delete_after_run: params.delete_after_run,
        created_at_ms: now,
        updated_at_ms: now,
        config_revision: Some(revision(now)),
        schedule: params.schedule,
        pacing: params.pacing,
        session_target: params.session_target,
        wake_mode: params.wake_mode,
        payload: params.payload,
        delivery: params.delivery,
        failure_alert: params.failure_alert,
        state: JobState::default(),
    };
    check(no_script, "trigger must be absent: scripts do not run here")?;
    checked(&mut job, now)?;
    Ok(job)
}

/// Brings the job that a declaration stands for up to date. False where nothing changes.
pub(crate) fn redeclare(job: &mut Job, new: Job, now: UnixMillis) -> bool {
    let old = job.clone();
    let (id, created, state) = (old.id.clone(), old.created_at_ms, old.state.clone());
    let (updated, revision) = (old.updated_at_ms, old.config_revision.clone());
    *job = Job {
        id,
        created_at_ms: created,
        updated_at_ms: updated,
        config_revision: revision,
        state,
        ..new
    };
    if *job == old {
        return false;
    }
    touch(job, old.schedule != job.schedule || old.enabled != job.enabled, now);
    true
}

/// Changes a job.
pub(crate) fn patch(job: &mut Job, patch: Patch, now: UnixMillis) -> Result<(), ApiError> {
    let old = job.clone();
    set(&mut job.name, patch.name);
    set(&mut job.display_name, patch.display_name);
    set(&mut job.agent_id, patch.agent_id);
    set(&mut job.session_key, patch.session_key);
    set(&mut job.description, patch.description.map(Some));
    set(&mut job.enabled, patch.enabled);
    set(&mut job.delete_after_run, patch.delete_after_run.map(Some));
    set(&mut job.schedule, patch.schedule);
    set(&mut job.pacing, patch.pacing);
    set(&mut job.session_target, patch.session_target);
    set(&mut job.wake_mode, patch.wake_mode);
    set(&mut job.failure_alert, patch.failure_alert.map(Some));
    if let Some(payload) = patch.payload {
        job.payload = merged("payload", &job.payload, payload, "kind")?;
    }
    if let Some(delivery) = patch.delivery {
        let none = Delivery {
            mode: DeliveryMode::None,
            channel: None,
            thread_id: None,
            account_id: None,
            best_effort: None,
            failure_destination: None,
            completion_destination: None,
            to: None,
        };
        let before = job.delivery.as_ref().unwrap_or(&none);
        job.delivery = Some(merged("delivery", before, delivery, "mode")?);
    }
    let no_script = patch.trigger.flatten().is_none();
    check(no_script, "patch.trigger must be null: scripts do not run here")?;
    checked(job, now)?;
    touch(job, old.schedule != job.schedule || old.enabled != job.enabled, now);
    Ok(())
}

fn set<T>(field: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *field = new;
    }
}

/// A job was changed by somebody: a new revision, and where its times changed a new next one.
fn touch(job: &mut Job, anew: bool, now: UnixMillis) {
    job.updated_at_ms = now.max(job.updated_at_ms.saturating_add(1));
    job.config_revision = Some(revision(job.updated_at_ms));
    if anew {
        job.state.consecutive_errors = None;
        job.state.auto_disabled = None;
        state::arm(job, now);
    }
}

fn revision(at: UnixMillis) -> String {
    format!("{at:x}")
}

/// Fields over those that are there; where `kind` differs nothing of the old ones stays.
fn merged<T: serde::Serialize + DeserializeOwned>(
    name: &str,
    old: &T,
    new: Map<String, Value>,
    kind: &str,
) -> Result<T, ApiError> {
    let wrong = |err: serde_json::Error| ApiError::invalid(format!("invalid patch.{name}: {err}"));
    let mut whole = match serde_json::to_value(old).map_err(wrong)? {
        Value::Object(fields) if new.get(kind).is_none_or(|new| Some(new) == fields.get(kind)) => {
            fields
        }
        // Another kind; what is no object is none of ours.
        Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_) => Map::new(),
    };
    for (field, value) in new {
        if value.is_null() {
            whole.remove(&field);
        } else {
            whole.insert(field, value);
        }
    }
    serde_json::from_value(Value::Object(whole)).map_err(wrong)
}

fn check(holds: bool, otherwise: &str) -> Result<(), ApiError> {
    if holds { Ok(()) } else { Err(ApiError::invalid(otherwise)) }
}

fn checked(job: &mut Job, now: UnixMillis) -> Result<(), ApiError> {
    names(job)?;
    let times = Times::new(&job.schedule, &job.id, job.created_at_ms).map_err(ApiError::invalid)?;
    // What runs once and has run keeps its schedule.
    if job.enabled {
        times.check(now).map_err(ApiError::invalid)?;
    }
    payload(&job.payload)?;
    target(job)?;
    delivery(job)?;
    let rest = Job { payload: told("-"), ..job.clone() };
    let bytes = serde_json::to_vec(&rest).map_or(usize::MAX, |bytes| bytes.len());
    check(bytes <= MAX_REST, "a job has at most 16 KiB beside its message")?;
    if job.state.next_run_at_ms.is_none() {
        state::arm(job, now);
    }
    Ok(())
}

fn told(text: &str) -> Payload {
    Payload::SystemEvent { text: text.to_owned(), tools_allow: None, tools_allow_is_default: None }
}

fn names(job: &Job) -> Result<(), ApiError> {
    let named = |text: &str| !text.trim().is_empty() && text.chars().count() <= MAX_NAME;
    check(named(&job.name), "name must have 1 to 200 characters")?;
    for (field, text) in [
        ("displayName", &job.display_name),
        ("declarationKey", &job.declaration_key),
        ("agentId", &job.agent_id),
        ("sessionKey", &job.session_key),
    ] {
        let sound = text.as_deref().is_none_or(named);
        check(sound, &format!("{field} must have 1 to 200 characters"))?;
    }
    let long = job.description.as_ref().map_or(0, |text| text.chars().count());
    check(long <= MAX_DESCRIPTION, "description has at most 2000 characters")?;
    if let Some(agent) = &job.agent_id {
        let parsed = agent.parse::<AgentId>();
        parsed.map_err(|err| ApiError::invalid(format!("agentId: {err}")))?;
    }
    if let Some(key) = &job.session_key {
        SessionKey::parse(key).map_err(|fault| ApiError::invalid(fault.message))?;
    }
    let sound = job.failure_alert != Some(FailureAlert::Switch(true));
    check(sound, "failureAlert must be false or an object")
}

fn payload(payload: &Payload) -> Result<(), ApiError> {
    let (name, text) = match payload {
        Payload::SystemEvent { text, .. } => ("payload.text", text),
        Payload::AgentTurn { message, model, fallbacks, thinking, timeout_seconds, .. } => {
            models(model.as_deref(), fallbacks.as_deref().unwrap_or_default())?;
            let known = agent::thinking(thinking.as_deref());
            known.map_err(|fault| ApiError::invalid(format!("payload.{}", fault.message)))?;
            let sound = timeout_seconds.is_none_or(|s| (0.0..=MAX_TIMEOUT_S).contains(&s));
            check(sound, "payload.timeoutSeconds must be from 0 to 172800")?;
            ("payload.message", message)
        }
        Payload::Command { .. } | Payload::Script { .. } => {
            let message = "payload.kind must be systemEvent or agentTurn: programs do not run here";
            return Err(ApiError::invalid(message));
        }
    };
    let sound = !text.trim().is_empty() && text.len() <= MAX_TEXT;
    check(sound, &format!("{name} must have 1 to {MAX_TEXT} bytes"))
}

/// Whether a model can be asked is seen when it is: what a tenant may use changes.
fn models(model: Option<&str>, fallbacks: &[String]) -> Result<(), ApiError> {
    let sound = |name: &str| name.chars().count() <= MAX_NAME;
    check(model.is_none_or(sound), "payload.model must have at most 200 characters")?;
    let few = fallbacks.len() < agent::MAX_MODELS && fallbacks.iter().all(|name| sound(name));
    check(few, "payload.fallbacks must be at most 4 names of at most 200 characters")
}

fn target(job: &Job) -> Result<(), ApiError> {
    let event = matches!(job.payload, Payload::SystemEvent { .. });
    match job.session_target.as_str() {
        "main" => check(event, "sessionTarget main needs payload.kind systemEvent"),
        "isolated" | "current" => {
            check(!event, "sessionTarget isolated or current needs payload.kind agentTurn")
        }
        other => {
            let Some(id) = other.strip_prefix("session:").filter(|id| !id.is_empty()) else {
                let message = "sessionTarget must be main, isolated, current or session:<id>";
                return Err(ApiError::invalid(message));
            };
            check(!event, "sessionTarget session:<id> needs payload.kind agentTurn")?;
            SessionKey::parse(id).map_err(|fault| ApiError::invalid(fault.message))?;
            Ok(())
        }
    }
}

/// A turn in a session of its own is announced unless the job says otherwise.
fn delivery(job: &mut Job) -> Result<(), ApiError> {
    let Some(delivery) = &job.delivery else {
        if job.session_target == "isolated" {
            let announce = serde_json::json!({"mode": "announce"});
            job.delivery = serde_json::from_value(announce).ok();
        }
        return Ok(());
    };
    let to = delivery.to.as_deref().unwrap_or_default();
    let addressed = delivery.mode != DeliveryMode::Webhook || !to.trim().is_empty();
    check(addressed, "delivery.to is needed where delivery.mode is webhook")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const T: UnixMillis = 1_795_348_800_000;

    fn add(change: &Value) -> Result<Job, ApiError> {
        let mut params = json!({
            "name": "n", "schedule": {"kind": "every", "everyMs": 60_000},
            "sessionTarget": "isolated", "wakeMode": "now",
            "payload": {"kind": "agentTurn", "message": "m"},
        });
        let fields = params.as_object_mut().unwrap();
        fields.extend(change.as_object().unwrap().clone());
        job(
            "11111111-1111-4111-8111-111111111111".to_owned(),
            serde_json::from_value(params).unwrap(),
            T,
        )
    }

    #[test]
    fn a_job_is_armed_and_announced() {
        let job = add(&json!({})).unwrap();
        assert_eq!(job.state.next_run_at_ms, Some(T + 60_000));
        assert_eq!(job.delivery.unwrap().mode, DeliveryMode::Announce);
        assert_eq!(add(&json!({"enabled": false})).unwrap().state.next_run_at_ms, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = "x".repeat(MAX_TEXT + 1);
        for (change, wanted) in [
            (json!({"name": " "}), "name must have 1 to 200"),
            (json!({"agentId": "../x"}), "agentId"),
            (json!({"sessionKey": "agent:../x:y"}), "session key"),
            (json!({"description": "x".repeat(2001)}), "description"),
            (json!({"schedule": {"kind": "every", "everyMs": 1}}), "everyMs must be at least 1000"),
            (json!({"schedule": {"kind": "at", "at": "2020-01-01T00:00:00Z"}}), "in the past"),
            (json!({"schedule": {"kind": "cron", "expr": "x"}}), "schedule.expr"),
            (json!({"schedule": {"kind": "on-exit", "command": "ls"}}), "schedule.kind"),
            (json!({"payload": {"kind": "command", "argv": ["ls"]}}), "payload.kind"),
            (json!({"payload": {"kind": "script", "script": "1"}}), "payload.kind"),
            (json!({"payload": {"kind": "agentTurn", "message": long}}), "payload.message"),
            (
                json!({"payload": {"kind": "agentTurn", "message": "m", "thinking": "odd"}}),
                "payload.thinking must be off",
            ),
            (
                json!({"payload": {"kind": "agentTurn", "message": "m",
                    "fallbacks": ["a", "b", "c", "d", "e"]}}),
                "payload.fallbacks must be at most 4",
            ),
            (
                json!({"payload": {"kind": "systemEvent", "text": "t"}}),
                "needs payload.kind agentTurn",
            ),
            (json!({"sessionTarget": "main"}), "needs payload.kind systemEvent"),
            (json!({"sessionTarget": "session:"}), "sessionTarget must be"),
            (json!({"delivery": {"mode": "webhook"}}), "delivery.to"),
            (json!({"trigger": {"script": "1"}}), "trigger"),
            (json!({"failureAlert": true}), "failureAlert"),
            (json!({"owner": {"accountId": "x".repeat(20_000)}}), "16 KiB"),
        ] {
            let told = add(&change).unwrap_err().message;
            assert!(told.contains(wanted), "{change}: {told}");
        }
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let mut job = add(&json!({})).unwrap();
        let before = job.clone();
        let apply = |job: &mut Job, change: Value| {
            patch(job, serde_json::from_value(change).unwrap(), T + 5)
        };
        apply(&mut job, json!({"payload": {"model": "p/m"}, "delivery": {"mode": "none"}}))
            .unwrap();
        assert_ne!(job.config_revision, before.config_revision);
        assert_eq!(job.state.next_run_at_ms, before.state.next_run_at_ms);
        let Payload::AgentTurn { message, model, .. } = &job.payload else { panic!("a turn") };
        assert_eq!((message.as_str(), model.as_deref()), ("m", Some("p/m")));
        apply(&mut job, json!({"schedule": {"kind": "every", "everyMs": 1000}})).unwrap();
        assert_eq!(job.state.next_run_at_ms, Some(T + 1000));
        apply(&mut job, json!({"enabled": false})).unwrap();
        assert_eq!(job.state.next_run_at_ms, None);
        let kind =
            json!({"payload": {"kind": "systemEvent", "text": "t"}, "sessionTarget": "main"});
        apply(&mut job, kind).unwrap();
        apply(&mut job, json!({"payload": {"message": "m"}})).unwrap_err();
    }

    #[test]
    fn a_declaration_that_says_nothing_new_changes_nothing() {
        let mut job = add(&json!({})).unwrap();
        let same = add(&json!({})).unwrap();
        assert!(!redeclare(&mut job, same, T + 9));
        assert!(redeclare(&mut job, add(&json!({"name": "other"})).unwrap(), T + 9));
        assert_eq!((job.name.as_str(), job.created_at_ms), ("other", T));
    }
}
