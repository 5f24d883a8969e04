//! Matrix: the client-server API of a homeserver that the account names. An event is kept with its room
//! and how many are in it, because it says neither.

mod files;
mod sync;

use networks::{Network, Us, What};
use serde::{Deserialize, Serialize};

use crate::adapter::{
    Adapter, Answer, Call, Enclosed, Fetch, Letter, Method, Named, Outcome, Proof, Received,
    Request, Sending, Step,
};
use crate::answer;
use crate::facts::{Done, Facts, Kind, Place, Room, Unreadable, opening};
use crate::recipe::Recipe;
use crate::source::Poll;

/// Milliseconds that typing is shown.
const TYPING_MS: u32 = 30_000;

/// Matrix.
#[derive(Debug)]
pub(crate) struct Matrix;

#[derive(Deserialize)]
struct Kept {
    room: String,
    members: Option<u64>,
    event: Event,
}

#[derive(Deserialize)]
struct Event {
    r#type: String,
    event_id: String,
    sender: String,
    content: Content,
}

#[derive(Deserialize)]
struct Content {
    msgtype: Option<String>,
    body: Option<String>,
    #[serde(rename = "m.mentions")]
    mentions: Option<Mentions>,
    #[serde(rename = "m.relates_to")]
    relates: Option<Relates>,
}

#[derive(Deserialize)]
struct Mentions {
    #[serde(default)]
    user_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Relates {
    rel_type: Option<String>,
    event_id: Option<String>,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    msgtype: &'static str,
    body: &'a str,
    #[serde(flatten)]
    file: Option<files::Filed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    formatted_body: Option<&'a str>,
    #[serde(rename = "m.mentions", skip_serializing_if = "Option::is_none")]
    mentions: Option<Nobody>,
    #[serde(rename = "m.new_content", skip_serializing_if = "Option::is_none")]
    new: Option<Box<Outgoing<'a>>>,
    #[serde(rename = "m.relates_to", skip_serializing_if = "Option::is_none")]
    relates: Option<RelatesTo<'a>>,
}

#[derive(Serialize)]
struct Typing {
    typing: bool,
    timeout: u32,
}

#[derive(Serialize)]
struct Nobody {}

#[derive(Serialize)]
struct RelatesTo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rel_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_falling_back: Option<bool>,
    #[serde(rename = "m.in_reply_to", skip_serializing_if = "Option::is_none")]
    reply: Option<InReply<'a>>,
}

#[derive(Serialize)]
struct InReply<'a> {
    event_id: &'a str,
}

#[derive(Default, Deserialize)]
struct Told {
    event_id: Option<String>,
    #[serde(default)]
    errcode: String,
    #[serde(default)]
    error: String,
    retry_after_ms: Option<u64>,
}

