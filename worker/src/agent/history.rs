//! The conversation so far as a model gets it: from a transcript's end, within a budget.

use std::collections::HashSet;
use std::fs::File;
use std::io;

use proto::host::{Message, Part, Role, ToolCall, part};
use serde_json::value::RawValue;

use crate::store::{Line, MAX_LINE, StoredMessage, Tail};

/// Characters of what a client brings for a new session; the newest are kept.
pub(super) const MAX_CHARS: usize = 200_000;
/// Bytes of a transcript that are read for it, tool results and foreign entries included.
pub(super) const MAX_SCAN: usize = 16 << 20;
/// Characters of one token, roughly: every provider counts in its own way.
pub(super) const CHARS_PER_TOKEN: usize = 4;
/// Characters of earlier messages, however large a model's context is: a request must fit a
/// message of the pair.
const MAX_BUDGET: usize = 8 << 20;

/// A conversation so far.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Oldest first; the first one may be a summary.
    pub(super) messages: Vec<Message>,
    /// The entry of each message; none for a summary.
    pub(super) ids: Vec<Option<String>>,
    /// Whether older messages were left out for want of room.
    pub(super) is_cut: bool,
    /// The events that they tell.
    pub(super) told: Vec<String>,
}

/// Characters for earlier messages, where `room` tokens are left for them and for a workspace of
/// `workspace` bytes.
pub(super) fn budget(room: u64, workspace: usize) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX).saturating_mul(CHARS_PER_TOKEN);
    room.saturating_sub(workspace).clamp(room / 4, MAX_BUDGET)
}

/// Messages of a transcript, at most `max` characters of the newest.
pub(super) fn read(file: &File, max: usize) -> io::Result<Past> {
    let mut walk = Walk { left: max, ..Walk::default() };
    let mut tail = Tail::of(file, MAX_LINE)?;
    let mut scanned = 0;
    while scanned < MAX_SCAN
        && let Some(bytes) = tail.next_line()?
    {
        scanned += bytes.len();
        if let Some(line) = Line::parse(&bytes)
            && walk.step(&line).is_break()
        {
            break;
        }
    }
    Ok(walk.past())
}

/// Keeps the newest of `messages`, oldest first, within the budget.
pub(super) fn newest(mut messages: Vec<Message>) -> Vec<Message> {
    let mut left = MAX_CHARS;
    let kept = messages.iter().rev().take_while(|message| spend(&mut left, message)).count();
    messages.drain(..messages.len() - kept);
    messages
}

/// A walk from the newest entry along the links to older ones.
#[derive(Debug, Default)]
struct Walk {
    /// Newest first.
    found: Vec<(Option<String>, Message)>,
    left: usize,
    /// The entry that comes next on this branch; `None` before the first.
    next: Option<String>,
    /// Where a compaction says that its summary takes over.
    last: Option<String>,
    summary: Option<String>,
    is_cut: bool,
    told: Vec<String>,
}

impl Walk {
    fn step(&mut self, line: &Line<'_>) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        let on_branch = self.next.is_none() || self.next.as_deref() == line.id.as_deref();
        if line.kind == "session" || !on_branch {
            return Continue(());
        }
        match &*line.kind {
            "message" => {
                let stored = line.message();
                self.told.extend(stored.iter().flat_map(StoredMessage::events));
                let message = stored.as_ref().and_then(from_stored);
                if let Some(message) = message {
                    if !spend(&mut self.left, &message) {
                        self.is_cut = true;
                        return Break(());
                    }
                    self.found.push((line.id.as_deref().map(str::to_owned), message));
                }
            }
            "compaction" if self.summary.is_none() => {
                self.summary.clone_from(&line.summary);
                self.last.clone_from(&line.first_kept_entry_id);
                if self.last.is_none() {
                    return Break(());
                }
            }
            _ => {}
        }
        if line.id.is_some()
            && (line.parent_id.is_none() || self.last.as_deref() == line.id.as_deref())
        {
            return Break(());
        }
        self.next = line.parent_id.as_deref().map(str::to_owned);
        Continue(())
    }

