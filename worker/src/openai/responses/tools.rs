//! Tools, the choice of one, formats and the other small objects of a response in the words of a
//! chat completion, which is what the host takes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::json;
use serde_json::value::RawValue;

use super::super::error::Fault;
use super::super::request::seeds::{Context, Maybe, OneOf};
use super::super::request::{EFFORTS, Key, MAX_TOOLS};
use super::input::{MAX_NAME, list};

/// Bytes of all tools: what the host passes on.
const MAX_TOOLS_BYTES: usize = 1 << 20;
/// As at `OpenAI`: pairs, and bytes of a key and of a value.
const MAX_METADATA: [usize; 3] = [16, 64, 512];

/// Function tools in the form of chat completions.
pub(super) fn tools(raw: &RawValue) -> Result<Bytes, Fault> {
    #[derive(serde::Deserialize)]
    struct Tool<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
        name: Option<String>,
        description: Option<String>,
        #[serde(borrow)]
        parameters: Option<&'a RawValue>,
        strict: Option<bool>,
    }
    #[derive(Serialize)]
    struct Outer<'a> {
        r#type: &'static str,
        function: Function<'a>,
    }
    #[derive(Serialize)]
    struct Function<'a> {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        parameters: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    }
    let wrong = |what: String| Fault::unprocessable("tools", format!("tools: {what}"));
    if raw.get().len() > MAX_TOOLS_BYTES {
        return Err(wrong(format!("at most {MAX_TOOLS_BYTES} bytes are allowed")));
    }
    let mut all = Vec::new();
    for tool in list(raw, "tools", MAX_TOOLS)? {
        let tool: Tool<'_> =
            serde_json::from_str(tool.get()).map_err(|err| wrong(err.to_string()))?;
        if tool.r#type != "function" {
            return Err(wrong("every tool must be of type function".to_owned()));
        }
        let name = tool.name.filter(|name| (1..=64).contains(&name.len()));
        let name =
            name.ok_or_else(|| wrong("a function's name has 1 to 64 characters".to_owned()))?;
        let function = Function {
            name,
            description: tool.description,
            parameters: tool.parameters,
            strict: tool.strict,
        };
        all.push(Outer { r#type: "function", function });
    }
    if all.is_empty() {
        return Ok(Bytes::new());
    }
    serde_json::to_vec(&all).map(Bytes::from).map_err(|err| wrong(err.to_string()))
}

/// The choice of a tool in the form of chat completions.
pub(super) fn tool_choice(raw: &RawValue) -> Result<Bytes, Fault> {
    #[derive(serde::Deserialize)]
    struct Named {
        r#type: String,
        name: String,
    }
    if matches!(raw.get(), r#""auto""# | r#""none""# | r#""required""#) {
        return Ok(Bytes::copy_from_slice(raw.get().as_bytes()));
    }
    match serde_json::from_str::<Named>(raw.get()) {
        Ok(Named { r#type, name }) if r#type == "function" && name.len() <= MAX_NAME => {
            let choice = json!({"type": "function", "function": {"name": name}});
            Ok(choice.to_string().into())
        }
        _ => {
            let message = "tool_choice: must be none, auto, required or name a function";
            Err(Fault::unprocessable("tool_choice", message))
        }
    }
}

/// `text.format` in the form of chat completions; empty where it is plain text.
pub(super) fn format(raw: &RawValue) -> Result<Bytes, Fault> {
    #[derive(serde::Deserialize)]
    struct Said {
        format: Option<serde_json::Value>,
    }
    let message = "text.format: its type must be text, json_object or json_schema";
    let wrong = || Fault::unprocessable("text", message);
    if raw.get().len() > MAX_TOOLS_BYTES {
        return Err(Fault::unprocessable("text", format!("text: at most {MAX_TOOLS_BYTES} bytes")));
    }
    let said: Said = serde_json::from_str(raw.get()).map_err(|_other| wrong())?;
    let Some(mut format) = said.format else { return Ok(Bytes::new()) };
    match format.get("type").and_then(serde_json::Value::as_str) {
        Some("text") => Ok(Bytes::new()),
        Some("json_object") => Ok(json!({"type": "json_object"}).to_string().into()),
        Some("json_schema") => {
            if let Some(fields) = format.as_object_mut() {
                fields.remove("type");
            }
            Ok(json!({"type": "json_schema", "json_schema": format}).to_string().into())
        }
        _ => Err(wrong()),
    }
}

/// Whether `metadata` is what it may be.
pub(super) fn check_metadata(raw: &RawValue) -> Result<(), Fault> {
    let [pairs, key, value] = MAX_METADATA;
    let wrong = || {
        let message = format!(
            "metadata: at most {pairs} strings of at most {value} bytes, under keys of at most {key}"
        );
        Fault::unprocessable("metadata", message)
    };
    // Every character may be written as six bytes.
    if raw.get().len() > pairs * (key + value + 8) * 6 {
        return Err(wrong());
    }
    let found = serde_json::from_str(raw.get()).map_err(|_other| wrong())?;
    let found: BTreeMap<String, String> = found;
    let fits = |(name, text): (&String, &String)| name.len() <= key && text.len() <= value;
    if found.len() <= pairs && found.iter().all(fits) { Ok(()) } else { Err(wrong()) }
}

/// `reasoning`, of which the effort counts.
pub(super) struct Effort<'c>(pub(super) &'c Context);

impl<'de> DeserializeSeed<'de> for Effort<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Effort<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut effort = None;
        while let Some(Key(key)) = map.next_key()? {
            if key == "effort" {
                let read = map.next_value_seed(Maybe(OneOf(EFFORTS)));
                effort = read.map_err(|err| self.0.at("effort", err))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(effort)
    }
}
