//! The body of `POST /v1/chat/completions`, read once into what the rest of the worker works on.
//!
//! Every field is known by name: served, harmless and ignored, or refused. A failure names the
//! field and what it may be. Nothing here knows sessions or agents.

mod message;
pub(super) mod seeds;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use proto::host::{Message, Params};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::Fault;
use message::Messages;
use seeds::{Context, Flag, Integer, Maybe, Number, OneOf, Stop, Text};

/// Bytes of a model's name.
pub(super) const MAX_MODEL: usize = 256;
/// Bytes of `user`.
pub(super) const MAX_USER: usize = 256;
/// Tools of one request, as at `OpenAI`.
pub(super) const MAX_TOOLS: usize = 128;

/// Known, and without influence on the answer.
const IGNORED: [&str; 7] = [
    "metadata",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
];

/// Known, and refused because the answer would not be what was asked for.
const UNSUPPORTED: [&str; 5] =
    ["audio", "function_call", "functions", "verbosity", "web_search_options"];

pub(super) const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh"];

/// A request for a chat completion.
#[derive(Debug, Default)]
pub(crate) struct ChatRequest {
    pub(crate) model: String,
    pub(crate) messages: Vec<Message>,
    pub(crate) params: Params,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) user: Option<String>,
}

/// Reads a body.
pub(crate) fn parse(body: &Bytes) -> Result<ChatRequest, Fault> {
    let context = Context::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = Body { context: &context, bytes: body }.deserialize(&mut deserializer);
    match read.and_then(|fields| deserializer.end().map(|()| fields)) {
        Ok(fields) => fields.checked(),
        Err(err) => Err(context.fault(&err)),
    }
}

/// What was read, before it is known to be complete.
#[derive(Default)]
struct Fields {
    request: ChatRequest,
    messages: Option<Vec<Message>>,
    model: Option<String>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
}

impl Fields {
    fn checked(self) -> Result<ChatRequest, Fault> {
        let missing = |name: &str| {
            Fault::invalid(Some(name), format!("Missing required parameter: '{name}'."))
        };
        let mut request = self.request;
        request.model = self.model.ok_or_else(|| missing("model"))?;
        request.messages = self.messages.ok_or_else(|| missing("messages"))?;
        let max_tokens = self.max_completion_tokens.or(self.max_tokens);
        request.params.max_tokens = max_tokens.and_then(|max| u32::try_from(max).ok());
        check_tools(&request.params.tools)?;
        check_tool_choice(&request.params.tool_choice)?;
        check_format(&request.params.response_format)?;
        Ok(request)
    }
}

/// Reads the one object of a body.
struct Body<'c> {
    context: &'c Context,
    bytes: &'c Bytes,
}

impl<'de> DeserializeSeed<'de> for Body<'de> {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'de> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some(Key(key)) = map.next_key()? {
            self.field(&key, &mut fields, &mut map).map_err(|err| self.context.at(&key, err))?;
        }
        Ok(fields)
    }
}

impl<'de> Body<'de> {
    fn field<A: MapAccess<'de>>(
        &self,
        key: &str,
        fields: &mut Fields,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let Fields { request, .. } = fields;
        match key {
            "model" => fields.model = map.next_value_seed(Maybe(Text { max: MAX_MODEL }))?,
            "messages" => {
                fields.messages = map.next_value_seed(Maybe(Messages(self.context)))?;
            }
            "stream" => request.stream = flag(map)?,
            "stream_options" => request.include_usage = stream_options(map)?,
            "user" => request.user = map.next_value_seed(Maybe(Text { max: MAX_USER }))?,
            "max_tokens" => fields.max_tokens = map.next_value_seed(Maybe(TOKENS))?,
            "max_completion_tokens" => {
                fields.max_completion_tokens = map.next_value_seed(Maybe(TOKENS))?;
            }
            "n" => {
                map.next_value_seed(Maybe(Integer { min: 1, max: 1 }))?;
            }
            "modalities" => modalities(map)?,
            "logprobs" => {
                if flag(map)? {
                    return Err(self.refuse(Fault::unsupported(key)));
                }
            }
            "top_logprobs" => {
                map.next_value_seed(Maybe(Integer { min: 0, max: 0 }))?;
            }
            "logit_bias" => self.nothing_but(key, "{}", map)?,
            _ if IGNORED.contains(&key) => {
                map.next_value::<IgnoredAny>()?;
            }
            _ if UNSUPPORTED.contains(&key) => self.nothing_but(key, "null", map)?,
            _ => return self.param(key, &mut request.params, map),
        }
        Ok(())
    }

    /// The fields that are passed on to the model.
    fn param<A: MapAccess<'de>>(
        &self,
        key: &str,
        params: &mut Params,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "temperature" => params.temperature = number(0.0, 2.0, map)?,
            "top_p" => params.top_p = number(0.0, 1.0, map)?,
            "frequency_penalty" => params.frequency_penalty = number(-2.0, 2.0, map)?,
            "presence_penalty" => params.presence_penalty = number(-2.0, 2.0, map)?,
            "seed" => {
                let any = Integer { min: i64::MIN, max: i64::MAX };
                params.seed = map.next_value_seed(Maybe(any))?;
            }
            "stop" => params.stop = map.next_value_seed(Maybe(Stop))?.unwrap_or_default(),
            "parallel_tool_calls" => {
                params.parallel_tool_calls = map.next_value_seed(Maybe(Flag))?;
            }
            "reasoning_effort" => {
                params.reasoning_effort = map.next_value_seed(Maybe(OneOf(EFFORTS)))?;
            }
            "tools" => params.tools = self.raw(map)?,
            "tool_choice" => params.tool_choice = self.raw(map)?,
            "response_format" => params.response_format = self.raw(map)?,
            _ => return Err(self.refuse(Fault::unrecognized(key))),
        }
        Ok(())
    }

    /// JSON that is passed on as it is, without a copy; empty for null.
    fn raw<A: MapAccess<'de>>(&self, map: &mut A) -> Result<Bytes, A::Error> {
        let raw = map.next_value::<Option<&'de RawValue>>()?;
        Ok(raw.map_or_else(Bytes::new, |raw| self.bytes.slice_ref(raw.get().as_bytes())))
    }

    /// A field that is refused unless it says nothing.
    fn nothing_but<A: MapAccess<'de>>(
        &self,
        key: &str,
        nothing: &str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match map.next_value::<Option<&'de RawValue>>()? {
            Some(raw) if raw.get() != nothing => Err(self.refuse(Fault::unsupported(key))),
            _ => Ok(()),
        }
    }

    fn refuse<E: serde::de::Error>(&self, fault: Fault) -> E {
        self.context.refuse(fault)
    }
}

