//! The Web API: arguments as a form, a query or JSON, and answers that say whether it went well.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::workspace::{Way, Workspace};
use super::{Call, Shared, deliver, files};
use crate::networks::serve::{Asked, Failure, Told, fields};

/// Characters of a text behind which Slack cuts it.
const MAX_TEXT: usize = 40_000;

/// Methods that take no JSON: what is sent as such is as if it had not been.
const ONLY_FORMS: [&str; 5] = [
    "conversations.info",
    "conversations.history",
    "conversations.replies",
    "users.info",
    "files.getUploadURLExternal",
];

/// Messages of a page, where nobody says how many.
const PAGE: usize = 100;

/// What a method gives: members beside `ok`, or an error.
pub(super) type Given = Result<Value, &'static str>;

/// One call.
pub(super) struct Asks<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) workspace: &'a Arc<Workspace>,
    pub(super) args: Map<String, Value>,
    /// Where whoever asks finds the network.
    pub(super) host: String,
}

impl Asks<'_> {
    /// An argument as text; numbers and the like are as they would be in a form.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let value = self.args.get(name).filter(|it| !it.is_null())?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    pub(super) fn needs(&self, name: &str) -> Result<String, &'static str> {
        self.text(name).ok_or("invalid_arguments")
    }

    /// An argument of JSON, which in a form is its text.
    pub(super) fn json(&self, name: &str) -> Value {
        match self.args.get(name) {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            Some(value) => value.clone(),
            None => Value::Null,
        }
    }

    pub(super) fn room(&self, name: &str) -> Result<String, &'static str> {
        let named = self.text(name).ok_or("channel_not_found")?;
        self.workspace.state.lock().unwrap().room(&named).ok_or("channel_not_found")
    }
}

/// Answers a call of a method.
pub(super) async fn answer(shared: &Arc<Shared>, method: &str, asked: Asked) -> Told {
    let (args, warning) = arguments(method, &asked);
    let bearer = asked.header("authorization").strip_prefix("Bearer ").map(str::to_owned);
    let in_body = args.get("token").and_then(Value::as_str).map(str::to_owned);
    let Some(token) = bearer.or(in_body) else { return refused("not_authed") };
    let Some(workspace) = shared.by_token(&token) else { return refused("invalid_auth") };
    let failure = workspace.failures.take(method);
    let told = match failure {
        Some(Failure::Answer(status, headers, body)) => Told::failure(status, headers, body),
        Some(Failure::Cut) => Told::Cut,
        other => {
            let host = asked.header("host").to_owned();
            let asks = Asks { shared, workspace: &workspace, args: args.clone(), host };
            let told = reply(&asks, method, &token, warning);
            told.after(other).await
        }
    };
    let (method, args) = (method.to_owned(), Value::Object(args));
    let call = Call { at: SystemTime::now(), method, args, status: told.status() };
    workspace.state.lock().unwrap().call(call);
    told
}

/// What a call is given to know, and what Slack warns of.
fn arguments(method: &str, asked: &Asked) -> (Map<String, Value>, Option<&'static str>) {
    let mut args: Map<_, _> =
        asked.query.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let kind = asked.header("content-type");
    let text = String::from_utf8_lossy(&asked.body);
    if kind.starts_with("application/json") {
        if !ONLY_FORMS.contains(&method) {
            args.extend(serde_json::from_str::<Map<_, _>>(&text).unwrap_or_default());
        }
        return (args, (!kind.contains("charset")).then_some("missing_charset"));
    }
    args.extend(fields(&text).into_iter().map(|(name, value)| (name, value.into())));
    (args, None)
}

fn refused(error: &str) -> Told {
    Told::json(200, &[], &json!({"ok": false, "error": error}))
}

