//! The table of what tenants' workers send: rows of [`Shelf::Outbox`](crate::Shelf::Outbox).

use serde::{Deserialize, Serialize};
use types::UnixMillis;

use crate::sealed::sealed_bytes;

/// One intent. Where it goes and what it says are sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxRow {
    /// Its number among the tenant's.
    pub seq: u64,
    /// What is unique of it: a digest of the intent's id.
    pub key: String,
    /// The kind of what brings it.
    pub sink: String,
    /// Its id and where it goes, sealed.
    #[serde(with = "sealed_bytes")]
    pub label: Vec<u8>,
    /// How far it has come.
    pub state: OutboxState,
    /// Which part is next: those before it are sent.
    pub part: usize,
    /// How many parts there are.
    pub parts: usize,
    /// Attempts at the present part.
    pub attempts: u32,
    /// When it was taken.
    pub received_at: UnixMillis,
    /// When its state changed last.
    pub changed_at: UnixMillis,
    /// Bytes of its content.
    pub bytes: usize,
    /// What the last attempt came to, for people.
    #[serde(default)]
    pub why: String,
    /// Whether the present part may be where it goes, by an attempt of which nobody knows.
    #[serde(default)]
    pub is_ambiguous: bool,
    /// Whether what its first part was to take the place of is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_alone: bool,
    /// What its first part is called where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub there: Option<String>,
}

/// How far an intent has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutboxState {
    /// It waits for its turn.
    Ready,
    /// An attempt was about to begin. After a restart nobody knows what came of it.
    Sending,
    /// Every part is where it goes.
    Sent,
    /// It will not be sent; later parts are not tried.
    Failed,
    /// Whether it was sent is not known, and it is not sent again.
    Unknown,
}

impl OutboxState {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing more is done about it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Sent | Self::Failed | Self::Unknown)
    }
}
