//! Replies as bytes: chunks of an event stream, and the one document of a reply without stream.
//!
//! Written by hand into one buffer, because every token of every stream passes here.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use proto::host::llm_event::Event;
use proto::host::{ToolCallDelta, Usage};

use super::error::Fault;
use super::fold::{Call, Fold};
use crate::agent::Writer;

/// What all chunks of one reply have in common.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// `chatcmpl-` and a unique rest; also the run's id.
    pub(crate) id: String,
    /// Seconds since the epoch.
    pub(crate) created: u64,
    /// The model as the client named it.
    pub(crate) model: String,
    /// Whether the client asked for a chunk with the usage.
    pub(crate) include_usage: bool,
}

/// Writes chunks into one buffer that is taken as often as there is something to send.
#[derive(Debug)]
pub(crate) struct Chunks {
    /// From `data: ` to the opening of `choices`.
    open: String,
    /// From `data: ` to the opening quote of the content.
    open_text: String,
    /// What closes a chunk after its choices.
    close: &'static str,
    include_usage: bool,
    buffer: BytesMut,
}

impl Chunks {
    /// Chunks of a reply.
    pub(crate) fn new(shape: &Shape) -> Self {
        let mut open = format!("data: {{\"id\":\"{}\",", shape.id);
        open.push_str("\"object\":\"chat.completion.chunk\",\"created\":");
        push_number(&mut open, shape.created);
        open.push_str(",\"model\":\"");
        escape(&shape.model, |run| open.push_str(run));
        open.push_str("\",\"choices\":[");
        let open_text = format!("{open}{{\"index\":0,\"delta\":{{\"content\":\"");
        let close = if shape.include_usage { "],\"usage\":null}\n\n" } else { "]}\n\n" };
        let include_usage = shape.include_usage;
        Self { open, open_text, close, include_usage, buffer: BytesMut::new() }
    }

    /// The chunk of one event. The last event has none: see [`Chunks::end`].
    pub(crate) fn write(&mut self, event: &Event) {
        match event {
            Event::Started(_) => {
                self.delta("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
            }
            Event::Text(text) => self.text(text),
            Event::ToolCall(call) => self.tool_call(call),
            Event::Finished(_) => {}
        }
    }

    fn text(&mut self, text: &str) {
        self.buffer.extend_from_slice(self.open_text.as_bytes());
        let buffer = &mut self.buffer;
        escape(text, |run| buffer.extend_from_slice(run.as_bytes()));
        self.buffer.extend_from_slice(b"\"},\"logprobs\":null,\"finish_reason\":null}");
        self.buffer.extend_from_slice(self.close.as_bytes());
    }

    fn tool_call(&mut self, call: &ToolCallDelta) {
        let mut delta = String::from("\"tool_calls\":[{\"index\":");
        push_number(&mut delta, call.index.into());
        if !call.id.is_empty() {
            delta.push_str(",\"id\":\"");
            escape(&call.id, |run| delta.push_str(run));
            delta.push_str("\",\"type\":\"function\"");
        }
        delta.push_str(",\"function\":{");
        if !call.name.is_empty() {
            delta.push_str("\"name\":\"");
            escape(&call.name, |run| delta.push_str(run));
            delta.push_str("\",");
        }
        delta.push_str("\"arguments\":\"");
        escape(&call.arguments, |run| delta.push_str(run));
        delta.push_str("\"}}]");
        self.delta(&delta);
    }

    /// The last chunks: the reason, the usage where it was asked for, and the end mark.
    pub(crate) fn end(&mut self, reason: &str, usage: Option<&Usage>) {
        let mut choice = String::from("{\"index\":0,\"delta\":{},\"logprobs\":null");
        choice.push_str(",\"finish_reason\":\"");
        escape(reason, |run| choice.push_str(run));
        choice.push_str("\"}");
        let mut last = format!("{}{choice}{}", self.open, self.close);
        if self.include_usage {
            last.push_str(&self.open);
            last.push_str("],\"usage\":");
            push_usage(&mut last, usage);
            last.push_str("}\n\n");
        }
        self.put(&[&last, DONE]);
    }

    /// An error after the head has gone, and the end mark.
    pub(crate) fn fail(&mut self, fault: &Fault) {
        self.buffer.extend_from_slice(b"data: ");
        self.buffer.extend_from_slice(&fault.json());
        self.put(&["\n\n", DONE]);
    }

    /// What has been written since the last time; empty where nothing has.
    pub(crate) fn written(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }

    fn delta(&mut self, delta: &str) {
        let close = "},\"logprobs\":null,\"finish_reason\":null}";
        let open = std::mem::take(&mut self.open);
        self.put(&[&open, "{\"index\":0,\"delta\":{", delta, close, self.close]);
        self.open = open;
    }

    fn put(&mut self, pieces: &[&str]) {
        for piece in pieces {
            self.buffer.extend_from_slice(piece.as_bytes());
        }
    }
}

impl Writer for Chunks {
    fn is_stream(&self) -> bool {
        true
    }

