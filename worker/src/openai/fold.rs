//! A model's events folded into one reply. Bounded: what a provider sends cannot fill the memory.

use proto::host::llm_event::Event;
use proto::host::{Finished, Started, ToolCallDelta, Usage};

use super::encode::escape;

/// Tool calls of one reply.
const MAX_CALLS: usize = 128;

/// A reply so far.
#[derive(Debug)]
pub(crate) struct Fold {
    started: Started,
    /// Escaped already, as both the document and the transcript want it.
    text: String,
    calls: Vec<Call>,
    finished: Option<Finished>,
    /// Bytes of text, names and arguments.
    size: usize,
    max: usize,
}

/// One tool call so far.
#[derive(Debug, Default)]
pub(crate) struct Call {
    index: u32,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// The reply is longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Fold {
    /// Nothing yet, and at most `max` bytes in the end.
    pub(crate) fn new(max: usize) -> Self {
        let (started, text, calls) = (Started::default(), String::new(), Vec::new());
        Self { started, text, calls, finished: None, size: 0, max }
    }

    /// Takes in one event.
    pub(crate) fn push(&mut self, event: &Event) -> Result<(), TooLong> {
        match event {
            Event::Started(started) => self.started = started.clone(),
            Event::Text(text) => {
                self.room_for(text.len())?;
                let before = self.text.len();
                escape(text, |run| self.text.push_str(run));
                let more = self.text.len() - before;
                self.room_for(more).inspect_err(|_| self.text.truncate(before))?;
                self.size += more;
            }
            Event::ToolCall(delta) => self.call(delta)?,
            Event::Finished(finished) => self.finished = Some(finished.clone()),
        }
        Ok(())
    }

    /// The text as the inside of a JSON string.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text itself.
    pub(crate) fn plain_text(&self) -> String {
        // What was escaped here is always the inside of a JSON string.
        serde_json::from_str(&format!("\"{}\"", self.text)).unwrap_or_default()
    }

    /// The tool calls in the order of their first pieces.
    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Whether nothing has come yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.size == 0 && self.finished.is_none() && self.started == Started::default()
    }

    /// Who answered.
    pub(crate) fn started(&self) -> &Started {
        &self.started
    }

    /// Whether the last event has come.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// `OpenAI`'s word for why the reply ended.
    pub(crate) fn reason(&self) -> &str {
        match &self.finished {
            Some(finished) if !finished.reason.is_empty() => &finished.reason,
            Some(_) if !self.calls.is_empty() => "tool_calls",
            _ => "stop",
        }
    }

    /// Ends the reply here because of its length.
    pub(crate) fn cut(&mut self) {
        self.finished =
            Some(Finished { reason: "length".to_owned(), usage: self.usage().copied() });
    }

    /// What the reply has used, once that is known.
    pub(crate) fn usage(&self) -> Option<&Usage> {
        self.finished.as_ref()?.usage.as_ref()
    }

    /// Bytes of text, names and arguments.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    fn call(&mut self, delta: &ToolCallDelta) -> Result<(), TooLong> {
        let more = delta.id.len() + delta.name.len() + delta.arguments.len();
        self.room_for(more)?;
        self.size += more;
        if !self.calls.iter().any(|call| call.index == delta.index) {
            if self.calls.len() >= MAX_CALLS {
                return Err(TooLong);
            }
            self.calls.push(Call { index: delta.index, ..Call::default() });
        }
        let Some(call) = self.calls.iter_mut().find(|call| call.index == delta.index) else {
            return Ok(());
        };
        call.id.push_str(&delta.id);
        call.name.push_str(&delta.name);
        call.arguments.push_str(&delta.arguments);
        Ok(())
    }

    fn room_for(&self, more: usize) -> Result<(), TooLong> {
        if self.size.saturating_add(more) > self.max { Err(TooLong) } else { Ok(()) }
    }
}
