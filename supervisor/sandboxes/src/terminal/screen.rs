//! What a terminal has shown of late, and who sees what it shows.

use std::sync::Arc;

use api::events::Event;
use bytes::Bytes;
use hub::{Connection, Hub, Message};
use serde::Serialize;
use tokio::sync::mpsc;

use super::text::{Decoder, units};
use super::{Dialect, Viewer};
use crate::Error;
use crate::error::Bound;

/// Bytes of what was shown that are kept.
const KEPT: usize = 256 << 10;

/// Bytes beyond that before the oldest go, so that not every line moves all others.
const SLACK: usize = 64 << 10;

/// Connections that may see one terminal.
const VIEWERS: usize = 8;

/// What somebody who begins to see a terminal is shown first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What was shown of late.
    pub text: String,
    /// How much was ever shown, in UTF-16 units: the end of `text`.
    pub seq: u64,
}

/// Pieces of output that wait for a listener; the shell then waits for it.
const PIECES: usize = 4;

/// What a listener hears: bytes as the shell prints them, until they end.
#[derive(Debug)]
pub struct Heard {
    /// What was shown of late.
    pub before: Bytes,
    /// What comes.
    pub pieces: mpsc::Receiver<Bytes>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Screen {
    decoder: Decoder,
    kept: String,
    seq: u64,
    viewers: Vec<Viewer>,
    listeners: Vec<mpsc::Sender<Bytes>>,
}

/// How a terminal ended, or ended for one viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The shell's exit code.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why it ended, in a word.
    pub reason: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Output<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal_id: Option<&'a str>,
    session_id: &'a str,
    seq: u64,
    data: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Exit<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal_id: Option<&'a str>,
    session_id: &'a str,
    exit_code: Option<i32>,
    signal: Option<i32>,
    reason: &'a str,
}

/// Where a terminal's events go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) hub: &'a Hub,
    pub(super) id: &'a str,
}

impl Screen {
    pub(super) fn new(viewer: Option<Viewer>) -> Self {
        let viewers = viewer.into_iter().collect();
        Self {
            decoder: Decoder::default(),
            kept: String::new(),
            seq: 0,
            viewers,
            listeners: Vec::new(),
        }
    }

    pub(super) fn is_seen(&self) -> bool {
        self.viewers.iter().any(|it| !it.connection.is_gone())
            || self.listeners.iter().any(|it| !it.is_closed())
    }

    /// Who is gone sees it no more, whether anything is shown or not.
    fn prune(&mut self) {
        self.viewers.retain(|it| !it.connection.is_gone());
        self.listeners.retain(|it| !it.is_closed());
    }

    /// What was shown; `viewer` sees what comes.
    pub(super) fn see(&mut self, viewer: Option<Viewer>) -> Result<Seen, Error> {
        if let Some(viewer) = viewer {
            self.prune();
            self.viewers.retain(|it| it.connection.id() != viewer.connection.id());
            if self.is_full() {
                return Err(Error::Full(Bound::Viewers));
            }
            self.viewers.push(viewer);
        }
        Ok(Seen { text: self.kept.clone(), seq: self.seq })
    }

    /// What was shown, and what comes, as bytes.
    pub(super) fn listen(&mut self) -> Result<Heard, Error> {
        self.prune();
        if self.is_full() {
            return Err(Error::Full(Bound::Viewers));
        }
        let (listener, pieces) = mpsc::channel(PIECES);
        self.listeners.push(listener);
        let before = [self.kept.as_bytes(), self.decoder.begun()].concat().into();
        Ok(Heard { before, pieces })
    }

    /// Who listens now.
    pub(super) fn listeners(&self) -> Vec<mpsc::Sender<Bytes>> {
        self.listeners.clone()
    }

    /// One that is too slow hears no more.
    pub(super) fn forget(&mut self, listener: &mpsc::Sender<Bytes>) {
        self.listeners.retain(|it| !it.same_channel(listener));
    }

    const fn is_full(&self) -> bool {
        self.viewers.len().saturating_add(self.listeners.len()) >= VIEWERS
    }

