//! Anthropic's Messages API: `OpenAI`'s conversation out, its events in `OpenAI`'s words back.
//!
//! What it has no word for is left out where it only guides (`seed`, penalties, `name`,
//! `reasoning_effort`) and refused where the answer's form would differ (`response_format`).

mod turns;

use std::collections::HashMap;

use bytes::Bytes;
use proto::host::llm_event::Event;
use proto::host::{LlmRequest, Params, ToolCallDelta, Usage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::openai::{finite, raw};
use super::{Figure, Invalid, Reading};
use crate::failure::Failure;

/// The bound on output where neither tenant nor account sets a smaller one; the API insists on one,
/// and every model allows this much.
const DEFAULT_MAX_TOKENS: u64 = 4096;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    stream: bool,
    messages: Vec<turns::Turn<'a>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    system: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice>,
}

/// A tool in `OpenAI`'s form.
#[derive(Deserialize)]
struct Offered<'a> {
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    name: String,
    description: Option<String>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Tool<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    input_schema: Schema<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Schema<'a> {
    Given(&'a RawValue),
    /// A tool without parameters.
    Empty {
        r#type: &'static str,
    },
}

#[derive(Serialize)]
struct Choice {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

/// `request` as the body of `POST /messages`.
pub(crate) fn body(
    request: &LlmRequest,
    model: &str,
    max_tokens: Option<u64>,
) -> Result<Bytes, Invalid> {
    let nothing = Params::default();
    let params = request.params.as_ref().unwrap_or(&nothing);
    refuse_format(params)?;
    let tools = tools(params)?;
    let body = Body {
        model,
        max_tokens: max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
        stream: true,
        messages: turns::turns(&request.messages)?,
        system: turns::system(&request.messages),
        // OpenAI's range ends at 2, this one at 1.
        temperature: finite("temperature", params.temperature)?.map(|it| it.min(1.0)),
        top_p: finite("top_p", params.top_p)?,
        stop_sequences: &params.stop,
        tool_choice: if tools.is_empty() { None } else { choice(params)? },
        tools,
    };
    match serde_json::to_vec(&body) {
        Ok(bytes) => Ok(bytes.into()),
        Err(err) => Err(Invalid::Form("messages", err)),
    }
}

fn refuse_format(params: &Params) -> Result<(), Invalid> {
    #[derive(Deserialize)]
    struct Format {
        r#type: String,
    }
    let Some(format) = raw("response_format", &params.response_format)? else { return Ok(()) };
    let format: Format =
        serde_json::from_str(format.get()).map_err(|err| Invalid::Form("response_format", err))?;
    if format.r#type == "text" { Ok(()) } else { Err(Invalid::Missing("response_format")) }
}

fn tools(params: &Params) -> Result<Vec<Tool<'_>>, Invalid> {
    let Some(tools) = raw("tools", &params.tools)? else { return Ok(Vec::new()) };
    let offered: Vec<Offered<'_>> =
        serde_json::from_str(tools.get()).map_err(|err| Invalid::Form("tools", err))?;
    Ok(offered.into_iter().map(|it| tool(it.function)).collect())
}

