//! Discord's gateway: heartbeats, identifying and resuming. What was dispatched after the last event that
//! is kept is dispatched again to whoever resumes from there.
//!
//! Identifying is counted, because Discord takes the token away from whoever does it too often.

use serde::{Deserialize, Serialize};
use types::UnixMillis;

use super::Discord;
use crate::adapter::{Adapter as _, Answer, Call, Method, Outcome, Proof};
use crate::answer;
use crate::facts::Unreadable;
use crate::source::{Act, After, Dial, Session, back_off};

/// Where one asks where the gateway is, where no session says it.
const GATEWAY: &str = "/api/v10/gateway/bot";

/// What follows the address of a gateway.
const VERSION: &str = "/?v=10&encoding=json";

/// Messages in servers, messages in conversations of two, and what they say.
const INTENTS: u32 = 1 << 9 | 1 << 12 | 1 << 15;

/// How often one may identify within a day: half of what costs the token.
const MAX_IDENTIFIED: u32 = 500;

/// The time in which that is counted, in milliseconds.
const DAY_MS: u64 = 24 * 3_600_000;

/// The longest time between two heartbeats that is believed, in milliseconds.
const MAX_BEAT_MS: u64 = 10 * 60_000;

/// The code that ends a socket and leaves its session to be resumed.
const RESUMABLE: u16 = 4000;

/// Codes after which nobody connects again until somebody has looked: the token, the version, the intents.
const NEVER: [(u16, &str); 6] = [
    (4004, "the token is not good"),
    (4010, "the shard is not good"),
    (4011, "the account is in too many servers for one connection"),
    (4012, "the version of the gateway is over"),
    (4013, "the intents are not good"),
    (4014, "the account may not read what messages say: allow it in Discord's developer portal"),
];

/// Codes after which a session is over: what it had is not brought again. After any other one asks for it,
/// and is told where it is.
const OVER: [u16; 2] = [4007, 4009];

/// How long Discord has one wait whose session is not good, in milliseconds: from, and at most so much more.
const INVALID_MS: (u64, u64) = (1_000, 4_000);

/// One socket after the other, of one session as long as it lasts.
#[derive(Debug)]
pub(super) struct Gateway {
    chance: u16,
    failures: u32,
    mark: Mark,
    /// The number of the last event that came.
    seen: Option<u64>,
    beat: Option<Beat>,
    is_ready: bool,
    /// The session was said not to be good.
    is_invalid: bool,
}

/// From where a session is taken up again, as it is written down.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    session: Option<String>,
    url: Option<String>,
    /// The number of the last event that is kept.
    seq: Option<u64>,
    identified: u32,
    since: UnixMillis,
}

#[derive(Debug, Clone, Copy)]
struct Beat {
    every: u64,
    next: UnixMillis,
    is_answered: bool,
}

#[derive(Deserialize)]
struct Frame {
    op: u8,
    s: Option<u64>,
    t: Option<String>,
    #[serde(default)]
    d: serde_json::Value,
}

/// Where the gateway is, and how often one may still identify.
#[derive(Default, Deserialize)]
struct Located {
    url: Option<String>,
    session_start_limit: Option<Starts>,
}

#[derive(Deserialize)]
struct Starts {
    remaining: u64,
    /// In milliseconds.
    reset_after: u64,
}

#[derive(Default, Deserialize)]
struct Hello {
    #[serde(default)]
    heartbeat_interval: u64,
}

#[derive(Deserialize)]
struct Ready {
    session_id: String,
    resume_gateway_url: Option<String>,
}

#[derive(Serialize)]
struct Said<T> {
    op: u8,
    d: T,
}

#[derive(Serialize)]
struct Identify {
    token: &'static str,
    intents: u32,
    properties: Properties,
}

#[derive(Serialize)]
struct Properties {
    os: &'static str,
    browser: &'static str,
    device: &'static str,
}

#[derive(Serialize)]
struct Resume<'a> {
    token: &'static str,
    session_id: &'a str,
    seq: u64,
}

