//! Interactions: commands that people give, signed and posted to the bot's address or told through the
//! gateway; the bot's first answer, and what it says afterwards.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::messages::{self, Draft};
use super::rest::{Asks, Given, Wrong};
use super::world::World;
use super::{ANSWERABLE, FIRST_ANSWER, Shared};
use crate::networks::serve::{Unposted, post, spawn};

const UNKNOWN: Wrong = Wrong(404, 10_062, "Unknown interaction", Value::Null);
const UNKNOWN_WEBHOOK: Wrong = Wrong(404, 10_015, "Unknown Webhook", Value::Null);
const ANSWERED: Wrong =
    Wrong(400, 40_060, "Interaction has already been acknowledged.", Value::Null);

/// What people see of an interaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interaction {
    /// The status with which the bot's address answered; `None` where it was told through the gateway,
    /// 0 where no answer came in time.
    pub status: Option<u16>,
    /// The kind of the first answer, as Discord numbers them: 4 a message, 5 one that follows.
    pub kind: Option<u64>,
    /// Whether nothing came in time: people see that the bot does not answer.
    pub is_failed: bool,
    /// The first message, once there is one.
    pub original: Option<String>,
}

/// An interaction that waits, or has been answered.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) token: String,
    pub(super) room: String,
    pub(super) begun: Instant,
    pub(super) seen: Interaction,
}

/// The bot whose interaction has that token.
pub(super) fn world(shared: &Shared, token: &str) -> Option<Arc<World>> {
    let has = |it: &World| it.state.lock().unwrap().asking.values().any(|it| it.token == token);
    shared.world(has)
}

/// Tells the bot of an interaction.
pub(super) fn ask(shared: &Arc<Shared>, world: &Arc<World>, id: &str, what: Value) {
    let endpoint = world.state.lock().unwrap().endpoint.clone();
    let (shared, world, id) = (Arc::clone(shared), Arc::clone(world), id.to_owned());
    let tasks = shared.tasks.clone();
    spawn(&tasks, async move {
        match endpoint {
            None => {
                world.tell("INTERACTION_CREATE", what, 0);
                tokio::time::sleep(FIRST_ANSWER).await;
            }
            Some(url) => {
                let answer = signed(&shared, &world, &url, &what.to_string(), true).await;
                let (status, body) = answer.unwrap_or((0, Value::Null));
                if let Some(asking) = world.state.lock().unwrap().asking.get_mut(&id) {
                    asking.seen.status = Some(status);
                }
                if status == 200 {
                    // An answer that is none leaves it without one.
                    drop(first(&shared, &world, &id, &body));
                } else {
                    let left = FIRST_ANSWER.saturating_sub(elapsed(&world, &id));
                    tokio::time::sleep(left).await;
                }
            }
        }
        if let Some(asking) = world.state.lock().unwrap().asking.get_mut(&id) {
            asking.seen.is_failed = asking.seen.kind.is_none();
        }
    });
}

fn elapsed(world: &World, id: &str) -> Duration {
    let state = world.state.lock().unwrap();
    state.asking.get(id).map_or(Duration::ZERO, |it| it.begun.elapsed())
}

/// Posts a body signed with the bot's key, or with a signature that does not hold; gives status and
/// body of the answer, or nothing where none came in time.
pub(super) async fn signed(
    shared: &Shared,
    world: &World,
    url: &str,
    body: &str,
    rightly: bool,
) -> Option<(u16, Value)> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
    let signature =
        if rightly { signature(world, &time, body) } else { signature(world, "0", body) };
    let headers = [
        ("x-signature-ed25519", signature),
        ("x-signature-timestamp", time),
        ("content-type", "application/json".to_owned()),
        ("user-agent", "Discord-Interactions/1.0 (+https://discord.com)".to_owned()),
    ];
    let answer = post(&shared.poster, url, &headers, body.to_owned(), FIRST_ANSWER).await;
    match answer {
        Ok(reply) => {
            let body = serde_json::from_slice(reply.body()).unwrap_or_default();
            Some((reply.status().as_u16(), body))
        }
        Err(Unposted::Failed | Unposted::Late) => None,
    }
}

