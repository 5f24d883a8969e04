//! `commands.list`: the commands that a message may be, for example `/status`.

use serde::{Deserialize, Serialize};
use types::AgentId;

methods! { Worker;
    /// The commands that a message may be.
    pub trait Commands {
        /// Every one of them.
        "commands.list" [Read] fn list(ListParams) -> CommandList;
    }
}

/// Which commands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ListParams {
    /// No effect: all sessions have the same.
    pub session_key: Option<String>,
    /// No effect: all agents have the same.
    pub agent_id: Option<AgentId>,
    /// No effect: all channels have the same.
    pub provider: Option<String>,
    /// `text`, `native` or `both`; every command here is both.
    pub scope: Option<Scope>,
    /// Whether the arguments are wanted; yes if absent.
    pub include_args: Option<bool>,
}

/// Where a command can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// In a message's text.
    Text,
    /// In a channel's own list of commands.
    Native,
    /// In both.
    Both,
}

/// The commands.
#[derive(Debug, Serialize)]
pub struct CommandList {
    /// At most 500.
    pub commands: Vec<Command>,
}

/// One command.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// Its name without the slash.
    pub name: &'static str,
    /// Its name in a channel's own list.
    pub native_name: &'static str,
    /// How it is written in a text.
    pub text_aliases: Vec<String>,
    /// One sentence.
    pub description: &'static str,
    /// `session`, `options`, `status` or `management`.
    pub category: &'static str,
    /// Always `native`.
    pub source: &'static str,
    /// Where it can be used.
    pub scope: Scope,
    /// Whether anything may follow it.
    pub accepts_args: bool,
    /// What may follow it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
}

/// What may follow a command.
#[derive(Debug, Serialize)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Always `string`.
    pub r#type: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it may be; anything if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
}

/// One value that an argument may have.
#[derive(Debug, Serialize)]
pub struct Choice {
    /// For programs.
    pub value: &'static str,
    /// For people.
    pub label: &'static str,
}
