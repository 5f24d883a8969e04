//! Transcript entries: the lines of a `.jsonl` file, as written and as read.
//!
//! What is written is complete; what is read takes only what a prompt or a listing needs and
//! tolerates everything else, because transcripts come from other versions and other programs.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::UnixMillis;

use super::provenance::{Origin, Provenance, Read};
use super::transcript::EntryId;

/// A message to be stored.
#[derive(Debug, Serialize)]
#[serde(tag = "role", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Stored {
    /// What the user said.
    User {
        content: Vec<Block>,
        timestamp: UnixMillis,
        /// The id of the run that this started, so that a repetition is known after a restart.
        #[serde(skip_serializing_if = "Option::is_none")]
        idempotency_key: Option<String>,
        /// Where no person wrote it.
        #[serde(skip_serializing_if = "Option::is_none")]
        provenance: Option<Provenance>,
        /// Whether no model gets it.
        #[serde(skip_serializing_if = "is_false")]
        exclude_from_context: bool,
    },
    /// What the model said.
    Assistant {
        content: Vec<Block>,
        api: &'static str,
        provider: String,
        model: String,
        usage: Usage,
        stop_reason: Stop,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_message: Option<String>,
        timestamp: UnixMillis,
        /// The run that it ended, by which a page knows that it has shown it as it was made.
        #[serde(skip_serializing_if = "Option::is_none")]
        run_id: Option<String>,
        /// Where no person made it say that.
        #[serde(skip_serializing_if = "Option::is_none")]
        provenance: Option<Provenance>,
        /// Whether no model gets it.
        #[serde(skip_serializing_if = "is_false")]
        exclude_from_context: bool,
    },
    /// What a tool answered, the agent's or the client's.
    ToolResult {
        tool_call_id: String,
        tool_name: String,
        content: Vec<Block>,
        /// What people and programs get beside it.
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<serde_json::Value>,
        is_error: bool,
        timestamp: UnixMillis,
    },
}

/// Where a summary takes over from what was said.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Compaction {
    pub(crate) summary: String,
    /// The first entry that a model still gets beside the summary.
    pub(crate) first_kept_entry_id: String,
    /// Estimated tokens of what a model got before.
    pub(crate) tokens_before: u64,
    /// Estimated tokens of what it gets now.
    pub(crate) tokens_after: u64,
}

/// An entry that is in the transcript.
#[derive(Debug, Clone)]
pub(crate) struct Appended {
    pub(crate) id: String,
    /// Its place: the number of lines before it.
    pub(crate) seq: u64,
    /// The message as JSON, or nothing for what is none.
    pub(crate) message: Option<Box<RawValue>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A piece of a message. Text is JSON already, because it was escaped while it streamed.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum Block {
    /// A JSON string.
    Text { text: Box<RawValue> },
    /// A call; the arguments are a JSON object, or a JSON string where the model wrote none.
    ToolCall { id: String, name: String, arguments: Box<RawValue> },
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Stop {
    /// The model had finished.
    #[serde(rename = "stop")]
    Done,
    /// A limit on length was reached.
    Length,
    /// The model calls tools.
    ToolUse,
    /// Somebody stopped it.
    Aborted,
    /// It failed.
    Error,
}

/// Tokens of one turn, as `OpenClaw` counts them: input without what came from a cache.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    total_tokens: u64,
    cost: Cost,
}

/// Always zero: prices are the supervisor's. The format has the field.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    input: u8,
    output: u8,
    cache_read: u8,
    cache_write: u8,
    total: u8,
}

impl Usage {
    /// From counts in which the cached tokens are part of the input.
    pub(crate) const fn new(input: u64, output: u64, cached: u64) -> Self {
        Self {
            input: input.saturating_sub(cached),
            output,
            cache_read: cached,
            cache_write: 0,
            total_tokens: input.saturating_add(output),
            cost: Cost { input: 0, output: 0, cache_read: 0, cache_write: 0, total: 0 },
        }
    }
}

/// One line as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewLine<'a> {
    pub(super) r#type: &'static str,
    pub(super) id: EntryId,
    pub(super) parent_id: Option<&'a str>,
    pub(super) timestamp: String,
    #[serde(flatten)]
    pub(super) what: What<'a>,
}

