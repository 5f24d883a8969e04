//! IRC: one connection, over which everything is said and heard in lines. The server keeps nothing of a
//! conversation and acknowledges nothing: what is said while nobody listens is gone, and a message is there
//! when the server has answered the ping that went behind it.

use std::collections::VecDeque;

use networks::{Network, Us, What};
use records::AccountRow;
use serde::{Deserialize, Serialize};
use types::UnixMillis;

use crate::adapter::{Adapter, Answer, Letter, Outcome, Sending};
use crate::answer;
use crate::facts::{Done, Facts, Kind, Place, Room, Unreadable, opening};
use crate::source::{Act, After, Dial, Session, back_off};

/// How long a connection may be silent before one asks, and before it is given up, in milliseconds.
const ASK_MS: u64 = 60_000;
const SILENCE_MS: u64 = 150_000;

/// Messages that wait for the server's answer.
const MAX_WAITING: usize = 16;

/// The code of an end that we want.
const DONE: u16 = 1000;

/// IRC.
#[derive(Debug)]
pub(crate) struct Irc;

/// What somebody has said, as it is kept.
#[derive(Serialize, Deserialize)]
struct Event {
    /// Made when it came: a server has none.
    id: String,
    us: String,
    from: String,
    to: String,
    text: String,
    addressed: bool,
}

impl Adapter for Irc {
    fn network(&self) -> &'static Network {
        crate::known("irc")
    }

    fn facts(&self, event: &[u8], _us: Us<'_>) -> Result<Facts, Unreadable> {
        let said: Event = serde_json::from_slice(event)?;
        let sender = said.from.to_ascii_lowercase();
        let is_group = said.to.starts_with(['#', '&', '+', '!']);
        let (kind, id) = if is_group {
            (Kind::Channel, said.to.to_ascii_lowercase())
        } else {
            (Kind::Direct, sender.clone())
        };
        let done = Done {
            what: What::Said,
            place: Place { room: id.clone(), ..Place::default() },
            room: Room { kind, id, thread: None, space: None },
            sender,
            is_bot: false,
            is_addressed: said.addressed,
            opening: opening(&said.text),
        };
        Facts { account: None, event: said.id, done: Some(done) }.bounded()
    }

    fn send(&self, letter: Letter<'_>) -> Sending {
        if letter.over.is_some() {
            return Sending::Never;
        }
        let lines = letter.part.text.split(['\n', '\r', '\0']).filter(|line| !line.is_empty());
        let lines = lines.map(|line| format!("PRIVMSG {} :{line}", letter.place.room));
        Sending::Say(lines.collect::<Vec<_>>().join("\n").into_bytes())
    }

    fn outcome(&self, answer: Answer<'_>) -> Outcome {
        answer::outcome(answer, "nobody is called")
    }

    fn session(&self, _mark: Option<&str>, chance: u16) -> Option<Box<dyn Session>> {
        Some(Box::new(Connection { chance, ..Connection::default() }))
    }
}

/// A line, taken apart.
struct Line<'a> {
    from: &'a str,
    command: &'a str,
    params: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Self {
        let text = text.trim_end_matches(['\r', '\n']);
        let text =
            if text.starts_with('@') { text.split_once(' ').unwrap_or(("", "")).1 } else { text };
        let (head, trailing) = match text.trim_start().split_once(" :") {
            Some((head, trailing)) => (head, Some(trailing)),
            None => (text.trim_start(), None),
        };
        let mut words = head.split_ascii_whitespace();
        let from = if head.starts_with(':') { words.next().unwrap_or_default() } else { "" };
        let from = from.trim_start_matches(':').split('!').next().unwrap_or_default();
        let command = words.next().unwrap_or_default();
        Self { from, command, params: words.chain(trailing).collect() }
    }

    fn last(&self) -> &'a str {
        self.params.last().copied().unwrap_or_default()
    }
}

/// One connection after the other.
#[derive(Debug, Default)]
struct Connection {
    chance: u16,
    failures: u32,
    nick: String,
    rooms: Vec<String>,
    is_in: bool,
    number: u64,
    heard: UnixMillis,
    asked: UnixMillis,
    /// Messages whose ping is not answered, with why the server does not take them.
    waiting: VecDeque<(String, Option<String>)>,
    never: Option<String>,
}

fn say(line: String) -> Act {
    Act::Say(line.into_bytes())
}

