//! What must be known of an event: whose it is, which, where, who, to us or not.

use networks::What;
use serde::{Deserialize, Serialize};

/// The longest opening of a text that is looked at, in bytes: a command with a code.
pub const MAX_OPENING: usize = 64;

/// The longest id that is taken from an event, in bytes: Matrix has the longest, of 255.
pub const MAX_NAME: usize = 256;

/// What must be known of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The account that the event itself names, where it names one.
    pub account: Option<String>,
    /// What the event is known by when it comes again.
    pub event: String,
    /// What somebody did; `None` where it is nothing that concerns anybody.
    pub done: Option<Done>,
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Whether it is said, or said anew.
    pub what: What,
    /// Where.
    pub room: Room,
    /// Who, by an id that is never a name.
    pub sender: String,
    /// Whether that is a program, we ourselves included.
    pub is_bot: bool,
    /// Whether it is to us: said to us alone, naming us, or answering us.
    pub is_addressed: bool,
    /// How the text begins: at most [`MAX_OPENING`] bytes.
    pub opening: String,
    /// Where an answer goes.
    pub place: Place,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Room {
    /// Of which kind.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// The thread in it.
    pub thread: Option<String>,
    /// What it is part of: a workspace, a server.
    pub space: Option<String>,
}

/// Kinds of conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Of one person with us.
    Direct,
    /// Of several, who were brought in one by one.
    Group,
    /// Of whoever comes.
    Channel,
}

/// Where a message goes. Made by the supervisor of what an event said; sealed when a worker holds it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The conversation.
    pub room: String,
    /// The thread in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The message that is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
}

/// A request or an event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not of the network's form.
    #[error("it is not of the network's form")]
    Form(#[from] serde_json::Error),
    /// It lacks something.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// Something is longer than anything of the network's.
    #[error("{what} is at most {max} bytes")]
    TooLong {
        /// What.
        what: &'static str,
        /// How long it may be.
        max: usize,
    },
}

impl Room {
    /// What is of one order: events of the same lane are handed over one after the other.
    pub fn lane(&self) -> String {
        let thread = self.thread.as_deref().unwrap_or_default();
        if thread.is_empty() { self.id.clone() } else { format!("{}/{thread}", self.id) }
    }
}

impl Kind {
    /// The word for it, as session keys have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Channel => "channel",
        }
    }
}

impl Facts {
    /// Of an event that concerns nobody.
    pub const fn nothing(event: String) -> Self {
        Self { account: None, event, done: None }
    }

    /// Holds every name against its bound.
    ///
    /// # Errors
    /// When one is empty or too long.
    pub fn bounded(self) -> Result<Self, Unreadable> {
        let place = self.done.as_ref().map(|it| &it.place);
        let names = [
            Some(("an event's id", &self.event)),
            self.account.as_ref().map(|it| ("an account's id", it)),
            self.done.as_ref().map(|it| ("a sender's id", &it.sender)),
            self.done.as_ref().map(|it| ("a conversation's id", &it.room.id)),
            self.done.as_ref().and_then(|it| it.room.thread.as_ref()).map(|it| ("a thread", it)),
            self.done.as_ref().and_then(|it| it.room.space.as_ref()).map(|it| ("a space", it)),
            place.and_then(|it| it.reply.as_ref()).map(|it| ("a message's id", it)),
        ];
        for (what, name) in names.into_iter().flatten() {
            if name.is_empty() {
                return Err(Unreadable::Missing(what));
            }
            if name.len() > MAX_NAME {
                return Err(Unreadable::TooLong { what, max: MAX_NAME });
            }
        }
        Ok(self)
    }
}

/// How a text begins.
pub(crate) fn opening(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_OPENING)).unwrap_or_default().to_owned()
}
