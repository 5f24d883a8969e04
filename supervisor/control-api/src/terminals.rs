//! Terminals of a tenant that an operator opens: a shell in the tenant's own sandbox.

use serde::{Deserialize, Serialize};
use types::AgentId;
use utoipa::ToSchema;

use crate::Timestamp;

/// The most bytes that are typed with one request.
pub const MAX_TYPED: usize = 64 << 10;

/// A terminal to open.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenTerminal {
    /// Columns.
    pub cols: u32,
    /// Rows.
    pub rows: u32,
    /// In whose workspace; `main` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentId>,
}

/// A terminal that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenedTerminal {
    /// What names it.
    pub terminal_id: String,
}

/// The open terminals of a tenant, the tenant's own among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TerminalList {
    /// The terminals.
    pub terminals: Vec<Terminal>,
}

/// One terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Terminal {
    /// What names it.
    pub terminal_id: String,
    /// Whether its shell runs.
    pub open: bool,
    /// In whose workspace it began, while it is open.
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentId>,
    /// When it was opened, while it is open.
    pub created_at: Option<Timestamp>,
    /// When somebody last typed, while it is open.
    pub last_typed_at: Option<Timestamp>,
    /// The shell's exit code, when it has ended by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended the shell.
    pub signal: Option<i32>,
    /// Why it ended: `process_exit`, closed, idle, expired or error.
    pub reason: Option<String>,
}

/// A terminal's size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TerminalSize {
    /// Columns.
    pub cols: u32,
    /// Rows.
    pub rows: u32,
}

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Typed {
    /// How many bytes.
    pub bytes: usize,
}