    /// Shows bytes to everybody who sees it. Connections that are gone see it no more.
    pub(super) fn show(&mut self, bytes: &[u8], way: Way<'_>) {
        // There is room for one: whoever had none was waited for, and then forgotten.
        let piece = Bytes::copy_from_slice(bytes);
        self.listeners.retain(|it| it.try_send(piece.clone()).is_ok());
        let text = self.decoder.decode(bytes);
        if text.is_empty() {
            return;
        }
        self.seq = self.seq.saturating_add(units(&text));
        self.keep(&text);
        let seq = self.seq;
        self.viewers.retain(|viewer| {
            let (name, terminal_id) = viewer.dialect.output(way.id);
            way.send(viewer, name, &Output { terminal_id, session_id: way.id, seq, data: &text })
        });
    }

    /// Who sees it now.
    pub(super) fn connections(&self) -> Vec<Arc<Connection>> {
        self.viewers.iter().map(|it| Arc::clone(&it.connection)).collect()
    }

    /// One that is too slow sees it no more, and is told so.
    pub(super) fn detach(&mut self, connection: &Connection, way: Way<'_>) {
        let end = End { code: None, signal: None, reason: "detached" };
        self.viewers.retain(|viewer| {
            let stays = viewer.connection.id() != connection.id();
            if !stays {
                way.end(viewer, end);
            }
            stays
        });
    }

    /// Tells everybody of the end.
    pub(super) fn end(&mut self, end: End, way: Way<'_>) {
        self.listeners.clear();
        for viewer in self.viewers.drain(..) {
            way.end(&viewer, end);
        }
    }

    fn keep(&mut self, text: &str) {
        self.kept.push_str(text);
        if self.kept.len() > KEPT + SLACK {
            let from = self.kept.ceil_char_boundary(self.kept.len() - KEPT);
            self.kept.drain(..from);
        }
    }
}

impl Dialect {
    /// The event of output, and the id that is in it beside `OpenClaw`'s.
    const fn output(self, id: &str) -> (&'static str, Option<&str>) {
        match self {
            Self::Output => ("terminal.output", Some(id)),
            Self::Data => ("terminal.data", None),
        }
    }

    /// Why it ended, in words that the dialect has.
    fn reason(self, reason: &'static str) -> &'static str {
        let known = ["process_exit", "closed", "detached", "error"];
        if self == Self::Output || known.contains(&reason) { reason } else { "closed" }
    }
}

impl Way<'_> {
    fn end(self, viewer: &Viewer, end: End) {
        let (_, terminal_id) = viewer.dialect.output(self.id);
        let reason = viewer.dialect.reason(end.reason);
        let (exit_code, signal) = (end.code, end.signal);
        let exit = Exit { terminal_id, session_id: self.id, exit_code, signal, reason };
        self.send(viewer, "terminal.exit", &exit);
    }

    /// Sends an event to one viewer; false where it is gone.
    fn send(self, viewer: &Viewer, name: &str, payload: &impl Serialize) -> bool {
        let event: Option<&'static Event> = api::events::event(name);
        let payload = serde_json::to_vec(payload).map(Bytes::from);
        let (Some(event), Ok(payload)) = (event, payload) else { return false };
        let message = Message { event, payload, session_key: String::new() };
        let connection = &viewer.connection;
        self.hub.publish_to(connection.tenant(), connection.id(), &message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shown_of_late_is_kept_and_no_more() {
        let hub = Hub::default();
        let way = Way { hub: &hub, id: "t" };
        let mut screen = Screen::new(None);
        let line = "\u{20ac}".repeat(1000);
        for n in 1..=1000_u64 {
            screen.show(line.as_bytes(), way);
            let seen = screen.see(None).unwrap();
            assert_eq!(seen.seq, n * 1000);
            assert!(seen.text.len() <= KEPT + SLACK, "{}", seen.text.len());
        }
        let seen = screen.see(None).unwrap();
        assert!(seen.text.len() >= KEPT - 3 && seen.text.chars().all(|it| it == '\u{20ac}'));
        assert!(screen.kept.capacity() <= 2 * (KEPT + SLACK) + line.len());
    }
}
