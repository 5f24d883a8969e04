//! `sessions_history`: what was said in a session.

use api::sessions::{GetParams, Sessions};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tonic::async_trait;

use super::arguments::Arguments;
use super::inside::MAX_KEY;
use super::{Context, Failure, Group, Outcome, Row, Tool, inside};
use crate::store::StoredMessage;

/// Messages where nothing is said, and at most.
const MESSAGES: u64 = 50;
const MAX_MESSAGES: u64 = 200;
/// Characters of one text, and bytes of all that is given, as in `OpenClaw`.
const MAX_TEXT: usize = 4000;
const MAX_BYTES: usize = 80 << 10;

#[derive(Debug)]
pub(super) struct SessionsHistory;

static ROW: Row = Row {
    name: "sessions_history",
    label: "Session history",
    group: Group::Sessions,
    is_read_only: true,
    description: "Gives what was said last in a session, oldest first. Long texts are cut.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["sessionKey"],"properties":{"sessionKey":{"type":"string","description":"The session's key, as sessions_list gives it."},"limit":{"type":"integer","minimum":1,"maximum":200,"description":"At most so many messages."},"includeTools":{"type":"boolean","description":"Whether calls of tools and their results are wanted."}}}"#,
};

#[async_trait]
impl Tool for SessionsHistory {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let key = inside::key(context, &arguments.required(&["sessionKey"], MAX_KEY)?)?;
        let limit = arguments.whole(&["limit"], 1..=MAX_MESSAGES)?.unwrap_or(MESSAGES);
        let tools = arguments.switch(&["includeTools"])?;
        arguments.end()?;
        if inside::entry(&context.core, &key).await?.is_none() {
            return Err(Failure::Invalid(format!("There is no session `{}`.", key.as_str())));
        }
        let limit = u32::try_from(limit).ok();
        let params = GetParams { key: key.as_str().to_owned(), agent_id: None, limit };
        let read = Sessions::get(&inside::call(context), params).await;
        let read = read.map_err(inside::failed)?.messages;
        inside::json(&json!({"sessionKey": key.as_str(), "messages": newest(&read, tools)}))
    }
}

/// The newest messages that fit, oldest first.
fn newest(read: &[Box<RawValue>], tools: bool) -> Vec<Value> {
    let mut left = MAX_BYTES;
    let mut messages = Vec::new();
    for shown in read.iter().rev().filter_map(|raw| shown(raw, tools)) {
        let Some(rest) = left.checked_sub(shown.to_string().len()) else { break };
        left = rest;
        messages.push(shown);
    }
    messages.reverse();
    messages
}

fn shown(raw: &RawValue, tools: bool) -> Option<Value> {
    let message = StoredMessage::parse(raw)?;
    if message.role == "toolResult" && !tools {
        return None;
    }
    let cut = |text: String| match text.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text,
    };
    let mut shown = json!({"role": message.role, "text": cut(message.text())});
    let calls = if tools { message.tool_calls() } else { Vec::new() };
    let calls: Vec<Value> = calls
        .into_iter()
        .map(|(_, name, arguments)| json!({"name": name, "arguments": cut(arguments)}))
        .collect();
    let is_empty = message.text().is_empty() && calls.is_empty();
    if let Some(fields) = shown.as_object_mut().filter(|_| !calls.is_empty()) {
        fields.insert("calls".to_owned(), calls.into());
    }
    (!is_empty).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_fits_is_given_and_tools_only_on_demand() {
        let raw = |value: Value| RawValue::from_string(value.to_string()).unwrap();
        let user = raw(json!({"role": "user", "content": "x".repeat(5000)}));
        let call = json!({"type": "toolCall", "id": "c", "name": "n", "arguments": {"a": 1}});
        let read = [
            user,
            raw(json!({"role": "assistant", "content": [call]})),
            raw(json!({"role": "toolResult", "toolCallId": "c", "content": "r"})),
        ];
        let plain = newest(&read, false);
        assert_eq!(plain.len(), 1);
        assert_eq!(plain[0]["text"].as_str().unwrap().len(), MAX_TEXT + 3);
        let all = newest(&read, true);
        assert_eq!(all[1]["calls"][0]["arguments"], "{\"a\":1}");
        assert_eq!(all[2]["text"], "r");
        let many: Vec<_> = (0..100).map(|_| read[0].clone()).collect();
        assert!(newest(&many, false).len() < 21);
    }
}
