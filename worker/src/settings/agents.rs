//! What the settings say about agents and their runs: `agents.defaults` and `messages.queue`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::tools::policy::Rules;

/// Seconds of a run where nothing is set, as in `OpenClaw`.
const TIMEOUT_S: u64 = 172_800;
/// Answers with calls of tools in one run where nothing is set.
const MAX_STEPS: usize = 32;
/// Tokens that a model takes at once where nothing is set.
const CONTEXT_TOKENS: u64 = 128_000;
/// Fewer would leave no room for the files of the workspace.
const MIN_CONTEXT_TOKENS: u64 = 16_000;
/// Tokens that are kept free for the answer, and tokens that a compaction leaves as they are.
const RESERVE_TOKENS: u64 = 20_000;
const KEEP_RECENT_TOKENS: u64 = 20_000;

/// `agents`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Agents {
    pub(crate) defaults: Defaults,
    /// The tools of single agents, by id.
    pub(crate) tools: BTreeMap<String, Rules>,
}

/// `agents.defaults`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Defaults {
    pub(crate) model: Option<ModelChoice>,
    timeout_seconds: Option<u64>,
    max_steps: Option<usize>,
    max_tokens_per_run: Option<u64>,
    context_tokens: Option<u64>,
    pub(crate) compaction: Compaction,
    pub(crate) memory_search: MemorySearch,
    pub(crate) heartbeat: crate::heartbeat::HeartbeatSettings,
    /// The skills that agents may use; all where nothing is said.
    pub(crate) skills: Option<Vec<String>>,
}

impl Defaults {
    /// How long a run may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.filter(|s| *s > 0).unwrap_or(TIMEOUT_S))
    }

    /// Answers of one run in which its model may call tools of the agent.
    pub(crate) fn max_steps(&self) -> usize {
        self.max_steps.unwrap_or(MAX_STEPS)
    }

    /// Tokens after which a run takes no further step.
    pub(crate) fn max_tokens_per_run(&self) -> u64 {
        self.max_tokens_per_run.filter(|max| *max > 0).unwrap_or(u64::MAX)
    }

    /// Tokens that a model takes at once.
    pub(crate) fn context_tokens(&self) -> u64 {
        self.context_tokens.unwrap_or(CONTEXT_TOKENS).max(MIN_CONTEXT_TOKENS)
    }

    /// Tokens that a conversation may have before it is compacted.
    pub(crate) fn room(&self) -> u64 {
        let context = self.context_tokens();
        let reserve = self.compaction.reserve_tokens.unwrap_or(RESERVE_TOKENS);
        context.saturating_sub(reserve).max(context / 4)
    }

    /// Tokens of the newest messages that a compaction leaves as they are.
    pub(crate) fn keep_recent(&self) -> u64 {
        self.compaction.keep_recent_tokens.unwrap_or(KEEP_RECENT_TOKENS).min(self.room() / 2)
    }
}

/// A model, or a model and those that take its place when it fails.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum ModelChoice {
    /// `"PROVIDER/MODEL"`.
    Name(String),
    /// With fallbacks.
    Chain {
        primary: Option<String>,
        #[serde(default)]
        fallbacks: Vec<String>,
    },
}

impl ModelChoice {
    /// The names, in the order in which they are tried.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let (primary, fallbacks) = match self {
            Self::Name(name) => (Some(name), None),
            Self::Chain { primary, fallbacks } => (primary.as_ref(), Some(fallbacks)),
        };
        primary.into_iter().chain(fallbacks.into_iter().flatten()).map(String::as_str)
    }
}

/// `agents.defaults.compaction`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Compaction {
    reserve_tokens: Option<u64>,
    keep_recent_tokens: Option<u64>,
}

/// `agents.defaults.memorySearch`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MemorySearch {
    enabled: Option<bool>,
    /// The model of embeddings; words alone are searched where there is none.
    pub(crate) model: Option<String>,
}

impl MemorySearch {
    /// Whether there is a memory to search.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }
}

/// `messages`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Messages {
    pub(crate) queue: Queue,
}

/// `messages.queue`: what happens to a message that comes while a run of its session goes on.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Queue {
    mode: QueueMode,
    debounce_ms: Option<u64>,
    cap: Option<usize>,
    pub(crate) drop: DropPolicy,
}

impl Queue {
    /// How messages of a session wait, whose entry may say so itself; a word that is no mode says
    /// nothing.
    pub(crate) fn mode_of(&self, of_session: Option<&str>) -> QueueMode {
        of_session.and_then(QueueMode::from_name).unwrap_or(self.mode)
    }

    /// How long there must be no further message before those that wait are taken together.
    pub(crate) fn debounce(&self) -> Duration {
        // A minute is longer than anybody types between two messages.
        Duration::from_millis(self.debounce_ms.unwrap_or(500).min(60_000))
    }

    /// Messages that may wait in one session.
    pub(crate) fn cap(&self) -> usize {
        // The lane of a session holds 32, with the one that runs.
        self.cap.unwrap_or(20).clamp(1, 30)
    }
}

/// How waiting messages are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum QueueMode {
    /// Into the run that goes on, at its next step. As yet: as `followup`.
    #[default]
    #[serde(alias = "steer-backlog")]
    Steer,
    /// One after the other.
    Followup,
    /// All together in one run.
    Collect,
    /// At once: what goes on is stopped.
    Interrupt,
}

impl QueueMode {
    /// The mode called `name`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "steer" | "steer-backlog" => Some(Self::Steer),
            "followup" => Some(Self::Followup),
            "collect" => Some(Self::Collect),
            "interrupt" => Some(Self::Interrupt),
            _ => None,
        }
    }

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Steer => "steer",
            Self::Followup => "followup",
            Self::Collect => "collect",
            Self::Interrupt => "interrupt",
        }
    }
}

/// What happens to a message for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DropPolicy {
    /// The oldest one that waits goes, and its start is told to the model.
    #[default]
    Summarize,
    /// The oldest one that waits goes.
    Old,
    /// The new one is refused.
    New,
}