fn reply(asks: &Asks<'_>, method: &str, token: &str, warning: Option<&str>) -> Told {
    let is = &asks.workspace.is;
    let wants_app = method == "apps.connections.open";
    let revoked = asks.workspace.state.lock().unwrap().is_revoked;
    if revoked {
        return refused("token_revoked");
    }
    if wants_app != (token == is.app_token) {
        return refused("not_allowed_token_type");
    }
    if let Some(wait) = too_soon(asks, method) {
        let body = json!({"ok": false, "error": "ratelimited"});
        return Told::json(429, &[("retry-after", wait)], &body);
    }
    let given = match method {
        "auth.test" => Ok(json!({
            "url": format!("https://{}.slack.test/", is.team), "team": is.team, "user": is.name,
            "team_id": is.team, "user_id": is.user, "bot_id": is.bot, "is_enterprise_install": false,
        })),
        "apps.connections.open" => open(asks),
        "chat.postMessage" => post(asks),
        "chat.update" => update(asks),
        "chat.delete" => delete(asks),
        "conversations.info" => info(asks),
        "conversations.open" => asks
            .needs("users")
            .and_then(|it| asks.workspace.direct(&it))
            .map(|id| json!({"channel": {"id": id}})),
        "conversations.history" => history(asks, None),
        "conversations.replies" => asks.needs("ts").and_then(|ts| history(asks, Some(&ts))),
        "users.info" => user(asks),
        "reactions.add" => react(asks),
        "files.getUploadURLExternal" => files::begin(asks),
        "files.completeUploadExternal" => files::complete(asks),
        "files.info" => files::info(asks),
        _ => Err("unknown_method"),
    };
    let mut body = given.unwrap_or_else(|error| json!({"error": error}));
    body["ok"] = body["error"].is_null().into();
    if let Some(warning) = warning {
        body["warning"] = warning.into();
        body["response_metadata"] = json!({"warnings": [warning]});
    }
    Told::json(200, &[("x-slack-req-id", "test".to_owned())], &body)
}

/// Seconds to wait, where a room was written to a moment ago and a pace is kept.
fn too_soon(asks: &Asks<'_>, method: &str) -> Option<String> {
    if method != "chat.postMessage" {
        return None;
    }
    let room = asks.text("channel")?;
    let mut state = asks.workspace.state.lock().unwrap();
    let pace = state.pace?;
    let now = SystemTime::now();
    if let Some(last) = state.posted.get(&room)
        && let Ok(since) = now.duration_since(*last)
        && let Some(left) = pace.checked_sub(since)
    {
        return Some((left.as_secs() + 1).to_string());
    }
    state.posted.insert(room, now);
    None
}

fn open(asks: &Asks<'_>) -> Given {
    let mut state = asks.workspace.state.lock().unwrap();
    if state.way != Way::Sockets {
        return Err("socket_mode_not_enabled");
    }
    // No other app's has the same name.
    let ticket = super::random();
    state.tickets.insert(ticket.clone());
    let (address, app) = (asks.shared.address, &asks.workspace.is.app);
    Ok(json!({"url": format!("ws://{address}/link/?ticket={ticket}&app_id={app}")}))
}

