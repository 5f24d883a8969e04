//! Socket Mode: events in envelopes, each acknowledged by its id once the event is kept. What is not
//! acknowledged comes again, over this socket or another.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::UnixMillis;

use super::{SHUT, Told};
use crate::adapter::{Answer, Call, Method, Proof};
use crate::answer;
use crate::facts::Unreadable;
use crate::source::{Act, After, Dial, Session, back_off};

/// How long a socket that says nothing is believed to be there, in milliseconds: Slack pings many times in
/// that.
const SILENCE_MS: u64 = 5 * 60_000;

/// The code with which a socket is ended that is of no more use.
const DONE: u16 = 1000;

/// One socket after the other.
#[derive(Debug)]
pub(super) struct Socket {
    chance: u16,
    /// Sockets in a row that came to nothing.
    failures: u32,
    /// Events that were handed on, and the envelope of the last.
    number: u64,
    envelope: Option<String>,
    heard: Option<UnixMillis>,
    is_off: bool,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(default)]
    r#type: String,
    envelope_id: Option<String>,
    reason: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Opened {
    url: Option<String>,
}

#[derive(Serialize)]
struct Ack<'a> {
    envelope_id: &'a str,
}

impl Socket {
    pub(super) const fn new(chance: u16) -> Self {
        Self { chance, failures: 0, number: 0, envelope: None, heard: None, is_off: false }
    }
}

fn ack(envelope: &str) -> Act {
    Act::Say(serde_json::to_vec(&Ack { envelope_id: envelope }).unwrap_or_default())
}

impl Session for Socket {
    fn dial(&self) -> Dial {
        Dial::Ask(Call {
            method: Method::Post,
            path: "/api/apps.connections.open".to_owned(),
            body: Vec::new(),
            proof: Proof::Socket("Bearer "),
        })
    }

    fn located(&mut self, answer: Answer<'_>) -> Result<String, After> {
        let (told, opened): (Told, Opened) = (answer::body(answer), answer::body(answer));
        if let Some(url) = opened.url.filter(|url| told.ok && url.starts_with("ws")) {
            return Ok(url);
        }
        if SHUT.contains(&told.error.as_str()) {
            return Err(After::Never(told.error));
        }
        let wait = answer::header_wait(answer).unwrap_or(0);
        let wait = wait.max(back_off(self.failures, self.chance));
        self.failures = self.failures.saturating_add(1);
        Err(After::Again(wait))
    }

    fn frame(&mut self, frame: &[u8], now: UnixMillis) -> Result<Vec<Act>, Unreadable> {
        self.heard = Some(now);
        let frame: Frame<'_> = serde_json::from_slice(frame)?;
        match (frame.r#type.as_str(), frame.envelope_id, frame.payload) {
            ("hello", _, _) => {
                self.failures = 0;
                Ok(Vec::new())
            }
            ("disconnect", _, _) => {
                self.is_off = frame.reason.as_deref() == Some("link_disabled");
                Ok(vec![Act::End(DONE)])
            }
            ("events_api" | "slash_commands", Some(envelope), Some(payload)) => {
                self.number = self.number.saturating_add(1);
                self.envelope = Some(envelope);
                Ok(vec![Act::Keep(self.number, payload.get().as_bytes().to_vec())])
            }
            // Of no concern to anybody, and brought again unless it is acknowledged.
            (_, Some(envelope), _) => Ok(vec![ack(&envelope)]),
            _ => Ok(Vec::new()),
        }
    }

    fn pulse(&mut self, now: UnixMillis) {
        self.heard = Some(now);
    }

    fn kept(&mut self, number: u64) -> Vec<Act> {
        let envelope = self.envelope.take_if(|_| number == self.number);
        envelope.iter().map(|it| ack(it)).collect()
    }

    fn wakes(&self) -> Option<UnixMillis> {
        self.heard.map(|it| it.saturating_add(SILENCE_MS))
    }

    fn due(&mut self, now: UnixMillis) -> Vec<Act> {
        if self.wakes().is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.heard = None;
        vec![Act::End(DONE)]
    }

