//! One limit in general terms: on which level, for whom, of what, in which window, how much. Its text
//! form is what operators write and what the records keep; what it is measured with is the ledger's affair.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Quotas of one tenant, or of the installation: each is looked at by every request.
pub const MAX_QUOTAS: usize = 64;

/// Bytes of a subject's name: an agent's id and an API token's id are shorter.
const MAX_SUBJECT: usize = 64;

/// What stands for every subject of a level, each by itself.
const EVERY: &str = "*";

/// Gives an enum of plain words its text forms.
macro_rules! words {
    ($(#[$doc:meta])* $Name:ident, $kind:literal { $($(#[$of:meta])* $Variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $Name {
            $($(#[$of])* #[serde(rename = $word)] $Variant),+
        }

        impl $Name {
            /// Every one of them, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$Variant),+];

            /// The word for it on the wire and in quotas.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$Variant => $word),+ }
            }
        }

        impl FromStr for $Name {
            type Err = InvalidQuota;

            fn from_str(text: &str) -> Result<Self, InvalidQuota> {
                match text {
                    $($word => Ok(Self::$Variant),)+
                    _ => Err(InvalidQuota::Word { kind: $kind, known: &[$($word),+] }),
                }
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

words! {
    /// What is counted.
    Dimension, "dimension" {
        /// Requests of clients, and model calls that no request has paid for; on the levels of agents and
        /// sessions every model call.
        Requests = "requests",
        /// Input tokens, those from a provider's cache included.
        InputTokens = "inputTokens",
        /// Input tokens that a provider read from its cache.
        CachedTokens = "cachedTokens",
        /// Output tokens, those of reasoning included.
        OutputTokens = "outputTokens",
        /// Output tokens that a model thought and did not say.
        ReasoningTokens = "reasoningTokens",
        /// Input and output tokens together.
        Tokens = "tokens",
        /// Micro-dollars.
        CostMicros = "costMicros",
        /// Requests under way at once; on the levels of agents and sessions model calls.
        ConcurrentRuns = "concurrentRuns",
        /// Seconds for which programs ran, each for itself.
        SandboxSeconds = "sandboxSeconds",
        /// Bytes that left for the outside or came from it.
        EgressBytes = "egressBytes",
        /// Bytes on the tenant's disk.
        StoredBytes = "storedBytes",
    }
}

words! {
    /// A stretch of the calendar, in UTC.
    Window, "window" {
        /// From second 0.
        Minute = "minute",
        /// From minute 0.
        Hour = "hour",
        /// From midnight.
        Day = "day",
        /// From the first day's midnight.
        Month = "month",
    }
}

words! {
    /// Whose use is counted together. All levels must agree to a use.
    Level, "level" {
        /// All tenants.
        Installation = "installation",
        /// One tenant.
        Tenant = "tenant",
        /// One API token of a tenant.
        Token = "token",
        /// One agent of a tenant.
        Agent = "agent",
        /// One session of an agent.
        Session = "session",
    }
}

/// A limit: no more than `max` of `dimension` in one `window` for each subject of `level`.
///
/// As text: `costMicros/month=5000000`, `concurrentRuns=8`, and on the inner levels
/// `token:ID requests/minute=60`, `agent:main tokens/day=100000`, `session:* tokens/hour=50000`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quota {
    level: Level,
    subject: Option<Arc<str>>,
    dimension: Dimension,
    window: Option<Window>,
    max: u64,
}

/// Text that is no quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuota {
    /// Not of the form.
    #[error(
        "a quota is written [LEVEL:SUBJECT ]DIMENSION[/WINDOW]=MAX, as costMicros/month=5000000"
    )]
    Form,
    /// A word that is none of those known.
    #[error("the {kind} of a quota is one of {}", known.join(", "))]
    Word {
        /// What the word should be.
        kind: &'static str,
        /// Those that are.
        known: &'static [&'static str],
    },
    /// Not a number.
    #[error("the value of a quota is a whole number from 0 to {max}", max = Quota::MAX)]
    Number,
    /// A subject on a level that has one, or an unusable one.
    #[error(
        "the subject of a quota is * or has 1 to {MAX_SUBJECT} letters, digits, or any of - _ . : @"
    )]
    Subject,
    /// A level and a subject that do not go together.
    #[error("only token:, agent: and session: stand before a quota, and a session's is session:*")]
    Level,
    /// A dimension without the window that it needs, or with one that it cannot have.
    #[error("{0} has no window in a quota")]
    Windowless(Dimension),
    /// A dimension that is summed up needs a window.
    #[error("{0} needs a window in a quota: minute, hour, day or month")]
    NoWindow(Dimension),
    /// Sessions are many, and are not remembered for a month.
    #[error("a quota of sessions has the window minute, hour or day")]
    SessionMonth,
    /// The kernel limits the disk.
    #[error("storedBytes has no quota: the limit diskMax holds")]
    Stored,
    /// Something of which nobody who can be believed says whose it is on a level.
    #[error("{0} is not counted by {1}")]
    Uncounted(Dimension, Level),
    /// More than can be looked at for every request.
    #[error("there are at most {MAX_QUOTAS} quotas")]
    TooMany,
    /// The same thing limited twice.
    #[error("there are two quotas for {0}")]
    Twice(String),
}

impl Quota {
    /// The largest value: sums of a few of these are still numbers that JSON's readers hold exactly.
    pub const MAX: u64 = (1 << 53) - 1;

