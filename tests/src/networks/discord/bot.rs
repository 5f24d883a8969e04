//! A bot and its world in the hands of a test: what people say there, what the bot has said, and what
//! goes wrong.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::interactions::{self, Asking, Interaction};
use super::messages::{self, Draft};
use super::sessions::{CONTENT, Say};
use super::world::{Happened, Room, World};
use super::{Call, Kept, Shared, limits, random, snowflake};
use crate::networks::found;
use crate::networks::serve::Failure;

/// A bot in its world.
#[derive(Debug, Clone)]
pub struct Bot {
    shared: Arc<Shared>,
    world: Arc<World>,
}

impl Bot {
    pub(super) const fn new(shared: Arc<Shared>, world: Arc<World>) -> Self {
        Self { shared, world }
    }

    /// Who it is; its application has the same id.
    pub fn id(&self) -> &str {
        &self.world.is.id
    }

    /// Its token, without the word before it.
    pub fn token(&self) -> &str {
        &self.world.is.token
    }

    /// With what its interactions are verified, in hexadecimal digits.
    pub fn public_key(&self) -> String {
        self.world.public()
    }

    /// The value of `x-signature-ed25519` for a body at a time.
    pub fn signature(&self, time: &str, body: &str) -> String {
        interactions::signature(&self.world, time, body)
    }

    /// A new person.
    pub fn person(&self, name: &str) -> String {
        let id = snowflake();
        self.world.state.lock().unwrap().people.insert(id.clone(), name.to_owned());
        id
    }

    /// A new server that the bot and everybody is in; whoever is connected is told.
    pub fn guild(&self, name: &str) -> String {
        let id = snowflake();
        let told = {
            let mut state = self.world.state.lock().unwrap();
            state.guilds.insert(id.clone(), name.to_owned());
            self.world.guild_in(&state, &id)
        };
        self.world.tell("GUILD_CREATE", told, 1);
        id
    }

    /// A new room of a server; whoever is connected is told.
    pub fn channel(&self, guild: &str, name: &str) -> String {
        let (id, told) = {
            let mut state = self.world.state.lock().unwrap();
            let (name, guild) = (name.to_owned(), Some(guild.to_owned()));
            let (messages, nonces) = (Vec::new(), VecDeque::new());
            let room = Room { name, guild, with: None, parent: None, messages, nonces };
            let id = state.add(room);
            let told = self.world.room_in(&state, &id).unwrap();
            (id, told)
        };
        self.world.tell("CHANNEL_CREATE", told, 1);
        id
    }

    /// The conversation of a person with the bot alone.
    pub fn direct(&self, person: &str) -> String {
        self.world.state.lock().unwrap().direct(person)
    }

    /// A person says something in a room; gives the message's id. `<@ID>` names somebody.
    pub fn say(&self, room: &str, person: &str, text: &str) -> String {
        self.say_with(room, person, text, json!({}), Vec::new())
    }

    /// The same in answer to a message.
    pub fn answer(&self, room: &str, to: &str, person: &str, text: &str) -> String {
        self.say_with(room, person, text, json!({"answers": to}), Vec::new())
    }

    /// The same with a file: its name, its type and its bytes.
    pub fn bring(&self, room: &str, person: &str, text: &str, file: (&str, &str, &[u8])) -> String {
        let file = (file.0.to_owned(), file.1.to_owned(), file.2.to_vec());
        self.say_with(room, person, text, json!({}), vec![file])
    }

    /// The same with members of `more` beside the usual, or in their place.
    pub fn say_with(
        &self,
        room: &str,
        person: &str,
        text: &str,
        more: Value,
        files: Vec<Kept>,
    ) -> String {
        let draft = Draft { room, author: person, content: text.to_owned(), more, files };
        let message = messages::say(&self.shared, &self.world, &draft).unwrap();
        message["id"].as_str().unwrap().to_owned()
    }

    /// A person says something else in the place of what was said.
    pub fn edit(&self, room: &str, id: &str, text: &str) {
        messages::edit(&self.world, room, id, None, Some(text)).unwrap();
    }

    /// A person takes back what was said.
    pub fn remove(&self, room: &str, id: &str) {
        messages::remove(&self.world, room, id).unwrap();
    }

    /// Has interactions posted to `url`, once whoever is there has answered a question of Discord's,
    /// and refused one whose signature does not hold.
    ///
    /// # Errors
    /// With the answer that was not right.
    pub async fn interactions_to(&self, url: &str) -> Result<(), String> {
        self.probe(url).await?;
        self.world.state.lock().unwrap().endpoint = Some(url.to_owned());
        Ok(())
    }

