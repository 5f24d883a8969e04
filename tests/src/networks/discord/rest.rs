//! The REST API: which path is what, who asks, and how what fails is said.

use std::sync::Arc;
use std::time::SystemTime;

use http::Method;
use serde_json::{Value, json};

use super::limits::Met;
use super::world::World;
use super::{Call, Kept, MAX_IDENTIFIED, Shared, interactions, messages, snowflake};
use crate::networks::serve::{Asked, Failure, Told, parts};

/// What failed: status, code, message, and of forms which field.
#[derive(Debug)]
pub(super) struct Wrong(pub(super) u16, pub(super) u32, pub(super) &'static str, pub(super) Value);

pub(super) type Given = Result<(u16, Value), Wrong>;

pub(super) const UNKNOWN_CHANNEL: Wrong = Wrong(404, 10_003, "Unknown Channel", Value::Null);
pub(super) const UNKNOWN_MESSAGE: Wrong = Wrong(404, 10_008, "Unknown Message", Value::Null);
const UNAUTHORIZED: Wrong = Wrong(401, 0, "401: Unauthorized", Value::Null);
const NOT_FOUND: Wrong = Wrong(404, 0, "404: Not Found", Value::Null);
const BLOCKED: Wrong = Wrong(403, 40_333, "internal network error", Value::Null);

/// A field of a form that is wrong, and how.
pub(super) fn field(name: &str, code: &str, message: &str) -> Wrong {
    let errors = json!({name: {"_errors": [{"code": code, "message": message}]}});
    Wrong(400, 50_035, "Invalid Form Body", errors)
}

impl From<Wrong> for Told {
    fn from(Wrong(status, code, message, errors): Wrong) -> Self {
        let mut body = json!({"message": message, "code": code});
        if !errors.is_null() {
            body["errors"] = errors;
        }
        Self::json(status, &[], &body)
    }
}

/// An id, which may be a number as well as a text.
pub(super) fn id(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|it| it.to_string()))
}

/// One request of somebody who is known.
pub(super) struct Asks<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) world: &'a Arc<World>,
    pub(super) asked: &'a Asked,
    pub(super) body: Value,
    pub(super) files: Vec<Kept>,
}

/// Answers a request.
pub(super) async fn answer(shared: &Arc<Shared>, asked: Asked) -> Told {
    if let Some(place) = asked.path.strip_prefix("/attachments/") {
        return attachment(shared, place);
    }
    let agent = asked.header("user-agent");
    if agent.is_empty() || agent.starts_with("Mozilla/") {
        return BLOCKED.into();
    }
    let path = asked.path.strip_prefix("/api").unwrap_or_default();
    let path = path.strip_prefix("/v10").unwrap_or(path).to_owned();
    let pieces: Vec<_> = path.split('/').skip(1).collect();
    // Whoever answers an interaction proves it by the interaction's own token.
    let is_open = matches!(pieces.first(), Some(&("interactions" | "webhooks")));
    let world = if is_open {
        pieces.get(2).and_then(|token| interactions::world(shared, token))
    } else {
        let token = asked.header("authorization").strip_prefix("Bot ").unwrap_or_default();
        shared.by_token(token)
    };
    let Some(world) = world else {
        let unknown = Wrong(404, 10_015, "Unknown Webhook", Value::Null);
        return if is_open { unknown.into() } else { UNAUTHORIZED.into() };
    };
    let route = route(&asked.method, &pieces);
    let headers = if is_open {
        Vec::new()
    } else {
        let place = pieces.get(1).filter(|_| pieces.len() > 2).copied().unwrap_or_default();
        let bucket = format!("{route} at {place}");
        let met = world.state.lock().unwrap().limits.meet(&bucket);
        match met {
            Met::Free(headers) => headers,
            Met::Limited(told) => return noted(&world, &asked, route, Value::Null, told),
        }
    };
    let failure = world.failures.take(&route);
    let (body, files) = content(&asked);
    let told = match failure {
        Some(Failure::Answer(status, headers, body)) => Told::failure(status, headers, body),
        Some(Failure::Cut) => Told::Cut,
        other => {
            let body = body.clone();
            let asks = Asks { shared, world: &world, asked: &asked, body, files };
            let told = match given(&asks, &pieces) {
                Ok((204, _)) => Told::failure(204, owned(&headers), String::new()),
                Ok((status, value)) => Told::json(status, &headers, &value),
                Err(wrong) => wrong.into(),
            };
            told.after(other).await
        }
    };
    noted(&world, &asked, route, body, told)
}

