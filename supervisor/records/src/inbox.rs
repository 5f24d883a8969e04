//! The table of what has come for tenants and is not dealt with: rows of [`Shelf::Inbox`].

use serde::{Deserialize, Serialize};
use types::UnixMillis;

use crate::sealed::sealed_bytes;

/// One event. What it says, and the names by which people know it, are sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxRow {
    /// Its number among the tenant's.
    pub seq: u64,
    /// What is unique of it: a digest of account and event.
    pub key: String,
    /// Where it came in.
    pub source: String,
    /// Its account, event and conversation, sealed.
    #[serde(with = "sealed_bytes")]
    pub label: Vec<u8>,
    /// How far it has come.
    pub state: InboxState,
    /// How often it was handed to a worker, or was about to be.
    pub attempts: u32,
    /// When it came.
    pub received_at: UnixMillis,
    /// Bytes of its content.
    pub bytes: usize,
    /// Why it was not dealt with at the last attempt.
    #[serde(default)]
    pub why: String,
    /// When it was given up; 0 for never.
    #[serde(default)]
    pub dead_at: UnixMillis,
}

/// How far an event has come, as far as that outlives the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum InboxState {
    /// It waits for its turn.
    Ready,
    /// It was about to be handed to a worker of this run of the gateway.
    Claimed {
        /// Which run: a lease of another one is void.
        boot: String,
        /// Which worker, by the launcher's number; 0 for one that was yet to be started.
        worker: u64,
    },
    /// It is given up; people may have it tried again.
    Dead,
}
