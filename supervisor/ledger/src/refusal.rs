//! Why something is not granted, what of a limit is used, and when it is nearly used up.

use std::sync::Arc;

use types::{Dimension, Level, UnixMillis, Window};

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// It would break a limit.
    Limit,
    /// There is a limit on money, and what the model costs is not known.
    PriceUnknown,
    /// It cannot be written down.
    Unwritable,
}

/// Something that is not granted. Its words are those that clients are told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", types::Limited::from(self))]
pub struct Refusal {
    /// Why.
    pub why: Why,
    /// On which level.
    pub level: Level,
    /// Whose limit it is, on the levels below the tenant's.
    pub subject: Option<Arc<str>>,
    /// What is limited.
    pub dimension: Dimension,
    /// In which window; none for what is counted as it is now.
    pub window: Option<Window>,
    /// The limit, in units of the dimension.
    pub max: u64,
    /// What is left of it: less than was asked for.
    pub remaining: u64,
    /// Seconds until the limit may allow more, at least 1.
    pub retry_after_s: u64,
    /// When the window ends; for what has no window, when to ask again.
    pub resets_at: UnixMillis,
}

impl Refusal {
    /// Seconds after which a ledger that cannot be written is asked again.
    pub(crate) const UNWRITABLE_S: u64 = 5;

    /// The limit as quotas name it: `tokens/day`.
    pub fn limit(&self) -> String {
        match self.window {
            Some(window) => format!("{}/{window}", self.dimension),
            None => self.dimension.name().to_owned(),
        }
    }

    /// Whose limit it is, for people: `the tenant`, `agent main`.
    pub fn whose(&self) -> String {
        match &self.subject {
            Some(subject) => format!("{} {subject}", self.level),
            None => format!("the {}", self.level),
        }
    }
}

/// How a limit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// On which level.
    pub level: Level,
    /// Whose limit it is, on the levels below the tenant's.
    pub subject: Option<Arc<str>>,
    /// What is limited.
    pub dimension: Dimension,
    /// In which window; none for what is counted as it is now.
    pub window: Option<Window>,
    /// The limit, in units of the dimension.
    pub max: u64,
    /// What is used, for good.
    pub settled: u64,
    /// What is set aside.
    pub held: u64,
    /// When the window ends; none for what has no window.
    pub resets_at: Option<UnixMillis>,
}

impl Standing {
    /// The limit as quotas name it: `tokens/day`.
    pub fn limit(&self) -> String {
        match self.window {
            Some(window) => format!("{}/{window}", self.dimension),
            None => self.dimension.name().to_owned(),
        }
    }

    /// What may still be asked for.
    pub const fn remaining(&self) -> u64 {
        self.max.saturating_sub(self.settled).saturating_sub(self.held)
    }
}

/// A limit of which so much is used for the first time in its window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The limit.
    pub standing: Standing,
    /// 50, 80 or 100. At 100 something was refused or nothing is left.
    pub percent: u8,
}