fn owned(headers: &[(&'static str, String)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// Keeps that it was asked for.
fn noted(world: &World, asked: &Asked, route: String, body: Value, told: Told) -> Told {
    let (at, path, status) = (SystemTime::now(), asked.path.clone(), told.status());
    world.state.lock().unwrap().call(Call { at, route, path, body, status });
    told
}

/// Method and path with a star for each id or token.
fn route(method: &Method, pieces: &[&str]) -> String {
    let is_id = |it: &str| it.bytes().all(|it| it.is_ascii_digit()) || it.len() > 24;
    let star = |it: &&str| if is_id(it) { "*".to_owned() } else { (*it).to_owned() };
    format!("{method} /{}", pieces.iter().map(star).collect::<Vec<_>>().join("/"))
}

/// The JSON of a request, and the files that come with it.
fn content(asked: &Asked) -> (Value, Vec<Kept>) {
    let kind = asked.header("content-type");
    let Some(parts) = parts(kind, &asked.body) else {
        // What does not say that it is JSON is as if it had not been sent.
        let body = asked.body.as_ref();
        let body = if kind.starts_with("application/json") { body } else { b"null" };
        return (serde_json::from_slice(body).unwrap_or_default(), Vec::new());
    };
    let (mut body, mut files) = (Value::Null, Vec::new());
    for part in parts {
        if part.name == "payload_json" {
            body = serde_json::from_slice(&part.content).unwrap_or_default();
        } else if part.name.starts_with("files[") || part.name == "file" {
            let name = part.filename.unwrap_or_else(|| "unknown".to_owned());
            let kind = part.media_type.unwrap_or_else(|| "application/octet-stream".to_owned());
            files.push((name, kind, part.content));
        }
    }
    (body, files)
}

fn given(asks: &Asks<'_>, pieces: &[&str]) -> Given {
    let world = asks.world;
    match (asks.asked.method.as_str(), pieces) {
        ("GET", ["gateway"]) => Ok((200, json!({"url": gateway(asks)}))),
        ("GET", ["gateway", "bot"]) => {
            let used = world.state.lock().unwrap().identified;
            let left = MAX_IDENTIFIED.saturating_sub(used);
            let limit = json!({"total": MAX_IDENTIFIED, "remaining": left, "reset_after": 86_400_000, "max_concurrency": 1});
            Ok((200, json!({"url": gateway(asks), "shards": 1, "session_start_limit": limit})))
        }
        ("GET", ["users", "@me"]) => Ok((200, world.user(&world.is.id))),
        ("GET", ["applications" | "oauth2", .., "@me"]) => Ok((200, world.application())),
        ("PUT", ["applications", id, "commands"]) if *id == world.is.id => {
            let commands = commands(world, &asks.body);
            world.state.lock().unwrap().commands = commands.clone();
            Ok((200, commands))
        }
        ("GET", ["applications", id, "commands"]) if *id == world.is.id => {
            Ok((200, world.state.lock().unwrap().commands.clone()))
        }
        ("GET", ["users", id]) => {
            let known = world.state.lock().unwrap().people.contains_key(*id);
            let unknown = Wrong(404, 10_013, "Unknown User", Value::Null);
            if known { Ok((200, world.user(id))) } else { Err(unknown) }
        }
        ("POST", ["users", "@me", "channels"]) => direct(asks),
        ("GET", ["guilds", id]) => {
            let state = world.state.lock().unwrap();
            let known = state.guilds.contains_key(*id);
            let unknown = Wrong(404, 10_004, "Unknown Guild", Value::Null);
            if known { Ok((200, world.guild_in(&state, id))) } else { Err(unknown) }
        }
        ("GET", ["channels", id]) => {
            let state = world.state.lock().unwrap();
            world.room_in(&state, id).map(|it| (200, it)).ok_or(UNKNOWN_CHANNEL)
        }
        (_, ["channels", room, rest @ ..]) => messages::given(asks, room, rest),
        (_, ["interactions" | "webhooks", ..]) => interactions::given(asks, pieces),
        _ => Err(NOT_FOUND),
    }
}

/// Commands as Discord keeps them.
fn commands(world: &World, wanted: &Value) -> Value {
    let mut all = wanted.as_array().cloned().unwrap_or_default();
    for command in &mut all {
        let usual = json!({"type": 1, "description": "", "options": [], "nsfw": false, "default_member_permissions": null});
        for (name, value) in usual.as_object().into_iter().flatten() {
            if command[name].is_null() {
                command[name] = value.clone();
            }
        }
        command["id"] = snowflake().into();
        command["version"] = command["id"].clone();
        command["application_id"] = world.is.id.as_str().into();
    }
    all.into()
}

fn gateway(asks: &Asks<'_>) -> String {
    format!("ws://{}", asks.shared.address)
}

fn direct(asks: &Asks<'_>) -> Given {
    let person = id(&asks.body["recipient_id"]).unwrap_or_default();
    let mut state = asks.world.state.lock().unwrap();
    if !state.people.contains_key(&person) {
        return Err(Wrong(400, 50_033, "Invalid Recipient(s)", Value::Null));
    }
    let id = state.direct(&person);
    asks.world.room_in(&state, &id).map(|it| (200, it)).ok_or(UNKNOWN_CHANNEL)
}

/// The bytes of an attachment: whoever has the address may have them.
fn attachment(shared: &Shared, place: &str) -> Told {
    let id = place.split('/').nth(1).unwrap_or_default();
    let has = |it: &World| it.state.lock().unwrap().files.contains_key(id);
    let Some(world) = shared.world(has) else { return NOT_FOUND.into() };
    let state = world.state.lock().unwrap();
    let Some((_, kind, bytes)) = state.files.get(id) else { return NOT_FOUND.into() };
    let reply = http::Response::builder().header("content-type", kind);
    Told::Whole(reply.body(bytes.clone().into()).unwrap())
}
