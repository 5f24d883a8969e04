//! Server-sent events of a chat completion, from bytes as they arrive.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::rpc::{Refusal, Told};

/// The longest line, in bytes: a chunk holds some words, and nothing trusted sends more.
const MAX_LINE: usize = 1 << 20;

/// Bytes that are not yet a whole line.
#[derive(Debug, Default)]
pub(super) struct Events(Vec<u8>);

/// One event.
pub(super) enum Event {
    /// Some words.
    Chunk(Chunk),
    /// The answer failed after it had begun.
    Failed(Told),
    /// The answer is complete.
    Done,
}

#[derive(Debug, Deserialize)]
pub(super) struct Chunk {
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    pub(super) delta: Delta,
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Delta {
    pub(super) content: Option<String>,
}

/// What the answer used.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"))]
pub(super) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl Events {
    /// Takes in what has arrived.
    pub(super) fn push(&mut self, part: &[u8]) -> Result<(), Error> {
        self.0.extend_from_slice(part);
        let unfinished = self.0.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len);
        if unfinished > MAX_LINE { Err(Error::Cut) } else { Ok(()) }
    }

    /// The next whole event; lines of comments and blank lines are passed over.
    pub(super) fn next(&mut self) -> Result<Option<Event>, serde_json::Error> {
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            let Some(data) = line.trim_ascii_end().strip_prefix(b"data:") else { continue };
            return event(data.trim_ascii_start()).map(Some);
        }
        Ok(None)
    }
}

fn event(data: &[u8]) -> Result<Event, serde_json::Error> {
    if data == b"[DONE]" {
        return Ok(Event::Done);
    }
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(data) {
        return Ok(Event::Failed(refusal.error));
    }
    serde_json::from_slice(data).map(Event::Chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bytes: &[u8], step: usize) -> Vec<String> {
        let (mut events, mut words) = (Events::default(), Vec::new());
        for part in bytes.chunks(step) {
            events.push(part).unwrap();
            while let Some(event) = events.next().unwrap() {
                words.push(match event {
                    Event::Done => "done".to_owned(),
                    Event::Failed(told) => told.into_error(500).to_string(),
                    Event::Chunk(chunk) => {
                        let text = |choice: Choice| choice.delta.content.unwrap_or_default();
                        chunk.choices.into_iter().map(text).collect()
                    }
                });
            }
        }
        words
    }

    #[test]
    fn however_the_bytes_are_cut() {
        let stream = b": hello\r\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n\
            data:{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\r\n\
            data: {\"error\":{\"message\":\"gone\"}}\n\ndata: [DONE]\n\n";
        for step in [1, 2, 7, 1000] {
            assert_eq!(words(stream, step), ["a", "", "gone", "done"], "step {step}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut events = Events::default();
        events.push(&vec![b'x'; MAX_LINE]).unwrap();
        events.push(b"x").unwrap_err();
        let mut bad = Events::default();
        bad.push(b"data: {\n").unwrap();
        assert!(bad.next().is_err());
    }
}
