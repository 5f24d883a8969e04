//! A response as events, in `OpenAI`'s order: each item is announced, grows, and is closed before
//! the response is.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use proto::host::llm_event::Event;
use proto::host::{ToolCallDelta, Usage};
use serde::Serialize;

use super::super::error::Fault;
use super::super::fold::Fold;
use super::document::{Call, Echo, Item, Part, Shown, State, Status, status_of};
use crate::agent::Writer;

/// Bytes of text and arguments of one response; its last event repeats all of them.
const MAX_BYTES: usize = 4 << 20;

/// Items of one response.
const MAX_ITEMS: usize = 256;

const DONE: &[u8] = b"data: [DONE]\n\n";

/// Writes events into one buffer that is taken as often as there is something to send.
#[derive(Debug)]
pub(in crate::openai) struct Stream {
    echo: Arc<Echo>,
    items: Vec<Item>,
    size: usize,
    sequence: u64,
    begun: bool,
    too_long: bool,
    buffer: BytesMut,
}

#[derive(Serialize)]
struct Sent<'a, B> {
    r#type: &'a str,
    sequence_number: u64,
    #[serde(flatten)]
    body: B,
}

/// The bodies of all kinds of events; what is not of a kind is left out.
#[derive(Default, Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<Part<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Shown<'a>>,
}

/// What is written, beside what it is written of.
struct Out<'a> {
    buffer: &'a mut BytesMut,
    sequence: &'a mut u64,
}

impl Out<'_> {
    fn event(&mut self, kind: &str, body: impl Serialize) {
        let sent = Sent { r#type: kind, sequence_number: *self.sequence, body };
        *self.sequence += 1;
        self.buffer.extend_from_slice(b"event: ");
        self.buffer.extend_from_slice(kind.as_bytes());
        self.buffer.extend_from_slice(b"\ndata: ");
        // Every key is a string and every number finite, so there is always a JSON form.
        self.buffer.extend_from_slice(&serde_json::to_vec(&sent).unwrap_or_default());
        self.buffer.extend_from_slice(b"\n\n");
    }
}

#[derive(Serialize)]
struct Around<D> {
    response: D,
}

impl Stream {
    /// Nothing yet.
    pub(super) fn new(echo: Arc<Echo>) -> Self {
        Self {
            echo,
            items: Vec::new(),
            size: 0,
            sequence: 0,
            begun: false,
            too_long: false,
            buffer: BytesMut::new(),
        }
    }

    /// Whether the response has grown beyond what is kept of one.
    pub(in crate::openai) const fn is_too_long(&self) -> bool {
        self.too_long
    }

    /// The most bytes of text and arguments.
    pub(in crate::openai) const fn max() -> usize {
        MAX_BYTES
    }

    /// Writes one event of the model. The last one has none: see [`Stream::end`].
    pub(in crate::openai) fn write(&mut self, event: &Event) {
        self.begin();
        match event {
            Event::Started(_) | Event::Finished(_) => {}
            Event::Text(text) if self.has_room(text.len()) => self.text(text),
            Event::ToolCall(delta) if self.has_room(delta.name.len() + delta.arguments.len()) => {
                self.call(delta);
            }
            Event::Text(_) | Event::ToolCall(_) => self.too_long = true,
        }
    }

    /// Writes the end of a good response.
    pub(in crate::openai) fn end(&mut self, reason: &str, usage: Option<&Usage>) {
        self.begin();
        let status = status_of(reason);
        for index in 0..self.items.len() {
            self.close(index, status);
        }
        let kind = match status {
            Status::Incomplete => "response.incomplete",
            Status::InProgress | Status::Completed | Status::Failed => "response.completed",
        };
        let usage = usage.copied().unwrap_or_default();
        self.response(kind, status, reason, Some(&usage), None);
        self.buffer.extend_from_slice(DONE);
    }

    /// Writes a failure.
    pub(in crate::openai) fn fail(&mut self, fault: &Fault) {
        self.begin();
        for item in &mut self.items {
            let (Item::Message { status, .. } | Item::Call(Call { status, .. })) = item;
            if *status == Status::InProgress {
                *status = Status::Incomplete;
            }
        }
        self.response("response.failed", Status::Failed, "", None, Some(fault));
        self.buffer.extend_from_slice(DONE);
    }

    /// What has been written since the last time; empty where nothing has.
    pub(in crate::openai) fn written(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }

    fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.response("response.created", Status::InProgress, "", None, None);
            self.response("response.in_progress", Status::InProgress, "", None, None);
        }
    }

    fn response(
        &mut self,
        kind: &str,
        status: Status,
        reason: &str,
        usage: Option<&Usage>,
        fault: Option<&Fault>,
    ) {
        let state = State { status, output: &self.items, reason, usage, fault };
        let response = self.echo.document(&state);
        let mut out = Out { buffer: &mut self.buffer, sequence: &mut self.sequence };
        out.event(kind, Around { response });
    }

    fn has_room(&mut self, more: usize) -> bool {
        self.size = self.size.saturating_add(more);
        self.size <= MAX_BYTES && self.items.len() < MAX_ITEMS && !self.too_long
    }

    fn text(&mut self, delta: &str) {
        let open = |item: &Item| matches!(item, Item::Message { status: Status::InProgress, .. });
        if delta.is_empty() {
            return;
        }
        if !self.items.last().is_some_and(open) {
            let id = self.echo.item_id("msg", self.items.len());
            let message = Item::Message { id, text: String::new(), status: Status::InProgress };
            self.announce(message);
        }
        let mut out = Out { buffer: &mut self.buffer, sequence: &mut self.sequence };
        let index = self.items.len().saturating_sub(1);
        if let Some(Item::Message { id, text, .. }) = self.items.last_mut() {
            text.push_str(delta);
            let body = Body { delta: Some(delta), logprobs: Some([]), ..of_part(id, index) };
            out.event("response.output_text.delta", body);
        }
    }

    fn call(&mut self, delta: &ToolCallDelta) {
        let same = |item: &Item| matches!(item, Item::Call(call) if call.index == delta.index);
        if !self.items.iter().any(same) {
            // A message ends where a call begins.
            if let Some(last) = self.items.len().checked_sub(1)
                && matches!(self.items.last(), Some(Item::Message { .. }))
            {
                self.close(last, Status::Completed);
            }
            self.announce(Item::Call(Call {
                id: self.echo.item_id("fc", self.items.len()),
                index: delta.index,
                call_id: delta.id.clone(),
                name: delta.name.clone(),
                arguments: String::new(),
                status: Status::InProgress,
            }));
        }
        let mut out = Out { buffer: &mut self.buffer, sequence: &mut self.sequence };
        for (index, item) in self.items.iter_mut().enumerate() {
            if let Item::Call(Call { id, index: number, arguments, .. }) = item
                && *number == delta.index
                && !delta.arguments.is_empty()
            {
                arguments.push_str(&delta.arguments);
                let body = Body { delta: Some(&delta.arguments), ..of_item(id, index) };
                out.event("response.function_call_arguments.delta", body);
            }
        }
    }

    /// Says that there is a new item, which is empty still.
    fn announce(&mut self, item: Item) {
        let mut out = Out { buffer: &mut self.buffer, sequence: &mut self.sequence };
        let index = self.items.len();
        let mut shown = item.shown();
        if let Shown::Message { content, .. } = &mut shown {
            content.clear();
        }
        let added = Body { output_index: Some(index), item: Some(shown), ..Body::default() };
        out.event("response.output_item.added", added);
        if let Item::Message { id, .. } = &item {
            let part = Body { part: Some(Part::new("")), ..of_part(id, index) };
            out.event("response.content_part.added", part);
        }
        self.items.push(item);
    }

    /// Says that an item is whole.
    fn close(&mut self, index: usize, ended: Status) {
        let mut out = Out { buffer: &mut self.buffer, sequence: &mut self.sequence };
        let Some(item) = self.items.get_mut(index) else { return };
        let (Item::Message { status, .. } | Item::Call(Call { status, .. })) = &mut *item;
        if *status != Status::InProgress {
            return;
        }
        *status = ended;
        match &*item {
            Item::Message { id, text, .. } => {
                let done = Body { text: Some(text), logprobs: Some([]), ..of_part(id, index) };
                out.event("response.output_text.done", done);
                let part = Body { part: Some(Part::new(text)), ..of_part(id, index) };
                out.event("response.content_part.done", part);
            }
            Item::Call(Call { id, name, arguments, .. }) => {
                let done =
                    Body { name: Some(name), arguments: Some(arguments), ..of_item(id, index) };
                out.event("response.function_call_arguments.done", done);
            }
        }
        let item = item.shown();
        let body = Body { output_index: Some(index), item: Some(item), ..Body::default() };
        out.event("response.output_item.done", body);
    }
}

fn of_item(id: &str, index: usize) -> Body<'_> {
    Body { item_id: Some(id), output_index: Some(index), ..Body::default() }
}

fn of_part(id: &str, index: usize) -> Body<'_> {
    Body { content_index: Some(0), ..of_item(id, index) }
}

impl Writer for Stream {
    fn is_stream(&self) -> bool {
        true
    }

    fn event(&mut self, event: &Event) {
        self.write(event);
    }

    fn finish(&mut self, fold: &Fold) {
        if self.too_long {
            // The transcript has all of it; what this client gets ends where its events did.
            return self.end("length", fold.usage());
        }
        self.end(fold.reason(), fold.usage());
    }

    fn error(&mut self, fault: &Fault) {
        self.fail(fault);
    }

    fn take(&mut self) -> Bytes {
        self.written()
    }
}
