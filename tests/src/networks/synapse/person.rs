//! A person on the homeserver: asks the client-server API as any client does, with one device.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Client, Reply};
use crate::networks::PATIENCE;

/// How long one look at what is new waits for it.
const LONG_POLL: Duration = Duration::from_secs(5);

/// Events that somebody has heard and nobody asked for.
const MAX_HEARD: usize = 100_000;

/// Events of a room that are read back at once.
const READ_BACK: usize = 1000;

/// What [`Person::news`] asks for: messages, as many as a server gives at once.
const NEWS: &str = r#"{"presence":{"types":[]},"account_data":{"types":[]},"room":{"ephemeral":{"types":[]},"account_data":{"types":[]},"state":{"types":[]},"timeline":{"types":["m.room.message"],"limit":100}}}"#;

/// A person, or a bot: they are the same to the server.
#[derive(Debug)]
pub struct Person {
    client: Client,
    id: String,
    token: String,
    device: String,
    password: String,
    /// Numbers what is sent, so that it can be sent twice.
    sent: u64,
    since: Option<String>,
    heard: VecDeque<(String, Value)>,
}

impl Person {
    pub(super) fn new(address: SocketAddr, password: &str, registered: &Value) -> Self {
        let text = |name: &str| registered[name].as_str().unwrap().to_owned();
        let token = text("access_token");
        Self {
            client: Client::new(address, Some(token.clone())),
            id: text("user_id"),
            token,
            device: text("device_id"),
            password: password.to_owned(),
            sent: 0,
            since: None,
            heard: VecDeque::new(),
        }
    }

