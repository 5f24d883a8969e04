//! What agents can do beside talking: one row per tool, and one file each below `tools/`.
//!
//! A tool decides nothing about who may use it (`policy`), and reaches nothing but the workspace and
//! the powers that the supervisor gives: programs run in sandboxes that the supervisor makes.

mod agents_list;
mod apply_patch;
mod arguments;
mod cron;
mod edit;
mod exec;
mod files;
mod image;
mod inside;
mod memory_get;
mod memory_search;
mod message;
mod paths;
pub(crate) mod policy;
mod process;
mod read;
mod session_status;
mod sessions_history;
mod sessions_list;
mod sessions_send;
mod sessions_spawn;
mod spawns;
#[cfg(test)]
pub(crate) mod testing;
mod web_fetch;
mod write;

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use proto::host::Usage;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tonic::async_trait;

use crate::agent::SessionKey;
use crate::service::Core;

pub(crate) use exec::Programs;
pub(crate) use files::{put, take};
pub(crate) use policy::Allowed;
pub(crate) use spawns::Spawns;

/// Where the tenant's home is, beneath its root: programs in sandboxes see it as `/home/agent`.
pub(crate) const HOME: &str = "home";

/// Groups of tools, as policies name them: `group:fs` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Files of the workspace.
    Fs,
    /// Programs.
    Runtime,
    /// Other sessions and agents.
    Sessions,
    /// What was written down.
    Memory,
    /// The web.
    Web,
    /// Jobs.
    Automation,
    /// Channels.
    Messaging,
    /// Which agents there are.
    Agents,
    /// Pictures.
    Media,
}

impl Group {
    /// Every group, in the order in which people see them.
    pub(crate) const ALL: [Self; 9] = [
        Self::Fs,
        Self::Runtime,
        Self::Web,
        Self::Memory,
        Self::Sessions,
        Self::Messaging,
        Self::Automation,
        Self::Agents,
        Self::Media,
    ];

    /// Its name, which policies say after `group:`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fs => "fs",
            Self::Runtime => "runtime",
            Self::Sessions => "sessions",
            Self::Memory => "memory",
            Self::Web => "web",
            Self::Automation => "automation",
            Self::Messaging => "messaging",
            Self::Agents => "agents",
            Self::Media => "media",
        }
    }

    /// What people see.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Fs => "Files",
            Self::Runtime => "Runtime",
            Self::Sessions => "Sessions",
            Self::Memory => "Memory",
            Self::Web => "Web",
            Self::Automation => "Automation",
            Self::Messaging => "Messaging",
            Self::Agents => "Agents",
            Self::Media => "Media",
        }
    }
}

/// What a model and a person are told of a tool.
#[derive(Debug)]
pub(crate) struct Row {
    /// The name that models call it by.
    pub(crate) name: &'static str,
    /// What people see.
    pub(crate) label: &'static str,
    /// What a policy can call it by.
    pub(crate) group: Group,
    /// Whether it changes nothing: such calls of one answer run side by side.
    pub(crate) is_read_only: bool,
    /// What it does, for the model.
    pub(crate) description: &'static str,
    /// A JSON schema of its arguments, an object that takes no other members.
    pub(crate) parameters: &'static str,
}

impl Row {
    /// What it does, in its first sentence.
    pub(crate) fn in_a_sentence(&self) -> &'static str {
        let end = self.description.find(". ").map_or(self.description.len(), |at| at + 1);
        self.description.get(..end).unwrap_or_default()
    }
}

/// Who calls a tool, and for which run. Dropping the future of a call gives it up.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) core: Core,
    /// The session whose run it is.
    pub(crate) key: SessionKey,
    /// The run; results and events of the call carry it.
    pub(crate) run_id: String,
    /// The request in whose name models are asked, so that what is used counts for its token.
    pub(crate) request_id: String,
    /// The id that the model gave the call.
    pub(crate) call_id: String,
    /// How many runs started each other before this one; 0 for a run that a person or job started.
    pub(crate) depth: u8,
    /// The tools that the run has: what the call starts may use no other.
    pub(crate) allowed: Allowed,
    /// Takes what there is to show before the end, such as a program's output so far.
    pub(crate) updates: tokio::sync::mpsc::Sender<String>,
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// What the model gets.
    pub(crate) content: Vec<Content>,
    /// What people and programs get beside it; an object.
    pub(crate) details: Value,
    /// What models that it asked have used.
    pub(crate) used: Usage,
}

