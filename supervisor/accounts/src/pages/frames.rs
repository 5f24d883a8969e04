//! What a page and the gateway say to each other: one JSON object to a frame, of a `type` and what belongs
//! to it.
//!
//! A page says `hello` first, with the words of its visitor; then `say` for each message, and `ping`. It is
//! told `welcome`, an `item` for everything that its conversation shows, `ready`; for each message `kept`,
//! `refused` or `later`; `typing`, `pong`; and `error` before it is ended. `docs/channels/webchat.md` has
//! them in full.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{MAX_FILE_BYTES, MAX_FILES, MAX_MESSAGE};

/// Letters of a message's id.
const MAX_ID: usize = 64;

/// Bytes of base64 that files may have together.
const MAX_BASE64: usize = MAX_FILE_BYTES.div_ceil(3) * 4;

/// A frame of a page, of any type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame<'a> {
    r#type: String,
    visitor: Option<String>,
    signed: Option<String>,
    after: Option<u64>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    files: Option<&'a RawValue>,
}

/// What a page says.
#[derive(Debug)]
pub(crate) enum Said<'a> {
    Hello { words: super::Words, after: u64 },
    Say(Message<'a>),
    Ping,
}

/// A message of a visitor's.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) id: String,
    pub(crate) message: &'a RawValue,
    pub(crate) files: Option<&'a RawValue>,
}

/// A frame that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("the frame is none: {0}")]
    Form(String),
    #[error("{field}: {problem}")]
    Field { field: &'static str, problem: String },
}

impl<'a> Said<'a> {
    pub(crate) fn read(text: &'a str) -> Result<Self, Wrong> {
        let form = |err: serde_json::Error| Wrong::Form(err.to_string());
        let frame: Frame<'a> = serde_json::from_str(text).map_err(form)?;
        let of_hello = [frame.visitor.is_some(), frame.signed.is_some(), frame.after.is_some()];
        let of_say = [frame.message.is_some(), frame.files.is_some()];
        let is_plain = |others: &[bool]| {
            let stray = others.contains(&true);
            if stray { Err(wrong("type", "it has fields of another type")) } else { Ok(()) }
        };
        match frame.r#type.as_str() {
            "hello" => {
                is_plain(&of_say)?;
                let words = super::Words { visitor: frame.visitor, signed: frame.signed };
                Ok(Self::Hello { words, after: frame.after.unwrap_or(0) })
            }
            "say" => {
                is_plain(&of_hello)?;
                let message = frame.message.ok_or_else(|| wrong("message", "missing"))?;
                Message::read(message, frame.files).map(Self::Say)
            }
            "ping" => {
                is_plain(&of_hello)?;
                is_plain(&of_say)?;
                Ok(Self::Ping)
            }
            _ => Err(wrong("type", "one of hello, say, ping")),
        }
    }
}

impl<'a> Message<'a> {
    fn read(message: &'a RawValue, files: Option<&'a RawValue>) -> Result<Self, Wrong> {
        #[derive(Deserialize)]
        struct Named {
            id: String,
        }
        if message.get().len() > MAX_MESSAGE {
            return Err(wrong("message", format!("at most {MAX_MESSAGE} bytes")));
        }
        let named = serde_json::from_str(message.get());
        let Named { id } = named.map_err(|err| wrong("message", err.to_string()))?;
        let plain = |it: u8| it.is_ascii_alphanumeric() || b"-_".contains(&it);
        if !(1..=MAX_ID).contains(&id.len()) || !id.bytes().all(plain) {
            let problem = format!("1 to {MAX_ID} letters, digits, - and _");
            return Err(wrong("message.id", problem));
        }
        if let Some(files) = files {
            hold(files)?;
        }
        Ok(Self { id, message, files })
    }
}

/// Holds files against their bounds, by how long they are as they came.
fn hold(files: &RawValue) -> Result<(), Wrong> {
    let all: Result<Vec<&RawValue>, _> = serde_json::from_str(files.get());
    let all = all.map_err(|err| wrong("files", err.to_string()))?;
    if all.len() > MAX_FILES {
        return Err(wrong("files", format!("at most {MAX_FILES} in one message")));
    }
    let is_text = |it: &&RawValue| it.get().starts_with('"');
    if !all.iter().all(is_text) {
        return Err(wrong("files", "each in base64"));
    }
    let bytes: usize = all.iter().map(|it| it.get().len().saturating_sub(2)).sum();
    if bytes > MAX_BASE64 {
        let problem = format!("at most {MAX_FILE_BYTES} bytes together in one message");
        return Err(wrong("files", problem));
    }
    Ok(())
}

fn wrong(field: &'static str, problem: impl Into<String>) -> Wrong {
    Wrong::Field { field, problem: problem.into() }
}

