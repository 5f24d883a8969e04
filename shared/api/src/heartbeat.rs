//! Heartbeats, and the ways to wake the main session.

use serde::{Deserialize, Serialize};

methods! { Worker;
    /// Heartbeats of one tenant.
    pub trait Heartbeat {
        /// Tells the main session something, at once or with the next heartbeat.
        "wake" [Write] fn wake(WakeParams) -> Woken;
        /// The last heartbeat, or `null`.
        "last-heartbeat" [Read] fn last(LastParams) -> Option<Beat>;
        /// Switches heartbeats on or off, over restarts too.
        "set-heartbeats" [Admin] fn set(SetParams) -> HeartbeatsSet;
    }
}

/// What to tell the main session. Unknown fields are let through, as the reference does.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WakeParams {
    /// When.
    pub mode: crate::cron::WakeMode,
    /// 1 byte to 64 KiB.
    pub text: String,
    /// Which session; the agent's main session if absent.
    pub session_key: Option<String>,
    /// Which agent; the default agent if absent.
    pub agent_id: Option<String>,
}

/// It was told, or will be.
#[derive(Debug, Serialize)]
pub struct Woken {
    /// Always true.
    pub ok: bool,
}

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastParams {}

/// Whether there are heartbeats.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetParams {
    /// Whether there are.
    pub enabled: bool,
}

/// Whether there are heartbeats now.
#[derive(Debug, Serialize)]
pub struct HeartbeatsSet {
    /// Always true.
    pub ok: bool,
    /// Whether there are.
    pub enabled: bool,
}

/// How a heartbeat ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BeatStatus {
    /// It had something to say.
    Sent,
    /// It said nothing.
    OkEmpty,
    /// It said that there is nothing to say.
    OkToken,
    /// It did not take place.
    Skipped,
    /// It failed.
    Failed,
}

/// One heartbeat: what the event `heartbeat` carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beat {
    /// When it ended, in milliseconds since the epoch.
    pub ts: u64,
    /// How it ended.
    pub status: BeatStatus,
    /// The start of what it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
    /// Why it did not take place or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Always false.
    pub has_media: bool,
    /// How long it took.
    pub duration_ms: u64,
}
