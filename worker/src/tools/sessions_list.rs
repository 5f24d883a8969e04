//! `sessions_list`: the conversations of the tenant.

use api::sessions::{ListParams, SessionRow, Sessions};
use serde_json::{Value, json};
use tonic::async_trait;

use super::arguments::{Arguments, invalid};
use super::{Context, Failure, Group, Outcome, Row, Tool, inside};

/// Sessions of one answer where nothing is said, and at most.
const SESSIONS: u64 = 30;
const MAX_SESSIONS: u64 = 100;
/// Kinds in one list.
const MAX_KINDS: usize = 16;
/// Sessions that are looked at where only some kinds are wanted.
const LOOKED_AT: u32 = 1000;

#[derive(Debug)]
pub(super) struct SessionsList;

static ROW: Row = Row {
    name: "sessions_list",
    label: "Sessions",
    group: Group::Sessions,
    is_read_only: true,
    description: "Lists sessions, the newest first, with their keys, titles and the start of their \
                  last message. Read one with sessions_history.",
    parameters: r#"{"type":"object","additionalProperties":false,"properties":{"kinds":{"type":"array","items":{"type":"string"},"description":"Only of these kinds: main, direct, group, channel, cron, hook, subagent, custom."},"limit":{"type":"integer","minimum":1,"maximum":100,"description":"At most so many."},"activeMinutes":{"type":"integer","minimum":1,"description":"Only those used in the last so many minutes."},"messageLimit":{"type":"integer","minimum":0,"maximum":20,"description":"0 leaves the last message out."}}}"#,
};

#[async_trait]
impl Tool for SessionsList {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let kinds = kinds(arguments.value(&["kinds"])?)?;
        let limit = arguments.whole(&["limit"], 1..=MAX_SESSIONS)?.unwrap_or(SESSIONS);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let active = arguments.whole(&["activeMinutes"], 1..=u64::from(u32::MAX))?;
        let last = arguments.whole(&["messageLimit"], 0..=20)?.unwrap_or(1);
        arguments.end()?;
        let own = (!inside::reaches_others(context)).then(|| context.key.agent().clone());
        let params = ListParams {
            agent_id: own,
            limit: Some(LOOKED_AT),
            active_minutes: active.and_then(|minutes| u32::try_from(minutes).ok()),
            include_derived_titles: true,
            include_last_message: last > 0,
            ..ListParams::default()
        };
        let listed = Sessions::list(&inside::call(context), params).await;
        let listed = listed.map_err(inside::failed)?;
        let wanted =
            |row: &SessionRow| kinds.is_empty() || kinds.iter().any(|it| it == row.classification);
        let found: Vec<SessionRow> = listed.sessions.into_iter().filter(wanted).collect();
        let shown: Vec<Value> = found.iter().take(limit).map(shown).collect();
        inside::json(&json!({"count": shown.len(), "total": found.len(), "sessions": shown}))
    }
}

fn kinds(value: Option<Value>) -> Result<Vec<String>, Failure> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let wrong = |_other| invalid(&["kinds"], "must be a list of texts");
    let kinds: Vec<String> = serde_json::from_value(value).map_err(wrong)?;
    if kinds.len() > MAX_KINDS {
        return Err(invalid(&["kinds"], &format!("has at most {MAX_KINDS} entries")));
    }
    Ok(kinds)
}

fn shown(row: &SessionRow) -> Value {
    let mut shown = json!({
        "key": row.key,
        "kind": row.classification,
        "agentId": row.agent_id,
        "label": row.label,
        "title": row.derived_title,
        "lastMessage": row.last_message_preview,
        "updatedAt": row.updated_at,
        "model": row.model,
        "totalTokens": row.total_tokens,
        "isRunning": row.has_active_run,
        "spawnedBy": row.spawned_by,
    });
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    shown
}
