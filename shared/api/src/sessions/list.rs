//! `sessions.list`.

use serde::de::{Deserializer, Error as _, Unexpected};
use serde::{Deserialize, Serialize};
use types::AgentId;

use super::SessionRow;

/// Which sessions to list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "the official clients send these fields")]
pub struct ListParams {
    /// At most this many, 1 or more; 100 if absent. More than 1000 are as 1000.
    pub limit: Option<u32>,
    /// How many to leave out before the first.
    pub offset: Option<u32>,
    /// Only those used in the last so many minutes, 1 or more.
    pub active_minutes: Option<u32>,
    /// Only those in which somebody has written.
    pub require_last_interaction: bool,
    /// What the order is by, newest first; `updatedAt` if absent.
    pub sort_by: Option<SortBy>,
    /// No effect: there is no such session here.
    pub include_global: bool,
    /// No effect: there is no such session here.
    pub include_unknown: bool,
    /// No effect: only agents that exist have sessions.
    pub configured_agents_only: bool,
    /// Whether titles are wanted.
    pub include_derived_titles: bool,
    /// Whether the start of the last message is wanted.
    pub include_last_message: bool,
    /// Only the one with this label, 1 to 512 bytes.
    pub label: Option<String>,
    /// `dashboard` gives those that clients made in it, `chat` the others.
    pub board_face: Option<BoardFace>,
    /// Only those with a board of panels: there are none. Official clients send it, although no
    /// published schema has it.
    pub has_board: bool,
    /// No effect: a tenant is one person here.
    pub creator_id: Option<String>,
    /// No effect: a tenant is one person here.
    pub owner_id: Option<String>,
    /// No effect: a tenant is one person here.
    pub owner_first: bool,
    /// No effect: a tenant is one person here.
    pub involving_me: bool,
    /// No effect: a tenant is one person here.
    pub involving_profile_id: Option<String>,
    /// No effect: a tenant is one person here.
    pub include_people: bool,
    /// Only those that this session started.
    pub spawned_by: Option<String>,
    /// Only those of this agent.
    pub agent_id: Option<AgentId>,
    /// Only those whose key, label, title or last message's start holds this; 512 bytes at most.
    pub search: Option<String>,
    /// Whether archived ones are wanted: no, only them, or all. No if absent.
    pub archived: Archived,
}

/// What a list is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SortBy {
    /// When a session changed last.
    UpdatedAt,
    /// When somebody wrote in it last.
    LastInteractionAt,
}

/// Which face of the official UI a session belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoardFace {
    /// The chat.
    Chat,
    /// The dashboard.
    Dashboard,
}

/// Whether archived sessions are wanted: `false`, `true` or `"all"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Archived {
    /// Those that are not archived.
    #[default]
    No,
    /// Those that are.
    Only,
    /// Both.
    All,
}

impl<'de> Deserialize<'de> for Archived {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Flag(bool),
            Word(String),
        }
        match Given::deserialize(deserializer)? {
            Given::Flag(false) => Ok(Self::No),
            Given::Flag(true) => Ok(Self::Only),
            Given::Word(word) if word == "all" => Ok(Self::All),
            Given::Word(word) => {
                Err(D::Error::invalid_value(Unexpected::Str(&word), &"a boolean or \"all\""))
            }
        }
    }
}

/// A page of the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionList {
    /// Milliseconds since the epoch.
    pub ts: u64,
    /// Where the sessions are kept, beneath the tenant's root.
    pub path: String,
    /// How many there are in this page.
    pub count: usize,
    /// How many match, without the limit.
    pub total_count: usize,
    /// The limit that this page was cut at.
    pub limit_applied: usize,
    /// How many were left out before the first.
    pub offset: usize,
    /// The offset of the next page; null at the end.
    pub next_offset: Option<usize>,
    /// Whether there is a next page.
    pub has_more: bool,
    /// Always empty: a tenant is one person here.
    pub owners: [u8; 0],
    /// What holds where a session says nothing.
    pub defaults: Defaults,
    /// The sessions.
    pub sessions: Vec<SessionRow>,
}

/// What holds where a session says nothing.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Defaults {
    /// The provider of the default model; null where there is none.
    pub model_provider: Option<String>,
    /// The default model; null where there is none.
    pub model: Option<String>,
    /// Tokens that the default model takes at once; null where that is not known.
    pub context_tokens: Option<u64>,
    /// How much a model can be told to think.
    pub thinking_levels: &'static [crate::models::ThinkingLevel],
    /// The same, as words.
    pub thinking_options: &'static [&'static str],
    /// How much it thinks where nobody says.
    pub thinking_default: &'static str,
}
