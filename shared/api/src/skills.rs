//! Skills: what the agents of a tenant can be taught by a folder with a `SKILL.md`.
//!
//! Paths in results are those of the tenant's own root (`/tenant/..`), never the host's. What a
//! tenant sets of a skill (`skills.update`) is the supervisor's: see `skill_settings`.

use serde::{Deserialize, Serialize};

methods! {
    Worker;
    /// Skills.
    pub trait Skills {
        /// The skills that an agent has, and what each of them lacks.
        "skills.status" [Read] fn status(StatusParams) -> StatusReport;
        /// The programs that skills want of a node.
        "skills.bins" [Read nodes] fn bins(BinsParams) -> BinsReport;
        /// Installs what a skill needs.
        "skills.install" [Admin long] fn install(InstallParams) -> InstallReport;
    }
}

/// Whose skills are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusParams {
    /// An agent of the tenant; `main` where there is none.
    pub agent_id: Option<String>,
    /// A session, whose agent it is where `agentId` is missing.
    pub session_key: Option<String>,
}

/// The skills of one agent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// The agent's workspace.
    pub workspace_dir: String,
    /// Where the tenant's own skills are, which all its agents have.
    pub managed_skills_dir: String,
    /// Whose they are.
    pub agent_id: String,
    /// By name; of two with one name the agent's hides the tenant's, and that the platform's.
    pub skills: Vec<SkillStatus>,
    /// Folders whose `SKILL.md` cannot be used, and why.
    pub problems: Vec<Problem>,
}

/// A `SKILL.md` that cannot be used.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Where it is.
    pub file_path: String,
    /// What is wrong with it.
    pub message: String,
}

/// One skill.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the wire format has them")]
pub struct SkillStatus {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// `openclaw-workspace`, `openclaw-managed` or `openclaw-bundled`.
    pub source: &'static str,
    /// Whether it is the platform's.
    pub bundled: bool,
    /// Its `SKILL.md`.
    pub file_path: String,
    /// The folder of that.
    pub base_dir: String,
    /// Under which key settings name it.
    pub skill_key: String,
    /// A picture of one letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
    /// Where people can read more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// The variable that `apiKey` stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_env: Option<String>,
    /// Whether it counts even where something is missing.
    pub always: bool,
    /// Whether the tenant has switched it off.
    pub disabled: bool,
    /// Whether it is the platform's and not among those that are allowed.
    pub blocked_by_allowlist: bool,
    /// Whether the agent may use others only.
    pub blocked_by_agent_filter: bool,
    /// Whether it can be used.
    pub eligible: bool,
    /// Whether the model is told of it.
    pub model_visible: bool,
    /// Whether a person may call it.
    pub user_invocable: bool,
    /// Whether it is offered as a command.
    pub command_visible: bool,
    /// What it needs.
    pub requirements: Requirements,
    /// What of that is not there.
    pub missing: Requirements,
    /// The settings that it needs.
    pub config_checks: Vec<ConfigCheck>,
    /// How what is missing can be installed.
    pub install: Vec<InstallOption>,
}

/// What a skill needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirements {
    /// Programs, all of them.
    pub bins: Vec<String>,
    /// Programs, one of them.
    pub any_bins: Vec<String>,
    /// Variables.
    pub env: Vec<String>,
    /// Settings, by path.
    pub config: Vec<String>,
    /// Operating systems, one of them.
    pub os: Vec<String>,
}

/// One setting that a skill needs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigCheck {
    /// Its path.
    pub path: String,
    /// Whether it is set.
    pub satisfied: bool,
}

/// One way to install what a skill needs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallOption {
    /// For `skills.install`.
    pub id: String,
    /// `brew`, `node`, `go`, `uv` or `download`.
    pub kind: String,
    /// For people.
    pub label: String,
    /// The programs that it brings.
    pub bins: Vec<String>,
}

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinsParams {}

/// Programs.
#[derive(Debug, Serialize)]
pub struct BinsReport {
    /// Names of programs.
    pub bins: Vec<String>,
}

/// What is to be installed: for a skill that is there (`name`, `installId`), or a skill from
/// elsewhere (`source`, with `slug`, and `uploadId` for `upload`).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstallParams {
    /// For which agent; `main` where none is named. What is installed is every agent's.
    pub agent_id: Option<String>,
    /// Which skill.
    pub name: Option<String>,
    /// Which of its ways.
    pub install_id: Option<String>,
    /// No effect: what is dangerous is not done.
    pub dangerously_force_unsafe_install: Option<bool>,
    /// Milliseconds that it may take; at least 1000.
    pub timeout_ms: Option<u64>,
    /// `clawhub` or `upload`.
    pub source: Option<String>,
    /// Which skill of that source.
    pub slug: Option<String>,
    /// Which version of it.
    pub version: Option<String>,
    /// Whether one that is there is replaced.
    pub force: Option<bool>,
    /// Which upload.
    pub upload_id: Option<String>,
    /// What it must be: 64 hexadecimal digits.
    pub sha256: Option<String>,
}

/// How an installation ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallReport {
    /// Whether it is installed.
    pub ok: bool,
    /// What happened, for people.
    pub message: String,
    /// What the installer wrote.
    pub stdout: String,
    /// What it wrote as errors.
    pub stderr: String,
    /// Its exit status.
    pub code: Option<i32>,
    /// What people should know.
    pub warnings: Vec<String>,
}

impl InstallReport {
    /// Nothing was run.
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            ok: false,
            message: message.into(),
            stdout: String::new(),
            stderr: String::new(),
            code: None,
            warnings: Vec::new(),
        }
    }
}
