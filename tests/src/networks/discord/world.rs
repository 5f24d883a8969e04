//! The world of one bot: people, servers, rooms, what was said, and who is told of it.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::interactions::Asking;
use super::limits::Limits;
use super::sessions::Session;
use super::{Call, Kept, Named, snowflake};
use crate::networks::serve::Failures;

/// Messages of one room that are kept.
const MAX_MESSAGES: usize = 200_000;

/// Calls that are kept, the newest; and of typing and of interactions as many, which is all.
const MAX_CALLS: usize = 200_000;

/// When everybody has come: of no interest to a bot.
const JOINED: &str = "2024-01-01T00:00:00+00:00";

/// Who the bot is.
#[derive(Debug)]
pub(super) struct Is {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) token: String,
    pub(super) key: Ed25519KeyPair,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) is: Is,
    pub(super) state: Mutex<State>,
    pub(super) failures: Failures,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) people: Named<String>,
    pub(super) guilds: Named<String>,
    pub(super) rooms: Named<Room>,
    pub(super) files: Named<Kept>,
    pub(super) sessions: Named<Session>,
    pub(super) held: Option<Vec<Happened>>,
    pub(super) identified: usize,
    pub(super) resumed: usize,
    pub(super) asking: Named<Asking>,
    pub(super) endpoint: Option<String>,
    pub(super) commands: Value,
    pub(super) limits: Limits,
    pub(super) calls: VecDeque<Call>,
    pub(super) typing: Vec<String>,
    pub(super) resumable: Option<Duration>,
    /// Privileged intents that the bot was not granted.
    pub(super) withheld: u64,
    pub(super) is_revoked: bool,
    /// Hearts beat and nobody answers.
    pub(super) is_deaf: bool,
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: String,
    pub(super) guild: Option<String>,
    /// The other one, of a conversation of two.
    pub(super) with: Option<String>,
    /// The room that a thread hangs on.
    pub(super) parent: Option<String>,
    pub(super) messages: Vec<Value>,
    /// Numbers that messages were sent with, and which message each is.
    pub(super) nonces: VecDeque<(SystemTime, String, String)>,
}

/// What happened.
#[derive(Debug, Clone)]
pub(super) struct Happened {
    pub(super) name: &'static str,
    pub(super) what: Value,
    /// Intents of which one is needed to hear of it; 0 where everybody does.
    pub(super) intents: u64,
}

impl World {
    pub(super) fn new(is: Is) -> Self {
        let mut state = State { commands: json!([]), ..State::default() };
        state.people.insert(is.id.clone(), is.name.clone());
        Self { is, state: Mutex::new(state), failures: Failures::default() }
    }

    /// The public key in hexadecimal digits.
    pub(super) fn public(&self) -> String {
        use std::fmt::Write as _;
        self.is.key.public_key().as_ref().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
    }

    pub(super) fn user(&self, id: &str) -> Value {
        self.user_in(&self.state.lock().unwrap(), id)
    }

    pub(super) fn user_in(&self, state: &State, id: &str) -> Value {
        let name = state.people.get(id).cloned().unwrap_or_default();
        json!({
            "id": id, "username": name, "global_name": name, "discriminator": "0", "avatar": null,
            "bot": id == self.is.id, "public_flags": 0,
        })
    }

    pub(super) fn application(&self) -> Value {
        json!({
            "id": self.is.id, "name": self.is.name, "icon": null, "description": "",
            "bot_public": true, "bot_require_code_grant": false, "verify_key": self.public(),
            "flags": 1 << 19, "owner": self.user(&self.is.id), "team": null, "summary": "",
            "interactions_endpoint_url": self.state.lock().unwrap().endpoint,
        })
    }

    pub(super) fn member_in(&self, state: &State, id: &str) -> Value {
        json!({
            "user": self.user_in(state, id), "nick": null, "avatar": null, "roles": [],
            "joined_at": JOINED, "deaf": false, "mute": false, "flags": 0, "permissions": "0",
        })
    }

