//! `chat.*`: the conversation of one session, and stopping what runs in it.

use serde::{Deserialize, Serialize};

methods! { Worker;
    /// The conversation of one session.
    pub trait Chat {
        /// The messages of a session, oldest first.
        "chat.history" [Read] fn history(HistoryParams) -> History;
        /// Stops the runs of a session.
        "chat.abort" [Write] fn abort(AbortParams) -> Aborted;
    }
}

/// Which conversation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HistoryParams {
    /// The session key.
    pub session_key: String,
    /// The last so many messages, 1 to 1000; 200 if absent.
    pub limit: Option<u32>,
}

/// The messages of a session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The session key.
    pub session_key: String,
    /// The id under which the transcript is stored; absent where there is no such session yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Messages as they stand in the transcript.
    pub messages: Vec<Box<serde_json::value::RawValue>>,
}

/// What to stop.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AbortParams {
    /// The session key.
    pub session_key: String,
    /// Only this run.
    pub run_id: Option<String>,
}

/// What was stopped.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Aborted {
    /// Always true.
    pub ok: bool,
    /// Whether anything ran.
    pub aborted: bool,
    /// The runs that were stopped.
    pub run_ids: Vec<String>,
}
