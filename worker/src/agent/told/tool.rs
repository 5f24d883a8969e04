//! What becomes of a call of a tool, as those are told who watch a run.

use serde::Serialize;
use serde_json::Value;

use super::super::calls::Given;
use crate::openai::Call;

/// Bytes of the arguments of a call that are told; the transcript has all of them.
const MAX_ARGUMENTS: usize = 16 << 10;
/// Characters of a result that are told, and of what there is to show before it: of the latter the
/// end, which is the newest.
const MAX_RESULT: usize = 16_000;
const MAX_PARTIAL: usize = 8_000;

/// A call that begins, goes on or has ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ToolEvent {
    phase: &'static str,
    name: String,
    tool_call_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_result: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_error: Option<bool>,
}

/// A result, or as much of it as there is.
#[derive(Debug, Serialize)]
struct Shown {
    content: [Text; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

#[derive(Debug, Serialize)]
struct Text {
    r#type: &'static str,
    text: String,
}

impl Shown {
    fn new(text: String, details: Option<Value>) -> Self {
        Self { content: [Text { r#type: "text", text }], details }
    }
}

impl ToolEvent {
    /// It begins.
    pub(in super::super) fn started(call: &Call) -> Self {
        let text = call.arguments.as_str();
        let short = text.get(..text.floor_char_boundary(MAX_ARGUMENTS)).unwrap_or_default();
        let args = if short.len() < text.len() {
            Value::from(format!("{short}..."))
        } else {
            serde_json::from_str(text).unwrap_or_else(|_no_json| Value::from(text))
        };
        Self { args: Some(args), ..Self::new("start", call) }
    }

    /// There is something to show.
    pub(in super::super) fn updated(call: &Call, text: &str) -> Self {
        let start = text.char_indices().rev().nth(MAX_PARTIAL - 1).map_or(0, |(at, _)| at);
        let newest = text.get(start..).unwrap_or_default().to_owned();
        Self { partial_result: Some(Shown::new(newest, None)), ..Self::new("update", call) }
    }

    /// It has a result.
    pub(in super::super) fn ended(call: &Call, given: &Given) -> Self {
        let mut text = given.text();
        if let Some((at, _)) = text.char_indices().nth(MAX_RESULT) {
            text.truncate(at);
            text.push_str("\n[...]");
        }
        let result = Shown::new(text, given.details.clone());
        let is_error = Some(given.is_error);
        Self { result: Some(result), is_error, ..Self::new("result", call) }
    }

    fn new(phase: &'static str, call: &Call) -> Self {
        let (name, tool_call_id) = (call.name.clone(), call.id.clone());
        let (args, partial_result, result, is_error) = (None, None, None, None);
        Self { phase, name, tool_call_id, args, partial_result, result, is_error }
    }
}
