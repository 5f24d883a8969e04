//! Parameters of `exec.approval.*`, `approval.*` and `exec.approvals.*`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::File;

/// A value of the reference that makes no difference here.
#[derive(Debug, Clone, Copy)]
pub struct Ignored;

impl PartialEq for Ignored {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(from).map(|_| Self)
    }
}

/// What a decision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// This command, once.
    AllowOnce,
    /// This command, from now on.
    AllowAlways,
    /// Not.
    Deny,
}

impl Decision {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllowOnce => "allow-once",
            Self::AllowAlways => "allow-always",
            Self::Deny => "deny",
        }
    }
}

/// What somebody who will run a command asks for. Shown to those who decide; nothing of it is run here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestParams {
    /// 1 to 128 letters, digits and `_ . : -`; a new one where there is none.
    pub id: Option<String>,
    /// The command as text.
    pub command: Option<String>,
    /// The command as words.
    pub command_argv: Option<Vec<String>>,
    /// The command as a node will run it.
    pub system_run_plan: Option<RunPlan>,
    /// Variables.
    pub env: Option<BTreeMap<String, String>>,
    /// Where it will run.
    pub cwd: Option<String>,
    /// On which node.
    pub node_id: Option<String>,
    /// On what; not `sandbox`, which is the gateway's own word.
    pub host: Option<String>,
    /// What holds there.
    pub security: Option<String>,
    /// What holds there.
    pub ask: Option<String>,
    /// What those who decide should know.
    pub warning_text: Option<String>,
    /// No effect.
    pub scope: Option<Ignored>,
    /// What cannot be decided.
    pub unavailable_decisions: Option<Vec<Unavailable>>,
    /// No effect.
    pub command_spans: Option<Vec<Span>>,
    /// Whose.
    pub agent_id: Option<String>,
    /// The program.
    pub resolved_path: Option<String>,
    /// In which session.
    pub session_key: Option<String>,
    /// No effect.
    pub session_id: Option<String>,
    /// In which run.
    pub run_id: Option<String>,
    /// By which call.
    pub tool_call_id: Option<String>,
    /// No effect.
    pub turn_source_channel: Option<String>,
    /// No effect.
    pub turn_source_to: Option<String>,
    /// No effect.
    pub turn_source_account_id: Option<String>,
    /// No effect.
    pub turn_source_thread_id: Option<Ignored>,
    /// No effect: who may decide is a matter of scopes.
    pub approval_reviewer_device_ids: Option<Vec<String>>,
    /// Whether to give up at once where nobody who may decide is connected.
    pub require_delivery_route: Option<bool>,
    /// Whether nobody is told; who asks for the list sees it.
    pub suppress_delivery: Option<bool>,
    /// No effect: nobody else is told.
    pub deliver_to_approval_clients_only: Option<bool>,
    /// How long to wait, in milliseconds: 10 seconds to 30 minutes, 2 minutes by default.
    pub timeout_ms: Option<u64>,
    /// Whether to answer at once that it waits, and again when it is decided.
    pub two_phase: Option<bool>,
}

/// A command as a node will run it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunPlan {
    /// Its words.
    pub argv: Vec<String>,
    /// Where.
    pub cwd: Option<String>,
    /// As text.
    pub command_text: String,
    /// Shorter.
    pub command_preview: Option<String>,
    /// Whose.
    pub agent_id: Option<String>,
    /// In which session.
    pub session_key: Option<String>,
    /// No effect.
    pub policy_snapshot: Option<Ignored>,
    /// No effect.
    pub mutable_file_operand: Option<Ignored>,
}

/// A decision that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unavailable {
    /// From now on.
    AllowAlways,
}

/// A part of a text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Span {
    /// Where it begins.
    pub start_index: u32,
    /// Where it ends.
    pub end_index: u32,
}

/// Which request, and how long to wait.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WaitParams {
    /// Its id.
    pub id: String,
    /// In milliseconds; until it expires where nothing is said.
    pub timeout_ms: Option<u64>,
}

/// Every request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListParams {}

/// Which request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdParams {
    /// Its id.
    pub id: String,
}

/// A decision.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResolveParams {
    /// Of which request.
    pub id: String,
    /// What it is.
    pub decision: Decision,
    /// No effect: who decides is who calls.
    pub reviewer: Option<Reviewer>,
    /// Refused: a consent that ends by itself is not kept.
    pub grant_expires_in_days: Option<u16>,
}

/// Who decided, in the caller's words.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reviewer {
    /// Over which channel.
    pub channel: String,
    /// By which account.
    pub account_id: String,
    /// As whom.
    pub sender_id: String,
}

/// How many standing consents.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantsParams {
    /// 1 to 500.
    pub limit: Option<u16>,
}

/// Which standing consent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeParams {
    /// Its id.
    pub grant_id: String,
}

/// Which request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotParams {
    /// Its id.
    pub id: String,
}

/// What consent is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A command.
    Exec,
    /// An action of a plugin.
    Plugin,
    /// A change of the gateway.
    SystemAgent,
}

/// A decision.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnapshotResolveParams {
    /// Of which request.
    pub id: String,
    /// Of what kind it is.
    pub kind: Kind,
    /// What it is.
    pub decision: Decision,
    /// As in [`ResolveParams`].
    pub reviewer: Option<Reviewer>,
    /// As in [`ResolveParams`].
    pub grant_expires_in_days: Option<u16>,
}

/// Which decisions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryParams {
    /// Where the last answer ended.
    pub cursor: Option<String>,
    /// 1 to 100.
    pub limit: Option<u16>,
    /// Of what kind.
    pub kind: Option<Kind>,
}

/// No parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetParams {}

/// A new file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetParams {
    /// The file.
    pub file: File,
    /// `hash` of the one that it replaces; needed where there is one.
    pub base_hash: Option<String>,
}
