//! What a turn leaves in the transcript.

use proto::host::{Message, Role};
use serde_json::value::RawValue;
use types::UnixMillis;

use super::calls::Given;
use super::prompt::text_of;
use super::run::RunStatus;
use super::turn::Failed;
use crate::Error;
use crate::openai::{Call, Fold};
use crate::store::{Block, Fields, Origin, Provenance, Stop, Stored, Totals, Usage, raw_text};

/// A request's messages as they are stored. `before` is what they may answer.
pub(super) fn incoming(
    messages: &[Message],
    before: &[Message],
    now: UnixMillis,
) -> Result<Vec<Stored>, Error> {
    let mut stored = Vec::with_capacity(messages.len());
    for message in messages {
        let mut content = vec![Block::Text { text: raw_text(&text_of(message))? }];
        stored.push(match message.role() {
            Role::Tool => Stored::ToolResult {
                tool_call_id: message.tool_call_id.clone(),
                tool_name: name_of_call(&message.tool_call_id, before, messages),
                content,
                details: None,
                is_error: false,
                timestamp: now,
            },
            Role::Assistant => {
                for call in &message.tool_calls {
                    content.push(tool_call(&call.id, &call.name, &call.arguments)?);
                }
                let by = Totals {
                    provider: "client".into(),
                    model: "client".into(),
                    ..Totals::default()
                };
                let stop = if message.tool_calls.is_empty() { Stop::Done } else { Stop::ToolUse };
                said(content, by, stop, None, now)
            }
            Role::User | Role::System | Role::Unspecified => {
                let (idempotency_key, exclude_from_context) = (None, false);
                Stored::User {
                    content,
                    timestamp: now,
                    idempotency_key,
                    provenance: None,
                    exclude_from_context,
                }
            }
        });
    }
    Ok(stored)
}

/// A model's reply as it is stored, whole or as far as it came.
pub(super) fn reply(
    fold: &Fold,
    totals: Totals,
    stop: Stop,
    error: Option<String>,
    now: UnixMillis,
) -> Result<Stored, Error> {
    let mut content = Vec::new();
    if !fold.text().is_empty() {
        content.push(Block::Text { text: raw(format!("\"{}\"", fold.text()))? });
    }
    for call in fold.calls() {
        content.push(tool_call(&call.id, &call.name, &call.arguments)?);
    }
    Ok(said(content, totals, stop, error, now))
}

/// What a call of one of the agent's tools gave, as it is stored.
pub(super) fn result(call: &Call, given: &Given, now: UnixMillis) -> Result<Stored, Error> {
    Ok(Stored::ToolResult {
        tool_call_id: call.id.clone(),
        tool_name: call.name.clone(),
        content: vec![Block::Text { text: raw_text(&given.text())? }],
        details: given.details.clone(),
        is_error: given.is_error,
        timestamp: now,
    })
}

/// What a reply has used.
pub(super) fn totals(fold: &Fold, aborted: bool) -> Totals {
    let usage = fold.usage().copied().unwrap_or_default();
    Totals {
        provider: fold.started().provider.clone(),
        model: fold.started().model.clone(),
        input: usage.input_tokens,
        output: usage.output_tokens,
        cached: usage.cached_tokens,
        aborted,
        ..Totals::default()
    }
}

/// How a reply ended, in the words of the format.
pub(super) fn stop_of(fold: &Fold) -> Stop {
    match fold.reason() {
        "length" => Stop::Length,
        "tool_calls" => Stop::ToolUse,
        "content_filter" => Stop::Error,
        _ => Stop::Done,
    }
}

/// What the session's entry says of its last run.
pub(super) fn noted(
    run_id: Option<&str>,
    started_at: UnixMillis,
    now: UnixMillis,
    failed: Option<&Failed>,
) -> Fields {
    let status = match failed.map(|failed| failed.status) {
        None | Some(RunStatus::Ok) => "done",
        Some(RunStatus::Error) => "failed",
        Some(RunStatus::Aborted) => "killed",
        Some(RunStatus::Timeout) => "timeout",
    };
    let mut fields = Fields::from([
        ("status", status.into()),
        ("startedAt", started_at.into()),
        ("endedAt", now.into()),
    ]);
    if let Some(run_id) = run_id {
        fields.insert("lastRunId", run_id.into());
    }
    fields
}

