//! Discord: messages that its gateway dispatches, interactions that it posts, and its REST API.

mod gateway;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use networks::{Network, Us, What};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::adapter::{
    Adapter, Answer, Call, Carries, Enclosed, Fetch, Letter, Method, Named, Outcome, Proof,
    Received, Reply, Request, Sending, Step,
};
use crate::answer;
use crate::facts::{Done, Facts, Kind, Place, Room, Unreadable, opening};
use crate::recipe::Recipe;
use crate::source::Session;

/// How an interaction proves itself.
pub(crate) const RECIPE: Recipe =
    Recipe::Ed25519 { header: "x-signature-ed25519", time: "x-signature-timestamp" };

/// Who calls, in the form without which Discord answers nobody: an address and a version.
const AGENT: &str =
    concat!("DiscordBot (https://openclawmu.example, ", env!("CARGO_PKG_VERSION"), ")");

/// Bytes of a digest that are a nonce: in base64 24 characters, where Discord takes 25.
const NONCE: usize = 18;

/// The first answer to a command, which is wanted at once: what it is answered comes as a message. Only whoever
/// asked sees it.
const FIRST_ANSWER: &[u8] = br#"{"type":4,"data":{"content":"On it.","flags":64}}"#;

/// A message that says something, and one that answers another: the others are of the system.
const SPOKEN: [u8; 2] = [0, 19];

/// Discord.
#[derive(Debug)]
pub(crate) struct Discord;

#[derive(Deserialize)]
struct Dispatch {
    t: Option<String>,
    s: Option<u64>,
    d: Option<Said>,
}

#[derive(Deserialize)]
struct Said {
    id: Option<String>,
    #[serde(default)]
    r#type: u8,
    channel_id: Option<String>,
    guild_id: Option<String>,
    #[serde(default)]
    content: String,
    edited_timestamp: Option<String>,
    author: Option<User>,
    #[serde(default)]
    mentions: Vec<User>,
    referenced_message: Option<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    author: Option<User>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    bot: bool,
}

#[derive(Deserialize)]
struct Interaction {
    r#type: Option<u8>,
    t: Option<String>,
    id: Option<String>,
    application_id: Option<String>,
    channel_id: Option<String>,
    guild_id: Option<String>,
    user: Option<User>,
    member: Option<Member>,
    data: Option<Command>,
}

#[derive(Deserialize)]
struct Member {
    user: Option<User>,
}

#[derive(Deserialize)]
struct Command {
    name: Option<String>,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    // A message with a file has none.
    #[serde(skip_serializing_if = "str::is_empty")]
    content: &'a str,
    allowed_mentions: Nobody,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforce_nonce: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_reference: Option<Reference<'a>>,
}

#[derive(Serialize)]
struct Nobody {
    parse: [&'static str; 0],
}

#[derive(Serialize)]
struct Reference<'a> {
    message_id: &'a str,
    // Whoever takes back a question still gets the answer.
    fail_if_not_exists: bool,
}

#[derive(Default, Deserialize)]
struct Told {
    id: Option<String>,
    #[serde(default)]
    message: String,
    retry_after: Option<f64>,
}

