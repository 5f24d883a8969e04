//! Sessions of the gateway: what each was told, by its number, and from where one is taken up again.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::world::{Happened, State, World};
use super::{RESUMABLE, random};

/// Events of a session that can be brought again.
const MAX_LOG: usize = 20_000;

/// Frames that wait to be written on one connection: all that can be brought again, and some more.
pub(super) const MAX_WAITING: usize = 2 * MAX_LOG;

/// Reads what messages say.
pub(super) const CONTENT: u64 = 1 << 15;

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) intents: u64,
    pub(super) seq: u64,
    log: VecDeque<Value>,
    pub(super) line: Option<Line>,
    lost: Option<Instant>,
}

/// The connection of a session.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) sender: mpsc::Sender<Say>,
}

/// What a connection is to do.
#[derive(Debug)]
pub(super) enum Say {
    Frame(Value),
    Close(u16, &'static str),
    Cut,
}

/// Why a session is not taken up again.
pub(super) enum Gone {
    /// There is none of that id, or no more.
    Unknown,
    /// It was never told so much.
    Ahead,
}

impl Session {
    /// Tells it something, under the next number.
    fn tell(&mut self, name: &str, what: &Value) {
        self.seq += 1;
        let frame = json!({"op": 0, "s": self.seq, "t": name, "d": what});
        if self.log.len() == MAX_LOG {
            self.log.pop_front();
        }
        self.log.push_back(frame.clone());
        self.write(frame);
    }

    fn write(&mut self, frame: Value) {
        let written = self.line.as_ref().map(|line| line.sender.try_send(Say::Frame(frame)));
        if written.is_some_and(|it| it.is_err()) {
            // It takes nothing more: it is gone, or as good as gone.
            self.line = None;
        }
    }
}

impl World {
    /// Tells whoever may hear it what happened, or holds it.
    pub(super) fn tell(&self, name: &'static str, what: Value, intents: u64) {
        let mut state = self.state.lock().unwrap();
        let happened = Happened { name, what, intents };
        match &mut state.held {
            Some(held) => held.push(happened),
            None => self.dispatch(&mut state, &happened),
        }
    }

    pub(super) fn dispatch(&self, state: &mut State, happened: &Happened) {
        let Happened { name, what, intents } = happened;
        for session in state.sessions.values_mut() {
            if *intents == 0 || session.intents & intents != 0 {
                let what = self.visible(what, session.intents);
                session.tell(name, &what);
            }
        }
    }

    /// What a bot sees of a message: without the intent only what is said to it, or by it.
    fn visible(&self, what: &Value, intents: u64) -> Value {
        let own = |user: &Value| user["id"] == self.is.id.as_str();
        let named = what["mentions"].as_array().is_some_and(|it| it.iter().any(own));
        let is_private = what["guild_id"].is_null();
        let mut seen = what.clone();
        let hidden = intents & CONTENT == 0 && what["content"].is_string();
        if hidden && !is_private && !named && !own(&what["author"]) {
            seen["content"] = "".into();
            for name in ["attachments", "embeds", "components"] {
                seen[name] = json!([]);
            }
        }
        seen
    }

    /// Begins a session on a connection: it is told who it is, and of each server.
    pub(super) fn begin(&self, line: Line, intents: u64, address: &str) -> String {
        let mut state = self.state.lock().unwrap();
        let kept = state.resumable.unwrap_or(RESUMABLE);
        state.sessions.retain(|_, it| it.lost.is_none_or(|at| at.elapsed() <= kept));
        let id = random();
        let guilds: Vec<_> = state.guilds.keys().cloned().collect();
        let waiting: Vec<_> =
            guilds.iter().map(|it| json!({"id": it, "unavailable": true})).collect();
        let ready = json!({
            "v": 10, "user": self.user_in(&state, &self.is.id), "guilds": waiting,
            "session_id": id, "session_type": "normal", "resume_gateway_url": address,
            "private_channels": [], "relationships": [], "presences": [], "user_settings": {},
            "application": {"id": self.is.id, "flags": 1 << 19},
        });
        let log = VecDeque::new();
        let mut session = Session { intents, seq: 0, log, line: Some(line), lost: None };
        session.tell("READY", &ready);
        for guild in guilds.iter().filter(|_| intents & 1 != 0) {
            session.tell("GUILD_CREATE", &self.guild_in(&state, guild));
        }
        state.sessions.insert(id.clone(), session);
        id
    }

    /// Takes a session up again behind the event of that number.
    pub(super) fn resume(&self, line: Line, id: &str, seq: u64) -> Result<(), Gone> {
        let mut state = self.state.lock().unwrap();
        let kept = state.resumable.unwrap_or(RESUMABLE);
        let session = state.sessions.get_mut(id).ok_or(Gone::Unknown)?;
        if seq > session.seq {
            return Err(Gone::Ahead);
        }
        let first = session.log.front().and_then(|it| it["s"].as_u64()).unwrap_or(0);
        let is_old = session.lost.is_some_and(|it| it.elapsed() > kept);
        if is_old || first > seq + 1 {
            state.sessions.remove(id);
            return Err(Gone::Unknown);
        }
        if let Some(before) = session.line.replace(line) {
            // Nobody reads it any more where it has ended already.
            drop(before.sender.try_send(Say::Cut));
        }
        session.lost = None;
        let missed: Vec<_> =
            session.log.iter().filter(|it| it["s"].as_u64() > Some(seq)).cloned().collect();
        for frame in missed {
            session.write(frame);
        }
        session.tell("RESUMED", &json!({"_trace": []}));
        state.resumed += 1;
        Ok(())
    }

    /// The connection of a session has ended; with these codes the session has as well.
    pub(super) fn lose(&self, id: &str, number: u64, code: Option<u16>) {
        let mut state = self.state.lock().unwrap();
        let Some(session) = state.sessions.get_mut(id) else { return };
        if session.line.as_ref().is_some_and(|it| it.number != number) {
            return;
        }
        session.line = None;
        session.lost = Some(Instant::now());
        if matches!(code, Some(1000 | 1001)) {
            state.sessions.remove(id);
        }
    }
}
