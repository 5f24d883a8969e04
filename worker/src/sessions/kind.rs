//! What a session key says of its session: the part after `agent:<id>:`, read and written.
//!
//! Every text is of some kind; what has no form of its own is [`Kind::Custom`].

use std::fmt;

/// Sessions of these kinds are named by their first part.
const BY_FIRST: [(&str, Plain); 7] = [
    ("subagent", Plain::Subagent),
    ("acp", Plain::Acp),
    ("dashboard", Plain::Dashboard),
    ("explicit", Plain::Explicit),
    ("openai", Plain::Openai),
    ("openai-user", Plain::OpenaiUser),
    ("openresponses", Plain::Openresponses),
];

/// What a key says of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// `main`.
    Main,
    /// `[<channel>:[<account>:]]direct:<peer>[:thread:<id>]`.
    Direct { channel: Option<&'a str>, account: Option<&'a str>, peer: &'a str, thread: Thread<'a> },
    /// `<channel>:group:<id>[:thread:<id>]`.
    Group { channel: &'a str, id: &'a str, thread: Thread<'a> },
    /// `<channel>:channel:<id>[:thread:<id>]`.
    Room { channel: &'a str, id: &'a str, thread: Thread<'a> },
    /// `cron:<job>[:run:<id>]`.
    Cron { job: &'a str, run: Option<&'a str> },
    /// `hook:<id>`.
    Hook { id: &'a str },
    /// `subagent:<id>` and its like.
    Plain { kind: Plain, id: &'a str },
    /// Anything else.
    Custom { name: &'a str },
}

/// Kinds that consist of a word and an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    Subagent,
    Acp,
    /// Made in the official UI.
    Dashboard,
    Explicit,
    /// Of one request of the OpenAI-compatible surface.
    Openai,
    /// Of one user of it.
    OpenaiUser,
    Openresponses,
}

/// The thread of a conversation, if it is of one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Thread<'a> {
    /// The conversation itself.
    #[default]
    None,
    /// `:thread:<id>`.
    Id(&'a str),
    /// `:topic:<id>`, as Telegram has them.
    Topic(&'a str),
}

impl<'a> Kind<'a> {
    /// Reads a whole key, or the part after `agent:<id>:`.
    pub(crate) fn of_key(key: &'a str) -> Self {
        let name = key.strip_prefix("agent:").and_then(|rest| rest.split_once(':'));
        Self::parse(name.map_or(key, |(_, name)| name))
    }

    /// Reads the part after `agent:<id>:`.
    pub(crate) fn parse(name: &'a str) -> Self {
        if name == "main" {
            return Self::Main;
        }
        let custom = Self::Custom { name };
        let Some((first, rest)) = name.split_once(':') else { return custom };
        if rest.is_empty() || first.is_empty() {
            return custom;
        }
        if let Some((_, kind)) = BY_FIRST.iter().find(|(word, _)| *word == first) {
            return Self::Plain { kind: *kind, id: rest };
        }
        match first {
            "cron" => return Self::cron(rest),
            "hook" => return Self::Hook { id: rest },
            "direct" => return Self::direct(None, None, rest),
            _ => {}
        }
        match rest.split_once(':') {
            Some((_, "")) | None => custom,
            Some(("direct", peer)) => Self::direct(Some(first), None, peer),
            Some(("group", id)) => {
                let (id, thread) = Thread::split(id);
                Self::Group { channel: first, id, thread }
            }
            Some(("channel", id)) => {
                let (id, thread) = Thread::split(id);
                Self::Room { channel: first, id, thread }
            }
            Some((account, rest)) => match rest.strip_prefix("direct:") {
                Some(peer) if !peer.is_empty() && !account.is_empty() => {
                    Self::direct(Some(first), Some(account), peer)
                }
                _ => custom,
            },
        }
    }

    fn cron(rest: &'a str) -> Self {
        match rest.split_once(":run:") {
            Some((job, run)) if !job.is_empty() && !run.is_empty() => {
                Self::Cron { job, run: Some(run) }
            }
            _ => Self::Cron { job: rest, run: None },
        }
    }

    fn direct(channel: Option<&'a str>, account: Option<&'a str>, peer: &'a str) -> Self {
        let (peer, thread) = Thread::split(peer);
        Self::Direct { channel, account, peer, thread }
    }

    /// The word of the lists: `direct`, `group`, `global` or `unknown`.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Group { .. } | Self::Room { .. } => "group",
            Self::Custom { name: "global" } => "global",
            Self::Custom { name: "unknown" } => "unknown",
            Self::Main
            | Self::Direct { .. }
            | Self::Cron { .. }
            | Self::Hook { .. }
            | Self::Plain { .. }
            | Self::Custom { .. } => "direct",
        }
    }

    /// What the session is for.
    pub(crate) const fn classification(&self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Direct { .. } => "direct",
            Self::Group { .. } => "group",
            Self::Room { .. } => "channel",
            Self::Cron { .. } => "cron",
            Self::Hook { .. } => "hook",
            Self::Plain { kind: Plain::Subagent, .. } => "subagent",
            Self::Plain { kind: Plain::Acp, .. } => "acp",
            Self::Plain { .. } | Self::Custom { .. } => "custom",
        }
    }

    /// The channel, if it is a channel's.
    pub(crate) const fn channel(&self) -> Option<&'a str> {
        match self {
            Self::Direct { channel, .. } => *channel,
            Self::Group { channel, .. } | Self::Room { channel, .. } => Some(channel),
            Self::Main
            | Self::Cron { .. }
            | Self::Hook { .. }
            | Self::Plain { .. }
            | Self::Custom { .. } => None,
        }
    }

    /// The word of `session.resetByType`.
    pub(crate) fn reset_type(&self) -> &'static str {
        match self {
            Self::Direct { thread, .. }
            | Self::Group { thread, .. }
            | Self::Room { thread, .. }
                if *thread != Thread::None =>
            {
                "thread"
            }
            Self::Group { .. } | Self::Room { .. } => "group",
            Self::Main
            | Self::Direct { .. }
            | Self::Cron { .. }
            | Self::Hook { .. }
            | Self::Plain { .. }
            | Self::Custom { .. } => "direct",
        }
    }
}