/// The text of a message, as far as Slack keeps it.
fn text(asks: &Asks<'_>) -> Result<String, &'static str> {
    let text = asks.text("text").unwrap_or_default();
    let more = ["blocks", "attachments"].iter().any(|it| asks.args.contains_key(*it));
    if text.is_empty() && !more {
        return Err("no_text");
    }
    Ok(text.chars().take(MAX_TEXT).collect())
}

fn post(asks: &Asks<'_>) -> Given {
    let (room, text, is) = (asks.room("channel")?, text(asks)?, &asks.workspace.is);
    let (message, parent) = {
        let mut state = asks.workspace.state.lock().unwrap();
        let mut message = json!({
            "type": "message", "user": is.user, "bot_id": is.bot, "app_id": is.app, "team": is.team,
            "text": text, "ts": state.ts(),
        });
        for name in ["blocks", "attachments", "metadata"] {
            if asks.args.contains_key(name) {
                message[name] = asks.json(name);
            }
        }
        let thread = asks.text("thread_ts");
        let parent = thread.as_ref().and_then(|it| state.parent(&room, it));
        if let Some(thread) = thread {
            message["thread_ts"] = thread.into();
        }
        state.put(&room, message.clone());
        (message, parent)
    };
    let heard = asks.workspace.heard(&room, &message, parent.as_deref());
    deliver::events(asks.shared, asks.workspace, heard);
    Ok(json!({"channel": room, "ts": message["ts"], "message": message}))
}

/// One of the app's own messages.
fn own(asks: &Asks<'_>, room: &str, error: &'static str) -> Given {
    let ts = asks.text("ts").ok_or("message_not_found")?;
    let mut state = asks.workspace.state.lock().unwrap();
    let message = state.message(room, &ts).ok_or("message_not_found")?;
    if message["bot_id"] != asks.workspace.is.bot.as_str() {
        return Err(error);
    }
    Ok(message.clone())
}

fn update(asks: &Asks<'_>) -> Given {
    let (room, text) = (asks.room("channel")?, text(asks)?);
    let before = own(asks, &room, "cant_update_message")?;
    let ts = before["ts"].as_str().unwrap_or_default();
    let after = {
        let mut state = asks.workspace.state.lock().unwrap();
        let edited = json!({"user": asks.workspace.is.user, "ts": state.ts()});
        let message = state.message(&room, ts).ok_or("message_not_found")?;
        message["text"] = text.clone().into();
        message["edited"] = edited;
        message.clone()
    };
    let changed = asks.workspace.changed(&room, &before, Some(&after));
    deliver::events(asks.shared, asks.workspace, vec![changed]);
    Ok(json!({"channel": room, "ts": ts, "text": text, "message": after}))
}

fn delete(asks: &Asks<'_>) -> Given {
    let room = asks.room("channel")?;
    let before = own(asks, &room, "cant_delete_message")?;
    {
        let mut state = asks.workspace.state.lock().unwrap();
        let messages = &mut state.rooms.get_mut(&room).ok_or("channel_not_found")?.messages;
        messages.retain(|it| it["ts"] != before["ts"]);
    }
    let gone = asks.workspace.changed(&room, &before, None);
    deliver::events(asks.shared, asks.workspace, vec![gone]);
    Ok(json!({"channel": room, "ts": before["ts"]}))
}

fn info(asks: &Asks<'_>) -> Given {
    let id = asks.needs("channel")?;
    let state = asks.workspace.state.lock().unwrap();
    let room = state.rooms.get(&id).ok_or("channel_not_found")?;
    let mut channel = json!({
        "id": id, "name": room.name, "is_channel": room.kind == "channel",
        "is_group": room.kind == "group", "is_im": room.kind == "im",
        "is_mpim": room.kind == "mpim", "is_member": true,
    });
    if let Some(with) = &room.with {
        channel["user"] = with.as_str().into();
    }
    Ok(json!({"channel": channel}))
}

fn history(asks: &Asks<'_>, thread: Option<&str>) -> Given {
    let room = asks.room("channel")?;
    let limit = asks.text("limit").and_then(|it| it.parse().ok()).unwrap_or(PAGE);
    let oldest = asks.text("oldest").unwrap_or_default();
    let with_metadata =
        asks.text("include_all_metadata").is_some_and(|it| it == "true" || it == "1");
    let mut state = asks.workspace.state.lock().unwrap();
    if thread.is_some_and(|it| state.message(&room, it).is_none()) {
        return Err("thread_not_found");
    }
    let all = state.rooms[&room].messages.iter();
    let wanted = |it: &&Value| match thread {
        Some(thread) => it["thread_ts"] == thread || it["ts"] == thread,
        None => it["thread_ts"].is_null() || it["thread_ts"] == it["ts"],
    };
    let newer = |it: &&Value| it["ts"].as_str().unwrap_or_default() > oldest.as_str();
    let mut found: Vec<_> = all.filter(wanted).filter(newer).cloned().collect();
    if thread.is_none() {
        // The newest first; of a thread the oldest.
        found.reverse();
    }
    let more = found.len() > limit;
    found.truncate(limit);
    if !with_metadata {
        for message in &mut found {
            message.as_object_mut().unwrap().remove("metadata");
        }
    }
    Ok(json!({"messages": found, "has_more": more}))
}

fn user(asks: &Asks<'_>) -> Given {
    let id = asks.needs("user")?;
    let state = asks.workspace.state.lock().unwrap();
    let name = state.people.get(&id).ok_or("user_not_found")?;
    let profile = json!({"real_name": name, "display_name": name});
    let is_bot = id == asks.workspace.is.user;
    let team = &asks.workspace.is.team;
    Ok(json!({"user": {
        "id": id, "team_id": team, "name": name, "real_name": name, "profile": profile,
        "is_bot": is_bot, "deleted": false,
    }}))
}

fn react(asks: &Asks<'_>) -> Given {
    let (room, ts, name) = (asks.room("channel")?, asks.needs("timestamp")?, asks.needs("name")?);
    let own = &asks.workspace.is.user;
    let mut state = asks.workspace.state.lock().unwrap();
    let message = state.message(&room, &ts).ok_or("message_not_found")?;
    if !message["reactions"].is_array() {
        message["reactions"] = json!([]);
    }
    let reactions = message["reactions"].as_array_mut().unwrap();
    if reactions.iter().any(|it| it["name"] == name.as_str()) {
        return Err("already_reacted");
    }
    reactions.push(json!({"name": name, "count": 1, "users": [own]}));
    Ok(json!({}))
}

impl Workspace {
    fn direct(&self, person: &str) -> Result<String, &'static str> {
        let mut state = self.state.lock().unwrap();
        let known = state.people.contains_key(person);
        if known { Ok(state.direct(person)) } else { Err("user_not_found") }
    }
}
