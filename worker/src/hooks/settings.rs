//! `hooks` of the settings.

use serde::Deserialize;

/// Mappings that are read.
const MAX_MAPPINGS: usize = 64;

/// `hooks`. They are on where nothing is said: without a token of the scope `hooks` nobody can
/// call them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HookSettings {
    enabled: Option<bool>,
    mappings: Vec<Mapping>,
    pub(super) default_session_key: Option<String>,
    pub(super) allow_request_session_key: Option<bool>,
    pub(super) allowed_session_key_prefixes: Option<Vec<String>>,
    pub(super) allowed_agent_ids: Option<Vec<String>>,
}

impl HookSettings {
    /// Whether hooks are answered.
    pub(crate) fn is_on(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// Whether a request may choose its session.
    pub(crate) fn request_chooses(&self) -> bool {
        self.allow_request_session_key.unwrap_or(false)
    }

    /// The hooks beside `wake` and `agent`, in the order in which they are tried.
    pub(crate) fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        self.mappings.iter().take(MAX_MAPPINGS)
    }
}

/// One of `hooks.mappings`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Mapping {
    pub(crate) id: Option<String>,
    pub(crate) r#match: Match,
    pub(crate) action: Option<Action>,
    pub(super) wake_mode: Option<api::cron::WakeMode>,
    pub(super) name: Option<String>,
    pub(super) agent_id: Option<String>,
    pub(super) session_key: Option<String>,
    pub(super) message_template: Option<String>,
    pub(super) text_template: Option<String>,
    pub(super) deliver: Option<bool>,
    pub(super) model: Option<String>,
    pub(super) thinking: Option<String>,
    pub(super) timeout_seconds: Option<u32>,
    /// Refused: no code of a tenant runs here.
    pub(super) transform: Option<serde_json::Value>,
    /// Refused, as one request would be many runs.
    pub(super) for_each: Option<serde_json::Value>,
}

/// Which requests a mapping is for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Match {
    /// The last segment of the path.
    pub(crate) path: Option<String>,
    /// The field `source` of the body.
    pub(crate) source: Option<String>,
}

/// What a mapping does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    Wake,
    Agent,
}

impl Mapping {
    /// What it does: a turn where nothing is said.
    pub(crate) fn action(&self) -> Action {
        self.action.unwrap_or(Action::Agent)
    }
}