/// The signature over a time and a body, in hexadecimal digits.
pub(super) fn signature(world: &World, time: &str, body: &str) -> String {
    let signature = world.is.key.sign(format!("{time}{body}").as_bytes());
    signature.as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// The first answer to an interaction.
fn first(shared: &Shared, world: &World, id: &str, answer: &Value) -> Result<(), Wrong> {
    let kind = answer["type"].as_u64();
    let room = {
        let mut state = world.state.lock().unwrap();
        let asking = state.asking.get_mut(id).ok_or(UNKNOWN)?;
        if asking.seen.kind.is_some() {
            return Err(ANSWERED);
        }
        if asking.begun.elapsed() > FIRST_ANSWER {
            return Err(UNKNOWN);
        }
        if !matches!(kind, Some(4 | 5)) {
            return Err(super::rest::field(
                "type",
                "BASE_TYPE_CHOICES",
                "Value must be one of (4, 5).",
            ));
        }
        asking.seen.kind = kind;
        asking.room.clone()
    };
    if kind == Some(4) {
        let content = answer["data"]["content"].as_str().unwrap_or_default();
        let message = say(shared, world, &room, content, Vec::new())?;
        let mut state = world.state.lock().unwrap();
        let asking = state.asking.get_mut(id).ok_or(UNKNOWN)?;
        asking.seen.original = message["id"].as_str().map(str::to_owned);
    }
    Ok(())
}

fn say(
    shared: &Shared,
    world: &World,
    room: &str,
    content: &str,
    files: Vec<super::Kept>,
) -> Result<Value, Wrong> {
    let more = json!({"webhook_id": world.is.id, "application_id": world.is.id});
    let (author, content) = (world.is.id.as_str(), content.to_owned());
    messages::say(shared, world, &Draft { room, author, content, more, files })
}

/// Requests of whoever has an interaction's token.
pub(super) fn given(asks: &Asks<'_>, pieces: &[&str]) -> Given {
    match (asks.asked.method.as_str(), pieces) {
        ("POST", ["interactions", id, token, "callback"]) => {
            let is_its = {
                let state = asks.world.state.lock().unwrap();
                state.asking.get(*id).is_some_and(|it| it.token == *token)
            };
            if !is_its {
                return Err(UNKNOWN);
            }
            first(asks.shared, asks.world, id, &asks.body)?;
            let wanted = matches!(asks.asked.query("with_response"), Some("1" | "true"));
            Ok(if wanted { (200, callback(asks, id)) } else { (204, Value::Null) })
        }
        ("POST", ["webhooks", app, token]) if *app == asks.world.is.id => follow(asks, token),
        (_, ["webhooks", app, token, "messages", id]) if *app == asks.world.is.id => {
            later(asks, token, id)
        }
        _ => Err(UNKNOWN_WEBHOOK),
    }
}

/// What a first answer has come to, for whoever asks.
fn callback(asks: &Asks<'_>, id: &str) -> Value {
    let mut state = asks.world.state.lock().unwrap();
    let asking = &state.asking[id];
    let (room, seen) = (asking.room.clone(), asking.seen.clone());
    let message = seen.original.and_then(|it| state.message(&room, &it).cloned());
    let message_id = message.as_ref().map(|it| it["id"].clone());
    json!({
        "interaction": {
            "id": id, "type": 2, "response_message_id": message_id,
            "response_message_loading": seen.kind == Some(5), "response_message_ephemeral": false,
        },
        "resource": {"type": seen.kind, "message": message},
    })
}

/// The interaction of a token: its id, and the room where it was.
fn of(asks: &Asks<'_>, token: &str) -> Result<(String, String), Wrong> {
    let state = asks.world.state.lock().unwrap();
    let found = state.asking.iter().find(|(_, it)| it.token == token);
    let found = found.filter(|(_, it)| it.begun.elapsed() < ANSWERABLE && it.seen.kind.is_some());
    found.map(|(id, it)| (id.clone(), it.room.clone())).ok_or(UNKNOWN_WEBHOOK)
}

/// Says something more; the first after an answer that was to follow is that answer.
fn follow(asks: &Asks<'_>, token: &str) -> Given {
    let (id, room) = of(asks, token)?;
    let content = messages::content(asks)?.unwrap_or_default();
    let message = say(asks.shared, asks.world, &room, &content, asks.files.clone())?;
    let mut state = asks.world.state.lock().unwrap();
    let asking = state.asking.get_mut(&id).ok_or(UNKNOWN_WEBHOOK)?;
    if asking.seen.original.is_none() {
        asking.seen.original = message["id"].as_str().map(str::to_owned);
    }
    Ok((200, message))
}

/// Changes, reads or takes back what was said.
fn later(asks: &Asks<'_>, token: &str, named: &str) -> Given {
    let (id, room) = of(asks, token)?;
    let original = asks.world.state.lock().unwrap().asking[&id].seen.original.clone();
    let wanted = if named == "@original" { original.clone() } else { Some(named.to_owned()) };
    let content = messages::content(asks)?;
    match (asks.asked.method.as_str(), wanted) {
        // What was to follow is there once it is changed for the first time.
        ("PATCH", None) => {
            let content = content.unwrap_or_default();
            let message = say(asks.shared, asks.world, &room, &content, asks.files.clone())?;
            let mut state = asks.world.state.lock().unwrap();
            let asking = state.asking.get_mut(&id).ok_or(UNKNOWN_WEBHOOK)?;
            asking.seen.original = message["id"].as_str().map(str::to_owned);
            Ok((200, message))
        }
        ("PATCH", Some(message)) => {
            let own = Some(asks.world.is.id.as_str());
            let changed = messages::edit(asks.world, &room, &message, own, content.as_deref());
            changed.map(|it| (200, it))
        }
        ("DELETE", Some(message)) => {
            messages::remove(asks.world, &room, &message)?;
            Ok((204, Value::Null))
        }
        ("GET", Some(message)) => {
            let mut state = asks.world.state.lock().unwrap();
            let found = state.message(&room, &message).cloned();
            found.map(|it| (200, it)).ok_or(super::rest::UNKNOWN_MESSAGE)
        }
        _ => Err(super::rest::UNKNOWN_MESSAGE),
    }
}
