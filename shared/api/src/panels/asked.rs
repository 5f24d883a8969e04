//! Parameters of panels. They are checked as the official gateway checks them; where nothing can
//! be found, what is looked for makes no difference.

use serde::Deserialize;
use serde::de::IgnoredAny;
use types::AgentId;

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// One session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SessionParams {
    /// Its key, 1 to 512 bytes.
    pub session_key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
}

/// One session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CardParams {
    /// Its key, 1 to 512 bytes.
    pub session_key: String,
}

/// Which canvas.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SurfaceParams {
    /// Its name.
    pub surface: String,
    /// The address that the client has.
    pub observed_url: Option<String>,
}

/// Which projects.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ProjectsParams {
    /// Also those that nodes have seen.
    pub include_observed: Option<bool>,
}

/// Which work.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TasksParams {
    /// In what state.
    pub status: Option<TaskStates>,
    /// Whose.
    pub agent_id: Option<AgentId>,
    /// Of which session.
    pub session_key: Option<String>,
    /// 1 to 500.
    pub limit: Option<u16>,
    /// Where the last answer ended.
    pub cursor: Option<String>,
    /// In what order. Official clients send it, although no published schema has it.
    pub sort_by: Option<String>,
}

/// One state or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum TaskStates {
    /// One.
    One(TaskState),
    /// Any of these.
    Any(Vec<TaskState>),
}

/// The state of a piece of work.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Waits.
    Queued,
    /// Goes on.
    Running,
    /// Is done.
    Completed,
    /// Came to nothing.
    Failed,
    /// Was stopped.
    Cancelled,
    /// Took too long.
    TimedOut,
}

/// Whose proposals.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SuggestionsParams {
    /// Of which session.
    pub session_key: Option<String>,
    /// Of which agent.
    pub agent_id: Option<AgentId>,
}

/// Whether a window is looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VisibilityParams {
    /// Whether it is.
    pub visible: bool,
}

/// One session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PublishingParams {
    /// Its key, 1 to 512 bytes.
    pub session_key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// A publication under way.
    pub idempotency_key: Option<String>,
}

/// Which sessions of other programs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CatalogsParams {
    /// Of which program.
    pub catalog_id: Option<String>,
    /// Where the last answers ended, by machine.
    pub cursors: Option<std::collections::BTreeMap<String, String>>,
    /// For which agent.
    pub agent_id: Option<AgentId>,
    /// Under which id progress is told.
    pub progress_id: Option<String>,
    /// Words.
    pub search: Option<String>,
    /// At least 1.
    pub limit_per_host: Option<u32>,
    /// On which machines.
    pub host_ids: Option<Vec<String>>,
    /// Official clients send it, although no published schema has it.
    pub allow_partial_results: Option<bool>,
    /// Official clients send it, although no published schema has it.
    pub metadata_only: Option<bool>,
}

/// Which sessions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PullRequestsParams {
    /// Their keys.
    pub session_keys: Vec<String>,
    /// The agent of keys that name none.
    pub agent_id: Option<AgentId>,
}

/// Which voices.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TalkParams {
    /// Of whom.
    pub provider: Option<String>,
    /// Of which model.
    pub model: Option<String>,
}

/// How much to tell.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TalkConfigParams {
    /// No effect: there are none.
    pub include_secrets: Option<bool>,
}

/// Which preferences.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PreferencesParams {
    /// Their names.
    pub keys: Option<Vec<String>>,
}

/// Preferences to keep.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SetPreferencesParams {
    /// What the client would keep; it is not looked at.
    pub entries: IgnoredAny,
}

/// Which days.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CostParams {
    /// As many, up to today; 1 to 366, 30 if absent.
    pub days: Option<u16>,
    /// The first one, as `2026-11-22`; goes before `days`.
    pub start_date: Option<String>,
    /// The last one, as `2026-11-22`; today if absent.
    pub end_date: Option<String>,
    /// No effect: days are those of UTC, in which use is counted.
    pub mode: Option<String>,
    /// No effect.
    pub utc_offset: Option<String>,
    /// No effect.
    pub time_zone: Option<String>,
    /// No effect: use is counted for the tenant as a whole.
    pub agent_id: Option<AgentId>,
    /// No effect.
    pub agent_scope: Option<String>,
}

/// Which machines.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EnvironmentsParams {
    /// Official clients send it, although no published schema has it.
    pub projection: Option<String>,
    /// Official clients send it, although no published schema has it.
    pub runtime_id: Option<String>,
    /// Official clients send it, although no published schema has it.
    pub include_desktop_setup: Option<bool>,
}

/// Which deeds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AuditParams {
    /// Whose.
    pub agent_id: Option<AgentId>,
    /// In which session.
    pub session_key: Option<String>,
    /// In which run.
    pub run_id: Option<String>,
    /// Of what kind.
    pub kind: Option<String>,
    /// With what end.
    pub status: Option<String>,
    /// From when on, in milliseconds since the epoch.
    pub after: Option<u64>,
    /// Until when.
    pub before: Option<u64>,
    /// 1 to 500.
    pub limit: Option<u16>,
    /// Where the last answer ended.
    pub cursor: Option<String>,
}

/// Which deeds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ActivityParams {
    /// Whose.
    pub agent_id: Option<AgentId>,
    /// In which session.
    pub session_key: Option<String>,
    /// In which run.
    pub run_id: Option<String>,
    /// Of what kind.
    pub kind: Option<String>,
    /// With what end.
    pub status: Option<String>,
    /// From a chat peer or to one.
    pub direction: Option<String>,
    /// Over which channel.
    pub channel: Option<String>,
    /// From when on, in milliseconds since the epoch.
    pub after: Option<u64>,
    /// Until when.
    pub before: Option<u64>,
    /// 1 to 500.
    pub limit: Option<u16>,
    /// Where the last answer ended.
    pub cursor: Option<String>,
}