/// What a page is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Told<'a> {
    Welcome {
        /// The visitor's id.
        id: &'a str,
        /// What the page is to say the next time.
        #[serde(skip_serializing_if = "Option::is_none")]
        visitor: Option<&'a str>,
        /// Whether what it has shown until now is not what is shown.
        anew: bool,
        max_message: usize,
        max_files: usize,
        max_file_bytes: usize,
    },
    Item {
        seq: u64,
        rev: u64,
        it: &'a RawValue,
    },
    Ready {
        rev: u64,
    },
    Kept {
        id: &'a str,
    },
    Refused {
        id: &'a str,
        why: &'a str,
    },
    Later {
        id: &'a str,
        ms: u64,
    },
    Typing {
        ms: u64,
    },
    Pong,
    Error {
        code: &'a str,
        why: &'a str,
    },
}

impl Told<'_> {
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn frame(&self) -> Utf8Bytes {
        self.text().into()
    }
}

/// An item of a conversation. None for what is no JSON, which nothing that is kept is.
pub(crate) fn item(seq: u64, rev: u64, content: &[u8]) -> Option<Utf8Bytes> {
    let it: &RawValue = serde_json::from_slice(content).ok()?;
    Some(Told::Item { seq, rev, it }.frame())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_of_their_type_and_of_nothing_else() {
        let hello = Said::read(r#"{"type":"hello","visitor":"w","after":7}"#).unwrap();
        assert!(matches!(hello, Said::Hello { after: 7, words } if words.visitor.is_some()));
        assert!(matches!(Said::read(r#"{"type":"ping"}"#), Ok(Said::Ping)));
        let text = r#"{"type":"say","message":{"id":"m-1","text":"x"},"files":["AAAA"]}"#;
        let Ok(Said::Say(said)) = Said::read(text) else { panic!("{text}") };
        assert_eq!((said.id.as_str(), said.message.get()), ("m-1", r#"{"id":"m-1","text":"x"}"#));
        assert_eq!(said.files.unwrap().get(), r#"["AAAA"]"#);
        let check = |text: &str, want: &str| {
            let err = Said::read(text).unwrap_err().to_string();
            assert!(err.starts_with(want), "{text}: {err}");
        };
        check("", "the frame is none");
        check("[]", "the frame is none");
        check(r#"{"type":"say","message":{"id":"m"},"as":"v2"}"#, "the frame is none");
        check(r#"{"type":"shout"}"#, "type: one of");
        check(r#"{"type":"say"}"#, "message: missing");
        check(r#"{"type":"say","visitor":"w","message":{"id":"m"}}"#, "type: it has fields");
        check(r#"{"type":"ping","after":1}"#, "type: it has fields");
        check(r#"{"type":"say","message":7}"#, "message: ");
        let long = "m".repeat(MAX_ID + 1);
        for id in ["", "a:b", "a b", &long] {
            check(&format!(r#"{{"type":"say","message":{{"id":"{id}"}}}}"#), "message.id: 1 to 64");
        }
        let long = "x".repeat(MAX_MESSAGE);
        let long = format!(r#"{{"type":"say","message":{{"id":"m","text":"{long}"}}}}"#);
        check(&long, "message: at most 32768 bytes");
    }

    #[test]
    fn files_are_bounded_in_number_and_together() {
        let read = |files: &str| {
            let text = format!(r#"{{"type":"say","message":{{"id":"m"}},"files":{files}}}"#);
            Said::read(&text).map(|_| ()).map_err(|err| err.to_string())
        };
        let quoted = |bytes: usize| format!("\"{}\"", "A".repeat(bytes));
        read("[]").unwrap();
        read(&format!("[{}]", quoted(MAX_BASE64))).unwrap();
        let half = quoted(MAX_BASE64 / 2 + 1);
        let err = read(&format!("[{half},{half}]")).unwrap_err();
        assert_eq!(err, "files: at most 737280 bytes together in one message");
        let err = read(r#"["","","","",""]"#).unwrap_err();
        assert_eq!(err, "files: at most 4 in one message");
        for other in ["{}", "7", "[7]", "[null]", "[[]]"] {
            read(other).unwrap_err();
        }
    }

    #[test]
    fn what_a_page_is_told_is_json() {
        let check = |told: Told<'_>, want: &str| assert_eq!(told.text(), want);
        check(Told::Pong, r#"{"type":"pong"}"#);
        check(Told::Later { id: "m", ms: 7 }, r#"{"type":"later","id":"m","ms":7}"#);
        let item = item(1, 2, br#"{"type":"said"}"#).unwrap();
        assert_eq!(item, r#"{"type":"item","seq":1,"rev":2,"it":{"type":"said"}}"#);
        assert_eq!(super::item(1, 2, b"{"), None);
    }
}