pub(super) const TOKENS: Integer = Integer { min: 1, max: 4_294_967_295 };

fn number<'de, A: MapAccess<'de>>(
    min: f64,
    max: f64,
    map: &mut A,
) -> Result<Option<f64>, A::Error> {
    map.next_value_seed(Maybe(Number { min, max }))
}

fn flag<'de, A: MapAccess<'de>>(map: &mut A) -> Result<bool, A::Error> {
    Ok(map.next_value_seed(Maybe(Flag))?.unwrap_or(false))
}

fn stream_options<'de, A: MapAccess<'de>>(map: &mut A) -> Result<bool, A::Error> {
    #[derive(Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    let options = map.next_value::<Option<Options>>()?;
    Ok(options.and_then(|options| options.include_usage).unwrap_or(false))
}

fn modalities<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    let wanted = map.next_value::<Option<Vec<Cow<'de, str>>>>()?.unwrap_or_default();
    if wanted.iter().all(|modality| modality == "text") {
        Ok(())
    } else {
        Err(A::Error::custom("only text is supported"))
    }
}

fn check_tools(tools: &Bytes) -> Result<(), Fault> {
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
        #[serde(borrow)]
        function: Option<Function<'a>>,
    }
    #[derive(Deserialize)]
    struct Function<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    if tools.is_empty() {
        return Ok(());
    }
    let wrong = |what: String| Fault::unprocessable("tools", format!("tools: {what}"));
    let list: Vec<Tool<'_>> = serde_json::from_slice(tools)
        .map_err(|err| wrong(format!("not a list of tools: {err}")))?;
    if list.len() > MAX_TOOLS {
        return Err(wrong(format!("at most {MAX_TOOLS} are allowed")));
    }
    for tool in list {
        match tool.function {
            Some(function) if tool.r#type == "function" => {
                if function.name.is_empty() || function.name.len() > 64 {
                    return Err(wrong("a function's name has 1 to 64 characters".to_owned()));
                }
            }
            _ => return Err(wrong("every tool must be of type function".to_owned())),
        }
    }
    Ok(())
}

fn check_tool_choice(choice: &Bytes) -> Result<(), Fault> {
    match choice.first() {
        None | Some(b'{') => Ok(()),
        _ if matches!(&**choice, br#""auto""# | br#""none""# | br#""required""#) => Ok(()),
        _ => {
            let message = "tool_choice: must be none, auto, required or an object";
            Err(Fault::unprocessable("tool_choice", message))
        }
    }
}

fn check_format(format: &Bytes) -> Result<(), Fault> {
    #[derive(Deserialize)]
    struct Format<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
    }
    if format.is_empty() {
        return Ok(());
    }
    match serde_json::from_slice::<Format<'_>>(format) {
        Ok(Format { r#type }) if matches!(&*r#type, "text" | "json_object" | "json_schema") => {
            Ok(())
        }
        _ => {
            let message = "response_format: its type must be text, json_object or json_schema";
            Err(Fault::unprocessable("response_format", message))
        }
    }
}

/// A field's name, borrowed where it holds no escape.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Borrowed<'b>(#[serde(borrow)] Cow<'b, str>);
        Borrowed::deserialize(deserializer).map(|Borrowed(key)| Self(key))
    }
}

#[cfg(test)]
mod tests;
