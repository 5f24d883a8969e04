//! Messages: how they are written, changed, taken back and read, and who hears of it.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::rest::{Asks, Given, UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, Wrong, field, id};
use super::world::{Room, State, World};
use super::{Kept, Shared, snowflake};
use crate::networks::serve::encoded;

/// Characters of a message.
const MAX_CONTENT: usize = 2000;

/// Characters of a number that a message is sent with.
const MAX_NONCE: usize = 25;

/// How long such a number is known.
const NONCE_KNOWN: Duration = Duration::from_mins(3);

/// Messages of a page.
const MAX_PAGE: usize = 100;

/// Of messages in a server, and in a conversation of two.
const INTENTS: (u64, u64) = (1 << 9, 1 << 12);

const EMPTY: Wrong = Wrong(400, 50_006, "Cannot send an empty message", Value::Null);
const OTHERS: Wrong =
    Wrong(403, 50_005, "Cannot edit a message authored by another user", Value::Null);

/// What is to be said.
pub(super) struct Draft<'a> {
    pub(super) room: &'a str,
    pub(super) author: &'a str,
    pub(super) content: String,
    /// Members beside the usual ones, or in their place.
    pub(super) more: Value,
    pub(super) files: Vec<Kept>,
}

/// Requests below a room.
pub(super) fn given(asks: &Asks<'_>, room: &str, rest: &[&str]) -> Given {
    if !asks.world.state.lock().unwrap().rooms.contains_key(room) {
        return Err(UNKNOWN_CHANNEL);
    }
    match (asks.asked.method.as_str(), rest) {
        ("POST", ["messages"]) => create(asks, room),
        ("GET", ["messages"]) => list(asks, room),
        ("GET", ["messages", id]) => {
            let mut state = asks.world.state.lock().unwrap();
            state.message(room, id).cloned().map(|it| (200, it)).ok_or(UNKNOWN_MESSAGE)
        }
        ("PATCH", ["messages", id]) => {
            let content = content(asks)?;
            edit(asks.world, room, id, Some(&asks.world.is.id), content.as_deref())
                .map(|it| (200, it))
        }
        ("DELETE", ["messages", id]) => {
            remove(asks.world, room, id)?;
            Ok((204, Value::Null))
        }
        ("POST", ["messages", id, "threads"]) => thread(asks, room, Some(id)),
        ("POST", ["threads"]) => thread(asks, room, None),
        ("POST", ["typing"]) => {
            asks.world.state.lock().unwrap().types_in(room);
            Ok((204, Value::Null))
        }
        ("PUT", ["messages", id, "reactions", emoji, "@me"]) => react(asks, room, id, emoji),
        _ => Err(Wrong(404, 0, "404: Not Found", Value::Null)),
    }
}

/// The content of a request, within its limit; `None` where it says nothing of it.
pub(super) fn content(asks: &Asks<'_>) -> Result<Option<String>, Wrong> {
    let content = asks.body["content"].as_str().map(str::to_owned);
    if content.as_ref().is_some_and(|it| it.chars().count() > MAX_CONTENT) {
        let message = "Must be 2000 or fewer in length.";
        return Err(field("content", "BASE_TYPE_MAX_LENGTH", message));
    }
    Ok(content)
}