    fn event(&mut self, event: &Event) {
        self.write(event);
    }

    fn finish(&mut self, fold: &Fold) {
        self.end(fold.reason(), fold.usage());
    }

    fn error(&mut self, fault: &Fault) {
        self.fail(fault);
    }

    fn take(&mut self) -> Bytes {
        self.written()
    }
}

/// The one document of a reply without stream, once there is one.
#[derive(Debug)]
pub(crate) struct Document {
    shape: Shape,
    bytes: Bytes,
}

impl Document {
    /// No document yet.
    pub(crate) fn new(shape: Shape) -> Self {
        Self { shape, bytes: Bytes::new() }
    }
}

impl Writer for Document {
    fn is_stream(&self) -> bool {
        false
    }

    fn event(&mut self, _event: &Event) {}

    fn finish(&mut self, fold: &Fold) {
        self.bytes = document(&self.shape, fold);
    }

    fn error(&mut self, fault: &Fault) {
        self.bytes = fault.json().into();
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes)
    }
}

const DONE: &str = "data: [DONE]\n\n";

/// The document of a reply without stream.
pub(crate) fn document(shape: &Shape, fold: &Fold) -> Bytes {
    let mut json = String::with_capacity(fold.size() + 512);
    json.push_str("{\"id\":\"");
    json.push_str(&shape.id);
    json.push_str("\",\"object\":\"chat.completion\",\"created\":");
    push_number(&mut json, shape.created);
    json.push_str(",\"model\":\"");
    escape(&shape.model, |run| json.push_str(run));
    json.push_str("\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    if fold.text().is_empty() && !fold.calls().is_empty() {
        json.push_str("null");
    } else {
        json.push('"');
        json.push_str(fold.text());
        json.push('"');
    }
    json.push_str(",\"refusal\":null");
    push_calls(&mut json, fold.calls());
    json.push_str("},\"logprobs\":null,\"finish_reason\":\"");
    escape(fold.reason(), |run| json.push_str(run));
    json.push_str("\"}],\"usage\":");
    push_usage(&mut json, fold.usage());
    json.push('}');
    json.into()
}

fn push_calls(json: &mut String, calls: &[Call]) {
    let mut open = ",\"tool_calls\":[";
    for call in calls {
        json.push_str(open);
        json.push_str("{\"id\":\"");
        escape(&call.id, |run| json.push_str(run));
        json.push_str("\",\"type\":\"function\",\"function\":{\"name\":\"");
        escape(&call.name, |run| json.push_str(run));
        json.push_str("\",\"arguments\":\"");
        escape(&call.arguments, |run| json.push_str(run));
        json.push_str("\"}}");
        open = ",";
    }
    if !calls.is_empty() {
        json.push(']');
    }
}

fn push_usage(json: &mut String, usage: Option<&Usage>) {
    let usage = usage.copied().unwrap_or_default();
    json.push_str("{\"prompt_tokens\":");
    push_number(json, usage.input_tokens);
    json.push_str(",\"completion_tokens\":");
    push_number(json, usage.output_tokens);
    json.push_str(",\"total_tokens\":");
    push_number(json, usage.input_tokens.saturating_add(usage.output_tokens));
    json.push_str(",\"prompt_tokens_details\":{\"cached_tokens\":");
    push_number(json, usage.cached_tokens);
    json.push_str("},\"completion_tokens_details\":{\"reasoning_tokens\":");
    push_number(json, usage.reasoning_tokens);
    json.push_str("}}");
}

fn push_number(text: &mut String, number: u64) {
    // Writing to a String cannot fail; the trait's signature is that of any writer.
    write!(text, "{number}").unwrap_or_default();
}

/// Gives `text` as the inside of a JSON string, in runs.
pub(crate) fn escape(text: &str, mut put: impl FnMut(&str)) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        let (plain, special) = rest.split_at(at);
        if !plain.is_empty() {
            put(plain);
        }
        let mut characters = special.chars();
        match characters.next() {
            Some('"') => put("\\\""),
            Some('\\') => put("\\\\"),
            Some('\n') => put("\\n"),
            Some('\r') => put("\\r"),
            Some('\t') => put("\\t"),
            Some(other) => put(&format!("\\u{:04x}", u32::from(other))),
            None => {}
        }
        rest = characters.as_str();
    }
    if !rest.is_empty() {
        put(rest);
    }
}
