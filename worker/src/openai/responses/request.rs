//! The body of `POST /v1/responses`, read once into what a turn works on and what is said back.
//!
//! Every field is known by name: served, harmless and ignored, or refused.

use std::fmt;

use bytes::Bytes;
use proto::host::{Message, Params};
use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::error::Fault;
use super::super::request::seeds::{Context, Flag, Integer, Maybe, Number, OneOf, Text};
use super::super::request::{Key, MAX_MODEL, MAX_USER, TOKENS};
use super::document::constant;
use super::{input, tools};

/// Bytes of `instructions`; they are said back up to three times.
const MAX_INSTRUCTIONS: usize = 1 << 20;

/// Bytes of the id of an earlier response.
const MAX_ID: usize = 128;

/// Known, and without influence on the answer.
const IGNORED: [&str; 8] = [
    "include",
    "max_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "stream_options",
    "context_management",
];

/// Known, and refused because the answer would not be what was asked for.
const UNSUPPORTED: [&str; 3] = ["background", "conversation", "prompt"];

/// A request for a response.
#[derive(Debug, Default)]
pub(super) struct ResponseRequest {
    pub(super) messages: Vec<Message>,
    pub(super) params: Params,
    pub(super) stream: bool,
    pub(super) echo: Asked,
}

/// What was asked for, as the response says it back.
#[derive(Debug, Serialize)]
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) previous_response_id: Option<String>,
    pub(super) instructions: Option<String>,
    pub(super) max_output_tokens: Option<u32>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) parallel_tool_calls: bool,
    pub(super) tools: Box<RawValue>,
    pub(super) tool_choice: Box<RawValue>,
    pub(super) text: Box<RawValue>,
    pub(super) reasoning: Reasoning,
    pub(super) truncation: &'static str,
    pub(super) store: bool,
    pub(super) metadata: Box<RawValue>,
    pub(super) user: Option<String>,
}

/// What is said of reasoning.
#[derive(Debug, Default, Serialize)]
pub(super) struct Reasoning {
    effort: Option<String>,
    summary: Option<()>,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            model: String::new(),
            previous_response_id: None,
            instructions: None,
            max_output_tokens: None,
            temperature: None,
            top_p: None,
            parallel_tool_calls: true,
            tools: constant("[]"),
            tool_choice: constant("\"auto\""),
            text: constant("{\"format\":{\"type\":\"text\"}}"),
            reasoning: Reasoning::default(),
            truncation: "disabled",
            store: true,
            metadata: constant("{}"),
            user: None,
        }
    }
}

/// Reads a body.
pub(super) fn parse(body: &Bytes) -> Result<ResponseRequest, Fault> {
    let context = Context::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = Body(&context).deserialize(&mut deserializer);
    match read.and_then(|fields| deserializer.end().map(|()| fields)) {
        Ok(fields) => fields.checked(),
        Err(err) => Err(context.fault(&err)),
    }
}

/// What was read, before it is known to be complete.
#[derive(Default)]
struct Fields<'de> {
    request: ResponseRequest,
    model: Option<String>,
    input: Option<&'de RawValue>,
    tools: Option<&'de RawValue>,
    tool_choice: Option<&'de RawValue>,
    text: Option<&'de RawValue>,
    metadata: Option<&'de RawValue>,
}

impl Fields<'_> {
    fn checked(self) -> Result<ResponseRequest, Fault> {
        let missing = |name: &str| {
            Fault::invalid(Some(name), format!("Missing required parameter: '{name}'."))
        };
        let mut request = self.request;
        let echo = &mut request.echo;
        echo.model = self.model.ok_or_else(|| missing("model"))?;
        let input = self.input.ok_or_else(|| missing("input"))?;
        let instructions = echo.instructions.as_deref();
        request.messages = input::messages(instructions, input)?;
        let params = &mut request.params;
        (params.temperature, params.top_p) = (echo.temperature, echo.top_p);
        params.max_tokens = echo.max_output_tokens;
        if let Some(tools) = self.tools {
            params.tools = tools::tools(tools)?;
            echo.tools = tools.to_owned();
        }
        if let Some(choice) = self.tool_choice {
            params.tool_choice = tools::tool_choice(choice)?;
            echo.tool_choice = choice.to_owned();
        }
        if let Some(text) = self.text {
            params.response_format = tools::format(text)?;
            echo.text = text.to_owned();
        }
        if let Some(metadata) = self.metadata {
            tools::check_metadata(metadata)?;
            echo.metadata = metadata.to_owned();
        }
        Ok(request)
    }
}

