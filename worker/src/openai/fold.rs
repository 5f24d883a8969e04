//! A model's events folded into one reply. Bounded: what a provider sends cannot fill the memory.

use std::collections::HashSet;

use proto::host::llm_event::Event;
use proto::host::{Finished, Started, ToolCallDelta, Usage};

use super::encode::escape;

/// Tool calls of one reply.
const MAX_CALLS: usize = 128;

/// Characters of an id that every provider takes back.
const MAX_ID: usize = 64;

/// `OpenAI`'s word for an end with calls.
const CALLS: &str = "tool_calls";

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
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    index: u32,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

impl Call {
    /// A call as it is stored.
    pub(crate) fn of(id: &str, name: &str, arguments: &str) -> Self {
        let [id, name, arguments] = [id, name, arguments].map(str::to_owned);
        Self { index: 0, id, name, arguments }
    }
}

/// What a run has said and used before its last answer.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// The inside of a JSON string.
    text: String,
    pub(crate) usage: Usage,
}

/// What stands between the texts of two answers of one run.
pub(crate) const GAP: &str = "\n\n";

impl Before {
    /// Adds an answer that others follow.
    pub(crate) fn add(&mut self, fold: &Fold) {
        if !fold.text.is_empty() {
            if !self.text.is_empty() {
                escape(GAP, |run| self.text.push_str(run));
            }
            self.text.push_str(&fold.text);
        }
        self.usage = sum(self.usage, fold.usage().copied().unwrap_or_default());
    }

    /// Whether nothing has been said.
    pub(crate) const fn is_silent(&self) -> bool {
        self.text.is_empty()
    }

    /// Bytes that have been said.
    pub(crate) const fn size(&self) -> usize {
        self.text.len()
    }

    /// Adds what a model has used that a tool asked.
    pub(crate) fn used(&mut self, more: Usage) {
        self.usage = sum(self.usage, more);
    }

    /// Tokens in all.
    pub(crate) const fn tokens(&self) -> u64 {
        self.usage.input_tokens.saturating_add(self.usage.output_tokens)
    }
}

const fn sum(one: Usage, other: Usage) -> Usage {
    Usage {
        input_tokens: one.input_tokens.saturating_add(other.input_tokens),
        output_tokens: one.output_tokens.saturating_add(other.output_tokens),
        cached_tokens: one.cached_tokens.saturating_add(other.cached_tokens),
        reasoning_tokens: one.reasoning_tokens.saturating_add(other.reasoning_tokens),
    }
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

    /// Keeps the calls of some tools only. A reply that called others alone ends like any other.
    pub(crate) fn keep_calls(&mut self, keep: impl Fn(&str) -> bool) {
        self.calls.retain(|call| keep(&call.name));
        if self.calls.is_empty()
            && let Some(finished) = &mut self.finished
            && finished.reason == CALLS
        {
            "stop".clone_into(&mut finished.reason);
        }
    }

    /// Gives every call an id of its own: not every model does, and each is answered by its id. The
    /// ids of calls that go to whoever asked stay, for they are known there; others are none of
    /// `taken`, and ones that every provider takes back.
    pub(crate) fn identify(
        &mut self,
        mut taken: HashSet<String>,
        goes_back: impl Fn(&Call) -> bool,
    ) {
        let (theirs, ours): (Vec<_>, Vec<_>) =
            self.calls.iter_mut().partition(|call| goes_back(call));
        let mut seen = HashSet::new();
        for call in theirs {
            if call.id.is_empty() || !seen.insert(call.id.clone()) {
                call.id = new_id();
            }
            taken.insert(call.id.clone());
        }
        for call in ours {
            if !is_id(&call.id) || taken.contains(&call.id) {
                call.id = new_id();
            }
            taken.insert(call.id.clone());
        }
    }

    /// Puts what was said and used before in front.
    pub(crate) fn follow(&mut self, before: &Before) {
        if !before.text.is_empty() {
            let own = std::mem::replace(&mut self.text, before.text.clone());
            if !own.is_empty() {
                escape(GAP, |run| self.text.push_str(run));
                self.text.push_str(&own);
            }
        }
        if let Some(finished) = &mut self.finished {
            let own = finished.usage.unwrap_or_default();
            finished.usage = Some(sum(before.usage, own));
        }
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
            Some(_) if !self.calls.is_empty() => CALLS,
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

fn new_id() -> String {
    format!("call_{}", uuid::Uuid::new_v4().simple())
}

/// Whether every provider takes this id back.
fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_calls_have_ids_that_are_new_and_that_every_provider_takes() {
        let mut fold = Fold::new(1 << 20);
        let long = "x".repeat(65);
        let ids = ["theirs", "a", "a", "old", "b.c", "", long.as_str(), "theirs", "ü", "d-_9"];
        for (index, id) in (0..).zip(ids) {
            let name = if index == 0 { "w" } else { "n" };
            let (id, name) = (id.to_owned(), name.to_owned());
            fold.push(&Event::ToolCall(ToolCallDelta { index, id, name, ..<_>::default() }))
                .unwrap();
        }
        fold.identify(HashSet::from(["old".to_owned()]), |call| call.name == "w");
        let got: Vec<&str> = fold.calls().iter().map(|call| call.id.as_str()).collect();
        assert_eq!((got[0], got[1], got[9]), ("theirs", "a", "d-_9"));
        assert!(got[2..9].iter().all(|id| id.starts_with("call_") && is_id(id)), "{got:?}");
        assert_eq!(got.iter().collect::<HashSet<_>>().len(), got.len());
    }
}
