//! Messages cut to what a client wants to show.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::store::{Line, StoredMessage};

/// Bytes of one message in a history; what is longer is left out, with a mark in its place.
const MAX_MESSAGE: usize = 128 << 10;
/// Characters of a message that waits.
const MAX_WAITING: usize = 12_000;
/// What stands where a message was left out, as in `OpenClaw`.
const OMITTED: &str = "[chat.history omitted: message too large]";
/// What stands where a text was cut.
const CUT: &str = "\n...(truncated)...";

/// A message with no text of more than `max` characters, and whole only where it is not too long.
pub(super) fn clipped(line: &Line<'_>, max: usize, all: bool) -> Option<Box<RawValue>> {
    let raw = line.message?;
    if raw.get().len() > MAX_MESSAGE && !all {
        return omitted(line.message().as_ref(), raw);
    }
    // No text of a message is longer than the message.
    if raw.get().len() <= max {
        return Some(raw.to_owned());
    }
    let Ok(mut message) = serde_json::from_str::<Value>(raw.get()) else {
        return Some(raw.to_owned());
    };
    clip(message.get_mut("content")?, max);
    serde_json::value::to_raw_value(&message).ok()
}

/// Where a summary takes over, as clients show it.
pub(super) fn compaction(line: &Line<'_>) -> Option<Box<RawValue>> {
    let content = [serde_json::json!({"type": "text", "text": "Compaction"})];
    let mark = serde_json::json!({"id": line.id, "kind": "compaction"});
    let message = serde_json::json!({"role": "system", "content": content, "__openclaw": mark});
    serde_json::value::to_raw_value(&message).ok()
}

/// The start of a message that waits: the whole of it comes with the history.
pub(super) fn start(text: &str) -> String {
    let mut text = text.to_owned();
    clip_text(&mut text, MAX_WAITING);
    text
}

fn omitted(message: Option<&StoredMessage<'_>>, raw: &RawValue) -> Option<Box<RawValue>> {
    #[derive(serde::Deserialize)]
    struct Timed {
        timestamp: Option<u64>,
    }
    let timed: Option<Timed> = serde_json::from_str(raw.get()).ok();
    let content = [serde_json::json!({"type": "text", "text": OMITTED})];
    let message = serde_json::json!({
        "role": message?.role,
        "content": content,
        "timestamp": timed.and_then(|timed| timed.timestamp),
    });
    serde_json::value::to_raw_value(&message).ok()
}

fn clip(content: &mut Value, max: usize) {
    match content {
        Value::String(text) => clip_text(text, max),
        Value::Array(blocks) => {
            for block in blocks.iter_mut().filter_map(Value::as_object_mut) {
                for name in ["text", "thinking", "data"] {
                    if let Some(Value::String(text)) = block.get_mut(name) {
                        clip_text(text, max);
                    }
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
    }
}

fn clip_text(text: &mut String, max: usize) {
    if let Some((at, _)) = text.char_indices().nth(max) {
        text.truncate(at);
        text.push_str(CUT);
    }
}
