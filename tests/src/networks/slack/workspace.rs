//! A workspace with one app in it: people, rooms, what was said, and what is still to be delivered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::socket::Line;
use super::{Attempt, Call};
use crate::networks::serve::Failures;

/// Messages of one room that are kept.
const MAX_MESSAGES: usize = 200_000;

/// Calls, attempts and events that are kept, the newest.
const MAX_KEPT: usize = 200_000;

/// Who the app is.
#[derive(Debug)]
pub(super) struct Is {
    pub(super) name: String,
    pub(super) app: String,
    pub(super) team: String,
    pub(super) user: String,
    pub(super) bot: String,
    pub(super) bot_token: String,
    pub(super) app_token: String,
    pub(super) secret: String,
}

#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) is: Is,
    pub(super) state: Mutex<State>,
    pub(super) failures: Failures,
}

#[derive(Debug)]
pub(super) struct State {
    numbers: u64,
    micros: u128,
    pub(super) people: BTreeMap<String, String>,
    pub(super) rooms: BTreeMap<String, Room>,
    pub(super) files: BTreeMap<String, File>,
    pub(super) way: Way,
    pub(super) lines: Vec<Line>,
    pub(super) turn: usize,
    pub(super) tickets: BTreeSet<String>,
    pub(super) acks: BTreeMap<String, oneshot::Sender<Value>>,
    /// The last delivery of each room: over when its sender is gone.
    pub(super) lanes: BTreeMap<String, oneshot::Receiver<()>>,
    pub(super) held: Option<Vec<Parcel>>,
    pub(super) deadline: Duration,
    pub(super) gaps: Vec<Duration>,
    pub(super) pace: Option<Duration>,
    pub(super) posted: BTreeMap<String, SystemTime>,
    pub(super) is_revoked: bool,
    pub(super) attempts: VecDeque<Attempt>,
    pub(super) calls: VecDeque<Call>,
    pub(super) sent: VecDeque<Parcel>,
}

/// Where what happens is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    Nowhere,
    Url(String),
    Sockets,
}

/// What is delivered, and how it is wrapped.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) payload: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Event,
    Command,
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: String,
    /// `channel`, `group`, `im` or `mpim`.
    pub(super) kind: &'static str,
    /// The other one, of a conversation of two.
    pub(super) with: Option<String>,
    pub(super) messages: Vec<Value>,
}

#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) media_type: String,
    pub(super) content: Vec<u8>,
    /// Whether it was shared: before, nobody sees it.
    pub(super) is_whole: bool,
}

impl Workspace {
    pub(super) fn new(is: Is) -> Self {
        let people = [(is.user.clone(), is.name.clone())];
        let state = State {
            numbers: 0,
            micros: 0,
            people: people.into(),
            rooms: BTreeMap::new(),
            files: BTreeMap::new(),
            way: Way::Nowhere,
            lines: Vec::new(),
            turn: 0,
            tickets: BTreeSet::new(),
            acks: BTreeMap::new(),
            lanes: BTreeMap::new(),
            held: None,
            deadline: super::DEADLINE,
            gaps: super::GAPS.to_vec(),
            pace: None,
            posted: BTreeMap::new(),
            is_revoked: false,
            attempts: VecDeque::new(),
            calls: VecDeque::new(),
            sent: VecDeque::new(),
        };
        Self { is, state: Mutex::new(state), failures: Failures::default() }
    }

    /// An event in its envelope.
    pub(super) fn envelope(&self, event: &Value) -> Value {
        let id = self.state.lock().unwrap().id("Ev");
        let authorization = json!({
            "enterprise_id": null, "team_id": self.is.team, "user_id": self.is.user,
            "is_bot": true, "is_enterprise_install": false,
        });
        json!({
            "token": "a token that proves nothing",
            "team_id": self.is.team,
            "api_app_id": self.is.app,
            "event": event,
            "type": "event_callback",
            "event_id": id,
            "event_time": seconds(),
            "authorizations": [authorization],
            "is_ext_shared_channel": false,
            "event_context": format!("4-{id}"),
        })
    }

