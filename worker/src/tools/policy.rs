//! Which tools a run has. Pure: rules and names in, a set of names out.
//!
//! Authority only shrinks: what one run starts has at most what that run has.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;

use super::{Group, Row};

/// A set of tools by name. Clones share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Allowed(Arc<BTreeSet<&'static str>>);

/// What the settings say of tools, for the tenant or for one of its agents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rules {
    pub(crate) profile: Option<Profile>,
    /// Of these, and of the profile's, those that are in both; all of the profile's where absent.
    pub(crate) allow: Option<Vec<String>>,
    /// Never, whatever else is said.
    pub(crate) deny: Vec<String>,
}

/// A set of tools for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Profile {
    /// What tells of the session itself.
    Minimal,
    /// Files, programs, the web, memory, sessions and jobs.
    Coding,
    /// Messages, and the sessions that they are about.
    Messaging,
    /// Everything.
    #[default]
    Full,
}

impl Profile {
    /// Every profile, the narrowest first.
    pub(crate) const ALL: [Self; 4] = [Self::Minimal, Self::Coding, Self::Messaging, Self::Full];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Coding => "coding",
            Self::Messaging => "messaging",
            Self::Full => "full",
        }
    }

    /// What people see.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Minimal => "Minimal",
            Self::Coding => "Coding",
            Self::Messaging => "Messaging",
            Self::Full => "Full",
        }
    }

    /// Whether a tool belongs to it.
    pub(crate) fn has(self, row: &Row) -> bool {
        match self {
            Self::Minimal => row.name == "session_status",
            Self::Coding => match row.group {
                Group::Fs
                | Group::Runtime
                | Group::Sessions
                | Group::Memory
                | Group::Web
                | Group::Automation
                | Group::Media => true,
                Group::Messaging | Group::Agents => false,
            },
            Self::Messaging => {
                const OF_SESSIONS: [&str; 4] =
                    ["session_status", "sessions_history", "sessions_list", "sessions_send"];
                row.group == Group::Messaging || OF_SESSIONS.contains(&row.name)
            }
            Self::Full => true,
        }
    }
}

impl Rules {
    /// The profile that holds for an agent: its own, else the tenant's, else all tools.
    pub(crate) fn profile(tenant: &Self, agent: Option<&Self>) -> Profile {
        agent.and_then(|agent| agent.profile).or(tenant.profile).unwrap_or_default()
    }
}

/// The tools that an agent has: its own profile and list before the tenant's, and without what
/// either forbids.
pub(crate) fn allowed(
    rows: impl IntoIterator<Item = &'static Row>,
    tenant: &Rules,
    agent: Option<&Rules>,
) -> Allowed {
    let profile = Rules::profile(tenant, agent);
    let allow = agent.and_then(|agent| agent.allow.as_ref()).or(tenant.allow.as_ref());
    let deny = agent.into_iter().chain([tenant]).flat_map(|rules| &rules.deny);
    let deny: Vec<&String> = deny.collect();
    let has = |row: &&'static Row| {
        profile.has(row)
            && allow.is_none_or(|allow| allow.iter().any(|entry| names(entry, row)))
            && !deny.iter().any(|entry| names(entry, row))
    };
    Allowed::of(rows.into_iter().filter(has).map(|row| row.name))
}

/// The tools that a list names.
pub(crate) fn listed(rows: impl IntoIterator<Item = &'static Row>, list: &[String]) -> Allowed {
    let named = |row: &&'static Row| list.iter().any(|entry| names(entry, row));
    Allowed::of(rows.into_iter().filter(named).map(|row| row.name))
}

/// Whether an entry of a list means this tool: by its name or another name for it, or by its group;
/// `*` stands for any characters of either.
fn names(entry: &str, row: &Row) -> bool {
    let entry = entry.trim().to_ascii_lowercase();
    match entry.strip_prefix("group:") {
        Some(group) => is_like(group, row.group.name()),
        None => is_like(own_name(&entry), row.name),
    }
}

/// What a tool is called here that has another name elsewhere: what forbids it there must do so here.
fn own_name(name: &str) -> &str {
    match name {
        "automations" => "cron",
        "bash" => "exec",
        "apply-patch" => "apply_patch",
        same => same,
    }
}

/// Whether `pattern` stands for `name`.
fn is_like(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        // The first place leaves the most for the others.
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

impl Allowed {
    /// The tools of these names.
    pub(crate) fn of(names: impl IntoIterator<Item = &'static str>) -> Self {
        Self(Arc::new(names.into_iter().collect()))
    }

    /// Whether it has this tool.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are in both.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self(Arc::new(self.0.intersection(&other.0).copied().collect()))
    }

    /// The rest without these.
    pub(crate) fn without(&self, names: &[&str]) -> Self {
        Self::of(self.0.iter().copied().filter(|name| !names.contains(name)))
    }

    /// The names, in alphabetical order, as they are stored.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|name| (*name).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests;
