//! Our own page. Who the visitor is has been found out when an event is made of what the page
//! sent; an answer goes to the pages that show the conversation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use networks::{Network, Us, What};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::adapter::{Adapter, Answer, Enclosed, Letter, Outcome, Sending, Step};
use crate::facts::{Done, Facts, Kind, Place, Room, Unreadable, opening};

/// Our own page.
#[derive(Debug)]
pub(crate) struct WebChat;

/// Who writes on a page: what the page's token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visitor {
    /// Never another's.
    pub id: String,
    /// What the visitor is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept<'a> {
    visitor: Visitor,
    #[serde(borrow)]
    message: &'a RawValue,
    /// What came with it, one for each of its attachments: shown on no page, and read by the worker alone.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    files: Option<&'a RawValue>,
}

/// What the visitor's own pages show of it.
#[derive(Serialize)]
struct SaidHere<'a> {
    r#type: &'static str,
    message: &'a RawValue,
    at: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Said {
    id: String,
    #[serde(default)]
    text: String,
    #[serde(rename = "at")]
    _at: Option<u64>,
    #[serde(rename = "replyTo")]
    _reply_to: Option<String>,
    #[serde(rename = "attachments")]
    _attachments: Option<serde::de::IgnoredAny>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answered<'a> {
    r#type: &'static str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    over: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Filed<'a>>,
    at: u64,
}

/// A file that an answer brings, in its frame: it is there as long as the message is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Filed<'a> {
    name: &'a str,
    media_type: &'a str,
    size: u64,
    /// In base64.
    data: String,
}

/// The event of what a visitor's page sent, with the files that came with it: a list, in the order of the
/// message's attachments.
///
/// # Errors
/// When the page sent nothing of the form.
pub fn event(
    visitor: Visitor,
    message: &RawValue,
    files: Option<&RawValue>,
) -> Result<Vec<u8>, Unreadable> {
    let event = serde_json::to_vec(&Kept { visitor, message, files })?;
    WebChat.facts(&event, Us::default())?;
    Ok(event)
}

/// What the visitor's own pages show of an event, and under which key.
///
/// # Errors
/// When it is no event of a page.
pub fn shown(event: &[u8], at: u64) -> Result<(String, Vec<u8>), Unreadable> {
    let Kept { message, .. } = serde_json::from_slice(event)?;
    let Said { id, .. } = serde_json::from_str(message.get())?;
    let frame = serde_json::to_vec(&SaidHere { r#type: "said", message, at })?;
    // No answer's key has a colon.
    Ok((format!("said:{id}"), frame))
}

/// Under which key an answer is shown, and in whose place.
///
/// # Errors
/// When it is no answer of [`Sending::Page`].
pub fn answer(frame: &[u8]) -> Result<(String, Option<String>), Unreadable> {
    #[derive(Deserialize)]
    struct Keys {
        key: String,
        over: Option<String>,
    }
    let Keys { key, over } = serde_json::from_slice(frame)?;
    Ok((key, over))
}

impl Adapter for WebChat {
    fn network(&self) -> &'static Network {
        crate::known("webchat")
    }

    fn facts(&self, event: &[u8], _us: Us<'_>) -> Result<Facts, Unreadable> {
        let Kept { visitor, message, .. } = serde_json::from_slice(event)?;
        let said: Said = serde_json::from_str(message.get())?;
        let room = visitor.id.clone();
        let done = Done {
            what: What::Said,
            room: Room { kind: Kind::Direct, id: room.clone(), thread: None, space: None },
            is_bot: false,
            is_addressed: true,
            opening: opening(&said.text),
            place: Place { room, thread: None, reply: Some(said.id.clone()) },
            // The page chooses the message's name, so it is good for this visitor alone.
            sender: visitor.id,
        };
        let event = format!("{}:{}", done.sender, said.id);
        Facts { account: None, event, done: Some(done) }.bounded()
    }

    fn send(&self, letter: Letter<'_>) -> Sending {
        Sending::Page(frame(letter, None))
    }

    fn upload(&self, letter: Letter<'_>, file: Enclosed<'_>, _before: &[Vec<u8>]) -> Step {
        let Enclosed { is, bytes } = file;
        let data = STANDARD.encode(bytes);
        let filed = Filed { name: &is.name, media_type: &is.media_type, size: is.size, data };
        Step::Page(frame(letter, Some(filed)))
    }

    fn outcome(&self, _answer: Answer<'_>) -> Outcome {
        Outcome::Refused("nobody is called".to_owned())
    }
}

/// What pages show of an answer.
fn frame(letter: Letter<'_>, file: Option<Filed<'_>>) -> Vec<u8> {
    let shown = Answered {
        r#type: "message",
        key: letter.key,
        over: letter.over,
        reply_to: letter.place.reply.as_deref().filter(|_| letter.is_first),
        text: &letter.part.text,
        file,
        at: letter.now,
    };
    serde_json::to_vec(&shown).unwrap_or_default()
}
