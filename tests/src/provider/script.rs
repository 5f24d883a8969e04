//! What the model `script` answers: a play of tool calls and words, one step for each request.
//!
//! A play stands in the user's message itself (`script [..]`, found anywhere in it), and then the step
//! is the number of the model's own messages since: conversations do not disturb each other, whatever
//! runs at the same time. Without one, the next step of the provider's queue is played.

use std::collections::VecDeque;

use serde_json::{Value, json};

/// What the model says where nothing is left to be played.
pub const CURTAIN: &str = "the play is over";

/// One answer of the model.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Calls one tool. Arguments that are a JSON string are sent as that text, be it malformed.
    Call {
        /// The tool.
        name: String,
        /// Its arguments.
        args: Value,
    },
    /// Calls several tools in one answer: names and arguments.
    Calls(Vec<(String, Value)>),
    /// Says something, and ends its turn.
    Say(String),
}

impl Step {
    /// Calls one tool.
    pub fn call(name: &str, args: Value) -> Self {
        Self::Call { name: name.to_owned(), args }
    }

    /// Says something.
    pub fn say(text: impl Into<String>) -> Self {
        Self::Say(text.into())
    }

    /// As it stands in a user's message.
    fn text(&self) -> Value {
        match self {
            Self::Call { name, args } => json!({"call": [[name, args]]}),
            Self::Calls(calls) => json!({"call": calls}),
            Self::Say(text) => json!({"say": text}),
        }
    }

    fn read(value: &Value) -> Self {
        if let Some(text) = value["say"].as_str() {
            return Self::say(text);
        }
        let calls = value["call"].as_array().expect("a step says or calls").iter();
        let call = |call: &Value| (call[0].as_str().unwrap().to_owned(), call[1].clone());
        Self::Calls(calls.map(call).collect())
    }

    /// The calls of the answer.
    fn calls(&self) -> Vec<(&str, &Value)> {
        match self {
            Self::Call { name, args } => vec![(name, args)],
            Self::Calls(calls) => calls.iter().map(|(name, args)| (name.as_str(), args)).collect(),
            Self::Say(_) => Vec::new(),
        }
    }

    /// The answer's events, in the order in which a provider streams them: the head of each call, then
    /// their arguments in two pieces each, call after call. `answer` makes the ids of calls, and
    /// `usage` is what is reported.
    pub(super) fn events(&self, answer: usize, usage: Value) -> Vec<String> {
        let choice = |delta: Value, reason: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
        let piece = |call: Value| choice(json!({"tool_calls": [call]}), Value::Null);
        let mut events = Vec::new();
        if let Self::Say(text) = self {
            let words = text.split_inclusive(' ');
            events.extend(words.map(|word| choice(json!({"content": word}), Value::Null)));
        }
        let calls = self.calls();
        for (index, (name, _)) in calls.iter().enumerate() {
            let function = json!({"name": name, "arguments": ""});
            let id = format!("call_{answer}_{index}");
            let head = json!({"index": index, "id": id, "type": "function", "function": function});
            events.push(piece(head));
        }
        for (index, (_, args)) in calls.iter().enumerate() {
            let text = args.as_str().map_or_else(|| args.to_string(), str::to_owned);
            let (first, rest) = text.split_at(text.floor_char_boundary(text.len() / 2));
            for part in [first, rest] {
                events.push(piece(json!({"index": index, "function": {"arguments": part}})));
            }
        }
        let reason = if calls.is_empty() { "stop" } else { "tool_calls" };
        let mut end = choice(json!({}), reason.into());
        end["usage"] = usage;
        events.push(end);
        events.iter().map(Value::to_string).chain(["[DONE]".to_owned()]).collect()
    }
}

/// A user's message that has the model `script` play these steps.
pub fn play(steps: &[Step]) -> String {
    let steps: Value = steps.iter().map(Step::text).collect();
    format!("script {steps}")
}

/// What is to be answered to `body`: the play of its last user's message, else the queue.
pub(super) fn next(body: &Value, queue: &mut VecDeque<Step>) -> Step {
    let messages = body["messages"].as_array().unwrap();
    let asked = messages.iter().rposition(|it| it["role"] == "user").unwrap_or(0);
    let since = messages.iter().skip(asked).filter(|it| it["role"] == "assistant").count();
    match messages.get(asked).and_then(|message| inline(&text_of(&message["content"]))) {
        Some(steps) => steps.get(since).map_or_else(|| Step::say(CURTAIN), Step::read),
        None => queue.pop_front().unwrap_or_else(|| Step::say(CURTAIN)),
    }
}

/// The texts of the tool results since the model was last asked by a person or job, oldest first.
pub(super) fn results(body: &Value) -> Vec<String> {
    let messages = body["messages"].as_array().unwrap();
    let asked = messages.iter().rposition(|it| it["role"] == "user").unwrap_or(0);
    let tools = messages.iter().skip(asked).filter(|it| it["role"] == "tool");
    tools.map(|it| text_of(&it["content"])).collect()
}

fn inline(text: &str) -> Option<Vec<Value>> {
    let (_, play) = text.split_once("script [")?;
    let play = format!("[{play}");
    let mut read = serde_json::Deserializer::from_str(&play).into_iter::<Vec<Value>>();
    read.next().and_then(Result::ok)
}

/// The text of a message's content, which may come in parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}