/// Reads the one object of a body.
struct Body<'c>(&'c Context);

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(Key(key)) = map.next_key()? {
            self.field(&key, &mut fields, &mut map).map_err(|err| self.0.at(&key, err))?;
        }
        Ok(fields)
    }
}

impl Body<'_> {
    fn field<'de, A: MapAccess<'de>>(
        &self,
        key: &str,
        fields: &mut Fields<'de>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "model" => fields.model = map.next_value_seed(Maybe(Text { max: MAX_MODEL }))?,
            "input" => fields.input = map.next_value()?,
            "tools" => fields.tools = map.next_value()?,
            "tool_choice" => fields.tool_choice = map.next_value()?,
            "text" => fields.text = map.next_value()?,
            "metadata" => fields.metadata = map.next_value()?,
            "stream" => {
                fields.request.stream = map.next_value_seed(Maybe(Flag))?.unwrap_or(false);
            }
            "parallel_tool_calls" => {
                let flag = map.next_value_seed(Maybe(Flag))?;
                fields.request.params.parallel_tool_calls = flag;
                fields.request.echo.parallel_tool_calls = flag.unwrap_or(true);
            }
            "reasoning" => {
                let effort = map.next_value_seed(Maybe(tools::Effort(self.0)))?.flatten();
                fields.request.params.reasoning_effort.clone_from(&effort);
                fields.request.echo.reasoning.effort = effort;
            }
            "top_logprobs" => {
                map.next_value_seed(Maybe(Integer { min: 0, max: 0 }))?;
            }
            _ if IGNORED.contains(&key) => {
                map.next_value::<IgnoredAny>()?;
            }
            _ if UNSUPPORTED.contains(&key) => match map.next_value::<Option<&RawValue>>()? {
                Some(raw) if raw.get() != "false" => {
                    return Err(self.0.refuse(Fault::unsupported(key)));
                }
                _ => {}
            },
            _ => return self.said_back(key, &mut fields.request.echo, map),
        }
        Ok(())
    }

    /// The fields whose value the response repeats.
    fn said_back<'de, A: MapAccess<'de>>(
        &self,
        key: &str,
        echo: &mut Asked,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "instructions" => {
                echo.instructions = map.next_value_seed(Maybe(Text { max: MAX_INSTRUCTIONS }))?;
            }
            "previous_response_id" => {
                echo.previous_response_id = map.next_value_seed(Maybe(Text { max: MAX_ID }))?;
            }
            "user" => echo.user = map.next_value_seed(Maybe(Text { max: MAX_USER }))?,
            "temperature" => {
                echo.temperature = map.next_value_seed(Maybe(Number { min: 0.0, max: 2.0 }))?;
            }
            "top_p" => echo.top_p = map.next_value_seed(Maybe(Number { min: 0.0, max: 1.0 }))?,
            "max_output_tokens" => {
                let max = map.next_value_seed(Maybe(TOKENS))?;
                echo.max_output_tokens = max.and_then(|max| u32::try_from(max).ok());
            }
            "store" => echo.store = map.next_value_seed(Maybe(Flag))?.unwrap_or(true),
            "truncation" => {
                let word = map.next_value_seed(Maybe(OneOf(&["auto", "disabled"])))?;
                echo.truncation = if word.as_deref() == Some("auto") { "auto" } else { "disabled" };
            }
            _ => return Err(self.0.refuse(Fault::unrecognized(key))),
        }
        Ok(())
    }
}
