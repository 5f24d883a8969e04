//! The messages of a request: roles, parts, tool calls and their answers.

use std::borrow::Cow;
use std::fmt;

use proto::host::{Message, Part, Role, ToolCall, part};
use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::super::error::Fault;
use super::Key;
use super::seeds::{Context, Maybe, Text};

/// Messages of one request.
const MAX_MESSAGES: usize = 4096;
/// Parts of one message.
const MAX_PARTS: usize = 1024;
/// Images of one message.
const MAX_IMAGES: usize = 32;
/// Tool calls of one message.
const MAX_CALLS: usize = 128;
/// Bytes of a name or an id.
const MAX_NAME: usize = 256;

/// What clients send back from an earlier reply, and what only helps a provider's cache.
const IGNORED: [&str; 7] = [
    "annotations",
    "audio",
    "cache_control",
    "function_call",
    "reasoning",
    "reasoning_content",
    "refusal",
];

/// Reads the list.
pub(super) struct Messages<'c>(pub(super) &'c Context);

impl<'de> DeserializeSeed<'de> for Messages<'_> {
    type Value = Vec<Message>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Message>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Messages<'_> {
    type Value = Vec<Message>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of 1 to {MAX_MESSAGES} messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Message>, A::Error> {
        let mut messages = Vec::new();
        loop {
            let next = seq.next_element_seed(OneMessage(self.0));
            match next.map_err(|err| self.0.at(&format!("[{}]", messages.len()), err))? {
                Some(message) if messages.len() < MAX_MESSAGES => messages.push(message),
                None if !messages.is_empty() => return Ok(messages),
                _ => return Err(A::Error::invalid_length(messages.len(), &self)),
            }
        }
    }
}

struct OneMessage<'c>(&'c Context);

/// What was read of a message, before its role is known.
#[derive(Default)]
struct Read<'de> {
    role: Option<Cow<'de, str>>,
    parts: Option<Vec<Part>>,
    name: Option<String>,
    tool_calls: Vec<ToolCall>,
    tool_call_id: Option<String>,
}

impl<'de> DeserializeSeed<'de> for OneMessage<'_> {
    type Value = Message;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Message, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneMessage<'_> {
    type Value = Message;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message, A::Error> {
        let mut read = Read::default();
        while let Some(Key(key)) = map.next_key()? {
            self.field(&key, &mut read, &mut map).map_err(|err| self.0.at(&key, err))?;
        }
        read.message().map_err(A::Error::custom)
    }
}

impl OneMessage<'_> {
    fn field<'de, A: MapAccess<'de>>(
        &self,
        key: &str,
        read: &mut Read<'de>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "role" => read.role = Some(map.next_value::<Key<'de>>()?.0),
            "content" => read.parts = map.next_value_seed(Maybe(Content(self.0)))?,
            "name" => read.name = map.next_value_seed(Maybe(Text { max: MAX_NAME }))?,
            "tool_call_id" => {
                read.tool_call_id = map.next_value_seed(Maybe(Text { max: MAX_NAME }))?;
            }
            "tool_calls" => read.tool_calls = tool_calls(map)?,
            _ if IGNORED.contains(&key) => {
                map.next_value::<IgnoredAny>()?;
            }
            _ => return Err(self.0.refuse(Fault::unrecognized(&format!("messages.{key}")))),
        }
        Ok(())
    }
}

impl Read<'_> {
    fn message(self) -> Result<Message, &'static str> {
        let role = match self.role.as_deref() {
            Some("system" | "developer") => Role::System,
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("tool") => Role::Tool,
            Some(_) => return Err("role must be system, developer, user, assistant or tool"),
            None => return Err("role is missing"),
        };
        let is_image = |part: &&Part| matches!(part.part, Some(part::Part::ImageUrl(_)));
        let parts = match self.parts {
            Some(parts) => parts,
            None if role == Role::Assistant => Vec::new(),
            None => return Err("content is missing"),
        };
        match parts.iter().filter(is_image).count() {
            0 => {}
            _ if role != Role::User => return Err("only a user's message may hold images"),
            1..=MAX_IMAGES => {}
            _ => return Err("a message holds at most 32 images"),
        }
        if role == Role::Tool && self.tool_call_id.is_none() {
            return Err("tool_call_id is missing");
        }
        Ok(Message {
            role: role.into(),
            parts,
            tool_calls: if role == Role::Assistant { self.tool_calls } else { Vec::new() },
            tool_call_id: self.tool_call_id.unwrap_or_default(),
            name: self.name.unwrap_or_default(),
        })
    }
}

fn tool_calls<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Vec<ToolCall>, A::Error> {
    #[derive(Deserialize)]
    struct Call {
        id: String,
        function: Function,
    }
    #[derive(Deserialize)]
    struct Function {
        name: String,
        arguments: String,
    }
    let calls = map.next_value::<Option<Vec<Call>>>()?.unwrap_or_default();
    if calls.len() > MAX_CALLS {
        return Err(A::Error::invalid_length(calls.len(), &"at most 128 tool calls"));
    }
    let call =
        |Call { id, function: Function { name, arguments } }| ToolCall { id, name, arguments };
    Ok(calls.into_iter().map(call).collect())
}

/// Text, or a list of parts.
struct Content<'c>(&'c Context);

impl<'de> DeserializeSeed<'de> for Content<'_> {
    type Value = Vec<Part>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Part>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Content<'_> {
    type Value = Vec<Part>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string or a list of at most {MAX_PARTS} parts")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<Part>, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Vec<Part>, E> {
        Ok(vec![Part { part: Some(part::Part::Text(text)) }])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Part>, A::Error> {
        let mut parts = Vec::new();
        loop {
            let next = seq.next_element::<PartIn<'_>>().and_then(|part| {
                part.map(|part| part.checked().map_err(A::Error::custom)).transpose()
            });
            match next.map_err(|err| self.0.at(&format!("[{}]", parts.len()), err))? {
                Some(part) if parts.len() < MAX_PARTS => parts.push(Part { part: Some(part) }),
                None => return Ok(parts),
                Some(_) => return Err(A::Error::invalid_length(parts.len(), &self)),
            }
        }
    }
}

/// One part as a client writes it. Fields of other kinds of part are not looked at.
#[derive(Deserialize)]
struct PartIn<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<ImageUrl>,
}

#[derive(Deserialize)]
struct ImageUrl {
    url: String,
}

impl PartIn<'_> {
    fn checked(self) -> Result<part::Part, &'static str> {
        match &*self.r#type {
            "text" => self.text.map(part::Part::Text).ok_or("text is missing"),
            "refusal" => self.refusal.map(part::Part::Text).ok_or("refusal is missing"),
            "image_url" => {
                let ImageUrl { url } = self.image_url.ok_or("image_url is missing")?;
                if url.starts_with("https://") || url.starts_with("data:image/") {
                    Ok(part::Part::ImageUrl(url))
                } else {
                    Err("image_url.url must begin with https:// or data:image/")
                }
            }
            _ => Err("the type of a part must be text or image_url"),
        }
    }
}