fn json<T: Serialize>(op: u8, d: T) -> Vec<u8> {
    serde_json::to_vec(&Said { op, d }).unwrap_or_default()
}

impl Gateway {
    /// From what was last marked; what cannot be read is as if nothing had been.
    pub(super) fn new(mark: Option<&str>, chance: u16) -> Self {
        let mark: Mark = mark.and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
        let seen = mark.seq;
        Self { chance, failures: 0, mark, seen, beat: None, is_ready: false, is_invalid: false }
    }

    fn marked(&self) -> Act {
        Act::Mark(serde_json::to_string(&self.mark).unwrap_or_default())
    }

    /// Begins a session, or takes up the one that there was.
    fn greet(&mut self, now: UnixMillis) -> Vec<Act> {
        // From the last that is kept, whatever came after it.
        self.seen = self.mark.seq;
        if let (Some(session_id), Some(seq)) = (&self.mark.session, self.mark.seq) {
            let resume = Resume { token: "", session_id, seq };
            return vec![Act::Prove(json(6, resume), "/d/token")];
        }
        if now.abs_diff(self.mark.since) >= DAY_MS {
            (self.mark.since, self.mark.identified) = (now, 0);
        }
        if self.mark.identified >= MAX_IDENTIFIED {
            return vec![Act::End(RESUMABLE)];
        }
        self.mark.identified = self.mark.identified.saturating_add(1);
        let properties = Properties { os: "linux", browser: "openclawmu", device: "openclawmu" };
        let identify = Identify { token: "", intents: INTENTS, properties };
        // Counted before it is done: a crash in between must not make it uncounted.
        vec![self.marked(), Act::Prove(json(2, identify), "/d/token")]
    }

    fn dispatch(&mut self, frame: Frame, whole: &[u8]) -> Result<Vec<Act>, Unreadable> {
        let number = frame.s.ok_or(Unreadable::Missing("s"))?;
        self.seen = Some(number);
        match frame.t.as_deref() {
            Some("READY") => {
                let ready: Ready = serde_json::from_value(frame.d)?;
                let url = ready.resume_gateway_url.filter(|it| it.starts_with("ws"));
                (self.mark.session, self.mark.url) = (Some(ready.session_id), url);
                self.mark.seq = Some(number);
                (self.is_ready, self.failures) = (true, 0);
                Ok(vec![self.marked()])
            }
            Some("RESUMED") => {
                (self.is_ready, self.failures) = (true, 0);
                Ok(Vec::new())
            }
            Some("MESSAGE_CREATE" | "MESSAGE_UPDATE") => {
                Ok(vec![Act::Keep(number, whole.to_vec())])
            }
            // As if it had been posted.
            Some("INTERACTION_CREATE") => Ok(match super::first_answer(&frame.d) {
                Some(call) => {
                    vec![Act::Keep(number, frame.d.to_string().into_bytes()), Act::Call(call)]
                }
                None => self.passed(number),
            }),
            _ => Ok(self.passed(number)),
        }
    }

    /// Nothing of it is kept: whatever came before it is. Written down with the next that is.
    fn passed(&mut self, number: u64) -> Vec<Act> {
        self.mark.seq = self.mark.seq.map(|_| number);
        Vec::new()
    }

    fn heartbeat(&mut self, now: UnixMillis) -> Act {
        if let Some(beat) = &mut self.beat {
            (beat.next, beat.is_answered) = (now.saturating_add(beat.every), false);
        }
        Act::Say(json(1, self.seen))
    }

    fn forget(&mut self) {
        (self.mark.session, self.mark.url, self.mark.seq) = (None, None, None);
    }
}

impl Session for Gateway {
    fn dial(&self) -> Dial {
        match &self.mark.url {
            Some(url) => Dial::At(address(url)),
            None => Dial::Ask(Call {
                method: Method::Get,
                path: GATEWAY.to_owned(),
                body: Vec::new(),
                proof: Proof::Header("Bot "),
            }),
        }
    }

