//! `inbox.*` and `outbox.*`: what has come for a tenant and is not dealt with, what was given up, and
//! what the tenant's runs have sent that is not where it goes.

use serde::{Deserialize, Serialize};

methods! { Supervisor;
    /// A tenant's events.
    pub trait Inbox {
        /// The events that are not dealt with, in the order in which they came.
        "inbox.list" [Read] fn inbox_list(ListParams) -> Events;
        /// Has an event that was given up tried again.
        "inbox.retry" [Write] fn inbox_retry(EventParams) -> Done;
        /// Lets go of an event that was given up.
        "inbox.drop" [Write] fn inbox_drop(EventParams) -> Done;
        /// What was sent and is not where it goes, in the order in which it was.
        "outbox.list" [Read] fn outbox_list(OutboxParams) -> Intents;
    }
}

/// Which events.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ListParams {
    /// Only those that were given up.
    pub dead: bool,
}

/// Which event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EventParams {
    /// Its id, as `inbox.list` gives it.
    pub id: String,
}

/// Events.
#[derive(Debug, Serialize)]
pub struct Events {
    /// In the order in which they came.
    pub events: Vec<Event>,
}

/// One event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its id.
    pub id: String,
    /// Where it came in: `chat` or `hook`.
    pub source: String,
    /// Its conversation.
    pub lane: String,
    /// What it is called where it comes from.
    pub event: String,
    /// `ready`, `claimed`, `handed` or `dead`.
    pub state: &'static str,
    /// How often it was handed to a worker.
    pub attempts: u32,
    /// When it came, in milliseconds since the epoch.
    pub received_at: u64,
    /// Bytes of it.
    pub bytes: usize,
    /// Why it was not dealt with at the last attempt; empty where there was none.
    pub why: String,
}

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxParams {}

/// What was sent.
#[derive(Debug, Serialize)]
pub struct Intents {
    /// In the order in which it was.
    pub intents: Vec<Intent>,
}

/// One thing that was sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Its id: that of the run.
    pub id: String,
    /// What brings it: `webhook`.
    pub sink: String,
    /// Where it goes.
    pub place: String,
    /// `ready`, `sending`, `failed` (it is not there) or `unknown` (it may be).
    pub state: &'static str,
    /// How many of its parts are there.
    pub sent: usize,
    /// How many it has.
    pub parts: usize,
    /// Attempts at the present part.
    pub attempts: u32,
    /// When it was sent, in milliseconds since the epoch.
    pub received_at: u64,
    /// What the last attempt came to; empty where that was nothing.
    pub why: String,
}

/// It is done.
#[derive(Debug, Serialize)]
pub struct Done {
    /// Always true.
    pub ok: bool,
}