impl<'a> Thread<'a> {
    /// An id and the thread after it.
    fn split(text: &'a str) -> (&'a str, Self) {
        let last =
            |mark: &str| text.rsplit_once(mark).filter(|(a, b)| !a.is_empty() && !b.is_empty());
        if let Some((id, thread)) = last(":thread:") {
            return (id, Self::Id(thread));
        }
        last(":topic:").map_or((text, Self::None), |(id, topic)| (id, Self::Topic(topic)))
    }
}

impl Plain {
    fn word(self) -> &'static str {
        let found = BY_FIRST.iter().find(|(_, kind)| *kind == self);
        found.map_or("explicit", |(word, _)| word)
    }
}

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main => f.write_str("main"),
            Self::Direct { channel, account, peer, thread } => {
                for part in [channel, account].into_iter().flatten() {
                    write!(f, "{part}:")?;
                }
                write!(f, "direct:{peer}{thread}")
            }
            Self::Group { channel, id, thread } => write!(f, "{channel}:group:{id}{thread}"),
            Self::Room { channel, id, thread } => write!(f, "{channel}:channel:{id}{thread}"),
            Self::Cron { job, run: None } => write!(f, "cron:{job}"),
            Self::Cron { job, run: Some(run) } => write!(f, "cron:{job}:run:{run}"),
            Self::Hook { id } => write!(f, "hook:{id}"),
            Self::Plain { kind, id } => write!(f, "{}:{id}", kind.word()),
            Self::Custom { name } => f.write_str(name),
        }
    }
}

impl fmt::Display for Thread<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Id(id) => write!(f, ":thread:{id}"),
            Self::Topic(id) => write!(f, ":topic:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_keys_say() {
        let check = |key: &str, classification: &str, word: &str, reset: &str| {
            let kind = Kind::of_key(key);
            let said = (kind.classification(), kind.word(), kind.reset_type());
            assert_eq!(said, (classification, word, reset), "{key}");
        };
        check("agent:main:main", "main", "direct", "direct");
        check("agent:main:direct:ada", "direct", "direct", "direct");
        check("agent:main:signal:direct:ada:thread:7", "direct", "direct", "thread");
        check("agent:main:telegram:bot:direct:5", "direct", "direct", "direct");
        check("agent:main:telegram:group:-100:topic:3", "group", "group", "thread");
        check("agent:main:slack:channel:c1", "channel", "group", "group");
        check("agent:main:cron:job:run:1", "cron", "direct", "direct");
        check("agent:ops:subagent:x", "subagent", "direct", "direct");
        check("agent:main:dashboard:x", "custom", "direct", "direct");
        check("agent:main:my notes", "custom", "direct", "direct");
        check("global", "custom", "global", "direct");
        assert_eq!(Kind::parse("telegram:bot:direct:5").channel(), Some("telegram"));
    }

    /// Texts made of the words that mean something, and of some that do not.
    fn names() -> impl Strategy<Value = String> {
        let words = prop::sample::select(vec![
            "main",
            "direct",
            "group",
            "channel",
            "thread",
            "topic",
            "cron",
            "run",
            "hook",
            "openai",
            "dashboard",
            "signal",
            "a",
            "",
            "7",
        ]);
        prop::collection::vec(words, 0..7).prop_map(|words| words.join(":"))
    }

    proptest! {
        #[test]
        fn every_name_is_written_as_it_was_read(name in prop_oneof![names(), ".*"]) {
            let kind = Kind::parse(&name);
            let text = kind.to_string();
            prop_assert_eq!(&text, &name);
            prop_assert_eq!(Kind::parse(&text), kind);
        }
    }
}
