//! An app and its workspace in the hands of a test: what people say there, what the app has said, and
//! what goes wrong.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::socket::{Say, parting};
use super::workspace::{File, Kind, Parcel, Room, Way, Workspace};
use super::{Attempt, Call, Shared, deliver, files};
use crate::networks::found;
use crate::networks::serve::{Failure, post, spawn};

/// How long a socket lives on after it was warned.
const WARNED: Duration = Duration::from_secs(10);

/// An app in its workspace.
#[derive(Debug, Clone)]
pub struct App {
    shared: Arc<Shared>,
    workspace: Arc<Workspace>,
}

impl App {
    pub(super) const fn new(shared: Arc<Shared>, workspace: Arc<Workspace>) -> Self {
        Self { shared, workspace }
    }

    /// `A…`, the app.
    pub fn id(&self) -> &str {
        &self.workspace.is.app
    }

    /// `T…`, its workspace.
    pub fn team(&self) -> &str {
        &self.workspace.is.team
    }

    /// `U…`, who the app is among the people.
    pub fn user(&self) -> &str {
        &self.workspace.is.user
    }

    /// `xoxb-…`.
    pub fn bot_token(&self) -> &str {
        &self.workspace.is.bot_token
    }

    /// `xapp-…`, for Socket Mode.
    pub fn app_token(&self) -> &str {
        &self.workspace.is.app_token
    }

    /// With what it signs.
    pub fn signing_secret(&self) -> &str {
        &self.workspace.is.secret
    }

    /// The value of `x-slack-signature` for a body at a time in seconds.
    pub fn signature(&self, time: &str, body: &str) -> String {
        deliver::signature(&self.workspace.is.secret, time, body)
    }

    /// A new person.
    pub fn person(&self, name: &str) -> String {
        let mut state = self.workspace.state.lock().unwrap();
        let id = state.id("U");
        state.people.insert(id.clone(), name.to_owned());
        id
    }

    /// A new channel that everybody is in.
    pub fn channel(&self, name: &str) -> String {
        self.room(name, "channel", "C")
    }

    /// A new conversation of several, without a name.
    pub fn group(&self) -> String {
        self.room("mpdm", "mpim", "G")
    }

    fn room(&self, name: &str, kind: &'static str, letter: &str) -> String {
        let mut state = self.workspace.state.lock().unwrap();
        let id = state.id(letter);
        let room = Room { name: name.to_owned(), kind, with: None, messages: Vec::new() };
        state.rooms.insert(id.clone(), room);
        id
    }

    /// The conversation of a person with the app alone.
    pub fn direct(&self, person: &str) -> String {
        self.workspace.state.lock().unwrap().direct(person)
    }

    /// Has events posted to `url`, once whoever is there has answered Slack's question.
    ///
    /// # Errors
    /// With the answer that was no answer to it.
    pub async fn events_to(&self, url: &str) -> Result<(), String> {
        let challenge = super::random();
        let body = json!({"token": "a token that proves nothing", "challenge": challenge, "type": "url_verification"}).to_string();
        let mut headers = deliver::signed(&self.workspace.is.secret, &body);
        headers.push(("content-type", "application/json".to_owned()));
        let answer = post(&self.shared.poster, url, &headers, body, super::DEADLINE).await;
        let answer = answer.map_err(|why| format!("{why:?}"))?;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        let as_json: Option<Value> = serde_json::from_str(&text).ok();
        let is_right = text.trim() == challenge
            || text.trim() == format!("challenge={challenge}")
            || as_json.is_some_and(|it| it["challenge"] == challenge.as_str());
        if !answer.status().is_success() || !is_right {
            return Err(format!("{} {text}", answer.status()));
        }
        self.workspace.state.lock().unwrap().way = Way::Url(url.to_owned());
        Ok(())
    }

    /// The same for an address where nobody is yet: nothing is asked.
    pub fn events_to_unasked(&self, url: &str) {
        self.workspace.state.lock().unwrap().way = Way::Url(url.to_owned());
    }

    /// Switches Socket Mode on.
    pub fn use_sockets(&self) {
        self.workspace.state.lock().unwrap().way = Way::Sockets;
    }

    /// How long an answer may take, and how long Slack waits before each retry: [`super::DEADLINE`]
    /// and [`super::GAPS`] where a test says nothing of it.
    pub fn schedule(&self, deadline: Duration, gaps: &[Duration]) {
        let mut state = self.workspace.state.lock().unwrap();
        (state.deadline, state.gaps) = (deadline, gaps.to_vec());
    }

    /// Has a room written to so often at most; sooner, Slack answers 429.
    pub fn pace(&self, pace: Option<Duration>) {
        self.workspace.state.lock().unwrap().pace = pace;
    }

    /// A person says something in a room; gives its `ts`.
    pub fn say(&self, room: &str, person: &str, text: &str) -> String {
        self.say_with(room, person, text, json!({}))
    }

