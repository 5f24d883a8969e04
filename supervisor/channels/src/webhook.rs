//! The generic webhook: requests of any program that signs them, and signed requests to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use networks::{Network, Us, What};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::adapter::{
    Adapter, Answer, Call, Carries, Enclosed, Letter, Method, Outcome, Proof, Received, Reply,
    Request, Sending, Step,
};
use crate::answer;
use crate::facts::{Done, Facts, Kind, Place, Room, Unreadable, opening};
use crate::recipe::{Keyed, Piece, Recipe, Written};

/// How requests prove themselves: as the standard has it, as GitHub and Meta sign, or by a token.
const RECIPES: [Recipe; 3] = [
    Recipe::Standard,
    Recipe::Keyed(Keyed {
        header: "x-hub-signature-256",
        prefix: "sha256=",
        written: Written::Hex,
        over: &[Piece::Body],
        time: None,
    }),
    Recipe::Token { header: "authorization", prefix: "Bearer " },
];

/// The generic webhook.
#[derive(Debug)]
pub(crate) struct Webhook;

#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    id: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    r#type: String,
    #[serde(rename = "timestamp")]
    _timestamp: Option<String>,
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Data {
    conversation: Conversation,
    sender: Sender,
    #[serde(default)]
    text: String,
    addressed: Option<bool>,
    #[serde(rename = "at")]
    _at: Option<u64>,
    #[serde(rename = "replyTo")]
    _reply_to: Option<String>,
    #[serde(rename = "attachments")]
    _attachments: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conversation {
    id: String,
    #[serde(default)]
    kind: ConversationKind,
    thread: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ConversationKind {
    #[default]
    Direct,
    Group,
    Channel,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sender {
    id: String,
    #[serde(rename = "name")]
    _name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing<'a> {
    r#type: &'static str,
    timestamp: u64,
    data: Said<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Said<'a> {
    conversation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attachments: Option<[Attached<'a>; 1]>,
}

/// A file that comes with a message, in the message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attached<'a> {
    name: &'a str,
    media_type: &'a str,
    size: u64,
    /// In base64.
    data: String,
}

impl Adapter for Webhook {
    fn network(&self) -> &'static Network {
        crate::known("webhook")
    }

    fn recipes(&self) -> &'static [Recipe] {
        &RECIPES
    }

    fn root(&self) -> Option<&'static str> {
        None
    }

    fn receive(&self, request: Request<'_>) -> Result<Received, Unreadable> {
        // Without a name of its own an event could be given to us again by whoever saw it.
        let id = request.headers.get("webhook-id").and_then(|it| it.to_str().ok());
        let id = id.ok_or(Unreadable::Missing("webhook-id"))?.to_owned();
        let body: &RawValue = serde_json::from_slice(request.body)?;
        let event = serde_json::to_vec(&Kept { id, body })?;
        // The form is ours: whoever sends another learns it at once.
        self.facts(&event, Us::default())?;
        Ok(Received::Events { events: vec![event], reply: Reply { status: 202, body: None } })
    }

    fn facts(&self, event: &[u8], _us: Us<'_>) -> Result<Facts, Unreadable> {
        let Kept { id, body } = serde_json::from_slice(event)?;
        let Body { r#type, data, .. } = serde_json::from_str(body.get())?;
        if r#type != "message" {
            return Facts::nothing(id).bounded();
        }
        let Conversation { id: room, kind, thread } = data.conversation;
        let kind = match kind {
            ConversationKind::Direct => Kind::Direct,
            ConversationKind::Group => Kind::Group,
            ConversationKind::Channel => Kind::Channel,
        };
        let done = Done {
            what: What::Said,
            room: Room { kind, id: room.clone(), thread: thread.clone(), space: None },
            sender: data.sender.id,
            is_bot: false,
            is_addressed: data.addressed.unwrap_or(kind == Kind::Direct),
            opening: opening(&data.text),
            place: Place { room, thread, reply: Some(id.clone()) },
        };
        Facts { account: None, event: id, done: Some(done) }.bounded()
    }

    fn send(&self, letter: Letter<'_>) -> Sending {
        if letter.over.is_some() {
            return Sending::Never;
        }
        Sending::Call(post(letter, None))
    }

    fn upload(&self, letter: Letter<'_>, file: Enclosed<'_>, before: &[Vec<u8>]) -> Step {
        if !before.is_empty() {
            return Step::Over(Outcome::Refused("it is sent at once".to_owned()));
        }
        let Enclosed { is, bytes } = file;
        let data = STANDARD.encode(bytes);
        let attached = Attached { name: &is.name, media_type: &is.media_type, size: is.size, data };
        Step::Last(post(letter, Some(attached)), Carries::Own)
    }

    fn outcome(&self, answer: Answer<'_>) -> Outcome {
        match answer.status {
            // The standard's word for: send me nothing more.
            410 => Outcome::Shut("the receiver wants nothing more".to_owned()),
            401 => Outcome::Refused("the receiver does not believe the signature".to_owned()),
            _ => answer::outcome(answer, ""),
        }
    }
}

fn post(letter: Letter<'_>, file: Option<Attached<'_>>) -> Call {
    let data = Said {
        conversation: &letter.place.room,
        thread: letter.place.thread.as_deref(),
        reply_to: letter.place.reply.as_deref().filter(|_| letter.is_first),
        text: &letter.part.text,
        attachments: file.map(|it| [it]),
    };
    let body = Outgoing { r#type: "message", timestamp: letter.now, data };
    Call {
        method: Method::Post,
        path: String::new(),
        body: serde_json::to_vec(&body).unwrap_or_default(),
        proof: Proof::Signed(letter.key.to_owned()),
    }
}
