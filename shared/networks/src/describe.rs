//! What is said of a chat network: one constant each, from which the rest follows. What is measured in
//! a network's own terms says in which.

use std::time::Duration;

/// A chat network, as far as it can be said in data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its name in settings, addresses and session keys: lower-case letters.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// How its events come in.
    pub ways: &'static [Way],
    /// How long one message may be.
    pub text: Length,
    /// What its messages are written in.
    pub dialect: Dialect,
    /// How far apart two edits of one message are at least; `None` where a message stays as it is.
    pub edits: Option<Duration>,
    /// How long a sign of typing is shown; `None` where there is none.
    pub typing: Option<Duration>,
    /// Which conversations there are.
    pub rooms: Rooms,
    /// The largest attachment that is fetched, and that is sent, in bytes; 0 for none.
    pub media: Media,
    /// Within which time an event is to be acknowledged; `None` where the network does not wait.
    pub ack: Option<Duration>,
    /// How long after an event the network may bring it again: its mark is kept at least so long.
    pub again: Duration,
    /// What becomes of a message that is sent twice.
    pub twice: Twice,
    /// What a sender's id is worth.
    pub ids: Grade,
    /// Whether ids are written in capitals alone, so that they are told apart in small letters too.
    pub capitals: bool,
    /// How fast one may send.
    pub pace: Pace,
}

/// How events come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The network calls us, and signs or proves itself.
    Webhook,
    /// We ask for what comes after a cursor.
    Poll,
    /// We hold a socket.
    Socket,
    /// People's browsers call us.
    Page,
}

/// How long a text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    /// The most.
    pub max: usize,
    /// Of what.
    pub unit: Unit,
}

/// Which conversations a network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rooms {
    /// Of two.
    Direct,
    /// Of two and of more.
    Groups,
    /// Of two and of more, with threads in them.
    Threads,
}

/// What a length counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Unicode scalar values.
    Characters,
    /// Code units of UTF-16: two for most emoji.
    Utf16,
    /// Bytes of UTF-8.
    Bytes,
}

/// What a message is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Nothing but text.
    Plain,
    /// Markdown as it is usual: what people at the other end read rendered.
    Markdown,
    /// Slack's own.
    Mrkdwn,
    /// The few tags that Telegram knows. Its length is that of the text without them.
    Tags,
    /// HTML beside the plain text.
    Html,
}

/// Bytes of a file that is sent, where the network takes as much: it is held whole while it is.
pub(crate) const MAX_OUTWARD: u64 = 10 << 20;

/// Attachments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    /// Bytes of one that is fetched.
    pub inward: u64,
    /// Bytes of one that is sent.
    pub outward: u64,
}

/// What becomes of a message that is sent a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twice {
    /// The network knows it by its key, for as long as it matters.
    Known,
    /// The network knows it by its key, for this long.
    KnownFor(Duration),
    /// One can look whether the first is there.
    Seen,
    /// It is there twice.
    Doubled,
}

/// What a sender's id is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Whoever holds it can give it up, and another can take it.
    Mutable,
    /// Whoever delivers says so, and is known.
    Asserted,
    /// The network itself gives each person one that never is another's.
    Verified,
}

/// How fast one may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two messages to one conversation.
    pub conversation: Duration,
    /// Between two messages of one account.
    pub account: Duration,
}

impl Unit {
    /// How long `text` is.
    pub fn of(self, text: &str) -> usize {
        match self {
            Self::Characters => text.chars().count(),
            Self::Utf16 => text.encode_utf16().count(),
            Self::Bytes => text.len(),
        }
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Characters => "characters",
            Self::Utf16 => "UTF-16 units",
            Self::Bytes => "bytes",
        }
    }
}

impl Rooms {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Groups => "groups",
            Self::Threads => "threads",
        }
    }
}

impl Way {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Poll => "poll",
            Self::Socket => "socket",
            Self::Page => "page",
        }
    }
}

impl Grade {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mutable => "mutable",
            Self::Asserted => "asserted",
            Self::Verified => "verified",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_its_network_counts() {
        for (text, characters, utf16, bytes) in
            [("", 0, 0, 0), ("ab", 2, 2, 2), ("é", 1, 1, 2), ("😀", 1, 2, 4), ("👩‍👧", 3, 5, 11)]
        {
            assert_eq!(Unit::Characters.of(text), characters, "{text}");
            assert_eq!(Unit::Utf16.of(text), utf16, "{text}");
            assert_eq!(Unit::Bytes.of(text), bytes, "{text}");
        }
    }
}