    /// Asks whoever is at `url` rightly and wrongly, as Discord does from time to time.
    ///
    /// # Errors
    /// With the answer that was not right.
    pub async fn probe(&self, url: &str) -> Result<(), String> {
        let ping = self.interaction(1, json!({})).to_string();
        let right = self.post(url, &ping, true).await;
        if !right.as_ref().is_some_and(|(status, it)| *status == 200 && it["type"] == 1) {
            return Err(format!("to a ping: {right:?}"));
        }
        let wrong = self.post(url, &ping, false).await;
        if wrong.as_ref().is_none_or(|it| it.0 != 401) {
            return Err(format!("to a wrong signature: {wrong:?}"));
        }
        Ok(())
    }

    /// Posts any body, signed as this bot's or wrongly; gives status and body of the answer, or
    /// nothing where none came in time.
    pub async fn post(&self, url: &str, body: &str, rightly: bool) -> Option<(u16, Value)> {
        interactions::signed(&self.shared, &self.world, url, body, rightly).await
    }

    /// An interaction of that type with members of `more`, as Discord sends it.
    pub fn interaction(&self, kind: u8, more: Value) -> Value {
        let mut what = json!({
            "id": snowflake(), "application_id": self.id(), "type": kind, "token": random(),
            "version": 1, "entitlements": [], "authorizing_integration_owners": {}, "context": 0,
            "attachment_size_limit": 10 << 20, "app_permissions": "2248473465835073",
        });
        let more: serde_json::Map<_, _> = serde_json::from_value(more).unwrap();
        what.as_object_mut().unwrap().extend(more);
        what
    }

    /// A person gives a command with a text for each option; gives the interaction's id.
    pub fn command(
        &self,
        room: &str,
        person: &str,
        name: &str,
        options: &[(&str, &str)],
    ) -> String {
        let options: Vec<_> = options
            .iter()
            .map(|(name, value)| json!({"name": name, "type": 3, "value": value}))
            .collect();
        let data = json!({"id": snowflake(), "name": name, "type": 1, "options": options});
        let mut what = self.interaction(2, json!({"data": data, "channel_id": room}));
        let id = what["id"].as_str().unwrap().to_owned();
        {
            let mut state = self.world.state.lock().unwrap();
            what["channel"] = self.world.room_in(&state, room).unwrap();
            what["locale"] = "en-GB".into();
            if let Some(guild) = state.rooms[room].guild.clone() {
                what["guild_id"] = guild.into();
                what["member"] = self.world.member_in(&state, person);
            } else {
                what["user"] = self.world.user_in(&state, person);
            }
            let (token, room) = (what["token"].as_str().unwrap().to_owned(), room.to_owned());
            let (begun, seen) = (Instant::now(), Interaction::default());
            state.ask(id.clone(), Asking { token, room, begun, seen });
        }
        interactions::ask(&self.shared, &self.world, &id, what);
        id
    }

    /// What people see of an interaction now.
    pub fn seen(&self, interaction: &str) -> Interaction {
        self.world.state.lock().unwrap().asking[interaction].seen.clone()
    }

    /// Waits until an interaction has been answered or has failed.
    pub async fn is_answered(&self, interaction: &str) -> Interaction {
        found("an answer to an interaction", || {
            Some(self.seen(interaction)).filter(|it| it.kind.is_some() || it.is_failed)
        })
        .await
    }

    /// Tells every session of any event, whatever it is.
    pub fn tell(&self, name: &'static str, what: Value) {
        self.world.tell(name, what, 0);
    }

    /// Tells every session once more of a message that is there, under a number of its own.
    pub fn again(&self, room: &str, id: &str) {
        let what = {
            let mut state = self.world.state.lock().unwrap();
            let guild = state.rooms[room].guild.clone();
            let mut what = state.message(room, id).unwrap().clone();
            if let Some(guild) = guild {
                what["guild_id"] = guild.into();
            }
            what
        };
        self.world.tell("MESSAGE_CREATE", what, 0);
    }

    /// Holds what happens from now on.
    pub fn hold(&self) {
        self.world.state.lock().unwrap().held.get_or_insert_default();
    }

    /// Tells of what is held, in the order into which `order` brings what happened: ids of messages.
    pub fn release(&self, order: impl FnOnce(&mut Vec<String>)) {
        let mut state = self.world.state.lock().unwrap();
        let held = state.held.take().unwrap_or_default();
        let id = |it: &Happened| it.what["id"].as_str().unwrap_or_default().to_owned();
        let mut ids: Vec<_> = held.iter().map(id).collect();
        order(&mut ids);
        for wanted in ids {
            let happened = held.iter().find(|it| id(it) == wanted);
            self.world.dispatch(&mut state, happened.unwrap_or_else(|| panic!("no {wanted}")));
        }
    }