/// What a line holds beside its place in the chain.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum What<'a> {
    Message { message: &'a RawValue },
    Compaction(&'a Compaction),
}

/// One line as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line<'a> {
    #[serde(rename = "type", borrow)]
    pub(crate) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) parent_id: Option<Cow<'a, str>>,
    /// Of a `message`.
    #[serde(borrow)]
    pub(crate) message: Option<&'a RawValue>,
    /// Of a `compaction`.
    pub(crate) summary: Option<String>,
    /// Of a `compaction`.
    pub(crate) first_kept_entry_id: Option<String>,
}

/// A message as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredMessage<'a> {
    #[serde(borrow)]
    pub(crate) role: Cow<'a, str>,
    content: Option<ReadContent>,
    pub(crate) tool_call_id: Option<String>,
    /// Of a user's message that started a run.
    #[serde(borrow)]
    pub(crate) idempotency_key: Option<Cow<'a, str>>,
    /// Of a model's answer to one.
    #[serde(borrow)]
    pub(crate) run_id: Option<Cow<'a, str>>,
    /// How the model's turn ended.
    #[serde(borrow)]
    pub(crate) stop_reason: Option<Cow<'a, str>>,
    /// As it stands there: other programs' marks may have any form.
    #[serde(borrow)]
    provenance: Option<&'a RawValue>,
    /// Whether no model gets it.
    #[serde(default)]
    pub(crate) exclude_from_context: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ReadContent {
    Text(String),
    Blocks(Vec<ReadBlock>),
}

#[derive(Debug, Deserialize)]
struct ReadBlock {
    r#type: Option<String>,
    text: Option<String>,
    id: Option<String>,
    name: Option<String>,
    /// Only tool calls have it, and only here is any JSON allowed.
    arguments: Option<serde_json::Value>,
}

impl<'a> Line<'a> {
    /// Reads one line; `None` for what is not an entry.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// The message of a `message` entry.
    pub(crate) fn message(&self) -> Option<StoredMessage<'a>> {
        StoredMessage::parse(self.message?)
    }
}

impl<'a> StoredMessage<'a> {
    /// Reads a message; `None` for what is none.
    pub(crate) fn parse(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// What wrote it or made a model write it, where that was no person.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.provenance.and_then(Read::parse).map(|read| read.origin())
    }

    /// What a model is told of who has sent it, where that was another session.
    pub(crate) fn sender(&self) -> Option<String> {
        self.provenance.and_then(Read::parse).and_then(|read| read.sender())
    }

    /// The events that it tells.
    pub(crate) fn events(&self) -> Vec<String> {
        self.provenance.and_then(Read::parse).map(Read::into_events).unwrap_or_default()
    }

    /// The text blocks, joined by empty lines; an image leaves a mark.
    pub(crate) fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(ReadContent::Text(text)) => text.clone(),
            Some(ReadContent::Blocks(blocks)) => {
                let texts: Vec<&str> = blocks.iter().filter_map(ReadBlock::shown).collect();
                texts.join("\n\n")
            }
        }
    }

    /// The calls that the model made: id, name, arguments.
    pub(crate) fn tool_calls(&self) -> Vec<(String, String, String)> {
        let Some(ReadContent::Blocks(blocks)) = &self.content else { return Vec::new() };
        blocks.iter().filter_map(ReadBlock::call).collect()
    }
}

impl ReadBlock {
    fn shown(&self) -> Option<&str> {
        match self.r#type.as_deref() {
            Some("text") => self.text.as_deref().filter(|text| !text.is_empty()),
            Some("image") => Some("[image]"),
            _ => None,
        }
    }

    fn call(&self) -> Option<(String, String, String)> {
        if self.r#type.as_deref() != Some("toolCall") {
            return None;
        }
        let arguments = self.arguments.as_ref()?;
        let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
        Some((self.id.clone()?, self.name.clone()?, arguments))
    }
}

/// `text` as a JSON string.
pub(crate) fn raw_text(text: &str) -> Result<Box<RawValue>, crate::Error> {
    serde_json::value::to_raw_value(text)
        .map_err(|source| crate::Error::Invalid { what: "a text", source })
}