    /// `@name:server`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The token of the one device.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The one device.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// With what one logs in.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Asks the client-server API anything: a path after `/_matrix/client/`.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> Reply {
        let body = if method == Method::GET { Bytes::new() } else { body.to_string().into() };
        self.client.send(method, &format!("/_matrix/client/{path}"), body).await
    }

    /// The same, which must succeed.
    pub async fn ok(&self, method: Method, path: &str, body: &Value) -> Value {
        let reply = self.ask(method, path, body).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text());
        reply.json()
    }

    /// The name that others see.
    pub async fn call_oneself(&self, name: &str) {
        let path = format!("v3/profile/{}/displayname", self.id);
        self.ok(Method::PUT, &path, &json!({"displayname": name})).await;
    }

    /// Makes a room into which these are asked.
    pub async fn room(&self, name: &str, others: &[&str]) -> String {
        let body = json!({"name": name, "preset": "private_chat", "invite": others});
        let made = self.ok(Method::POST, "v3/createRoom", &body).await;
        made["room_id"].as_str().unwrap().to_owned()
    }

    /// Makes a conversation of two, marked as such, into which the other is asked.
    pub async fn direct(&self, other: &str) -> String {
        let body = json!({"is_direct": true, "preset": "trusted_private_chat", "invite": [other]});
        let made = self.ok(Method::POST, "v3/createRoom", &body).await;
        let room = made["room_id"].as_str().unwrap().to_owned();
        let path = format!("v3/user/{}/account_data/m.direct", self.id);
        self.ok(Method::PUT, &path, &json!({other: [room.clone()]})).await;
        room
    }

    /// Asks somebody into a room.
    pub async fn invite(&self, room: &str, other: &str) {
        let path = format!("v3/rooms/{room}/invite");
        self.ok(Method::POST, &path, &json!({"user_id": other})).await;
    }

    /// Enters a room.
    pub async fn join(&self, room: &str) {
        self.ok(Method::POST, &format!("v3/rooms/{room}/join"), &json!({})).await;
    }

    /// Leaves a room.
    pub async fn leave(&self, room: &str) {
        self.ok(Method::POST, &format!("v3/rooms/{room}/leave"), &json!({})).await;
    }

    /// Waits until these are all in the room, and nobody else.
    pub async fn sees_in(&self, room: &str, others: &[&str]) {
        let mut wanted = others.to_vec();
        wanted.sort_unstable();
        let begun = Instant::now();
        loop {
            let path = format!("v3/rooms/{room}/joined_members");
            let members = self.ok(Method::GET, &path, &Value::Null).await;
            let mut there: Vec<_> =
                members["joined"].as_object().unwrap().keys().map(String::as_str).collect();
            there.sort_unstable();
            if there == wanted {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{there:?} are in it, not {wanted:?}");
        }
    }

    /// Says something; gives the event's id.
    pub async fn say(&mut self, room: &str, text: &str) -> String {
        self.send(room, &json!({"msgtype": "m.text", "body": text})).await
    }

    /// Sends a message of any content; gives the event's id.
    pub async fn send(&mut self, room: &str, content: &Value) -> String {
        self.sent += 1;
        let key = format!("{}.{}", self.device, self.sent);
        self.send_as(room, &key, content).await
    }

    /// The same under a key of the caller's: the server takes each key once.
    pub async fn send_as(&self, room: &str, key: &str, content: &Value) -> String {
        let path = format!("v3/rooms/{room}/send/m.room.message/{key}");
        let sent = self.ok(Method::PUT, &path, content).await;
        sent["event_id"].as_str().unwrap().to_owned()
    }

    /// Says something else in the place of what was said.
    pub async fn edit(&mut self, room: &str, event: &str, text: &str) -> String {
        let new = json!({"msgtype": "m.text", "body": text});
        let to = json!({"rel_type": "m.replace", "event_id": event});
        let body = format!("* {text}");
        let content =
            json!({"msgtype": "m.text", "body": body, "m.new_content": new, "m.relates_to": to});
        self.send(room, &content).await
    }

    /// Takes back what was said.
    pub async fn redact(&self, room: &str, event: &str) {
        let path = format!("v3/rooms/{room}/redact/{event}/{event}");
        self.ok(Method::PUT, &path, &json!({})).await;
    }

    /// Says that one is typing.
    pub async fn types(&self, room: &str) {
        let path = format!("v3/rooms/{room}/typing/{}", self.id);
        self.ok(Method::PUT, &path, &json!({"typing": true, "timeout": 20_000})).await;
    }

    /// Stores a file; gives its `mxc:` address.
    pub async fn upload(&self, name: &str, media_type: &str, content: &[u8]) -> String {
        let client = self.client.clone().header("content-type", media_type);
        let path = format!("/_matrix/media/v3/upload?filename={name}");
        let reply = client.send(Method::POST, &path, content.to_vec()).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.json()["content_uri"].as_str().unwrap().to_owned()
    }

    /// What is stored under an `mxc:` address.
    pub async fn download(&self, address: &str) -> Reply {
        let address = address.strip_prefix("mxc://").expect("an address of media");
        self.ask(Method::GET, &format!("v1/media/download/{address}"), &Value::Null).await
    }

    /// The messages of a room as the server has them, oldest first, edits and one's own with them.
    pub async fn messages(&self, room: &str) -> Vec<Value> {
        let (mut all, mut from) = (Vec::new(), String::new());
        loop {
            let path = format!("v3/rooms/{room}/messages?dir=b&limit={READ_BACK}{from}");
            let page = self.ok(Method::GET, &path, &Value::Null).await;
            let chunk = page["chunk"].as_array().unwrap();
            all.extend(chunk.iter().filter(|it| it["type"] == "m.room.message").cloned());
            assert!(all.len() < MAX_HEARD, "too much is said in {room}");
            match page["end"].as_str().filter(|_| chunk.len() == READ_BACK) {
                Some(end) => from = format!("&from={end}"),
                None => break,
            }
        }
        all.reverse();
        all
    }

    /// The messages of the room that came since it was asked last, the newest hundred where they are more.
    pub async fn news(&mut self, room: &str) -> Vec<Value> {
        let filter = NEWS.replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
        self.take(Duration::ZERO, &format!("&filter={filter}")).await;
        let (new, others) = self.heard.drain(..).partition(|(at, _)| at == room);
        self.heard = others;
        new.into_iter().map(|(_, event)| event).collect()
    }

    /// The next text that somebody else says in the room, as an event.
    pub async fn hears(&mut self, room: &str) -> Value {
        let own = self.id.clone();
        self.find(room, |it| it["type"] == "m.room.message" && it["sender"] != own.as_str()).await
    }

    /// The next event of the room of which that holds, also where it came before and was not asked
    /// for: those of its timeline, what its state is told of somebody who was asked in, and who types.
    pub async fn find(&mut self, room: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let found = self.heard.iter().position(|(at, it)| at == room && wanted(it));
            if let Some(found) = found {
                return self.heard.remove(found).unwrap().1;
            }
            let left = PATIENCE.checked_sub(begun.elapsed());
            assert!(left.is_some(), "{} hears nothing of it: {:?}", self.id, self.heard);
            self.sync().await;
        }
    }

    /// Takes what is new, and waits a while where nothing is.
    async fn sync(&mut self) {
        let wait = if self.since.is_some() { LONG_POLL } else { Duration::ZERO };
        self.take(wait, "").await;
    }

    /// Takes what is new, and waits so long where nothing is.
    async fn take(&mut self, wait: Duration, filter: &str) {
        let since = self.since.as_ref().map(|it| format!("&since={it}")).unwrap_or_default();
        let path = format!("v3/sync?timeout={}{filter}{since}", wait.as_millis());
        let new = self.ok(Method::GET, &path, &Value::Null).await;
        self.since = Some(new["next_batch"].as_str().unwrap().to_owned());
        let places = [
            ("join", "timeline"),
            ("join", "ephemeral"),
            ("invite", "invite_state"),
            ("leave", "timeline"),
        ];
        for (kind, part) in places {
            for (room, of_it) in new["rooms"][kind].as_object().into_iter().flatten() {
                let events = of_it[part]["events"].as_array().into_iter().flatten();
                self.heard.extend(events.map(|it| (room.clone(), it.clone())));
            }
        }
        assert!(self.heard.len() < MAX_HEARD, "{} listens to too much", self.id);
    }
}
