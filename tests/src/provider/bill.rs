//! What the model `bill` answers: the user's message says, event by event, what is said and what is
//! reported as used, and how the answer ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio_stream::wrappers::ReceiverStream;

use super::{Body, Seen, event};

/// One event of an answer, or what happens in its place.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// Words.
    Say(String),
    /// Figures, as they stand under `usage`, in an event of their own.
    Usage(Value),
    /// The reason of the end.
    Stop,
    /// The mark after which nothing is read.
    Done,
    /// Nothing more, until [`super::Provider::go_on`].
    Wait,
    /// Nothing more for so many milliseconds.
    Pause(u64),
    /// The connection ends in the middle of an event.
    Cut,
}

/// What stands before what is to be answered.
const BILL: &str = "bill ";

/// A user's message for which the model `bill` answers with these lines.
pub fn bill(lines: &[Line]) -> String {
    let lines: Value = lines.iter().map(Line::text).collect();
    format!("{BILL}{lines}")
}

/// The same for words that have a pause of so many milliseconds in their middle: in fewer characters, as a
/// long conversation is sent with each of its messages.
pub fn brief(pause: u64, words: &str) -> String {
    format!("{BILL}{pause} {words}")
}

/// An answer as most providers give it.
pub(super) fn usual(words: &str, usage: Value) -> Vec<Line> {
    vec![Line::Say(words.to_owned()), Line::Stop, Line::Usage(usage), Line::Done]
}

/// The lines that the last message of a request asks for.
pub(super) fn read(message: &str, request: &Value) -> Vec<Line> {
    let found = message.split_once(BILL);
    let (_, lines) = found.unwrap_or_else(|| panic!("no bill in {message:?} of {request}"));
    if let Some((pause, words)) = lines.split_once(' ')
        && let Ok(pause) = pause.parse()
    {
        // Where a conversation is to be summarised, the rest of it comes after.
        let words = words.lines().next().unwrap_or_default();
        let (first, rest) = words.split_at(words.len() / 2);
        let said = [Line::say(first), Line::Pause(pause), Line::say(rest)];
        return [&said[..], &[Line::Stop, Line::used(1, 1), Line::Done]].concat();
    }
    let mut read = serde_json::Deserializer::from_str(lines).into_iter::<Vec<Value>>();
    let lines = read.next().unwrap().unwrap();
    lines.iter().map(Line::read).collect()
}

/// The answer of these lines.
pub(super) fn stream(lines: Vec<Line>, seen: Arc<Seen>) -> Response<Body> {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    drop(tokio::spawn(async move {
        for line in lines {
            let frame = match line {
                Line::Wait => {
                    seen.waiting.fetch_add(1, Ordering::SeqCst);
                    tokio::select! {
                        permit = seen.curtain.acquire() => permit.unwrap().forget(),
                        () = sender.closed() => {
                            seen.cancelled.fetch_add(1, Ordering::SeqCst);
                            return;
                        }
                    }
                    continue;
                }
                Line::Pause(millis) => {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    continue;
                }
                Line::Cut => Frame::data(Bytes::from_static(b"data: {\"choi")),
                Line::Done => event("[DONE]"),
                Line::Say(_) | Line::Usage(_) | Line::Stop => event(&line.event(&seen)),
            };
            if sender.send(Ok(frame)).await.is_err() {
                seen.cancelled.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }));
    let body = StreamBody::new(ReceiverStream::new(receiver));
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

impl Line {
    /// Words, and the words' mark.
    pub fn say(words: &str) -> Self {
        Self::Say(words.to_owned())
    }

    /// Figures as most providers report them.
    pub fn used(input: i64, output: i64) -> Self {
        Self::Usage(json!({"prompt_tokens": input, "completion_tokens": output,
            "total_tokens": input.saturating_add(output)}))
    }

    fn text(&self) -> Value {
        match self {
            Self::Say(words) => json!({"say": words}),
            Self::Usage(usage) => json!({"usage": usage}),
            Self::Stop => json!("stop"),
            Self::Done => json!("done"),
            Self::Wait => json!("wait"),
            Self::Pause(millis) => json!({"pause": millis}),
            Self::Cut => json!("cut"),
        }
    }

    fn read(value: &Value) -> Self {
        match value.as_str() {
            Some("stop") => Self::Stop,
            Some("done") => Self::Done,
            Some("wait") => Self::Wait,
            Some("cut") => Self::Cut,
            _ if value["pause"].is_u64() => Self::Pause(value["pause"].as_u64().unwrap()),
            _ if value["say"].is_string() => Self::say(value["say"].as_str().unwrap()),
            _ => Self::Usage(value["usage"].clone()),
        }
    }

    fn event(&self, seen: &Seen) -> String {
        let choice = |delta: Value, reason: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
        let event = match self {
            Self::Say(words) => {
                seen.words.fetch_add(1, Ordering::SeqCst);
                choice(json!({"content": words}), Value::Null)
            }
            Self::Usage(usage) => {
                let figure = |name: &str| usage[name].as_u64().unwrap_or_default();
                let sum = figure("prompt_tokens").saturating_add(figure("completion_tokens"));
                seen.reported.fetch_add(sum, Ordering::SeqCst);
                json!({"choices": [], "usage": usage})
            }
            Self::Stop | Self::Done | Self::Wait | Self::Pause(_) | Self::Cut => {
                choice(json!({}), json!("stop"))
            }
        };
        event.to_string()
    }
}