    fn past(mut self) -> Past {
        if let Some(summary) = self.summary {
            let text = format!("Summary of the conversation before this point:\n\n{summary}");
            self.found.push((None, text_message(Role::User, text)));
        }
        self.found.reverse();
        let (ids, messages) = self.found.into_iter().unzip();
        Past { messages, ids, is_cut: self.is_cut, told: self.told }
    }
}

/// Takes what a message costs from the budget; false where it does not suffice.
fn spend(left: &mut usize, message: &Message) -> bool {
    match left.checked_sub(cost(message)) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}

/// Characters of a message, as far as they count for a model.
pub(super) fn cost(message: &Message) -> usize {
    let texts = message.parts.iter().map(|part| match &part.part {
        Some(part::Part::Text(text)) => text.chars().count(),
        // An image costs a model about as much as a page of text.
        Some(part::Part::ImageUrl(_)) => 4000,
        None => 0,
    });
    let calls = message.tool_calls.iter().map(|call| call.name.len() + call.arguments.len());
    texts.chain(calls).sum()
}

fn from_stored(stored: &StoredMessage<'_>) -> Option<Message> {
    if stored.exclude_from_context {
        return None;
    }
    let role = match &*stored.role {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "toolResult" => Role::Tool,
        _ => return None,
    };
    // In a later turn nothing else says that no user has written it.
    let text = match stored.sender().filter(|_| role == Role::User) {
        Some(sender) => format!("{sender}\n{}", stored.text()),
        None => stored.text(),
    };
    let mut message = text_message(role, text);
    if role == Role::Tool {
        message.tool_call_id = stored.tool_call_id.clone()?;
    }
    if role == Role::Assistant {
        message.parts.retain(|part| part.part != Some(part::Part::Text(String::new())));
        let call = |(id, name, arguments)| ToolCall { id, name, arguments };
        message.tool_calls = stored.tool_calls().into_iter().map(call).collect();
    }
    Some(message)
}

/// A message of one text.
pub(super) fn text_message(role: Role, text: String) -> Message {
    let parts = vec![Part { part: Some(part::Part::Text(text)) }];
    Message { role: role.into(), parts, ..Message::default() }
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mark<'a> {
    /// Its entry.
    pub(crate) id: &'a str,
    /// The number of lines before it.
    pub(crate) seq: u64,
    /// The run that it belongs to, as long as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_id: Option<&'a str>,
}

/// A message as it stands in a transcript, with where it stands there, as clients get it.
pub(crate) fn marked(message: &RawValue, mark: Mark<'_>) -> Box<RawValue> {
    let Some(rest) = message.get().trim_start().strip_prefix('{') else {
        return message.to_owned();
    };
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    // The ids may come from elsewhere; as JSON text they cannot break out.
    let Ok(mark) = serde_json::to_string(&mark) else { return message.to_owned() };
    let marked = format!("{{\"__openclaw\":{mark}{comma}{rest}");
    RawValue::from_string(marked).unwrap_or_else(|_why| message.to_owned())
}

/// Makes a conversation one that every provider takes: each call of a tool is answered right
/// after it or left out, and what a failed attempt left behind is not said twice.
pub(super) fn settle(messages: Vec<Message>) -> Vec<Message> {
    let mut settled: Vec<Message> = Vec::with_capacity(messages.len());
    let mut rest = messages.into_iter().peekable();
    while let Some(mut message) = rest.next() {
        let mut answers = Vec::new();
        while let Some(answer) = rest.next_if(|next| next.role() == Role::Tool) {
            answers.push(answer);
        }
        let is_answered = |call: &ToolCall| answers.iter().any(|one| one.tool_call_id == call.id);
        if !message.tool_calls.iter().all(is_answered) {
            message.tool_calls.clear();
        }
        // What is answered twice has its first answer.
        let mut seen = HashSet::new();
        answers.retain(|one| {
            message.tool_calls.iter().any(|call| call.id == one.tool_call_id)
                && seen.insert(one.tool_call_id.clone())
        });
        let is_empty = message.parts.is_empty() && message.tool_calls.is_empty();
        let is_repeated = message.role() == Role::User && settled.last() == Some(&message);
        if message.role() != Role::Tool && !is_empty && !is_repeated {
            settled.push(message);
            settled.append(&mut answers);
        }
    }
    settled
}

#[cfg(test)]
mod tests;