    /// The same in the thread of that `ts`.
    pub fn answer(&self, room: &str, thread: &str, person: &str, text: &str) -> String {
        self.say_with(room, person, text, json!({"thread_ts": thread}))
    }

    /// The same with a file, whose bytes are had with the app's token.
    pub fn bring(&self, room: &str, person: &str, text: &str, file: (&str, &str, &[u8])) -> String {
        let (name, media_type, content) = file;
        let described = {
            let mut state = self.workspace.state.lock().unwrap();
            let id = state.id("F");
            let file = File {
                name: name.to_owned(),
                title: name.to_owned(),
                media_type: media_type.to_owned(),
                content: content.to_vec(),
                is_whole: true,
            };
            let described = files::described(&self.shared, &self.workspace, &id, &file);
            state.files.insert(id, file);
            described
        };
        self.say_with(room, person, text, json!({"subtype": "file_share", "files": [described]}))
    }

    /// The same with members of `more` beside the usual, or in their place.
    pub fn say_with(&self, room: &str, person: &str, text: &str, more: Value) -> String {
        let (message, parent) = {
            let mut state = self.workspace.state.lock().unwrap();
            assert!(state.people.contains_key(person), "nobody is {person}");
            let mut message = json!({
                "type": "message", "user": person, "text": text, "ts": state.ts(),
                "client_msg_id": super::random(),
            });
            let more: serde_json::Map<_, _> = serde_json::from_value(more).unwrap();
            message.as_object_mut().unwrap().extend(more);
            let thread = message["thread_ts"].as_str().map(str::to_owned);
            let parent = thread.and_then(|it| state.parent(room, &it));
            state.put(room, message.clone());
            (message, parent)
        };
        let heard = self.workspace.heard(room, &message, parent.as_deref());
        deliver::events(&self.shared, &self.workspace, heard);
        message["ts"].as_str().unwrap().to_owned()
    }

    /// A person says something else in the place of what was said.
    pub fn edit(&self, room: &str, ts: &str, text: &str) {
        let (before, after) = {
            let mut state = self.workspace.state.lock().unwrap();
            let now = state.ts();
            let message = state.message(room, ts).unwrap_or_else(|| panic!("no message {ts}"));
            let before = message.clone();
            message["text"] = text.into();
            message["edited"] = json!({"user": before["user"], "ts": now});
            (before, message.clone())
        };
        let changed = self.workspace.changed(room, &before, Some(&after));
        deliver::events(&self.shared, &self.workspace, vec![changed]);
    }

    /// A person gives a command; gives its `trigger_id`.
    pub fn command(&self, room: &str, person: &str, command: &str, text: &str) -> String {
        let is = &self.workspace.is;
        let (trigger, name) = {
            let mut state = self.workspace.state.lock().unwrap();
            (state.id("trigger."), state.people[person].clone())
        };
        let payload = json!({
            "token": "a token that proves nothing", "team_id": is.team, "team_domain": "test",
            "channel_id": room, "channel_name": "test", "user_id": person, "user_name": name,
            "command": command, "text": text, "api_app_id": is.app, "trigger_id": trigger,
            "response_url": format!("http://{}/commands/{trigger}", self.shared.address),
            "is_enterprise_install": "false",
        });
        let parcel = Parcel { id: trigger.clone(), kind: Kind::Command, payload };
        deliver::parcel(&self.shared, &self.workspace, parcel);
        trigger
    }

    /// An event in the envelope in which Slack sends it, to be changed and delivered.
    pub fn envelope(&self, event: &Value) -> Value {
        self.workspace.envelope(event)
    }

    /// Delivers any payload, signed as this app's: that of another account, or one that nobody reads.
    pub fn deliver(&self, payload: Value) {
        deliver::events(&self.shared, &self.workspace, vec![payload]);
    }

    /// Says that the app is told of more than Slack is ready to.
    pub fn limited(&self) {
        let is = &self.workspace.is;
        let minute = super::workspace::seconds() / 60 * 60;
        self.deliver(json!({
            "token": "a token that proves nothing", "type": "app_rate_limited", "team_id": is.team,
            "minute_rate_limited": minute, "api_app_id": is.app,
        }));
    }

    /// Delivers once more what was delivered already, as the retry of an event whose answer came too
    /// late.
    pub fn again(&self, event: &str) {
        let sent = {
            let state = self.workspace.state.lock().unwrap();
            state.sent.iter().find(|it| it.id == event).cloned()
        };
        let parcel = sent.unwrap_or_else(|| panic!("there was no {event}"));
        deliver::send(&self.shared, &self.workspace, parcel, Some("http_timeout"));
    }

    /// Holds what is to be delivered from now on.
    pub fn hold(&self) {
        let mut state = self.workspace.state.lock().unwrap();
        state.held.get_or_insert_default();
    }

