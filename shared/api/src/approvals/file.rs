//! The tenant's file of approvals: what its agents may run without being asked about. A closed form:
//! what is not known here is refused, not kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The form of the file.
pub const VERSION: u8 = 1;

/// How much may run. In the order from strict to free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Nothing.
    Deny,
    /// What the list has.
    Allowlist,
    /// Everything.
    Full,
}

impl Security {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allowlist => "allowlist",
            Self::Full => "full",
        }
    }
}

/// When somebody is asked. In the order from seldom to always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskWhen {
    /// Never.
    Off,
    /// For what the list does not have.
    OnMiss,
    /// For everything.
    Always,
}

impl AskWhen {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::OnMiss => "on-miss",
            Self::Always => "always",
        }
    }
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// [`VERSION`].
    pub version: u8,
    /// Of the reference's own machinery; taken, and not kept: it holds a secret and has no use here.
    #[serde(default, skip_serializing)]
    pub socket: Option<Socket>,
    /// For every agent.
    #[serde(default)]
    pub defaults: Rules,
    /// For single agents, by id; `*` is for all.
    #[serde(default)]
    pub agents: BTreeMap<String, Agent>,
}

impl Default for File {
    fn default() -> Self {
        Self { version: VERSION, socket: None, defaults: Rules::default(), agents: BTreeMap::new() }
    }
}

/// Where the reference's gateway asks its desktop program.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Socket {
    /// A path.
    pub path: Option<String>,
    /// A secret.
    pub token: Option<crate::approvals::Ignored>,
}

/// A level of the file: the rules that every level has, and what is its own. Serde can embed no
/// struct in one that denies unknown members.
macro_rules! level {
    ($(#[$about:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            /// How much may run.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub security: Option<Security>,
            /// When somebody is asked.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub ask: Option<AskWhen>,
            /// What holds when nobody answers. Kept; whatever it says, nothing runs then.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub ask_fallback: Option<Security>,
            /// Kept, and without effect: a skill's programs are no exception.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub auto_allow_skills: Option<bool>,
            $($own)*
        }
    };
}

level! {
    /// What holds where nothing narrower does.
    pub struct Rules {}
}

level! {
    /// What holds for one agent.
    pub struct Agent {
        /// What it may run.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub allowlist: Vec<Entry>,
        /// Kept, and without effect: no tool of another server needs approval here.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub mcp_tools: Vec<McpTool>,
    }
}

/// One program that an agent may run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// What names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The program: a name, or a path; `*` and `?` stand for characters of one part of it, `**` for
    /// any parts.
    pub pattern: String,
    /// Where it comes from, if somebody's decision made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What it was made for, to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_text: Option<String>,
    /// Its arguments, each as a pattern, with a NUL between two; `**` as the last is for any more.
    /// `sha256:DIGEST:` before one holds it to a file of that content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arg_pattern: Option<String>,
    /// In which directory alone it holds; everywhere where none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// When it was last of use, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<f64>,
    /// For what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_command: Option<String>,
    /// As what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_resolved_path: Option<String>,
}

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Somebody decided so.
    AllowAlways,
}

/// One tool of another server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpTool {
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// Where it comes from.
    pub source: Source,
    /// When it was allowed.
    pub added_at: f64,
    /// When it was last of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<f64>,
}
