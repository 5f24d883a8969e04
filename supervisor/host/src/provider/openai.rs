//! `OpenAI`'s chat completions: what every compatible server speaks.

use bytes::Bytes;
use http::Uri;
use proto::host::llm_event::Event;
use proto::host::part::Part as PartKind;
use proto::host::{LlmRequest, Message, Role, ToolCall, ToolCallDelta, Usage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Figure, Invalid, Reading};
use crate::failure::Failure;
use crate::json;

/// By which name a server wants the bound on output.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// The name that compatible servers know.
    MaxTokens,
    /// The name that `OpenAI`'s own newer models insist on.
    MaxCompletionTokens,
}

impl Bound {
    pub(crate) fn of(address: &Uri) -> Self {
        if address.host() == Some("api.openai.com") {
            Self::MaxCompletionTokens
        } else {
            Self::MaxTokens
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Turn<'a>>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    tool_call_id: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    /// What an assistant says who only calls tools.
    Nothing(()),
    Text(&'a str),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl<'a> },
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: &'a str,
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

/// `request` as the body of `POST /chat/completions`.
pub(crate) fn body(
    request: &LlmRequest,
    model: &str,
    bound: Bound,
    max: Option<u64>,
) -> Result<Bytes, Invalid> {
    let nothing = proto::host::Params::default();
    let params = request.params.as_ref().unwrap_or(&nothing);
    let (max_tokens, max_completion_tokens) = match bound {
        Bound::MaxTokens => (max, None),
        Bound::MaxCompletionTokens => (None, max),
    };
    let body = Body {
        model,
        messages: request.messages.iter().map(turn).collect::<Result<_, _>>()?,
        stream: true,
        stream_options: StreamOptions { include_usage: true },
        temperature: finite("temperature", params.temperature)?,
        top_p: finite("top_p", params.top_p)?,
        frequency_penalty: finite("frequency_penalty", params.frequency_penalty)?,
        presence_penalty: finite("presence_penalty", params.presence_penalty)?,
        max_tokens,
        max_completion_tokens,
        seed: params.seed,
        stop: &params.stop,
        tools: raw("tools", &params.tools)?,
        tool_choice: raw("tool_choice", &params.tool_choice)?,
        response_format: raw("response_format", &params.response_format)?,
        parallel_tool_calls: params.parallel_tool_calls,
        reasoning_effort: params.reasoning_effort.as_deref(),
    };
    match serde_json::to_vec(&body) {
        Ok(bytes) => Ok(bytes.into()),
        Err(err) => Err(Invalid::Form("messages", err)),
    }
}

pub(super) fn finite(name: &'static str, number: Option<f64>) -> Result<Option<f64>, Invalid> {
    match number {
        Some(number) if !number.is_finite() => Err(Invalid::Number(name)),
        number => Ok(number),
    }
}

pub(super) fn raw<'a>(
    name: &'static str,
    bytes: &'a [u8],
) -> Result<Option<&'a RawValue>, Invalid> {
    json::check(bytes).map_err(|err| Invalid::Json(name, err))
}

/// Only these: a provider inside the operator's network must not be made to fetch from it.
pub(super) fn image(url: &str) -> Result<&str, Invalid> {
    if url.starts_with("https://") || url.starts_with("data:") {
        Ok(url)
    } else {
        Err(Invalid::Image)
    }
}

fn turn(message: &Message) -> Result<Turn<'_>, Invalid> {
    let role = match message.role() {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
        Role::Unspecified => return Err(Invalid::Role),
    };
    Ok(Turn {
        role,
        content: content(message)?,
        name: &message.name,
        tool_calls: message.tool_calls.iter().map(call).collect(),
        tool_call_id: &message.tool_call_id,
    })
}

fn content(message: &Message) -> Result<Content<'_>, Invalid> {
    let mut parts = Vec::with_capacity(message.parts.len());
    for part in &message.parts {
        match part.part.as_ref() {
            Some(PartKind::Text(text)) => parts.push(Part::Text { text }),
            Some(PartKind::ImageUrl(url)) => {
                parts.push(Part::ImageUrl { image_url: ImageUrl { url: image(url)? } });
            }
            None => {}
        }
    }
    // Many compatible servers know no other form of plain text than a string.
    Ok(match parts.as_slice() {
        [] if message.tool_calls.is_empty() => Content::Text(""),
        [] => Content::Nothing(()),
        [Part::Text { text }] => Content::Text(text),
        _ => Content::Parts(parts),
    })
}

fn call(call: &ToolCall) -> Call<'_> {
    let function = Function { name: &call.name, arguments: &call.arguments };
    Call { id: &call.id, kind: "function", function }
}

/// One event of the stream, as far as it is of interest.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Figures>,
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    reasoning_content: Option<String>,
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    index: Option<u32>,
    id: Option<String>,
    function: Option<FunctionDelta>,
}

#[derive(Deserialize)]
struct FunctionDelta {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct Figures {
    #[serde(default)]
    prompt_tokens: Figure,
    #[serde(default)]
    completion_tokens: Figure,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: Figure,
}

#[derive(Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Figure,
}

/// The state of reading one answer.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Tool calls begun, for servers that do not number them.
    calls: u32,
}

impl Reader {
    pub(crate) fn read(&mut self, data: &[u8], reading: &mut Reading) -> Result<(), Failure> {
        if data.trim_ascii() == b"[DONE]" {
            reading.done = true;
            reading.reason = reading.reason.or(Some("stop"));
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_slice(data)?;
        if chunk.error.is_some() {
            return Err(Failure::Broken { status: 0 });
        }
        for choice in chunk.choices {
            reading.unseen(choice.delta.reasoning_content.as_deref());
            reading.text(choice.delta.content.unwrap_or_default());
            for call in choice.delta.tool_calls.unwrap_or_default() {
                self.call(call, reading);
            }
            if let Some(reason) = choice.finish_reason {
                reading.reason = Some(word(&reason));
            }
        }
        if let Some(figures) = chunk.usage {
            reading.usage = Some(usage(&figures));
        }
        Ok(())
    }

    fn call(&mut self, call: CallDelta, reading: &mut Reading) {
        let begins = call.id.as_ref().is_some_and(|id| !id.is_empty());
        self.calls += u32::from(begins);
        let index = call.index.unwrap_or_else(|| self.calls.saturating_sub(1));
        let (name, arguments) = match call.function {
            Some(function) => {
                (function.name.unwrap_or_default(), function.arguments.unwrap_or_default())
            }
            None => Default::default(),
        };
        let bytes = name.len() + arguments.len();
        let id = call.id.unwrap_or_default();
        reading.push(Event::ToolCall(ToolCallDelta { index, id, name, arguments }), bytes);
    }
}

fn word(reason: &str) -> &'static str {
    match reason {
        "length" => "length",
        "tool_calls" | "function_call" => "tool_calls",
        "content_filter" => "content_filter",
        _ => "stop",
    }
}

fn usage(figures: &Figures) -> Usage {
    let input = figures.prompt_tokens_details.as_ref();
    let output = figures.completion_tokens_details.as_ref();
    Usage {
        input_tokens: figures.prompt_tokens.tokens(),
        output_tokens: figures.completion_tokens.tokens(),
        cached_tokens: input.map_or(0, |it| it.cached_tokens.tokens()),
        reasoning_tokens: output.map_or(0, |it| it.reasoning_tokens.tokens()),
    }
}
