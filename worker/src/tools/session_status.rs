//! `session_status`: the model, the tokens and the times of a session.

use std::borrow::Cow;

use api::sessions::{DescribeParams, Sessions};
use serde_json::{Value, json};
use tonic::async_trait;

use super::arguments::Arguments;
use super::inside::MAX_KEY;
use super::{Context, Failure, Group, Outcome, Row, Tool, inside};

#[derive(Debug)]
pub(super) struct SessionStatus;

static ROW: Row = Row {
    name: "session_status",
    label: "Session status",
    group: Group::Sessions,
    is_read_only: true,
    description: "Tells the model, the tokens used and the times of a session, this one where none is \
                  named, and what time it is now.",
    parameters: r#"{"type":"object","additionalProperties":false,"properties":{"sessionKey":{"type":"string","description":"The session; this one if absent."}}}"#,
};

#[async_trait]
impl Tool for SessionStatus {
    fn row(&self) -> &'static Row {
        &ROW
    }

    fn essence<'a>(&self, result: &'a str) -> Cow<'a, str> {
        let Ok(Value::Object(mut told)) = serde_json::from_str(result) else {
            return result.into();
        };
        told.retain(|name, _| !["now", "updatedAt"].contains(&name.as_str()));
        Value::Object(told).to_string().into()
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let named = arguments.text(&["sessionKey"], MAX_KEY)?;
        arguments.end()?;
        let key = match named.as_deref() {
            Some(text) if text != "current" => inside::key(context, text)?,
            Some(_) | None => context.key.clone(),
        };
        let params = DescribeParams {
            key: key.as_str().to_owned(),
            agent_id: None,
            include_derived_titles: true,
            include_last_message: false,
        };
        let described = Sessions::describe(&inside::call(context), params).await;
        let Some(row) = described.map_err(inside::failed)?.session else {
            return Err(Failure::Invalid(format!("There is no session `{}`.", key.as_str())));
        };
        inside::json(&json!({
            "sessionKey": row.key,
            "agentId": row.agent_id,
            "title": row.derived_title,
            "model": row.model,
            "provider": row.model_provider,
            "thinking": row.thinking_level,
            "inputTokens": row.input_tokens,
            "outputTokens": row.output_tokens,
            "contextTokensUsed": row.last_turn_tokens,
            "contextTokens": row.context_tokens,
            "compactions": row.compaction_count,
            "isRunning": row.has_active_run,
            "status": row.status,
            "spawnedBy": row.spawned_by,
            "updatedAt": time(row.updated_at),
            "now": time(context.core.store.now()),
        }))
    }
}

/// Milliseconds since the epoch as people and models read them.
fn time(millis: u64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_makes_no_other_result() {
        let check = |one: &str, other: &str, same: bool| {
            let (one, other) = (SessionStatus.essence(one), SessionStatus.essence(other));
            assert_eq!(one == other, same, "{one} {other}");
        };
        check(r#"{"a":1,"now":"x","updatedAt":"x"}"#, r#"{"a":1,"now":"y"}"#, true);
        check(r#"{"a":1,"now":"x"}"#, r#"{"a":2,"now":"x"}"#, false);
        check("There is no session.", "There is no session!", false);
    }
}
