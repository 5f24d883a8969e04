//! `terminal.*`: shells in the tenant's sandbox. Names, parameters and results are those of
//! `OpenClawMU` and of `OpenClaw`: where both have a method its result is what either expects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

methods! { Supervisor;
    /// The tenant's shells.
    pub trait Terminal {
        /// Opens one. Whoever does it over a connection sees it: `terminal.output` and
        /// `terminal.exit`.
        "terminal.spawn" [Admin] fn terminal_spawn(SpawnParams) -> Opened;
        /// The same, as `OpenClaw` has it: `terminal.data` and `terminal.exit`.
        "terminal.open" [Admin] fn terminal_open(OpenParams) -> Opened;
        /// Sees one that is open: what it has shown of late, and what it shows from then on. With
        /// `sessionId` as after `terminal.open`, with `terminalId` as after `terminal.spawn`.
        "terminal.attach" [Admin] fn terminal_attach(AttachParams) -> Attached;
        /// Types.
        "terminal.write" [Admin unrecorded] fn terminal_write(WriteParams) -> Written;
        /// The same, as `OpenClaw` has it.
        "terminal.input" [Admin unrecorded] fn terminal_input(InputParams) -> Done;
        /// Changes the size of one.
        "terminal.resize" [Admin unrecorded] fn terminal_resize(ResizeParams) -> Resized;
        /// Ends one.
        "terminal.close" [Admin] fn terminal_close(CloseParams) -> Closed;
        /// Those that are open.
        "terminal.list" [Read] fn terminal_list(ListParams) -> List;
    }
}

/// A new shell.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpawnParams {
    /// Columns, from 10 to 500; 80 where nothing is said.
    pub cols: Option<u32>,
    /// Rows, from 5 to 200; 24 where nothing is said.
    pub rows: Option<u32>,
    /// Which shell: `bash`, `sh` or `python3`, or its usual path.
    pub shell: Option<String>,
    /// Its variables: a few by name, and those that the settings allow.
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
    /// For which session. Shells are not of sessions here.
    pub session_key: Option<String>,
    /// Where it goes on. Shells go on nowhere else here.
    pub catalog: Option<serde_json::Map<String, Value>>,
}

/// Which shell, by one of its names.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttachParams {
    /// As `OpenClawMU` names it.
    pub terminal_id: Option<String>,
    /// As `OpenClaw` names it.
    pub session_id: Option<String>,
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

/// What a shell is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shell {
    /// Its id, a UUID.
    pub terminal_id: String,
    /// The same.
    pub session_id: String,
    /// The number of its sandbox, never reused; no process of the host.
    pub pid: u64,
    /// In whose workspace it began.
    pub agent_id: String,
    /// The program.
    pub shell: &'static str,
    /// Where it began.
    pub cwd: &'static str,
    /// Whether it is confined: always.
    pub confined: bool,
}

/// A shell that was opened.
#[derive(Debug, Serialize)]
pub struct Opened {
    /// What it is.
    #[serde(flatten)]
    pub shell: Shell,
    /// Columns.
    pub cols: u32,
    /// Rows.
    pub rows: u32,
}

/// A shell that is seen.
#[derive(Debug, Serialize)]
pub struct Attached {
    /// What it is.
    #[serde(flatten)]
    pub shell: Shell,
    /// What it has shown of late.
    pub buffer: String,
    /// How much it has ever shown, in UTF-16 units: the end of `buffer`.
    pub seq: u64,
}

/// What was typed.
#[derive(Debug, Serialize)]
pub struct Written {
    /// UTF-16 units.
    pub written: usize,
}

/// It was done.
#[derive(Debug, Serialize)]
pub struct Done {
    /// Always true.
    pub ok: bool,
}

/// The size that a shell has now.
#[derive(Debug, Serialize)]
pub struct Resized {
    /// Always true.
    pub ok: bool,
    /// Columns.
    pub cols: u32,
    /// Rows.
    pub rows: u32,
}

/// It is gone.
#[derive(Debug, Serialize)]
pub struct Closed {
    /// Always true.
    pub ok: bool,
    /// Always true.
    pub closed: bool,
}

/// Open shells.
#[derive(Debug, Serialize)]
pub struct List {
    /// Each.
    pub sessions: Vec<Listed>,
}

/// An open shell.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// What it is.
    #[serde(flatten)]
    pub shell: Shell,
    /// Whose it is.
    pub tenant_id: String,
    /// When it was opened, in milliseconds since the epoch.
    pub created_at: u64,
    /// The same.
    pub created_at_ms: u64,
    /// When somebody last typed.
    pub last_activity_at: u64,
    /// Whether any connection sees it.
    pub attached: bool,
}
