//! A turn in which an earlier process was cut off: it goes on from what is in the transcript.
//!
//! The user's message is there, and so is every answer with calls and every result that had been
//! given. No call is made a second time: one that has no result may have taken effect, and the model
//! is told so.

use std::collections::HashSet;

use proto::host::{Message, Part, Role, part};

use super::asking::{Prepared, prepare};
use super::calls::Given;
use super::history::text_message;
use super::keep;
use super::output::Output;
use super::prompt::Incoming;
use super::turn::{Failed, Turn, answer_with};
use crate::openai::{Call, Fault, Fold};
use crate::service::Core;

/// What stands for the result of a call that was under way.
const UNKNOWN: &str = "The process ended while this call was under way: whether it took effect is \
not known. Look before you make it again.";
/// What a model is told where others have spoken since.
const LEFT: &str = "[An earlier message of this conversation was left without an answer, because the \
process ended. Answer it now.]";

/// Goes on with the turn.
pub(super) async fn go_on(
    core: &Core,
    turn: &Turn,
    mut incoming: Incoming,
    output: &mut Output,
) -> Result<Fold, Failed> {
    let mut prepared = prepare(core, turn).await?;
    let open = open_calls(&prepared.past.messages);
    for call in &open {
        let given = Given::failed(0, UNKNOWN.to_owned());
        keep::result(core, turn, &prepared, call, &given).await?;
    }
    if !open.is_empty() {
        prepared = prepare(core, turn).await?;
    }
    let prompt = std::mem::take(&mut incoming.prompt);
    show_pictures(&mut prepared, prompt);
    let past = &mut prepared.past.messages;
    let last = past.last().map(Message::role);
    if past.is_empty() {
        // It was compacted away, or is no message for models.
        let message = "The message that this run is for is not in the conversation any more.";
        return Err(Fault::invalid(None, message).into());
    }
    if !matches!(last, Some(Role::User | Role::Tool)) {
        past.push(text_message(Role::User, LEFT.to_owned()));
    }
    answer_with(core, turn, &incoming, prepared, output).await
}

/// The calls at the end of a conversation that have no result.
fn open_calls(past: &[Message]) -> Vec<Call> {
    let Some(at) = past.iter().rposition(|message| message.role() != Role::Tool) else {
        return Vec::new();
    };
    let (asked, results) = past.split_at(at + 1);
    let given: HashSet<&str> = results.iter().map(|one| one.tool_call_id.as_str()).collect();
    let calls = asked.last().map(|asked| asked.tool_calls.as_slice()).unwrap_or_default();
    let open = calls.iter().filter(|call| !given.contains(call.id.as_str()));
    open.map(|call| Call::of(&call.id, &call.name, &call.arguments)).collect()
}

/// Puts the pictures of the message back, which no transcript holds.
fn show_pictures(prepared: &mut Prepared, prompt: Vec<Message>) {
    let is_picture = |part: &Part| matches!(part.part, Some(part::Part::ImageUrl(_)));
    let pictures: Vec<Part> =
        prompt.into_iter().flat_map(|it| it.parts).filter(is_picture).collect();
    let past = &mut prepared.past.messages;
    if let Some(said) = past.iter_mut().rfind(|message| message.role() == Role::User) {
        said.parts.extend(pictures);
    }
}

#[cfg(test)]
mod tests {
    use proto::host::ToolCall;

    use super::*;

    #[test]
    fn calls_without_a_result_are_open() {
        let call = |id: &str| ToolCall { id: id.to_owned(), ..ToolCall::default() };
        let asked = |ids: &[&str]| {
            let mut message = text_message(Role::Assistant, String::new());
            message.tool_calls = ids.iter().map(|id| call(id)).collect();
            message
        };
        let result = |id: &str| {
            let mut message = text_message(Role::Tool, String::new());
            message.tool_call_id = id.to_owned();
            message
        };
        let user = || text_message(Role::User, String::new());
        let check = |past: &[Message], want: &[&str]| {
            let open = open_calls(past);
            let ids: Vec<_> = open.iter().map(|call| call.id.as_str()).collect();
            assert_eq!(ids, want, "{past:?}");
        };
        check(&[], &[]);
        check(&[user()], &[]);
        check(&[user(), asked(&["a", "b"])], &["a", "b"]);
        check(&[user(), asked(&["a", "b"]), result("b")], &["a"]);
        check(&[user(), asked(&["a"]), result("a")], &[]);
        check(&[user(), asked(&["a"]), result("a"), user()], &[]);
    }
}
