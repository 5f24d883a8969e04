//! `OpenAI`'s list of messages as Anthropic's: system messages apart, user and assistant in turn,
//! tool results in the user's turn that follows the call.

use proto::host::part::Part as PartKind;
use proto::host::{Message, Role};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Invalid;
use crate::json;
use crate::provider::openai::image;

#[derive(Serialize)]
pub(super) struct Turn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'a str },
    Image { source: Source<'a> },
    ToolUse { id: &'a str, name: &'a str, input: Input<'a> },
    ToolResult { tool_use_id: &'a str, content: Vec<Self> },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'a> {
    Url { url: &'a str },
    Base64 { media_type: &'a str, data: &'a str },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    /// An object, as the model wrote it.
    Written(&'a RawValue),
    Empty {},
    /// What the model wrote is no object, and the API takes nothing else.
    Malformed {
        malformed_arguments: &'a str,
    },
}

/// The system messages, wherever they stand.
pub(super) fn system(messages: &[Message]) -> String {
    let mut system = String::new();
    for message in messages.iter().filter(|it| it.role() == Role::System) {
        for part in &message.parts {
            if let Some(PartKind::Text(text)) = &part.part {
                if !system.is_empty() {
                    system.push_str("\n\n");
                }
                system.push_str(text);
            }
        }
    }
    system
}

/// All other messages; neighbours of one role become one turn.
pub(super) fn turns(messages: &[Message]) -> Result<Vec<Turn<'_>>, Invalid> {
    let mut turns: Vec<Turn<'_>> = Vec::with_capacity(messages.len());
    for message in messages {
        let (role, blocks) = match message.role() {
            Role::System => continue,
            Role::User => ("user", parts(message)?),
            Role::Assistant => ("assistant", assistant(message)?),
            Role::Tool => {
                let content = parts(message)?;
                let tool_use_id = &message.tool_call_id;
                ("user", vec![Block::ToolResult { tool_use_id, content }])
            }
            Role::Unspecified => return Err(Invalid::Role),
        };
        match turns.last_mut() {
            Some(last) if last.role == role => last.content.extend(blocks),
            // The API refuses a turn without content.
            _ if blocks.is_empty() => {}
            _ => turns.push(Turn { role, content: blocks }),
        }
    }
    Ok(turns)
}

fn assistant(message: &Message) -> Result<Vec<Block<'_>>, Invalid> {
    let mut blocks = parts(message)?;
    for call in &message.tool_calls {
        let input = input(&call.arguments);
        blocks.push(Block::ToolUse { id: &call.id, name: &call.name, input });
    }
    Ok(blocks)
}

fn input(arguments: &str) -> Input<'_> {
    if arguments.trim().is_empty() {
        return Input::Empty {};
    }
    match json::check(arguments.as_bytes()) {
        Ok(Some(raw)) if raw.get().starts_with('{') => Input::Written(raw),
        Ok(_) | Err(_) => Input::Malformed { malformed_arguments: arguments },
    }
}

fn parts(message: &Message) -> Result<Vec<Block<'_>>, Invalid> {
    let mut blocks = Vec::with_capacity(message.parts.len());
    for part in &message.parts {
        match part.part.as_ref() {
            // The API refuses empty text.
            Some(PartKind::Text(text)) if !text.is_empty() => blocks.push(Block::Text { text }),
            Some(PartKind::ImageUrl(url)) => blocks.push(Block::Image { source: source(url)? }),
            Some(PartKind::Text(_)) | None => {}
        }
    }
    Ok(blocks)
}

fn source(url: &str) -> Result<Source<'_>, Invalid> {
    let Some(data) = image(url)?.strip_prefix("data:") else { return Ok(Source::Url { url }) };
    let (media_type, data) = data.split_once(";base64,").ok_or(Invalid::Image)?;
    Ok(Source::Base64 { media_type, data })
}