/// A part of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Text, bounded by the tool; what is longer than the run's bound is cut again.
    Text(String),
    /// A picture.
    Image {
        /// Such as `image/png`.
        mime: String,
        /// Base64.
        data: String,
    },
}

/// Why a call gave nothing. The model is told, and the run goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The arguments are not what the tool takes: names the argument and the limit.
    Invalid(String),
    /// Policy, an approver or a limit forbids it.
    Refused(String),
    /// It was tried and did not work.
    Failed(String),
}

impl Failure {
    /// The same, told after what there was before it.
    pub(crate) fn after(self, output: &str) -> Self {
        let join = |text: String| match output {
            "" => text,
            output => format!("{output}\n\n[{text}]"),
        };
        match self {
            Self::Invalid(text) => Self::Invalid(join(text)),
            Self::Refused(text) => Self::Refused(join(text)),
            Self::Failed(text) => Self::Failed(join(text)),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) | Self::Refused(text) | Self::Failed(text) => f.write_str(text),
        }
    }
}

impl Outcome {
    /// A text, and nothing beside it.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::of(vec![Content::Text(text.into())])
    }

    /// These parts, and nothing beside them.
    pub(crate) fn of(content: Vec<Content>) -> Self {
        let (details, used) = (Value::Object(<_>::default()), Usage::default());
        Self { content, details, used }
    }

    /// The same with details.
    pub(crate) fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}

/// One tool.
#[async_trait]
pub(crate) trait Tool: fmt::Debug + Send + Sync {
    /// What is told of it.
    fn row(&self) -> &'static Row;

    /// Whether calling it again with the same arguments is how one waits, as for a program.
    fn waits(&self) -> bool {
        false
    }

    /// What of a result counts where it is asked whether a call repeats itself: all, but for a time
    /// of day.
    fn essence<'a>(&self, result: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(result)
    }

    /// Does it. `arguments` is what the model wrote, parsed, an object.
    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure>;
}

/// Every tool that this worker has, in the order in which models see them.
pub(crate) static TOOLS: &[&dyn Tool] = &[
    &read::Read,
    &write::Write,
    &edit::Edit,
    &apply_patch::ApplyPatch,
    &exec::Exec,
    &process::Process,
    &web_fetch::WebFetch,
    &memory_search::MemorySearch,
    &memory_get::MemoryGet,
    &sessions_list::SessionsList,
    &sessions_history::SessionsHistory,
    &sessions_send::SessionsSend,
    &sessions_spawn::SessionsSpawn,
    &session_status::SessionStatus,
    &message::Message,
    &cron::Cron,
    &agents_list::AgentsList,
    &image::Image,
];

/// What is told of every tool.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    TOOLS.iter().map(|tool| tool.row())
}

/// The tool called `name`.
pub(crate) fn find(name: &str) -> Option<&'static dyn Tool> {
    TOOLS.iter().copied().find(|tool| tool.row().name == name)
}

/// Every tool by name, as a model gets it.
pub(crate) fn schemas() -> &'static [(&'static str, String)] {
    #[derive(Serialize)]
    struct Outer<'a> {
        r#type: &'static str,
        function: Function<'a>,
    }
    #[derive(Serialize)]
    struct Function<'a> {
        name: &'a str,
        description: &'a str,
        parameters: &'a RawValue,
    }
    static SCHEMAS: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| {
        let schema = |row: &'static Row| {
            let Row { name, description, .. } = *row;
            // A test reads every schema: one that is no JSON does not get here.
            let parameters = serde_json::from_str(row.parameters).ok()?;
            let function = Function { name, description, parameters };
            let schema = serde_json::to_string(&Outer { r#type: "function", function }).ok()?;
            Some((name, schema))
        };
        rows().filter_map(schema).collect()
    });
    &SCHEMAS
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_tool_is_told_as_the_others_are() {
        let mut names = HashSet::new();
        for row in rows() {
            assert!(names.insert(row.name), "{} is there twice", row.name);
            assert!(!row.label.is_empty() && row.description.ends_with('.'), "{}", row.name);
            let schema: Value = serde_json::from_str(row.parameters).unwrap();
            assert_eq!(schema["type"], "object", "{}", row.name);
            assert_eq!(schema["additionalProperties"], false, "{}", row.name);
            let members = schema["properties"].as_object().unwrap();
            let required = schema["required"].as_array().into_iter().flatten();
            for name in required.map(|name| name.as_str().unwrap()) {
                assert!(members.contains_key(name), "{}: {name}", row.name);
            }
        }
        assert_eq!(schemas().len(), names.len());
    }
}
