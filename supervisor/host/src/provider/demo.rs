//! The built-in model: no intelligence, no network, the same answer to the same conversation. Every
//! text of it begins with what it is.
//!
//! It repeats the last message and says how many there were. Three requests show what a gateway
//! does with answers of other kinds: `count to N` makes a long one, `count to N slowly` one that
//! takes a tenth of a second a number, and `call NAME {json}` calls the tool NAME if it is offered.
//! Tokens are those of the estimate: one for every four bytes or part of them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use proto::host::llm_event::Event;
use proto::host::part::Part as PartKind;
use proto::host::{LlmRequest, Message, Role, ToolCallDelta, Usage};
use serde::Deserialize;
use tokio::time::Sleep;

use super::{Invalid, Reading};
use crate::estimate;

/// How every answer begins.
const LABEL: &str = "[demo model, not an AI]";

/// The highest number that is counted to: half a megabyte of answer.
const MAX_COUNT: u32 = 100_000;

/// Pieces that are handed over at once; the next ones wait until these are taken.
const BATCH: usize = 32;

/// The time between two pieces of a slow answer.
const PACE: Duration = Duration::from_millis(100);

/// An answer in the making.
#[derive(Debug)]
pub(crate) struct Speech {
    matter: Matter,
    input: u64,
    /// Bytes that may still be said.
    room: usize,
    said: u64,
    /// Set while a slow answer waits for its next piece.
    pause: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum Matter {
    /// A text and how much of it has been said.
    Text {
        text: String,
        said: usize,
    },
    /// Numbers, the next and the last; the label stands for 0.
    Count {
        next: u32,
        last: u32,
        slowly: bool,
    },
    Call {
        name: String,
        arguments: String,
    },
    /// Why the answer ends.
    End(&'static str),
}

impl Speech {
    /// The answer to `request`, cut at `max_tokens`.
    pub(crate) fn new(request: &LlmRequest, max_tokens: Option<u64>) -> Result<Self, Invalid> {
        let room = max_tokens.map_or(u64::MAX, estimate::bytes);
        Ok(Self {
            matter: matter(request)?,
            input: estimate::prompt(request),
            room: usize::try_from(room).unwrap_or(usize::MAX),
            said: 0,
            pause: None,
        })
    }

    /// The next pieces.
    pub(crate) fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<Reading> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let mut reading = Reading::default();
        while reading.events.len() < BATCH && self.pause.is_none() {
            if let Matter::End(reason) = self.matter {
                reading.reason = Some(reason);
                reading.done = true;
                break;
            }
            self.say(&mut reading);
        }
        self.said += reading.bytes;
        reading.usage = Some(Usage {
            input_tokens: self.input,
            output_tokens: estimate::text(self.said),
            ..Usage::default()
        });
        Poll::Ready(reading)
    }

    fn say(&mut self, reading: &mut Reading) {
        let (piece, next) = match &mut self.matter {
            Matter::Text { text, said } => {
                let rest = text.get(*said..).unwrap_or_default();
                let end = piece(rest);
                *said += end;
                let last = *said >= text.len();
                let piece = text.get(*said - end..*said).unwrap_or_default().to_owned();
                (piece, last.then_some(Matter::End("stop")))
            }
            Matter::Count { next, last, slowly } => {
                let piece = if *next == 0 { LABEL.to_owned() } else { format!(" {next}") };
                *next += 1;
                if *slowly {
                    self.pause = Some(Box::pin(tokio::time::sleep_until(
                        tokio::time::Instant::now() + PACE,
                    )));
                }
                (piece, (*next > *last).then_some(Matter::End("stop")))
            }
            Matter::Call { name, arguments } => {
                let call = ToolCallDelta {
                    index: 0,
                    id: "call_demo_0".to_owned(),
                    name: std::mem::take(name),
                    arguments: std::mem::take(arguments),
                };
                let bytes = call.name.len() + call.arguments.len();
                reading.push(Event::ToolCall(call), bytes);
                self.matter = Matter::End("tool_calls");
                return;
            }
            Matter::End(_) => return,
        };
        if let Some(next) = next {
            self.matter = next;
        }
        self.utter(piece, reading);
    }

    fn utter(&mut self, mut piece: String, reading: &mut Reading) {
        if piece.len() > self.room {
            let end = (0..=self.room).rev().find(|end| piece.is_char_boundary(*end));
            piece.truncate(end.unwrap_or(0));
            self.matter = Matter::End("length");
        }
        self.room -= piece.len();
        reading.text(piece);
    }
}

/// The length of the next word with the space before it.
fn piece(rest: &str) -> usize {
    let word = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
    let end = rest.get(word..).and_then(|rest| rest.find(char::is_whitespace));
    end.map_or(rest.len(), |end| word + end)
}

fn matter(request: &LlmRequest) -> Result<Matter, Invalid> {
    let said = request.messages.iter().rev().find(|it| it.role() != Role::System);
    let words = said.map(words).unwrap_or_default();
    if said.is_some_and(|it| it.role() == Role::Tool) {
        return Ok(text(format!("{LABEL} The tool answered: {words}")));
    }
    if let Some((last, slowly)) = count(&words) {
        return Ok(Matter::Count { next: 0, last, slowly });
    }
    if let Some(call) = call(request, &words)? {
        return Ok(call);
    }
    let number = request.messages.iter().filter(|it| it.role() == Role::User).count();
    Ok(text(format!("{LABEL} Message {number} of this conversation. You said: {words}")))
}

const fn text(text: String) -> Matter {
    Matter::Text { text, said: 0 }
}

fn words(message: &Message) -> String {
    let mut words = String::new();
    for part in &message.parts {
        match part.part.as_ref() {
            Some(PartKind::Text(text)) => words.push_str(text),
            Some(PartKind::ImageUrl(_)) => words.push_str("[an image]"),
            None => {}
        }
    }
    words
}

fn count(words: &str) -> Option<(u32, bool)> {
    let words: Vec<_> = words.split_whitespace().take(5).collect();
    let (last, slowly) = match words.as_slice() {
        [count, to, last] if is(count, "count") && is(to, "to") => (last, false),
        [count, to, last, slowly] if is(count, "count") && is(to, "to") && is(slowly, "slowly") => {
            (last, true)
        }
        _ => return None,
    };
    let last = last.parse().ok()?;
    (1..=MAX_COUNT).contains(&last).then_some((last, slowly))
}

fn is(word: &str, what: &str) -> bool {
    word.eq_ignore_ascii_case(what)
}

fn call(request: &LlmRequest, words: &str) -> Result<Option<Matter>, Invalid> {
    #[derive(Deserialize)]
    struct Offered {
        function: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let Some(rest) = words.trim().strip_prefix("call ") else { return Ok(None) };
    let tools = request.params.as_ref().map_or(b"".as_slice(), |it| &it.tools);
    let Some(tools) = super::openai::raw("tools", tools)? else { return Ok(None) };
    let offered: Vec<Offered> =
        serde_json::from_str(tools.get()).map_err(|err| Invalid::Form("tools", err))?;
    let (name, arguments) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest, "{}"));
    if !offered.iter().any(|it| it.function.name == name) {
        return Ok(None);
    }
    let (name, arguments) = (name.to_owned(), arguments.trim().to_owned());
    Ok(Some(Matter::Call { name, arguments }))
}
