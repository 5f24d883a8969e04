//! `hooks.status`: what `/hooks/*` takes. The hooks themselves are a route, not methods.
//!
//! Of what a hook may say, `wakeMode` of a hook that begins a run has no effect, as runs begin at
//! once; neither have `channel`, `to` and `accountId`, as there are no channels yet. An idempotency
//! key stands for its run for a day; one whose run was refused, or was lost with its process, is
//! new again.

use serde::{Deserialize, Serialize};
use types::AgentId;

methods! { Worker;
    /// Webhooks of one tenant.
    pub trait Hooks {
        /// What `/hooks/*` takes.
        "hooks.status" [Read] fn status(StatusParams) -> Status;
    }
}

/// For whom.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StatusParams {
    /// No effect: hooks are the tenant's, not an agent's.
    pub agent_id: Option<AgentId>,
}

/// What `/hooks/*` takes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether hooks are answered at all.
    pub enabled: bool,
    /// Where they are.
    pub path: &'static str,
    /// The longest body, in bytes.
    pub max_body_bytes: usize,
    /// Whether a request may choose its session.
    pub allow_request_session_key: bool,
    /// Hooks beside `wake` and `agent`, in the order in which they are tried.
    pub mappings: Vec<Mapping>,
}

/// One hook of the tenant's own.
#[derive(Debug, Serialize)]
pub struct Mapping {
    /// Its name.
    pub id: String,
    /// The last segment of its path; none where it matches all.
    pub path: Option<String>,
    /// `wake` or `agent`.
    pub action: &'static str,
}
