//! `terminal.*`: shells in the tenant's sandbox. There is no sandbox for programs yet, so none can
//! be had; names and parameters are those of `OpenClawMU` and, where they differ, of `OpenClaw`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

methods! { Supervisor;
    /// The tenant's shells.
    pub trait Terminal {
        /// Opens one.
        "terminal.spawn" [Admin] fn terminal_spawn(SpawnParams) -> Never;
        /// The same, as `OpenClaw` has it.
        "terminal.open" [Admin] fn terminal_open(OpenParams) -> Never;
        /// Types.
        "terminal.write" [Admin] fn terminal_write(WriteParams) -> Never;
        /// The same, as `OpenClaw` has it.
        "terminal.input" [Admin] fn terminal_input(InputParams) -> Never;
        /// Changes the size of one.
        "terminal.resize" [Admin] fn terminal_resize(ResizeParams) -> Never;
        /// Ends one.
        "terminal.close" [Admin] fn terminal_close(CloseParams) -> Never;
        /// Those that are open: none.
        "terminal.list" [Read] fn terminal_list(ListParams) -> List;
    }
}

/// A new shell.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpawnParams {
    /// Columns.
    pub cols: Option<u32>,
    /// Rows.
    pub rows: Option<u32>,
    /// Which shell.
    pub shell: Option<String>,
    /// Its variables.
    pub env: Option<BTreeMap<String, String>>,
}

/// A new shell.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenParams {
    /// Columns.
    pub cols: u32,
    /// Rows.
    pub rows: u32,
    /// In whose workspace.
    pub agent_id: Option<String>,
    /// For which session.
    pub session_key: Option<String>,
    /// Where it goes on.
    pub catalog: Option<serde_json::Map<String, Value>>,
}

/// What is typed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WriteParams {
    /// Which shell.
    pub terminal_id: String,
    /// The keys.
    pub data: String,
}

/// What is typed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InputParams {
    /// Which shell.
    pub session_id: String,
    /// The keys.
    pub data: String,
}

/// A new size. One of the ids must be there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResizeParams {
    /// Which shell.
    #[serde(alias = "sessionId")]
    pub terminal_id: String,
    /// Columns.
    pub cols: u32,
    /// Rows.
    pub rows: u32,
}

/// Which shell.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloseParams {
    /// Which shell.
    #[serde(alias = "sessionId")]
    pub terminal_id: String,
}

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListParams {}

/// There is no shell to which it could be done.
#[derive(Debug, Serialize)]
pub enum Never {}

/// Open shells.
#[derive(Debug, Serialize)]
pub struct List {
    /// None.
    pub sessions: Vec<Value>,
}