    fn located(&mut self, answer: Answer<'_>) -> Result<String, After> {
        let told: Located = answer::body(answer);
        let url = told.url.filter(|it| it.starts_with("ws") && answer.status == 200);
        let starts = told.session_start_limit.filter(|_| self.mark.session.is_none());
        let spent = starts.filter(|it| it.remaining == 0).map(|it| it.reset_after.min(DAY_MS));
        let least = match (url, spent) {
            (Some(url), None) => return Ok(address(&url)),
            (Some(_), Some(wait)) => wait,
            (None, _) => match Discord.outcome(answer) {
                Outcome::Shut(why) => return Err(After::Never(why)),
                Outcome::Wait(wait) => wait,
                Outcome::Sent(_)
                | Outcome::Refused(_)
                | Outcome::Moved(_)
                | Outcome::Unknown(_) => 0,
            },
        };
        let wait = least.max(back_off(self.failures, self.chance));
        self.failures = self.failures.saturating_add(1);
        Err(After::Again(wait))
    }

    fn frame(&mut self, frame: &[u8], now: UnixMillis) -> Result<Vec<Act>, Unreadable> {
        let whole = frame;
        let frame: Frame = serde_json::from_slice(whole)?;
        match frame.op {
            0 => self.dispatch(frame, whole),
            1 => Ok(vec![self.heartbeat(now)]),
            7 => Ok(vec![Act::End(RESUMABLE)]),
            9 => {
                if frame.d.as_bool() != Some(true) {
                    self.forget();
                }
                self.is_invalid = true;
                Ok(vec![self.marked(), Act::End(RESUMABLE)])
            }
            10 => {
                let hello: Hello = serde_json::from_value(frame.d)?;
                let every = hello.heartbeat_interval.clamp(1_000, MAX_BEAT_MS);
                // Not all at once, where many connect at once.
                let first = every.saturating_mul(u64::from(self.chance)) / u64::from(u16::MAX);
                let next = now.saturating_add(first);
                self.beat = Some(Beat { every, next, is_answered: true });
                Ok(self.greet(now))
            }
            11 => {
                if let Some(beat) = &mut self.beat {
                    beat.is_answered = true;
                }
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn kept(&mut self, number: u64) -> Vec<Act> {
        self.mark.seq = Some(number);
        vec![self.marked()]
    }

    fn wakes(&self) -> Option<UnixMillis> {
        self.beat.map(|it| it.next)
    }

    fn due(&mut self, now: UnixMillis) -> Vec<Act> {
        match self.beat {
            Some(beat) if now < beat.next => Vec::new(),
            // Nobody has answered the last one: nobody is there.
            Some(beat) if !beat.is_answered => {
                self.beat = None;
                vec![Act::End(RESUMABLE)]
            }
            Some(_) => vec![self.heartbeat(now)],
            None => Vec::new(),
        }
    }

    fn ended(&mut self, code: Option<u16>, now: UnixMillis) -> After {
        let was_ready = std::mem::take(&mut self.is_ready);
        self.beat = None;
        if let Some((_, why)) = NEVER.iter().find(|it| Some(it.0) == code) {
            return After::Never((*why).to_owned());
        }
        if code.is_some_and(|code| OVER.contains(&code)) {
            self.forget();
        }
        // An address that leads nowhere is not tried for ever.
        if !was_ready && self.failures > 2 {
            self.mark.url = None;
        }
        let mut wait = back_off(self.failures, self.chance);
        if std::mem::take(&mut self.is_invalid) {
            let (least, more) = INVALID_MS;
            wait = wait.max(least + more * u64::from(self.chance) / u64::from(u16::MAX));
        }
        self.failures = self.failures.saturating_add(1);
        let spent = self.mark.identified >= MAX_IDENTIFIED && self.mark.session.is_none();
        let until = self.mark.since.saturating_add(DAY_MS).saturating_sub(now);
        After::Again(if spent { wait.max(until) } else { wait })
    }
}

fn address(url: &str) -> String {
    format!("{}{VERSION}", url.trim_end_matches('/'))
}

#[cfg(test)]
mod tests;