impl Adapter for Discord {
    fn network(&self) -> &'static Network {
        crate::known("discord")
    }

    fn recipes(&self) -> &'static [Recipe] {
        &[RECIPE]
    }

    fn root(&self) -> Option<&'static str> {
        Some("https://discord.com")
    }

    fn agent(&self) -> Option<&'static str> {
        Some(AGENT)
    }

    fn receive(&self, request: Request<'_>) -> Result<Received, Unreadable> {
        let interaction: Interaction = serde_json::from_slice(request.body)?;
        Ok(match interaction.r#type {
            // Whether we are there: one kind for interactions, one for events.
            Some(1) => Received::Question(Reply::json(br#"{"type":1}"#.to_vec())),
            Some(0) => Received::Question(Reply { status: 204, body: None }),
            Some(2) => Received::Events {
                events: vec![request.body.to_vec()],
                reply: Reply::json(FIRST_ANSWER.to_vec()),
            },
            _ => Received::Nothing,
        })
    }

    fn facts(&self, event: &[u8], us: Us<'_>) -> Result<Facts, Unreadable> {
        let interaction: Interaction = serde_json::from_slice(event)?;
        if interaction.t.is_none() && interaction.r#type.is_some() {
            return command(interaction);
        }
        let dispatch: Dispatch = serde_json::from_slice(event)?;
        let name = dispatch.t.unwrap_or_default();
        let is_edit = name == "MESSAGE_UPDATE";
        let said = dispatch.d.filter(|_| is_edit || name == "MESSAGE_CREATE");
        let number = dispatch.s.ok_or(Unreadable::Missing("s"))?.to_string();
        let Some(said) = said.filter(|it| SPOKEN.contains(&it.r#type)) else {
            return Ok(Facts::nothing(number));
        };
        let (Some(id), Some(room), Some(author)) = (said.id, said.channel_id, said.author) else {
            return Ok(Facts::nothing(number));
        };
        // An update without a time of its own is a preview of a link, not a word of anybody's.
        let event = match (is_edit, said.edited_timestamp) {
            (false, _) => id.clone(),
            (true, Some(edited)) => format!("{id}:{edited}"),
            (true, None) => return Ok(Facts::nothing(number)),
        };
        let answered = said.referenced_message.and_then(|it| it.author);
        let names_us = answered.iter().chain(&said.mentions).any(|it| it.id == us.id);
        let kind = if said.guild_id.is_some() { Kind::Channel } else { Kind::Direct };
        let done = Done {
            what: if is_edit { What::Edited } else { What::Said },
            is_bot: author.bot || author.id == us.id,
            is_addressed: kind == Kind::Direct || names_us,
            sender: author.id,
            opening: opening(&said.content),
            place: Place { room: room.clone(), thread: None, reply: Some(id) },
            // A thread is a channel of its own.
            room: Room { kind, id: room, thread: None, space: said.guild_id },
        };
        Facts { account: None, event, done: Some(done) }.bounded()
    }

    fn send(&self, letter: Letter<'_>) -> Sending {
        let new = letter.over.is_none();
        let reply = letter.place.reply.as_deref().filter(|_| letter.is_first && new);
        let body = Outgoing {
            content: &letter.part.text,
            allowed_mentions: Nobody { parse: [] },
            nonce: new.then(|| nonce(letter.key)),
            enforce_nonce: new.then_some(true),
            message_reference: reply
                .map(|message_id| Reference { message_id, fail_if_not_exists: false }),
        };
        let room = answer::piece(&letter.place.room);
        let path = format!("/api/v10/channels/{room}/messages");
        let (method, path) = match letter.over {
            Some(id) => (Method::Patch, format!("{path}/{}", answer::piece(id))),
            None => (Method::Post, path),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        Sending::Call(Call { method, path, body, proof: Proof::Header("Bot ") })
    }

    /// The same call, as a form with the file in it.
    /// <https://docs.discord.com/developers/reference#uploading-files>
    fn upload(&self, letter: Letter<'_>, _file: Enclosed<'_>, before: &[Vec<u8>]) -> Step {
        match (before, self.send(letter)) {
            ([], Sending::Call(call)) => {
                let said = String::from_utf8(call.body).unwrap_or_default();
                let form = Carries::Form(vec![("payload_json", said)], "files[0]");
                Step::Last(Call { body: Vec::new(), ..call }, form)
            }
            (_, Sending::Call(_) | Sending::Page(_) | Sending::Say(_) | Sending::Never) => {
                Step::Over(Outcome::Refused("it is sent at once".to_owned()))
            }
        }
    }

    fn typing(&self, place: &Place, _us: Us<'_>) -> Option<Call> {
        let path = format!("/api/v10/channels/{}/typing", answer::piece(&place.room));
        let proof = Proof::Header("Bot ");
        Some(Call { method: Method::Post, path, body: Vec::new(), proof })
    }

    fn probe(&self) -> Option<Call> {
        let (path, proof) = ("/api/v10/users/@me".to_owned(), Proof::Header("Bot "));
        Some(Call { method: Method::Get, path, body: Vec::new(), proof })
    }

    fn probed(&self, answer: Answer<'_>) -> Option<Named> {
        let me: Told = answer::body(answer);
        // A bot's user has the id of its application.
        let id = me.id.filter(|_| answer.status == 200)?;
        Some(Named { account: Some(id.clone()), id, name: None })
    }

    fn session(&self, mark: Option<&str>, chance: u16) -> Option<Box<dyn Session>> {
        Some(Box::new(gateway::Gateway::new(mark, chance)))
    }

    fn fetch(&self, reference: &str) -> Option<Fetch> {
        let (path, proof) = (reference.to_owned(), Proof::Nothing);
        let is_address = path.starts_with("https://") || path.starts_with("http://");
        let call = Call { method: Method::Get, path, body: Vec::new(), proof };
        is_address.then_some(Fetch::At(call))
    }

    fn hosts(&self) -> &'static [&'static str] {
        &["cdn.discordapp.com", "media.discordapp.net"]
    }

    fn outcome(&self, answer: Answer<'_>) -> Outcome {
        let told: Told = answer::body(answer);
        match (answer.status, told.id, told.retry_after) {
            (200..=299, Some(id), _) => Outcome::Sent(Some(id)),
            (200..=299, None, _) => Outcome::Unknown("the answer is not Discord's".to_owned()),
            (429, _, Some(wait)) => {
                let wait = answer::seconds(&format!("{wait:.3}"));
                wait.map_or_else(|| answer::outcome(answer, ""), Outcome::Wait)
            }
            _ => answer::outcome(answer, &told.message),
        }
    }
}

