//! How one comes by events where the network does not call: by asking, or over a socket that is held.
//! What asks and holds is another; here is what is asked and said, and what is made of what comes.

use std::collections::HashMap;
use std::fmt::Debug;

use networks::Us;
use records::AccountRow;
use types::UnixMillis;

use crate::adapter::{Answer, Call, Outcome};
use crate::facts::Unreadable;

/// How many are in which conversation.
pub type Counts = HashMap<String, u64>;

/// How one asks a network for what is new.
pub trait Poll: Send + Sync + Debug {
    /// Asks for what came after the cursor; `None` where there is no cursor that is still good. For `little` at
    /// once, where answers could not be had: one may have been too large.
    fn ask(&self, cursor: Option<&str>, little: bool) -> Call;

    /// What came, in order, and the cursor that is to be kept after it. `us` is who we are, and `counts` how
    /// many are in which conversation, as far as that was heard before.
    ///
    /// # Errors
    /// When the answer cannot be read: the cursor stays.
    fn came(&self, answer: Answer<'_>, us: Us<'_>, counts: &Counts) -> Result<Came, Unreadable>;

    /// Asks how many are in a conversation, where events do not say it.
    fn count(&self, _room: &str) -> Option<Call> {
        None
    }

    /// How many are.
    fn counted(&self, _answer: Answer<'_>) -> Option<u64> {
        None
    }

    /// Goes where one is asked to.
    fn join(&self, _room: &str) -> Option<Call> {
        None
    }

    /// Says that one does not go there, and why.
    fn refuse(&self, _room: &str) -> Option<Call> {
        None
    }

    /// Asks for what was left out of a room after `from`, a cursor or where an earlier answer has ended, and
    /// before `to`.
    fn ask_missed(&self, _room: &str, _from: &str, _to: &str) -> Option<Call> {
        None
    }

    /// What was left out of a room in which are so many.
    ///
    /// # Errors
    /// When the answer cannot be read.
    fn missed(
        &self,
        _answer: Answer<'_>,
        _room: &str,
        _members: Option<u64>,
    ) -> Result<Missed, Unreadable> {
        Ok(Missed::default())
    }

    /// How long a cursor is good, in milliseconds since it was kept; 0 for ever.
    fn cursor_age(&self) -> u64;
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Came {
    /// In their order.
    pub events: Vec<Vec<u8>>,
    /// What to ask with the next time; `None` where it is as it was.
    pub cursor: Option<String>,
    /// How many are in which conversation, where that is said anew.
    pub counts: Vec<(String, u64)>,
    /// Conversations of which it would have to be known.
    pub uncounted: Vec<String>,
    /// Rooms that we are asked into.
    pub invitations: Vec<String>,
    /// Rooms that we are asked into, and in which we could do nothing.
    pub refused: Vec<String>,
    /// Rooms of which something was left out, and before what.
    pub gaps: Vec<(String, String)>,
}

/// Some of what was left out of a room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missed {
    /// In their order.
    pub events: Vec<Vec<u8>>,
    /// After what the rest is asked for; `None` where there is none.
    pub rest: Option<String>,
}

/// A conversation over one socket, as far as it can be had without one: frames come in, acts go out.
/// Whoever holds the socket does one act after the other, and reads no frame before they are done.
pub trait Session: Send + Debug {
    /// Whose socket it is; said before anything else.
    fn of(&mut self, _account: &AccountRow) {}

    /// Where the socket is.
    fn dial(&self) -> Dial;

    /// Where it is, where that was asked.
    ///
    /// # Errors
    /// When the answer does not say, with what is to be done then.
    fn located(&mut self, _answer: Answer<'_>) -> Result<String, After> {
        Err(After::Never("nobody is asked".to_owned()))
    }

    /// The socket is open.
    fn opened(&mut self, _now: UnixMillis) -> Vec<Act> {
        Vec::new()
    }

    /// A frame has come.
    ///
    /// # Errors
    /// When it cannot be read: the socket is of no use any more.
    fn frame(&mut self, frame: &[u8], now: UnixMillis) -> Result<Vec<Act>, Unreadable>;

    /// The socket has shown that it is there, and nothing else.
    fn pulse(&mut self, _now: UnixMillis) {}

    /// The event of this number is kept. One that could not be is never said to be: the socket ends, and
    /// the network brings the event again.
    fn kept(&mut self, _number: u64) -> Vec<Act> {
        Vec::new()
    }

    /// Something is to be sent, known by this key: [`Act::Told`] says what came of it. Where the socket ends
    /// before, nobody knows.
    fn say(&mut self, key: &str, _frame: &[u8]) -> Vec<Act> {
        vec![Act::Told(key.to_owned(), Outcome::Refused("nothing is said here".to_owned()))]
    }

    /// When something is due, where something is.
    fn wakes(&self) -> Option<UnixMillis>;

    /// What was due.
    fn due(&mut self, now: UnixMillis) -> Vec<Act>;

    /// The socket has ended, with this code where the network gave one.
    fn ended(&mut self, code: Option<u16>, now: UnixMillis) -> After;
}

/// Where a socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dial {
    /// One asks.
    Ask(Call),
    /// Here: `wss://`, a host and a path.
    At(String),
    /// At the account's own server.
    Server,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Sends a frame.
    Say(Vec<u8>),
    /// Sends a frame with the secret where this JSON pointer leads; with none, at its end.
    Prove(Vec<u8>, &'static str),
    /// Makes a call for whose answer nobody waits.
    Call(Call),
    /// What came of what was to be sent, by its key.
    Told(String, Outcome),
    /// Keeps an event, and says so by its number.
    Keep(u64, Vec<u8>),
    /// Writes down from where the socket is taken up again. Of several the last is enough.
    Mark(String),
    /// Ends the socket with this code.
    End(u16),
}

/// What is to be done when a socket has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// Another, after so many milliseconds.
    Again(u64),
    /// None, until somebody has looked.
    Never(String),
}

/// How long one waits after so many sockets in a row that came to nothing, in milliseconds.
pub(crate) fn back_off(failures: u32, chance: u16) -> u64 {
    const STEPS_MS: [u64; 7] = [500, 2_000, 5_000, 15_000, 60_000, 120_000, 300_000];
    let step = usize::try_from(failures).unwrap_or(usize::MAX);
    let step = STEPS_MS.get(step).or(STEPS_MS.last()).copied().unwrap_or(0);
    // Up to half as long again, each another.
    step.saturating_add(step.saturating_mul(u64::from(chance)) / (2 * u64::from(u16::MAX)))
}