    fn ended(&mut self, _code: Option<u16>, _now: UnixMillis) -> After {
        (self.envelope, self.heard) = (None, None);
        if self.is_off {
            return After::Never("Socket Mode is switched off for the app".to_owned());
        }
        let wait = back_off(self.failures, self.chance);
        self.failures = self.failures.saturating_add(1);
        After::Again(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Act {
        Act::Say(text.as_bytes().to_vec())
    }

    #[test]
    fn an_event_is_acknowledged_when_it_is_kept_and_not_before() {
        let mut socket = Socket::new(0);
        assert_eq!(socket.frame(br#"{"type":"hello","num_connections":1}"#, 5).unwrap(), []);
        let event = br#"{"envelope_id":"e1","type":"events_api","payload":{"event_id":"Ev1"}}"#;
        let acts = socket.frame(event, 6).unwrap();
        assert_eq!(acts, [Act::Keep(1, br#"{"event_id":"Ev1"}"#.to_vec())]);
        assert_eq!(socket.kept(7), [], "another");
        assert_eq!(socket.kept(1), [said(r#"{"envelope_id":"e1"}"#)]);
        assert_eq!(socket.kept(1), [], "once");
        let command = br#"{"envelope_id":"e2","type":"slash_commands","payload":{"command":"/x"}}"#;
        let acts = socket.frame(command, 7).unwrap();
        assert_eq!(acts, [Act::Keep(2, br#"{"command":"/x"}"#.to_vec())]);
        // What could not be kept is acknowledged by nobody, and comes again.
        socket.ended(None, 8);
        assert_eq!(socket.kept(2), []);
        let button = br#"{"envelope_id":"e3","type":"interactive","payload":{}}"#;
        assert_eq!(socket.frame(button, 9).unwrap(), [said(r#"{"envelope_id":"e3"}"#)]);
        assert_eq!(socket.frame(br#"{"type":"news"}"#, 9).unwrap(), []);
        socket.frame(b"{", 9).unwrap_err();
    }

    #[test]
    fn a_socket_is_followed_by_another_sooner_or_later() {
        let mut socket = Socket::new(0);
        socket.frame(br#"{"type":"hello"}"#, 5).unwrap();
        let refresh = br#"{"type":"disconnect","reason":"refresh_requested"}"#;
        assert_eq!(socket.frame(refresh, 6).unwrap(), [Act::End(1000)]);
        assert_eq!(socket.ended(None, 7), After::Again(500));
        assert_eq!(socket.ended(None, 8), After::Again(2_000));
        for _ in 0..20 {
            socket.ended(Some(1006), 9);
        }
        assert_eq!(socket.ended(None, 9), After::Again(300_000));
        socket.frame(br#"{"type":"hello"}"#, 10).unwrap();
        assert_eq!(socket.ended(None, 11), After::Again(500));
        let off = br#"{"type":"disconnect","reason":"link_disabled"}"#;
        socket.frame(off, 12).unwrap();
        assert!(matches!(socket.ended(None, 13), After::Never(_)));
    }

    #[test]
    fn where_it_is_says_slack() {
        let mut socket = Socket::new(0);
        let Dial::Ask(call) = socket.dial() else { panic!("nobody is asked") };
        assert_eq!(call.proof, Proof::Socket("Bearer "));
        let mut check = |status, wait: Option<&str>, body: &str, want| {
            let answer = Answer { status, retry_after: wait, body: body.as_bytes() };
            assert_eq!(socket.located(answer), want, "{body}");
        };
        let url = "wss://wss-primary.slack.com/link/?ticket=x";
        check(200, None, &format!(r#"{{"ok":true,"url":"{url}"}}"#), Ok(url.to_owned()));
        check(429, Some("7"), r#"{"ok":false,"error":"ratelimited"}"#, Err(After::Again(7_000)));
        check(200, None, r#"{"ok":true,"url":"file:///etc"}"#, Err(After::Again(2_000)));
        check(502, None, "<html>", Err(After::Again(5_000)));
        let revoked = Err(After::Never("token_revoked".to_owned()));
        check(200, None, r#"{"ok":false,"error":"token_revoked"}"#, revoked);
    }

    #[test]
    fn a_socket_that_says_nothing_is_ended() {
        let mut socket = Socket::new(0);
        assert_eq!(socket.wakes(), None);
        socket.frame(br#"{"type":"hello"}"#, 1_000).unwrap();
        assert_eq!(socket.wakes(), Some(1_000 + SILENCE_MS));
        socket.pulse(2_000);
        assert_eq!(socket.due(1_000 + SILENCE_MS), []);
        assert_eq!(socket.due(2_000 + SILENCE_MS), [Act::End(1000)]);
        assert_eq!(socket.wakes(), None);
    }
}