    /// The events by which an app hears of a message: as such, and where it is addressed in a room of
    /// several as a mention as well.
    pub(super) fn heard(&self, room: &str, message: &Value, parent: Option<&str>) -> Vec<Value> {
        let mut event = message.clone();
        let kind = self.state.lock().unwrap().rooms[room].kind;
        event["channel"] = room.into();
        event["event_ts"] = message["ts"].clone();
        event["team"] = self.is.team.as_str().into();
        if let Some(parent) = parent {
            event["parent_user_id"] = parent.into();
        }
        let mut events = Vec::new();
        let named = format!("<@{}>", self.is.user);
        let text = message["text"].as_str().unwrap_or_default();
        if kind != "im" && text.contains(&named) && message["bot_id"].is_null() {
            let mut mention = event.clone();
            mention["type"] = "app_mention".into();
            events.push(self.envelope(&mention));
        }
        event["channel_type"] = kind.into();
        events.insert(0, self.envelope(&event));
        events
    }

    /// An event that says that a message is another now, or gone.
    pub(super) fn changed(&self, room: &str, before: &Value, after: Option<&Value>) -> Value {
        let (kind, ts) = {
            let mut state = self.state.lock().unwrap();
            (state.rooms[room].kind, state.ts())
        };
        let mut event = json!({
            "type": "message", "channel": room, "hidden": true, "ts": ts, "event_ts": ts,
            "channel_type": kind, "previous_message": before,
        });
        if let Some(after) = after {
            event["subtype"] = "message_changed".into();
            event["message"] = after.clone();
        } else {
            event["subtype"] = "message_deleted".into();
            event["deleted_ts"] = before["ts"].clone();
        }
        self.envelope(&event)
    }
}

impl State {
    /// A new id.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.numbers += 1;
        format!("{prefix}0TEST{:05}", self.numbers)
    }

    /// A time that no message has yet.
    pub(super) fn ts(&mut self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        self.micros = now.max(self.micros + 1);
        format!("{}.{:06}", self.micros / 1_000_000, self.micros % 1_000_000)
    }

    /// The room of that id or, for a person's, of two with that person, or of that name.
    pub(super) fn room(&mut self, named: &str) -> Option<String> {
        if self.rooms.contains_key(named) {
            return Some(named.to_owned());
        }
        if self.people.contains_key(named) {
            return Some(self.direct(named));
        }
        let name = named.strip_prefix('#')?;
        self.rooms.iter().find(|(_, room)| room.name == name).map(|(id, _)| id.clone())
    }

    pub(super) fn direct(&mut self, person: &str) -> String {
        let found = self.rooms.iter().find(|(_, it)| it.with.as_deref() == Some(person));
        if let Some((id, _)) = found {
            return id.clone();
        }
        let (id, with) = (self.id("D"), Some(person.to_owned()));
        let room = Room { name: String::new(), kind: "im", with, messages: Vec::new() };
        self.rooms.insert(id.clone(), room);
        id
    }

    pub(super) fn put(&mut self, room: &str, message: Value) {
        let messages = &mut self.rooms.get_mut(room).unwrap().messages;
        assert!(messages.len() < MAX_MESSAGES, "{room} is full");
        messages.push(message);
    }

    pub(super) fn message(&mut self, room: &str, ts: &str) -> Option<&mut Value> {
        let messages = &mut self.rooms.get_mut(room)?.messages;
        messages.iter_mut().find(|it| it["ts"] == ts)
    }

    /// Whoever began the thread.
    pub(super) fn parent(&mut self, room: &str, thread: &str) -> Option<String> {
        self.message(room, thread)?["user"].as_str().map(str::to_owned)
    }

    pub(super) fn tell(&mut self, attempt: Attempt) {
        keep(&mut self.attempts, attempt);
    }

    pub(super) fn call(&mut self, call: Call) {
        keep(&mut self.calls, call);
    }

    pub(super) fn remember(&mut self, parcel: &Parcel) {
        keep(&mut self.sent, parcel.clone());
    }
}

fn keep<T>(all: &mut VecDeque<T>, one: T) {
    if all.len() == MAX_KEPT {
        all.pop_front();
    }
    all.push_back(one);
}

pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