fn create(asks: &Asks<'_>, room: &str) -> Given {
    let is_json = asks.asked.header("content-type").starts_with("application/json");
    if asks.body.is_null() && is_json {
        return Err(Wrong(400, 50_109, "The request body contains invalid JSON.", Value::Null));
    }
    let content = content(asks)?.unwrap_or_default();
    if content.is_empty() && asks.files.is_empty() && asks.body["embeds"].is_null() {
        return Err(EMPTY);
    }
    let nonce = id(&asks.body["nonce"]);
    if nonce.as_ref().is_some_and(|it| it.len() > MAX_NONCE) {
        return Err(field("nonce", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length."));
    }
    if let Some(nonce) = nonce.as_ref().filter(|_| asks.body["enforce_nonce"] == true)
        && let Some(before) = known(asks.world, room, nonce)
    {
        return Ok((200, before));
    }
    let mut more = json!({});
    if nonce.is_some() {
        more["nonce"] = asks.body["nonce"].clone();
    }
    let answered = id(&asks.body["message_reference"]["message_id"]);
    let may_be_gone = asks.body["message_reference"]["fail_if_not_exists"] == false;
    let is_there = |it: &String| asks.world.state.lock().unwrap().message(room, it).is_some();
    if let Some(id) = answered.filter(|it| !may_be_gone || is_there(it)) {
        more["answers"] = id.into();
    }
    let files = asks.files.clone();
    let draft = Draft { room, author: &asks.world.is.id, content, more, files };
    let message = say(asks.shared, asks.world, &draft)?;
    if let Some(nonce) = nonce {
        let mut state = asks.world.state.lock().unwrap();
        let id = message["id"].as_str().unwrap_or_default().to_owned();
        let found = state.rooms.get_mut(room).ok_or(UNKNOWN_CHANNEL)?;
        found.nonces.push_back((SystemTime::now(), nonce, id));
    }
    Ok((200, message))
}

/// The message that was sent with that number a short while ago.
fn known(world: &World, room: &str, nonce: &str) -> Option<Value> {
    let mut state = world.state.lock().unwrap();
    let found = state.rooms.get_mut(room)?;
    found.nonces.retain(|(at, ..)| at.elapsed().is_ok_and(|it| it < NONCE_KNOWN));
    let id = found.nonces.iter().find(|(_, it, _)| it == nonce).map(|(.., id)| id.clone())?;
    state.message(room, &id).cloned()
}

/// Says something, and tells whoever hears of it.
pub(super) fn say(shared: &Shared, world: &World, draft: &Draft<'_>) -> Result<Value, Wrong> {
    let (message, event) = {
        let mut state = world.state.lock().unwrap();
        let mut message = written(shared, world, &mut state, draft)?;
        let more = draft.more.as_object().cloned().unwrap_or_default();
        for (name, value) in more.into_iter().filter(|(name, _)| name != "answers") {
            message[name] = value;
        }
        state.put(draft.room, message.clone());
        let mut event = heard(world, &state, draft.room, &message);
        if draft.more["answers"].is_string() {
            event["referenced_message"] = message["referenced_message"].clone();
        }
        (message, event)
    };
    tell(world, "MESSAGE_CREATE", event);
    Ok(message)
}

/// A message as Discord keeps it.
fn written(
    shared: &Shared,
    world: &World,
    state: &mut State,
    draft: &Draft<'_>,
) -> Result<Value, Wrong> {
    let id = snowflake();
    let room = state.rooms.get(draft.room).ok_or(UNKNOWN_CHANNEL)?;
    let guild = room.guild.clone();
    let named = |it: &&String| {
        draft.content.contains(&format!("<@{it}>")) || draft.content.contains(&format!("<@!{it}>"))
    };
    let mentions: Vec<_> =
        state.people.keys().filter(named).map(|it| world.user_in(state, it)).collect();
    let mut attachments = Vec::new();
    for (name, kind, bytes) in &draft.files {
        let file = snowflake();
        let (address, room, at) = (shared.address, draft.room, encoded(name));
        let url = format!("http://{address}/attachments/{room}/{file}/{at}");
        attachments.push(json!({
            "id": file, "filename": name, "content_type": kind, "size": bytes.len(), "url": url,
            "proxy_url": url,
        }));
        state.files.insert(file, (name.clone(), kind.clone(), bytes.clone()));
    }
    let mut message = json!({
        "id": id, "type": 0, "channel_id": draft.room, "author": world.user_in(state, draft.author),
        "content": draft.content, "timestamp": now(), "edited_timestamp": null, "tts": false,
        "mention_everyone": false, "mentions": mentions, "mention_roles": [], "embeds": [],
        "attachments": attachments, "pinned": false, "flags": 0, "components": [],
    });
    if let Some(answered) = draft.more["answers"].as_str() {
        let before = state.message(draft.room, answered).cloned();
        let wrong = field("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message");
        let before = before.ok_or(wrong)?;
        message["type"] = 19.into();
        message["message_reference"] =
            json!({"type": 0, "message_id": answered, "channel_id": draft.room, "guild_id": guild});
        message["referenced_message"] = before;
    }
    Ok(message)
}

/// A message as the gateway tells of it.
fn heard(world: &World, state: &State, room: &str, message: &Value) -> Value {
    let mut event = message.clone();
    let Some(found) = state.rooms.get(room) else { return event };
    event["channel_type"] = found.kind().into();
    if let Some(guild) = &found.guild {
        event["guild_id"] = guild.as_str().into();
        let author = message["author"]["id"].as_str().unwrap_or_default();
        let mut member = world.member_in(state, author);
        member.as_object_mut().unwrap().remove("user");
        event["member"] = member;
    }
    event
}

fn tell(world: &World, name: &'static str, event: Value) {
    let (guilds, direct) = INTENTS;
    let intents = if event["guild_id"].is_null() { direct } else { guilds };
    world.tell(name, event, intents);
}

/// Changes a message; `by` may change only its own.
pub(super) fn edit(
    world: &World,
    room: &str,
    id: &str,
    by: Option<&str>,
    content: Option<&str>,
) -> Result<Value, Wrong> {
    let (message, event) = {
        let mut state = world.state.lock().unwrap();
        let message = state.message(room, id).ok_or(UNKNOWN_MESSAGE)?;
        if by.is_some_and(|it| message["author"]["id"] != it) {
            return Err(OTHERS);
        }
        if let Some(content) = content {
            if content.is_empty() {
                return Err(EMPTY);
            }
            message["content"] = content.into();
        }
        message["edited_timestamp"] = now().into();
        let message = message.clone();
        let event = heard(world, &state, room, &message);
        (message, event)
    };
    tell(world, "MESSAGE_UPDATE", event);
    Ok(message)
}

pub(super) fn remove(world: &World, room: &str, id: &str) -> Result<(), Wrong> {
    let guild = {
        let mut state = world.state.lock().unwrap();
        let found = state.rooms.get_mut(room).ok_or(UNKNOWN_CHANNEL)?;
        let before = found.messages.len();
        found.messages.retain(|it| it["id"] != id);
        if found.messages.len() == before {
            return Err(UNKNOWN_MESSAGE);
        }
        found.guild.clone()
    };
    let mut event = json!({"id": id, "channel_id": room});
    if let Some(guild) = guild {
        event["guild_id"] = guild.into();
    }
    tell(world, "MESSAGE_DELETE", event);
    Ok(())
}

fn list(asks: &Asks<'_>, room: &str) -> Given {
    let number = |name: &str| asks.asked.query(name).and_then(|it| it.parse::<u64>().ok());
    let limit = number("limit").unwrap_or(50);
    let limit = usize::try_from(limit).ok().filter(|it| (1..=MAX_PAGE).contains(it));
    let limit = limit.ok_or_else(|| field("limit", "NUMBER_TYPE_MAX", "between 1 and 100"))?;
    let state = asks.world.state.lock().unwrap();
    let number_of = |it: &Value| id(&it["id"]).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    let all = state.rooms[room].messages.iter();
    let mut found: Vec<_> = match (number("after"), number("before")) {
        // The first behind it, and of those the newest first.
        (Some(after), _) => all.filter(|it| number_of(it) > after).take(limit).cloned().collect(),
        (None, Some(before)) => {
            all.rev().filter(|it| number_of(it) < before).take(limit).cloned().collect()
        }
        (None, None) => all.rev().take(limit).cloned().collect(),
    };
    found.sort_by_key(|it| std::cmp::Reverse(number_of(it)));
    Ok((200, json!(found)))
}

fn thread(asks: &Asks<'_>, parent: &str, on: Option<&str>) -> Given {
    let name = asks.body["name"].as_str().unwrap_or("thread").to_owned();
    let told = {
        let mut state = asks.world.state.lock().unwrap();
        if on.is_some_and(|it| state.message(parent, it).is_none()) {
            return Err(UNKNOWN_MESSAGE);
        }
        let guild = state.rooms[parent].guild.clone();
        let (with, parent) = (None, Some(parent.to_owned()));
        let (messages, nonces) = (Vec::new(), VecDeque::new());
        let made = Room { name, guild, with, parent, messages, nonces };
        let id = on.map_or_else(snowflake, str::to_owned);
        state.rooms.insert(id.clone(), made);
        asks.world.room_in(&state, &id).ok_or(UNKNOWN_CHANNEL)?
    };
    asks.world.tell("THREAD_CREATE", told.clone(), 1);
    Ok((201, told))
}

fn react(asks: &Asks<'_>, room: &str, id: &str, emoji: &str) -> Given {
    let mut state = asks.world.state.lock().unwrap();
    let message = state.message(room, id).ok_or(UNKNOWN_MESSAGE)?;
    if !message["reactions"].is_array() {
        message["reactions"] = json!([]);
    }
    let reactions = message["reactions"].as_array_mut().unwrap();
    if !reactions.iter().any(|it| it["emoji"]["name"] == emoji) {
        reactions.push(json!({"count": 1, "me": true, "emoji": {"id": null, "name": emoji}}));
    }
    Ok((204, Value::Null))
}

/// The time as Discord writes it.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}