    pub(super) fn room_in(&self, state: &State, id: &str) -> Option<Value> {
        let room = state.rooms.get(id)?;
        let mut told = json!({"id": id, "type": room.kind(), "flags": 0});
        told["last_message_id"] = room.messages.last().map_or(Value::Null, |it| it["id"].clone());
        if let Some(with) = &room.with {
            told["recipients"] = json!([self.user_in(state, with)]);
            return Some(told);
        }
        let more = json!({
            "guild_id": room.guild, "name": room.name, "position": 0, "topic": null, "nsfw": false,
            "permission_overwrites": [], "rate_limit_per_user": 0, "parent_id": room.parent,
        });
        told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        if room.parent.is_some() {
            let metadata = json!({"archived": false, "auto_archive_duration": 1440, "archive_timestamp": JOINED, "locked": false});
            told["thread_metadata"] = metadata;
            told["owner_id"] = self.is.id.as_str().into();
            told["message_count"] = 0.into();
            told["member_count"] = 1.into();
        }
        Some(told)
    }

    /// A server as a bot is told of it when it comes.
    pub(super) fn guild_in(&self, state: &State, id: &str) -> Value {
        let of = |threads: bool| {
            let rooms = state.rooms.iter();
            let own = rooms.filter(|(_, it)| it.guild.as_deref() == Some(id));
            let own = own.filter(|(_, it)| it.parent.is_some() == threads);
            own.filter_map(|(id, _)| self.room_in(state, id)).collect::<Vec<_>>()
        };
        let everyone = json!({
            "id": id, "name": "@everyone", "color": 0, "hoist": false, "position": 0, "flags": 0,
            "permissions": "2248473465835073", "managed": false, "mentionable": false,
        });
        json!({
            "id": id, "name": state.guilds[id], "icon": null, "splash": null, "banner": null,
            "owner_id": state.people.keys().next(), "afk_channel_id": null, "afk_timeout": 300,
            "verification_level": 0, "default_message_notifications": 0, "features": [],
            "explicit_content_filter": 0, "roles": [everyone], "emojis": [], "stickers": [],
            "mfa_level": 0, "application_id": null, "system_channel_id": null, "nsfw_level": 0,
            "system_channel_flags": 0, "rules_channel_id": null, "vanity_url_code": null,
            "description": null, "premium_tier": 0, "preferred_locale": "en-US",
            "premium_progress_bar_enabled": false, "joined_at": JOINED, "large": false,
            "unavailable": false, "member_count": state.people.len(), "voice_states": [],
            "members": [self.member_in(state, &self.is.id)], "channels": of(false),
            "threads": of(true), "presences": [], "stage_instances": [],
            "guild_scheduled_events": [], "soundboard_sounds": [],
        })
    }
}

impl Room {
    /// What Discord calls the kinds of rooms: of a server, of two, a thread.
    pub(super) const fn kind(&self) -> u8 {
        match (&self.with, &self.parent) {
            (Some(_), _) => 1,
            (None, Some(_)) => 11,
            (None, None) => 0,
        }
    }
}

impl State {
    pub(super) fn ask(&mut self, id: String, asking: Asking) {
        assert!(self.asking.len() < MAX_CALLS, "more interactions than any test needs");
        self.asking.insert(id, asking);
    }

    /// The conversation of two with that person.
    pub(super) fn direct(&mut self, person: &str) -> String {
        let found = self.rooms.iter().find(|(_, it)| it.with.as_deref() == Some(person));
        if let Some((id, _)) = found {
            return id.clone();
        }
        self.add(Room {
            name: String::new(),
            guild: None,
            with: Some(person.to_owned()),
            parent: None,
            messages: Vec::new(),
            nonces: VecDeque::new(),
        })
    }

    pub(super) fn add(&mut self, room: Room) -> String {
        let id = snowflake();
        self.rooms.insert(id.clone(), room);
        id
    }

    pub(super) fn put(&mut self, room: &str, message: Value) {
        let messages = &mut self.rooms.get_mut(room).unwrap().messages;
        assert!(messages.len() < MAX_MESSAGES, "{room} is full");
        messages.push(message);
    }

    pub(super) fn message(&mut self, room: &str, id: &str) -> Option<&mut Value> {
        self.rooms.get_mut(room)?.messages.iter_mut().find(|it| it["id"] == id)
    }

    pub(super) fn types_in(&mut self, room: &str) {
        assert!(self.typing.len() < MAX_CALLS, "it types all the time");
        self.typing.push(room.to_owned());
    }

    pub(super) fn call(&mut self, call: Call) {
        if self.calls.len() == MAX_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }
}