    /// Delivers what is held, in the order into which `order` brings the `event_id`s.
    pub fn release(&self, order: impl FnOnce(&mut Vec<String>)) {
        let held = self.workspace.state.lock().unwrap().held.take().unwrap_or_default();
        let mut ids: Vec<_> = held.iter().map(|it| it.id.clone()).collect();
        order(&mut ids);
        for id in ids {
            let parcel = held.iter().find(|it| it.id == id).cloned();
            let parcel = parcel.unwrap_or_else(|| panic!("{id} is not held"));
            deliver::send(&self.shared, &self.workspace, parcel, None);
        }
    }

    /// Has the next `times` calls of a method fail; `files` is the reading of a file.
    pub fn fail(&self, method: &str, failure: &Failure, times: usize) {
        self.workspace.failures.add(method.to_owned(), failure.clone(), times);
    }

    /// Takes back what was to fail.
    pub fn mend(&self) {
        self.workspace.failures.clear();
    }

    /// Slack's answer to whoever calls too often: wait so many seconds.
    pub fn too_many(seconds: u64) -> Failure {
        let body = json!({"ok": false, "error": "ratelimited"});
        Failure::json(429, &[("retry-after", &seconds.to_string())], &body)
    }

    /// The other form: an answer like any other, with an error that says so and no time.
    pub fn too_many_untimed() -> Failure {
        Failure::json(200, &[], &json!({"ok": false, "error": "rate_limited"}))
    }

    /// Takes the app's tokens back, or gives them back.
    pub fn revoke(&self, is_revoked: bool) {
        self.workspace.state.lock().unwrap().is_revoked = is_revoked;
    }

    /// How many sockets there are.
    pub fn sockets(&self) -> usize {
        self.workspace.state.lock().unwrap().lines.len()
    }

    /// Waits until there are so many.
    pub async fn has_sockets(&self, count: usize) {
        found("sockets", || (self.sockets() == count).then_some(())).await;
    }

    /// Sends a text through every socket, whatever it is.
    pub async fn tell_sockets(&self, text: &str) {
        for line in self.lines() {
            // One that has ended meanwhile hears nothing.
            drop(line.send(Say::Text(text.to_owned())).await);
        }
    }

    /// Tells every socket that it ends, and why: `warning`, and ends it ten seconds later;
    /// `refresh_requested` or `link_disabled`, and ends it at once.
    pub async fn disconnect(&self, reason: &'static str) {
        self.tell_sockets(&parting(reason)).await;
        let lines = self.lines();
        let wait = if reason == "warning" { WARNED } else { Duration::ZERO };
        if reason == "link_disabled" {
            self.workspace.state.lock().unwrap().way = Way::Nowhere;
        }
        spawn(&self.shared.tasks, async move {
            tokio::time::sleep(wait).await;
            for line in lines {
                drop(line.send(Say::Close).await);
            }
        });
    }

    /// Cuts every socket without a word.
    pub async fn cut(&self) {
        for line in self.lines() {
            drop(line.send(Say::Cut).await);
        }
    }

    fn lines(&self) -> Vec<tokio::sync::mpsc::Sender<Say>> {
        let state = self.workspace.state.lock().unwrap();
        state.lines.iter().map(|it| it.sender.clone()).collect()
    }

    /// What the app has said in a room: its messages that are there now.
    pub fn said(&self, room: &str) -> Vec<Value> {
        self.newest(room, usize::MAX)
    }

    /// The same of the newest so many messages of the room.
    pub fn newest(&self, room: &str, count: usize) -> Vec<Value> {
        let state = self.workspace.state.lock().unwrap();
        let all = state.rooms.get(room).map_or(&[][..], |it| &it.messages);
        let ours = |it: &&Value| it["bot_id"] == self.workspace.is.bot.as_str();
        all[all.len().saturating_sub(count)..].iter().filter(ours).cloned().collect()
    }

    /// Waits until the app has said so much in a room, and gives the texts.
    pub async fn has_said(&self, room: &str, count: usize) -> Vec<String> {
        let said = || Some(self.said(room)).filter(|it| it.len() >= count);
        let all = found("messages of the app", said);
        all.await.iter().map(|it| it["text"].as_str().unwrap().to_owned()).collect()
    }

    /// The calls of the Web API, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.workspace.state.lock().unwrap().calls.iter().cloned().collect()
    }

    /// The attempts to deliver something, oldest first.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.workspace.state.lock().unwrap().attempts.iter().cloned().collect()
    }

    /// Waits until `event` was delivered and taken, and gives the attempts at it.
    pub async fn is_taken(&self, event: &str) -> Vec<Attempt> {
        found("an event that is taken", || {
            let mut all = self.attempts();
            all.retain(|it| it.event == event);
            all.iter().any(Attempt::is_taken).then_some(all)
        })
        .await
    }

    /// The ids of the events that tell of the message of that `ts`, oldest first.
    pub fn events(&self, ts: &str) -> Vec<String> {
        let state = self.workspace.state.lock().unwrap();
        let of = |it: &&Parcel| {
            let event = &it.payload["event"];
            event["ts"] == ts || event["message"]["ts"] == ts || event["deleted_ts"] == ts
        };
        state.sent.iter().filter(of).map(|it| it.id.clone()).collect()
    }
}