impl Connection {
    fn said(&mut self, line: &Line<'_>, now: UnixMillis) -> Vec<Act> {
        let Some(to) = line.params.first().filter(|_| line.params.len() > 1) else {
            return Vec::new();
        };
        self.number = self.number.saturating_add(1);
        let (text, nick) = (line.last(), self.nick.as_str());
        let begins = text.get(..nick.len()).is_some_and(|it| it.eq_ignore_ascii_case(nick));
        let is_named =
            begins && text.get(nick.len()..).is_some_and(|it| it.starts_with([':', ',']));
        let event = Event {
            id: format!("{now}-{}", self.number),
            us: self.nick.clone(),
            from: line.from.to_owned(),
            to: (*to).to_owned(),
            text: text.to_owned(),
            addressed: is_named || to.eq_ignore_ascii_case(nick),
        };
        let event = serde_json::to_vec(&event).unwrap_or_default();
        vec![Act::Keep(self.number, event)]
    }

    fn entered(&mut self, nick: &str) -> Vec<Act> {
        (self.is_in, self.failures) = (true, 0);
        nick.clone_into(&mut self.nick);
        self.rooms.iter().map(|room| say(format!("JOIN {room}"))).collect()
    }

    fn answered(&mut self, key: &str) -> Vec<Act> {
        let Some(at) = self.waiting.iter().position(|(waits, _)| waits == key) else {
            return Vec::new();
        };
        let told = self.waiting.drain(..=at).map(|(key, refused)| {
            Act::Told(key, refused.map_or(Outcome::Sent(None), Outcome::Refused))
        });
        told.collect()
    }
}

impl Session for Connection {
    fn of(&mut self, account: &AccountRow) {
        self.nick.clone_from(account.vendor.as_ref().unwrap_or(&account.name));
        self.rooms.clone_from(&account.policy.rooms);
    }

    fn dial(&self) -> Dial {
        Dial::Server
    }

    fn opened(&mut self, now: UnixMillis) -> Vec<Act> {
        (self.heard, self.asked) = (now, now);
        let nick = &self.nick;
        vec![
            Act::Prove(b"PASS ".to_vec(), ""),
            say(format!("NICK {nick}")),
            say(format!("USER {nick} 0 * :{nick}")),
        ]
    }

    fn frame(&mut self, frame: &[u8], now: UnixMillis) -> Result<Vec<Act>, Unreadable> {
        self.heard = now;
        let text = String::from_utf8_lossy(frame);
        let line = Line::parse(&text);
        Ok(match line.command {
            "PING" => vec![say(format!("PONG :{}", line.last()))],
            "PONG" => self.answered(line.last()),
            "PRIVMSG" if self.is_in => self.said(&line, now),
            "001" => self.entered(line.params.first().copied().unwrap_or_default()),
            // The name is had by another, or is none.
            "432" | "433" | "436" if !self.is_in => vec![Act::End(DONE)],
            "464" | "465" => {
                self.never = Some(line.last().to_owned());
                vec![Act::End(DONE)]
            }
            "401" | "403" | "404" | "405" | "412" | "417" | "477" => {
                if let Some((_, refused)) = self.waiting.front_mut() {
                    refused.get_or_insert_with(|| line.last().to_owned());
                }
                Vec::new()
            }
            _ => Vec::new(),
        })
    }

    fn say(&mut self, key: &str, frame: &[u8]) -> Vec<Act> {
        if !self.is_in || self.waiting.len() >= MAX_WAITING {
            return vec![Act::Told(key.to_owned(), Outcome::Wait(1_000))];
        }
        self.waiting.push_back((key.to_owned(), None));
        let lines = frame.split(|byte| *byte == b'\n').map(|line| Act::Say(line.to_vec()));
        lines.chain([say(format!("PING :{key}"))]).collect()
    }

    fn wakes(&self) -> Option<UnixMillis> {
        Some(self.asked.saturating_add(ASK_MS))
    }

    fn due(&mut self, now: UnixMillis) -> Vec<Act> {
        if now.saturating_sub(self.heard) >= SILENCE_MS {
            return vec![Act::End(DONE)];
        }
        self.asked = now;
        vec![say("PING :still-there".to_owned())]
    }

    fn ended(&mut self, _code: Option<u16>, _now: UnixMillis) -> After {
        self.is_in = false;
        self.waiting.clear();
        if let Some(why) = self.never.take() {
            return After::Never(why);
        }
        let wait = back_off(self.failures, self.chance);
        self.failures = self.failures.saturating_add(1);
        After::Again(wait)
    }
}

#[cfg(test)]
mod tests;