/// How a command is answered that the gateway has dispatched; none where it is no command.
fn first_answer(interaction: &serde_json::Value) -> Option<Call> {
    let text = |name: &str| interaction[name].as_str().map(answer::piece);
    let (id, token) = (text("id")?, text("token")?);
    let path = format!("/api/v10/interactions/{id}/{token}/callback");
    let (method, body) = (Method::Post, FIRST_ANSWER.to_vec());
    // Whoever has its token may answer it.
    (interaction["type"] == 2).then_some(Call { method, path, body, proof: Proof::Nothing })
}

fn command(interaction: Interaction) -> Result<Facts, Unreadable> {
    let event = interaction.id.ok_or(Unreadable::Missing("id"))?;
    let account = interaction.application_id.ok_or(Unreadable::Missing("application_id"))?;
    let user = interaction.user.or_else(|| interaction.member.and_then(|it| it.user));
    let room = interaction.channel_id.ok_or(Unreadable::Missing("channel_id"))?;
    let kind = if interaction.guild_id.is_some() { Kind::Channel } else { Kind::Direct };
    let name = interaction.data.and_then(|it| it.name).ok_or(Unreadable::Missing("name"))?;
    let done = Done {
        what: What::Said,
        place: Place { room: room.clone(), thread: None, reply: None },
        room: Room { kind, id: room, thread: None, space: interaction.guild_id },
        sender: user.ok_or(Unreadable::Missing("user"))?.id,
        is_bot: false,
        is_addressed: true,
        opening: opening(&format!("/{name}")),
    };
    Facts { account: Some(account), event, done: Some(done) }.bounded()
}

/// What Discord knows a message by for some minutes.
fn nonce(key: &str) -> String {
    let digest = digest(&SHA256, key.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.as_ref().first_chunk::<NONCE>().unwrap_or(&[0; NONCE]))
}
