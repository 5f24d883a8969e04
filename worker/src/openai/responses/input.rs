//! Input items of a response as the messages of a chat completion, which is what the host takes.

use std::borrow::Cow;
use std::fmt;

use proto::host::{Message, Part, Role, ToolCall, part};
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::error::Fault;

/// Items of one request.
const MAX_ITEMS: usize = 4096;
/// Parts of one item.
const MAX_PARTS: usize = 1024;
/// Images of one item.
const MAX_IMAGES: usize = 32;
/// Bytes of a name or an id.
pub(super) const MAX_NAME: usize = 256;
/// One item as a client writes it. Fields of other kinds of item are not looked at: clients send
/// back what they got.
#[derive(serde::Deserialize)]
struct ItemIn<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct PartIn<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<String>,
    source: Option<Source>,
}

/// `OpenClaw`'s own form of an image.
#[derive(serde::Deserialize)]
struct Source {
    r#type: String,
    url: Option<String>,
    media_type: Option<String>,
    data: Option<String>,
}

/// The conversation that `input` stands for, after the instructions.
pub(super) fn messages(
    instructions: Option<&str>,
    input: &RawValue,
) -> Result<Vec<Message>, Fault> {
    let mut messages: Vec<Message> = Vec::new();
    if let Some(instructions) = instructions.filter(|text| !text.trim().is_empty()) {
        messages.push(message(Role::System, vec![text(instructions.to_owned())]));
    }
    if input.get().starts_with('"') {
        let prompt = serde_json::from_str(input.get())
            .map_err(|err| Fault::unprocessable("input", format!("input: {err}")))?;
        messages.push(message(Role::User, vec![text(prompt)]));
        return Ok(messages);
    }
    let items = list(input, "input", MAX_ITEMS)?;
    if items.is_empty() {
        return Err(Fault::unprocessable("input", "input: it must hold at least one item"));
    }
    for (at, item) in items.into_iter().enumerate() {
        let wrong = |what: String| {
            let path = format!("input[{at}]");
            Fault::unprocessable(&path, format!("{path}: {what}"))
        };
        let item: ItemIn<'_> =
            serde_json::from_str(item.get()).map_err(|err| wrong(err.to_string()))?;
        item.add_to(&mut messages).map_err(wrong)?;
    }
    Ok(messages)
}

impl ItemIn<'_> {
    fn add_to(self, messages: &mut Vec<Message>) -> Result<(), String> {
        match self.r#type.as_deref() {
            None | Some("message") => messages.push(self.said()?),
            Some("function_call") => {
                let call = ToolCall {
                    id: name("call_id", self.call_id)?,
                    name: name("name", self.name)?,
                    arguments: self.arguments.ok_or("arguments is missing")?,
                };
                match messages.last_mut() {
                    // Calls that were made together belong to one message.
                    Some(last) if last.role() == Role::Assistant => last.tool_calls.push(call),
                    _ => {
                        let calls = vec![call];
                        messages.push(Message {
                            tool_calls: calls,
                            ..message(Role::Assistant, Vec::new())
                        });
                    }
                }
            }
            Some("function_call_output") => {
                let parts = parts(self.output.ok_or("output is missing")?)?;
                let tool_call_id = name("call_id", self.call_id)?;
                messages.push(Message { tool_call_id, ..message(Role::Tool, only_text(parts)?) });
            }
            // What a model thought is the business of the model that thought it.
            Some("reasoning") => {}
            Some(_) => {
                return Err("the type of an item must be message, function_call, \
                            function_call_output or reasoning"
                    .to_owned());
            }
        }
        Ok(())
    }

    fn said(self) -> Result<Message, String> {
        let role = match self.role.as_deref() {
            Some("system" | "developer") => Role::System,
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some(_) => return Err("role must be system, developer, user or assistant".to_owned()),
            None => return Err("role is missing".to_owned()),
        };
        let parts = parts(self.content.ok_or("content is missing")?)?;
        let parts = if role == Role::User { parts } else { only_text(parts)? };
        Ok(message(role, parts))
    }
}

fn parts(content: &RawValue) -> Result<Vec<Part>, String> {
    if content.get().starts_with('"') {
        let whole = serde_json::from_str(content.get()).map_err(|err| err.to_string())?;
        return Ok(vec![text(whole)]);
    }
    let list = list(content, "content", MAX_PARTS).map_err(|fault| fault.message)?;
    let mut parts = Vec::with_capacity(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        let wrong = |what: &dyn fmt::Display| format!("content[{at}]: {what}");
        let part: PartIn<'_> = serde_json::from_str(raw.get()).map_err(|err| wrong(&err))?;
        parts.push(Part { part: Some(part.checked().map_err(|what| wrong(&what))?) });
    }
    if parts.iter().filter(|part| is_image(part)).count() > MAX_IMAGES {
        return Err(format!("an item holds at most {MAX_IMAGES} images"));
    }
    Ok(parts)
}

impl PartIn<'_> {
    fn checked(self) -> Result<part::Part, &'static str> {
        match &*self.r#type {
            "input_text" | "output_text" | "text" => {
                self.text.map(part::Part::Text).ok_or("text is missing")
            }
            "refusal" => self.refusal.map(part::Part::Text).ok_or("refusal is missing"),
            "input_image" => {
                let url = match (self.image_url, self.source) {
                    (Some(url), _) => url,
                    (None, Some(source)) => source.url()?,
                    (None, None) => return Err("image_url is missing"),
                };
                if url.starts_with("https://") || url.starts_with("data:image/") {
                    Ok(part::Part::ImageUrl(url))
                } else {
                    Err("image_url must begin with https:// or data:image/")
                }
            }
            _ => Err("the type of a part must be input_text, output_text, refusal or input_image"),
        }
    }
}

impl Source {
    fn url(self) -> Result<String, &'static str> {
        match (self.r#type.as_str(), self.url, self.media_type, self.data) {
            ("url", Some(url), _, _) => Ok(url),
            ("base64", _, Some(kind), Some(data)) => Ok(format!("data:{kind};base64,{data}")),
            _ => Err("source must be a url, or base64 with media_type and data"),
        }
    }
}

fn is_image(part: &Part) -> bool {
    matches!(part.part, Some(part::Part::ImageUrl(_)))
}

fn only_text(parts: Vec<Part>) -> Result<Vec<Part>, String> {
    if parts.iter().any(is_image) {
        return Err("only a user's message may hold images".to_owned());
    }
    Ok(parts)
}

fn name(field: &str, value: Option<String>) -> Result<String, String> {
    match value {
        Some(text) if (1..=MAX_NAME).contains(&text.len()) => Ok(text),
        Some(_) => Err(format!("{field} must have 1 to {MAX_NAME} bytes")),
        None => Err(format!("{field} is missing")),
    }
}

fn text(text: String) -> Part {
    Part { part: Some(part::Part::Text(text)) }
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role: role.into(), parts, ..Message::default() }
}

/// A list of at most `max` values, unread; the bound holds while they are counted.
pub(super) fn list<'a>(
    raw: &'a RawValue,
    field: &str,
    max: usize,
) -> Result<Vec<&'a RawValue>, Fault> {
    let mut reader = serde_json::Deserializer::from_str(raw.get());
    let read = reader.deserialize_seq(AtMost(max));
    read.map_err(|err| Fault::unprocessable(field, format!("{field}: {err}")))
}

struct AtMost(usize);

impl<'de> Visitor<'de> for AtMost {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string or a list of at most {}", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            if list.len() >= self.0 {
                return Err(A::Error::invalid_length(list.len() + 1, &self));
            }
            list.push(raw);
        }
        Ok(list)
    }
}