impl Adapter for Matrix {
    fn network(&self) -> &'static Network {
        crate::known("matrix")
    }

    fn recipes(&self) -> &'static [Recipe] {
        &[]
    }

    fn root(&self) -> Option<&'static str> {
        None
    }

    fn receive(&self, _request: Request<'_>) -> Result<Received, Unreadable> {
        Ok(Received::Nothing)
    }

    fn facts(&self, event: &[u8], us: Us<'_>) -> Result<Facts, Unreadable> {
        let Kept { room, members, event } = serde_json::from_slice(event)?;
        if event.r#type != "m.room.message" {
            return Ok(Facts::nothing(event.event_id));
        }
        let relates = event.content.relates;
        let relation = relates.as_ref().and_then(|it| it.rel_type.as_deref()).unwrap_or_default();
        let is_edit = relation == "m.replace";
        let is_thread = relation == "m.thread";
        let thread = relates.and_then(|it| it.event_id).filter(|_| is_thread);
        let text = event.content.body.unwrap_or_default();
        // Who is named is said beside the text; older clients have the whole id in it.
        let is_named = match &event.content.mentions {
            Some(named) => named.user_ids.iter().any(|it| it == us.id),
            None => !us.id.is_empty() && text.contains(us.id),
        };
        let kind = if members.is_some_and(|it| it <= 2) { Kind::Direct } else { Kind::Group };
        let done = Done {
            what: if is_edit { What::Edited } else { What::Said },
            // What programs say that answer nobody.
            is_bot: event.sender == us.id || event.content.msgtype.as_deref() == Some("m.notice"),
            is_addressed: kind == Kind::Direct || is_named,
            room: Room { kind, id: room.clone(), thread: thread.clone(), space: None },
            sender: event.sender,
            opening: opening(&text),
            place: Place { room, thread, reply: Some(event.event_id.clone()) },
        };
        Facts { account: None, event: event.event_id, done: Some(done) }.bounded()
    }

    fn send(&self, letter: Letter<'_>) -> Sending {
        Sending::Call(put(letter, &content(letter)))
    }

    fn upload(&self, letter: Letter<'_>, file: Enclosed<'_>, before: &[Vec<u8>]) -> Step {
        files::upload(letter, file, before)
    }

    fn typing(&self, place: &Place, us: Us<'_>) -> Option<Call> {
        let (room, user) = (answer::piece(&place.room), answer::piece(us.id));
        let body = Typing { typing: true, timeout: TYPING_MS };
        Some(Call {
            method: Method::Put,
            path: format!("/_matrix/client/v3/rooms/{room}/typing/{user}"),
            body: serde_json::to_vec(&body).unwrap_or_default(),
            proof: Proof::Header("Bearer "),
        })
    }

    fn fetch(&self, reference: &str) -> Option<Fetch> {
        let (server, id) = reference.strip_prefix("mxc://")?.split_once('/')?;
        let (server, id) = (answer::step(server)?, answer::step(id)?);
        let path = format!("/_matrix/client/v1/media/download/{server}/{id}");
        let proof = Proof::Header("Bearer ");
        Some(Fetch::At(Call { method: Method::Get, path, body: Vec::new(), proof }))
    }

    fn outcome(&self, answer: Answer<'_>) -> Outcome {
        let told: Told = answer::body(answer);
        match (answer.status, told.event_id, told.retry_after_ms) {
            (200..=299, Some(id), _) => Outcome::Sent(Some(id)),
            (200..=299, None, _) => Outcome::Unknown("the answer is not Matrix's".to_owned()),
            (429, _, Some(wait)) => Outcome::Wait(answer::millis(wait)),
            _ if told.errcode == "M_USER_DEACTIVATED" => Outcome::Shut(told.error),
            _ => answer::outcome(answer, &told.error),
        }
    }

    fn probe(&self) -> Option<Call> {
        let path = "/_matrix/client/v3/account/whoami".to_owned();
        Some(Call { method: Method::Get, path, body: Vec::new(), proof: Proof::Header("Bearer ") })
    }

    fn probed(&self, answer: Answer<'_>) -> Option<Named> {
        #[derive(Default, Deserialize)]
        struct Me {
            user_id: Option<String>,
        }
        let me: Me = answer::body(answer);
        me.user_id.map(|id| Named { account: Some(id.clone()), id, name: None })
    }

    fn poll(&self) -> Option<&dyn Poll> {
        Some(self)
    }
}

/// The call that says something, under the letter's key.
fn put(letter: Letter<'_>, said: &Outgoing<'_>) -> Call {
    let room = answer::piece(&letter.place.room);
    let key = answer::piece(letter.key);
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{key}");
    let body = serde_json::to_vec(said).unwrap_or_default();
    Call { method: Method::Put, path, body, proof: Proof::Header("Bearer ") }
}

fn content(letter: Letter<'_>) -> Outgoing<'_> {
    let plain = || Outgoing {
        msgtype: "m.text",
        body: &letter.part.text,
        file: None,
        format: letter.part.html.as_ref().map(|_| "org.matrix.custom.html"),
        formatted_body: letter.part.html.as_deref(),
        // What an agent writes rings at nobody's.
        mentions: Some(Nobody {}),
        new: None,
        relates: None,
    };
    let none = RelatesTo { rel_type: None, event_id: None, is_falling_back: None, reply: None };
    if let Some(id) = letter.over {
        let relates = RelatesTo { rel_type: Some("m.replace"), event_id: Some(id), ..none };
        return Outgoing { new: Some(Box::new(plain())), relates: Some(relates), ..plain() };
    }
    let reply = letter.place.reply.as_deref().filter(|_| letter.is_first);
    let reply = reply.map(|event_id| InReply { event_id });
    let relates = match (letter.place.thread.as_deref(), reply) {
        (Some(thread), reply) => Some(RelatesTo {
            rel_type: Some("m.thread"),
            event_id: Some(thread),
            is_falling_back: Some(false).filter(|_| reply.is_some()),
            reply,
        }),
        (None, Some(reply)) => Some(RelatesTo { reply: Some(reply), ..none }),
        (None, None) => None,
    };
    Outgoing { relates, ..plain() }
}
