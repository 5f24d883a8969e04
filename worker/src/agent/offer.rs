//! Which tools a turn offers its model: those that its agent may use, and those that a client
//! brings, whose calls go back to it.

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use proto::host::Params;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::key::SessionKey;
use super::run::Source;
use super::turn::Turn;
use crate::openai::Fault;
use crate::service::Core;
use crate::store::Row;
use crate::tools::{self, Allowed, policy};

/// A choice of tools that gives text instead.
const NO_CALL: &[u8] = b"\"none\"";
/// Choices that name no tool and demand none.
const GENERAL: [&[u8]; 2] = [NO_CALL, b"\"auto\""];

/// The tools of one turn.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// Those of the agent that the turn may use.
    pub(super) allowed: Allowed,
    /// How many runs started each other before this one.
    pub(super) depth: u8,
    /// The names of the client's.
    clients: HashSet<String>,
    /// All of them, as the model gets them.
    json: Bytes,
    /// What the client says of their use.
    choice: Bytes,
}

impl Offer {
    /// The tools of `turn` in a session whose entry is `row`.
    ///
    /// # Errors
    /// When what the client brings is no list of tools.
    pub(super) fn new(core: &Core, turn: &Turn, row: Option<&Row>) -> Result<Self, Fault> {
        let mut allowed = allowed(core, turn, row);
        let depth = row.and_then(|row| row.meta.spawn_depth).unwrap_or(0);
        let depth = u8::try_from(depth).unwrap_or(u8::MAX).max(turn.depth);
        let brought = Brought::read(&turn.params.tools)?;
        if brought.is_demanded(&turn.params.tool_choice) {
            // It wants a call of its own, and gets no answer from elsewhere.
            allowed = Allowed::default();
        }
        // A name means one thing in a request: what the client brings takes its place.
        let theirs: Vec<&str> = brought.names.iter().map(String::as_str).collect();
        allowed = allowed.without(&theirs);
        let json = match (allowed.is_empty(), brought.names.is_empty()) {
            (true, _) => turn.params.tools.clone(),
            (false, true) => joined(&allowed, &[]),
            (false, false) => joined(&allowed, &brought.raw),
        };
        let choice = match &*turn.params.tool_choice {
            // Without tools of its own a client cannot know what it would choose from.
            choice if brought.names.is_empty() && !GENERAL.contains(&choice) => Bytes::new(),
            _ => turn.params.tool_choice.clone(),
        };
        Ok(Self { allowed, depth, clients: brought.names, json, choice })
    }

    /// Whether a call of this tool goes to the client.
    pub(super) fn is_clients(&self, name: &str) -> bool {
        self.clients.contains(name)
    }

    /// Puts the tools into what the model is asked. The last question of a run has them too, for
    /// the calls before it, and takes none.
    pub(super) fn put(&self, params: &mut Params, is_last: bool) {
        params.tools = self.json.clone();
        params.tool_choice = self.choice.clone();
        if is_last && !self.json.is_empty() {
            params.tool_choice = Bytes::from_static(NO_CALL);
        }
    }

    /// The agent's tools in a line each.
    pub(super) fn told(&self) -> String {
        let rows = tools::rows().filter(|row| self.allowed.has(row.name));
        let lines = rows.map(|row| format!("- `{}`: {}", row.name, row.in_a_sentence()));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// What runs of a session may use: what its agent may by its rules, and its starter might.
pub(crate) fn allowed_in(core: &Core, key: &SessionKey, row: Option<&Row>) -> Allowed {
    let settings = core.live.now().settings;
    let agent = settings.agents.tools.get(key.agent().as_str());
    let allowed = policy::allowed(tools::rows(), &settings.tools.rules, agent);
    match row.and_then(|row| row.meta.tools_allow.as_ref()) {
        Some(list) => allowed.and(&policy::listed(tools::rows(), list)),
        None => allowed,
    }
}

/// The same for one turn, less what its own starter or its kind takes away.
fn allowed(core: &Core, turn: &Turn, row: Option<&Row>) -> Allowed {
    let mut allowed = allowed_in(core, &turn.key, row);
    if let Some(ceiling) = &turn.ceiling {
        allowed = allowed.and(ceiling);
    }
    match turn.source {
        // What nobody has asked for makes no more of itself.
        Some(Source::Heartbeat | Source::Wake) => allowed.without(&["cron", "sessions_spawn"]),
        Some(
            Source::Chat
            | Source::Agent
            | Source::Cron
            | Source::Hook
            | Source::Channel
            | Source::Session,
        )
        | None => allowed,
    }
}

/// The tools that a client brings.
#[derive(Default)]
struct Brought<'a> {
    names: HashSet<String>,
    raw: Vec<&'a RawValue>,
}

impl<'a> Brought<'a> {
    fn read(tools: &'a Bytes) -> Result<Self, Fault> {
        #[derive(Deserialize)]
        struct Tool<'b> {
            #[serde(borrow)]
            function: Function<'b>,
        }
        #[derive(Deserialize)]
        struct Function<'b> {
            #[serde(borrow)]
            name: Cow<'b, str>,
        }
        if tools.is_empty() {
            return Ok(Self::default());
        }
        let wrong = |err: serde_json::Error| {
            Fault::unprocessable("tools", format!("tools: not a list of tools: {err}"))
        };
        let raw: Vec<&RawValue> = serde_json::from_slice(tools).map_err(wrong)?;
        let mut names = HashSet::with_capacity(raw.len());
        for one in &raw {
            let tool: Tool<'_> = serde_json::from_str(one.get()).map_err(wrong)?;
            names.insert(tool.function.name.into_owned());
        }
        Ok(Self { names, raw })
    }

    /// Whether the client takes nothing but a call of one of them.
    fn is_demanded(&self, choice: &Bytes) -> bool {
        !self.names.is_empty() && (choice.starts_with(b"{") || &**choice == b"\"required\"")
    }
}

fn joined(allowed: &Allowed, brought: &[&RawValue]) -> Bytes {
    let mut json = String::from("[");
    let ours = tools::schemas().iter().filter(|(name, _)| allowed.has(name));
    let all = ours.map(|(_, schema)| schema.as_str()).chain(brought.iter().map(|raw| raw.get()));
    for schema in all {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(schema);
    }
    json.push(']');
    json.into()
}