fn tool(function: Function<'_>) -> Tool<'_> {
    let Function { name, description, parameters } = function;
    let empty = Schema::Empty { r#type: "object" };
    Tool { name, description, input_schema: parameters.map_or(empty, Schema::Given) }
}

fn choice(params: &Params) -> Result<Option<Choice>, Invalid> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Wanted {
        Word(String),
        Tool { function: Named },
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let wanted = match raw("tool_choice", &params.tool_choice)? {
        Some(wanted) => {
            serde_json::from_str(wanted.get()).map_err(|err| Invalid::Form("tool_choice", err))?
        }
        None if params.parallel_tool_calls == Some(false) => Wanted::Word("auto".to_owned()),
        None => return Ok(None),
    };
    let (kind, name) = match wanted {
        Wanted::Word(word) => match word.as_str() {
            "none" => ("none", None),
            "required" => ("any", None),
            _ => ("auto", None),
        },
        Wanted::Tool { function } => ("tool", Some(function.name)),
    };
    let one = params.parallel_tool_calls == Some(false) && kind != "none";
    Ok(Some(Choice { kind, name, disable_parallel_tool_use: one }))
}

/// One event of the stream, as far as it is of interest.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Incoming {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        index: u32,
        content_block: Block,
    },
    ContentBlockDelta {
        index: u32,
        delta: Delta,
    },
    MessageDelta {
        delta: End,
        usage: Option<Figures>,
    },
    MessageStop,
    Error,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    usage: Option<Figures>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct End {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct Figures {
    input_tokens: Option<Figure>,
    #[serde(default)]
    cache_creation_input_tokens: Figure,
    #[serde(default)]
    cache_read_input_tokens: Figure,
    output_tokens: Option<Figure>,
}

/// The state of reading one answer.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Blocks that are tool calls, by their index among all blocks.
    calls: HashMap<u32, u32>,
    usage: Usage,
}

impl Reader {
    pub(crate) fn read(&mut self, data: &[u8], reading: &mut Reading) -> Result<(), Failure> {
        match serde_json::from_slice(data)? {
            Incoming::MessageStart { message } => self.figures(message.usage, reading),
            Incoming::ContentBlockStart { index, content_block } => {
                self.block(index, content_block, reading);
            }
            Incoming::ContentBlockDelta { index, delta } => self.delta(index, delta, reading),
            Incoming::MessageDelta { delta, usage } => {
                if let Some(reason) = delta.stop_reason {
                    reading.reason = Some(word(&reason));
                }
                self.figures(usage, reading);
            }
            Incoming::MessageStop => {
                reading.done = true;
                reading.reason = reading.reason.or(Some("stop"));
            }
            Incoming::Error => return Err(Failure::Broken { status: 0 }),
            Incoming::Other => {}
        }
        Ok(())
    }

    fn block(&mut self, index: u32, block: Block, reading: &mut Reading) {
        match block {
            Block::Text { text } => reading.text(text),
            Block::ToolUse { id, name } => {
                let call = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
                self.calls.insert(index, call);
                let bytes = name.len();
                let arguments = String::new();
                let call = ToolCallDelta { index: call, id, name, arguments };
                reading.push(Event::ToolCall(call), bytes);
            }
            Block::Other => {}
        }
    }

    fn delta(&self, index: u32, delta: Delta, reading: &mut Reading) {
        match delta {
            Delta::Text { text } => reading.text(text),
            Delta::Input { partial_json } => {
                let Some(call) = self.calls.get(&index) else { return };
                let bytes = partial_json.len();
                let (id, name) = Default::default();
                let call = ToolCallDelta { index: *call, id, name, arguments: partial_json };
                reading.push(Event::ToolCall(call), bytes);
            }
            Delta::Thinking { thinking } => reading.unseen(Some(&thinking)),
            Delta::Other => {}
        }
    }

    /// Figures are running totals; the last event of a kind counts. Input leaves out what was read
    /// from or written to the cache, which `OpenAI`'s includes.
    fn figures(&mut self, figures: Option<Figures>, reading: &mut Reading) {
        let Some(figures) = figures else { return };
        if let Some(input) = figures.input_tokens {
            let read = figures.cache_read_input_tokens.tokens();
            let written = figures.cache_creation_input_tokens.tokens();
            self.usage.cached_tokens = read;
            let input = input.tokens().saturating_add(read);
            self.usage.input_tokens = input.saturating_add(written);
        }
        if let Some(output) = figures.output_tokens {
            self.usage.output_tokens = output.tokens();
        }
        reading.usage = Some(self.usage);
    }
}

fn word(reason: &str) -> &'static str {
    match reason {
        "max_tokens" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        _ => "stop",
    }
}
