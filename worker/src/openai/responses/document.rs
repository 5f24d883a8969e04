//! The response object, as it is sent whole and inside of events.

use std::sync::Arc;

use bytes::Bytes;
use proto::host::Usage;
use proto::host::llm_event::Event;
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::error::Fault;
use super::super::fold::Fold;
use super::request::Asked;
use crate::agent::Writer;

/// What is known of a response before it is made.
#[derive(Debug)]
pub(super) struct Echo {
    /// `resp_` and a unique rest; also the run's id.
    pub(super) id: String,
    /// Seconds since the epoch.
    pub(super) created_at: u64,
    pub(super) asked: Asked,
}

/// One piece of output.
#[derive(Debug)]
pub(super) enum Item {
    Message { id: String, text: String, status: Status },
    Call(Call),
}

/// One call of a tool.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) index: u32,
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    pub(super) status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

/// How far a response is.
#[derive(Debug)]
pub(super) struct State<'a> {
    pub(super) status: Status,
    pub(super) output: &'a [Item],
    /// `OpenAI`'s word for why a completion ended, where it has.
    pub(super) reason: &'a str,
    pub(super) usage: Option<&'a Usage>,
    pub(super) fault: Option<&'a Fault>,
}

#[derive(Serialize)]
pub(super) struct Document<'a> {
    id: &'a str,
    object: &'static str,
    created_at: u64,
    status: Status,
    background: bool,
    error: Option<Failure<'a>>,
    incomplete_details: Option<Incomplete>,
    #[serde(flatten)]
    asked: &'a Asked,
    output: Vec<Shown<'a>>,
    usage: Option<Used>,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct Incomplete {
    reason: &'static str,
}

#[derive(Serialize)]
struct Used {
    input_tokens: u64,
    input_tokens_details: Cached,
    output_tokens: u64,
    output_tokens_details: Reasoned,
    total_tokens: u64,
}

#[derive(Serialize)]
struct Cached {
    cached_tokens: u64,
}

#[derive(Serialize)]
struct Reasoned {
    reasoning_tokens: u64,
}

/// An item as it is sent.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Shown<'a> {
    Message {
        id: &'a str,
        status: Status,
        role: &'static str,
        content: Vec<Part<'a>>,
    },
    FunctionCall {
        id: &'a str,
        status: Status,
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
}

/// The one part of a message.
#[derive(Serialize)]
pub(super) struct Part<'a> {
    r#type: &'static str,
    text: &'a str,
    annotations: [(); 0],
    logprobs: [(); 0],
}

impl<'a> Part<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { r#type: "output_text", text, annotations: [], logprobs: [] }
    }
}

impl Item {
    /// As it is.
    pub(super) fn shown(&self) -> Shown<'_> {
        match self {
            Self::Message { id, text, status } => Shown::Message {
                id,
                status: *status,
                role: "assistant",
                content: vec![Part::new(text)],
            },
            Self::Call(Call { id, call_id, name, arguments, status, .. }) => {
                Shown::FunctionCall { id, status: *status, call_id, name, arguments }
            }
        }
    }
}

impl Echo {
    /// The document of a response that is so far.
    pub(super) fn document<'a>(&'a self, state: &State<'a>) -> Document<'a> {
        let reason = match (state.status, state.reason) {
            (Status::Incomplete, "content_filter") => Some("content_filter"),
            (Status::Incomplete, _) => Some("max_output_tokens"),
            (Status::InProgress | Status::Completed | Status::Failed, _) => None,
        };
        let failure = |fault: &'a Fault| Failure {
            code: fault.code.unwrap_or("server_error"),
            message: &fault.message,
        };
        Document {
            id: &self.id,
            object: "response",
            created_at: self.created_at,
            status: state.status,
            background: false,
            error: state.fault.map(failure),
            incomplete_details: reason.map(|reason| Incomplete { reason }),
            asked: &self.asked,
            output: state.output.iter().map(Item::shown).collect(),
            usage: state.usage.map(used),
        }
    }

    /// The id of the item at `index`.
    pub(super) fn item_id(&self, kind: &str, index: usize) -> String {
        let own = self.id.strip_prefix("resp_").unwrap_or(&self.id);
        format!("{kind}_{own}{index:03}")
    }
}

/// How a response ends for this reason.
pub(super) fn status_of(reason: &str) -> Status {
    match reason {
        "length" | "content_filter" => Status::Incomplete,
        _ => Status::Completed,
    }
}

fn used(usage: &Usage) -> Used {
    Used {
        input_tokens: usage.input_tokens,
        input_tokens_details: Cached { cached_tokens: usage.cached_tokens },
        output_tokens: usage.output_tokens,
        output_tokens_details: Reasoned { reasoning_tokens: usage.reasoning_tokens },
        total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
    }
}

/// The document of a response that was not streamed.
pub(super) fn whole(echo: &Echo, fold: &Fold) -> Bytes {
    let status = status_of(fold.reason());
    let mut output = Vec::new();
    if !fold.text().is_empty() {
        // It is the inside of a JSON string.
        let text = serde_json::from_str(&format!("\"{}\"", fold.text())).unwrap_or_default();
        output.push(Item::Message { id: echo.item_id("msg", 0), text, status });
    }
    for (index, call) in (0_u32..).zip(fold.calls()) {
        output.push(Item::Call(Call {
            id: echo.item_id("fc", output.len()),
            index,
            call_id: call.id.clone(),
            name: call.name.clone(),
            arguments: call.arguments.clone(),
            status,
        }));
    }
    let usage = fold.usage().copied().unwrap_or_default();
    let state =
        State { status, output: &output, reason: fold.reason(), usage: Some(&usage), fault: None };
    serde_json::to_vec(&echo.document(&state)).unwrap_or_default().into()
}

/// The one document of a turn that is not streamed, once there is one.
#[derive(Debug)]
pub(super) struct Whole {
    echo: Arc<Echo>,
    bytes: Bytes,
}

impl Whole {
    pub(super) const fn new(echo: Arc<Echo>) -> Self {
        Self { echo, bytes: Bytes::new() }
    }
}

impl Writer for Whole {
    fn is_stream(&self) -> bool {
        false
    }

    fn event(&mut self, _event: &Event) {}

    fn finish(&mut self, fold: &Fold) {
        self.bytes = whole(&self.echo, fold);
    }

    fn error(&mut self, fault: &Fault) {
        self.bytes = fault.json().into();
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes)
    }
}

/// JSON that is one word or an empty list or object.
pub(super) fn constant(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_default()
}