fn said(
    content: Vec<Block>,
    by: Totals,
    stop_reason: Stop,
    error_message: Option<String>,
    timestamp: UnixMillis,
) -> Stored {
    Stored::Assistant {
        content,
        api: "openai-completions",
        usage: Usage::new(by.input, by.output, by.cached),
        provider: by.provider,
        model: by.model,
        stop_reason,
        error_message,
        timestamp,
        run_id: None,
        provenance: None,
        exclude_from_context: false,
    }
}

/// Puts the id of a run on the user's message that started it, or on the answer that ended it.
pub(super) fn mark(messages: &mut [Stored], run_id: Option<&str>) {
    match messages.last_mut() {
        Some(Stored::User { idempotency_key: id, .. } | Stored::Assistant { run_id: id, .. }) => {
            *id = run_id.map(str::to_owned);
        }
        Some(Stored::ToolResult { .. }) | None => {}
    }
}

/// Marks what no person has written: the events, which come first, and what started the turn, which
/// comes last.
pub(super) fn attribute(
    messages: &mut [Stored],
    (origin, sender): (Option<Origin>, Option<&str>),
    events: &[String],
) {
    let set = |message: Option<&mut Stored>, by: Provenance| match message {
        Some(Stored::User { provenance, .. } | Stored::Assistant { provenance, .. }) => {
            *provenance = Some(by);
        }
        Some(Stored::ToolResult { .. }) | None => {}
    };
    if !events.is_empty() {
        set(messages.first_mut(), Provenance::new(Origin::Event, events.to_vec()));
    }
    if let Some(origin) = origin {
        set(messages.last_mut(), Provenance::new(origin, Vec::new()).sent_by(sender));
    }
}

/// A message that no model has said and no model gets, or gets as an assistant's.
pub(super) fn injected(text: &str, excluded: bool, now: UnixMillis) -> Result<Stored, Error> {
    let content = vec![Block::Text { text: raw_text(text)? }];
    let by = Totals {
        provider: "openclaw".to_owned(),
        model: "gateway-injected".to_owned(),
        ..Totals::default()
    };
    let mut message = said(content, by, Stop::Done, None, now);
    if let Stored::Assistant { exclude_from_context, .. } = &mut message {
        *exclude_from_context = excluded;
    }
    Ok(message)
}

/// A command as the user wrote it: no model gets it.
pub(super) fn command(text: &str, run_id: &str, now: UnixMillis) -> Result<Stored, Error> {
    let content = vec![Block::Text { text: raw_text(text)? }];
    let idempotency_key = Some(run_id.to_owned());
    Ok(Stored::User {
        content,
        timestamp: now,
        idempotency_key,
        provenance: None,
        exclude_from_context: true,
    })
}

fn tool_call(id: &str, name: &str, arguments: &str) -> Result<Block, Error> {
    // A model may write arguments that are no JSON object; they are kept as the text they are.
    let is_object = arguments.trim_start().starts_with('{');
    let arguments = match serde_json::from_str::<&RawValue>(arguments) {
        Ok(object) if is_object => one_line(object)?,
        _ => raw_text(arguments)?,
    };
    Ok(Block::ToolCall { id: id.to_owned(), name: name.to_owned(), arguments })
}

/// JSON on one line, as transcripts have it: a line end in mid-entry would tear it, and what follows
/// would pass for an entry. Within strings no line end stands as itself.
fn one_line(json: &RawValue) -> Result<Box<RawValue>, Error> {
    if !json.get().contains(['\n', '\r']) {
        return Ok(json.to_owned());
    }
    raw(json.get().replace(['\n', '\r'], " "))
}

/// The tool that the call `id` was for: the newest such call wins.
fn name_of_call(id: &str, before: &[Message], messages: &[Message]) -> String {
    let all = before.iter().chain(messages).rev().flat_map(|message| &message.tool_calls);
    let mut matching = all.filter(|call| call.id == id);
    matching.next().map(|call| call.name.clone()).unwrap_or_default()
}

fn raw(json: String) -> Result<Box<RawValue>, Error> {
    RawValue::from_string(json).map_err(|source| Error::Invalid { what: "a reply", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stay_on_one_line_and_mean_the_same() {
        let check = |written: &str, stored: &str| {
            let Block::ToolCall { arguments, .. } = tool_call("c", "n", written).unwrap() else {
                panic!("a call");
            };
            assert_eq!(arguments.get(), stored);
        };
        check("{\"a\":1}", "{\"a\":1}");
        check("{\n  \"a\\nb\":\r\n1}\n", "{   \"a\\nb\":  1}");
        check("{\n\"a\"", r#""{\n\"a\"""#);
        check("[\n]", r#""[\n]""#);
    }
}