    /// A limit of a whole level or of one subject of it.
    ///
    /// # Errors
    /// When the parts do not go together.
    pub fn new(
        (level, subject): (Level, Option<&str>),
        (dimension, window): (Dimension, Option<Window>),
        max: u64,
    ) -> Result<Self, InvalidQuota> {
        check_subject(level, subject)?;
        check_window(level, dimension, window)?;
        if max > Self::MAX {
            return Err(InvalidQuota::Number);
        }
        let subject = subject.filter(|it| *it != EVERY).map(Arc::from);
        Ok(Self { level, subject, dimension, window, max })
    }

    /// Whose use is counted together.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// The one subject of the level that it is for; none for each of them by itself.
    pub const fn subject(&self) -> Option<&Arc<str>> {
        self.subject.as_ref()
    }

    /// What is counted.
    pub const fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// In which window; none for what is counted as it is now.
    pub const fn window(&self) -> Option<Window> {
        self.window
    }

    /// The most there may be, in units of the dimension.
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// What it limits, without how much: `token:* tokens/day`.
    pub fn key(&self) -> String {
        let mut key = String::new();
        if !matches!(self.level, Level::Installation | Level::Tenant) {
            key = format!("{}:{} ", self.level, self.subject.as_deref().unwrap_or(EVERY));
        }
        key.push_str(self.dimension.name());
        if let Some(window) = self.window {
            key.push('/');
            key.push_str(window.name());
        }
        key
    }

    /// The same text read on another level: the operator's own quotas have no level in them.
    ///
    /// # Errors
    /// When the text names a level itself, or the dimension is not counted there.
    pub fn installation(text: &str) -> Result<Self, InvalidQuota> {
        let Self { level, dimension, window, max, .. } = text.parse()?;
        if level != Level::Tenant {
            return Err(InvalidQuota::Level);
        }
        Self::new((Level::Installation, None), (dimension, window), max)
    }

    /// Whether a list of quotas can be enforced together.
    ///
    /// # Errors
    /// When there are too many or two limit the same.
    pub fn check(quotas: &[Self]) -> Result<(), InvalidQuota> {
        if quotas.len() > MAX_QUOTAS {
            return Err(InvalidQuota::TooMany);
        }
        let mut rest = quotas;
        while let Some((first, others)) = rest.split_first() {
            let key = first.key();
            if others.iter().any(|other| other.key() == key) {
                return Err(InvalidQuota::Twice(key));
            }
            rest = others;
        }
        Ok(())
    }
}

fn check_subject(level: Level, subject: Option<&str>) -> Result<(), InvalidQuota> {
    let Some(subject) = subject else { return Ok(()) };
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@');
    match level {
        Level::Token | Level::Agent | Level::Session if subject == EVERY => Ok(()),
        Level::Installation | Level::Tenant | Level::Session => Err(InvalidQuota::Level),
        Level::Token | Level::Agent => {
            let usable = (1..=MAX_SUBJECT).contains(&subject.len()) && subject.bytes().all(plain);
            if usable { Ok(()) } else { Err(InvalidQuota::Subject) }
        }
    }
}

fn check_window(
    level: Level,
    dimension: Dimension,
    window: Option<Window>,
) -> Result<(), InvalidQuota> {
    match (dimension, window) {
        (Dimension::StoredBytes, _) => Err(InvalidQuota::Stored),
        (Dimension::SandboxSeconds, _) if matches!(level, Level::Token | Level::Session) => {
            Err(InvalidQuota::Uncounted(dimension, level))
        }
        (Dimension::EgressBytes, _)
            if matches!(level, Level::Token | Level::Agent | Level::Session) =>
        {
            Err(InvalidQuota::Uncounted(dimension, level))
        }
        (Dimension::ConcurrentRuns, Some(_)) => Err(InvalidQuota::Windowless(dimension)),
        (Dimension::ConcurrentRuns, None) => Ok(()),
        (_, None) => Err(InvalidQuota::NoWindow(dimension)),
        (_, Some(Window::Month)) if level == Level::Session => Err(InvalidQuota::SessionMonth),
        (_, Some(_)) => Ok(()),
    }
}

impl FromStr for Quota {
    type Err = InvalidQuota;

    fn from_str(text: &str) -> Result<Self, InvalidQuota> {
        let (who, what) = match text.split_once(' ') {
            Some((who, what)) => (Some(who), what),
            None => (None, text),
        };
        let (level, subject) = match who {
            Some(who) => {
                let (level, subject) = who.split_once(':').ok_or(InvalidQuota::Form)?;
                let level = level.parse()?;
                (level, Some(subject))
            }
            None => (Level::Tenant, None),
        };
        let (counted, max) = what.split_once('=').ok_or(InvalidQuota::Form)?;
        let (dimension, window) = match counted.split_once('/') {
            Some((dimension, window)) => (dimension.parse()?, Some(window.parse()?)),
            None => (counted.parse()?, None),
        };
        let digits = !max.is_empty() && max.bytes().all(|byte| byte.is_ascii_digit());
        let max = max.parse().ok().filter(|_| digits).ok_or(InvalidQuota::Number)?;
        Self::new((level, subject), (dimension, window), max)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key(), self.max)
    }
}

impl TryFrom<String> for Quota {
    type Error = InvalidQuota;

    fn try_from(text: String) -> Result<Self, InvalidQuota> {
        text.parse()
    }
}

impl From<Quota> for String {
    fn from(quota: Quota) -> Self {
        quota.to_string()
    }
}

#[cfg(test)]
mod tests;
