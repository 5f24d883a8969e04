//! What callers and those who decide are told of approvals. Text that others wrote is shown with every
//! character that would show as something else written out.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{AskWhen, Decision, File, Security};

/// What is asked.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The command as text, each word quoted where it needs it; cut with a mark where it is long.
    pub command: String,
    /// The command as words, each with backslashes and unusual characters escaped.
    pub command_argv: Vec<String>,
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Variables; of those that nobody may see, the name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Files that the command names, and what they must be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<BoundFile>,
    /// On what: `sandbox` for the tenant's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// On which node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// What holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security: Option<String>,
    /// What holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<String>,
    /// Whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_path: Option<String>,
    /// In which session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_key: Option<String>,
    /// In which run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// By which call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// What those who decide should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning_text: Option<String>,
    /// What can be decided.
    pub allowed_decisions: Vec<Decision>,
}

/// A file that a command names.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BoundFile {
    /// Which word names it.
    pub argv_index: u32,
    /// SHA-256 of what it must be, in hexadecimal.
    pub sha256: String,
}

/// A request that waits; also the event `exec.approval.requested`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// What names it.
    pub id: String,
    /// What is asked.
    pub request: Request,
    /// When, in milliseconds since the epoch.
    pub created_at_ms: u64,
    /// Until when somebody can decide.
    pub expires_at_ms: u64,
}

/// A request that is over: the event `exec.approval.resolved`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Over<'a> {
    /// Which.
    pub id: &'a str,
    /// What was decided; `deny` where nobody did.
    pub decision: Decision,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<&'a str>,
    /// When, in milliseconds since the epoch.
    pub ts: u64,
}

/// The first of two answers: it waits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted<'a> {
    /// `accepted`.
    pub status: &'static str,
    /// What names it.
    pub id: &'a str,
    /// When, in milliseconds since the epoch.
    pub created_at_ms: u64,
    /// Until when somebody can decide.
    pub expires_at_ms: u64,
}

/// How a request ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// Which.
    pub id: String,
    /// What was decided; null where nobody did.
    pub decision: Option<Decision>,
    /// Why nobody did: `no-route`, `timeout`, `cancelled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal_reason: Option<&'static str>,
    /// When it was asked, in milliseconds since the epoch.
    pub created_at_ms: u64,
    /// Until when somebody could decide.
    pub expires_at_ms: u64,
}

/// One request that waits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Described {
    /// What names it.
    pub id: String,
    /// The command as text.
    pub command_text: String,
    /// Null.
    pub command_preview: Option<String>,
    /// What can be decided.
    pub allowed_decisions: Vec<Decision>,
    /// On what.
    pub host: Option<String>,
    /// On which node.
    pub node_id: Option<String>,
    /// Whose.
    pub agent_id: Option<String>,
    /// Until when somebody can decide, in milliseconds since the epoch.
    pub expires_at_ms: u64,
}

/// It was decided.
#[derive(Debug, Serialize)]
pub struct Resolved {
    /// True.
    pub ok: bool,
}

/// Standing consents.
#[derive(Debug, Default, Serialize)]
pub struct Grants {
    /// None.
    pub grants: [(); 0],
}

/// How ending a standing consent ended.
#[derive(Debug, Serialize)]
pub struct GrantRevoked {
    /// `not-found`.
    pub outcome: &'static str,
}

/// One request.
#[derive(Debug, Serialize)]
pub struct Snapshotted {
    /// The request.
    pub approval: Snapshot,
}

/// How deciding ended.
#[derive(Debug, Serialize)]
pub struct Applied {
    /// Whether it was this call that decided.
    pub applied: bool,
    /// The request.
    pub approval: Snapshot,
}

/// Requests that are over.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Newest first.
    pub items: Vec<Snapshot>,
    /// Where the next answer begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One request, whether it waits or is over.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// What names it.
    pub id: String,
    /// Where a page of it would be; there is none.
    pub url_path: String,
    /// When, in milliseconds since the epoch.
    pub created_at_ms: u64,
    /// Until when somebody can or could decide.
    pub expires_at_ms: u64,
    /// What is asked.
    pub presentation: Presentation,
    /// In which session, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_session_key: Option<String>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_at_ms: Option<u64>,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver: Option<Resolver>,
    /// `pending`, `allowed`, `denied`, `expired`, `cancelled`.
    pub status: &'static str,
    /// What was decided, if somebody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Why it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// What is asked, for people.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Presentation {
    /// `exec`.
    pub kind: &'static str,
    /// The command as text.
    pub command_text: String,
    /// What those who decide should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning_text: Option<String>,
    /// On what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// On which node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// Whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// What can be decided.
    pub allowed_decisions: Vec<Decision>,
}

/// Who decided.
#[derive(Debug, Clone, Serialize)]
pub struct Resolver {
    /// `device` or `runtime`.
    pub kind: &'static str,
    /// Which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// The tenant's file of approvals.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policies {
    /// What it is called; there is no such file.
    pub path: &'static str,
    /// Whether there is one.
    pub exists: bool,
    /// What it says.
    pub file: Shown,
    /// What names this state of it.
    pub hash: String,
    /// What holds where it says nothing.
    pub resolved_defaults: Resolution,
}

/// The file as it is shown.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// What it says.
    #[serde(flatten)]
    pub file: File,
    /// Of the reference's own machinery.
    pub socket: NoSocket,
}

/// No socket.
#[derive(Debug, Default, Serialize)]
pub struct NoSocket {}

/// What holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolution {
    /// How much may run.
    pub security: Security,
    /// When somebody is asked.
    pub ask: AskWhen,
    /// `deny`.
    pub ask_fallback: Security,
    /// False.
    pub auto_allow_skills: bool,
}