    /// Has the next `times` requests of a route fail: `POST /channels/*/messages`.
    pub fn fail(&self, route: &str, failure: &Failure, times: usize) {
        self.world.failures.add(route.to_owned(), failure.clone(), times);
    }

    /// Takes back what was to fail.
    pub fn mend(&self) {
        self.world.failures.clear();
    }

    /// Discord's answer to whoever asks too often: of that route (`user`), of anything (`global`), or
    /// where others have asked too often (`shared`).
    pub fn too_many(after: Duration, scope: &str) -> Failure {
        limits::failure(after, scope)
    }

    /// The answer of what stands before Discord, to an address that is shut out.
    pub fn shut_out(seconds: u64) -> Failure {
        let headers =
            [("retry-after", seconds.to_string()), ("content-type", "text/html".to_owned())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        Failure::Answer(429, headers.into(), "<html>error code: 1015</html>".to_owned())
    }

    /// Sets how often each bucket may be asked, and all of them in a second.
    pub fn limit(&self, bucket: (u32, Duration), global: usize) {
        self.world.state.lock().unwrap().limits.set(bucket, global);
    }

    /// Sets how long a session without a connection is kept.
    pub fn resumable(&self, kept: Duration) {
        self.world.state.lock().unwrap().resumable = Some(kept);
    }

    /// Takes the bot's token back, or gives it back.
    pub fn revoke(&self, is_revoked: bool) {
        self.world.state.lock().unwrap().is_revoked = is_revoked;
    }

    /// Grants the bot to read what messages say, or does not.
    pub fn grant_content(&self, is_granted: bool) {
        self.world.state.lock().unwrap().withheld = if is_granted { 0 } else { CONTENT };
    }

    /// Answers no heart that beats, as a connection that is dead without knowing it.
    pub fn deafen(&self, is_deaf: bool) {
        self.world.state.lock().unwrap().is_deaf = is_deaf;
    }

    /// How many sessions are connected.
    pub fn connected(&self) -> usize {
        let state = self.world.state.lock().unwrap();
        state.sessions.values().filter(|it| it.line.is_some()).count()
    }

    /// Waits until so many are.
    pub async fn has_connected(&self, count: usize) {
        found("connections", || (self.connected() == count).then_some(())).await;
    }

    /// Sessions that were begun, and taken up again.
    pub fn sessions(&self) -> (usize, usize) {
        let state = self.world.state.lock().unwrap();
        (state.identified, state.resumed)
    }

    /// Asks every connection to come again.
    pub fn reconnect(&self) {
        self.order(|| Say::Frame(json!({"op": 7, "s": null, "t": null, "d": null})));
    }

    /// Says to every connection that its session is over, or that it can be taken up again.
    pub fn invalidate(&self, is_resumable: bool) {
        self.order(|| Say::Frame(json!({"op": 9, "s": null, "t": null, "d": is_resumable})));
        if !is_resumable {
            self.world.state.lock().unwrap().sessions.clear();
        }
    }

    /// Ends every connection with a code.
    pub fn close(&self, code: u16, reason: &'static str) {
        self.order(|| Say::Close(code, reason));
    }

    /// Cuts every connection without a word.
    pub fn cut(&self) {
        self.order(|| Say::Cut);
    }

    fn order(&self, order: impl Fn() -> Say) {
        let state = self.world.state.lock().unwrap();
        for line in state.sessions.values().filter_map(|it| it.line.as_ref()) {
            // One that has ended meanwhile hears nothing.
            drop(line.sender.try_send(order()));
        }
    }

    /// What the bot has said in a room: its messages that are there now.
    pub fn said(&self, room: &str) -> Vec<Value> {
        self.newest(room, usize::MAX)
    }

    /// The same of the newest so many messages of the room.
    pub fn newest(&self, room: &str, count: usize) -> Vec<Value> {
        let state = self.world.state.lock().unwrap();
        let all = state.rooms.get(room).map_or(&[][..], |it| &it.messages);
        let newest = all[all.len().saturating_sub(count)..].iter();
        newest.filter(|it| it["author"]["id"] == self.id()).cloned().collect()
    }

    /// Waits until the bot has said so much in a room, and gives the texts.
    pub async fn has_said(&self, room: &str, count: usize) -> Vec<String> {
        let said =
            found("messages of the bot", || Some(self.said(room)).filter(|it| it.len() >= count));
        said.await.iter().map(|it| it["content"].as_str().unwrap().to_owned()).collect()
    }

    /// In which rooms the bot was typing, oldest first.
    pub fn typing(&self) -> Vec<String> {
        self.world.state.lock().unwrap().typing.clone()
    }

    /// The calls of the REST API, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.world.state.lock().unwrap().calls.iter().cloned().collect()
    }
}
