//! Which tools the settings let an agent have: the one matcher for whoever offers tools and whoever
//! serves what they need. Pure.
//!
//! Authority only shrinks: what is forbidden by anybody is forbidden, whoever allows it.

use serde::Deserialize;

/// What an entry of a list begins with that means a group.
const GROUP: &str = "group:";

/// The group of every tool.
const EVERY: &str = "openclaw";

/// What tools are called elsewhere: what forbids one there must do so here.
const ALIASES: [(&str, &str); 3] =
    [("apply-patch", "apply_patch"), ("automations", "cron"), ("bash", "exec")];

/// A tool, as settings can call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool<'a> {
    /// Its name, in small letters.
    pub name: &'a str,
    /// Its group, as it follows `group:`, in small letters.
    pub group: &'a str,
}

/// What the settings say of tools, for the tenant or for one of its agents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rules {
    /// The set that it starts from.
    pub profile: Option<Profile>,
    /// Of the profile's, those that are named here; all of the profile's where absent, none where
    /// empty.
    pub allow: Option<Vec<String>>,
    /// Never, whatever else is said.
    pub deny: Vec<String>,
}

/// A set of tools for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
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

/// Which setting forbids a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The tenant's list of what is forbidden.
    Deny,
    /// The agent's.
    AgentDeny,
    /// The tenant's list of what is allowed.
    Allow,
    /// The agent's.
    AgentAllow,
    /// The tenant's profile.
    Profile,
    /// The agent's.
    AgentProfile,
}

impl Profile {
    /// Whether a tool belongs to it.
    pub fn has(self, tool: Tool<'_>) -> bool {
        const OF_SESSIONS: [&str; 4] =
            ["session_status", "sessions_history", "sessions_list", "sessions_send"];
        match self {
            Self::Minimal => tool.name == "session_status",
            Self::Coding => !matches!(tool.group, "messaging" | "agents"),
            Self::Messaging => tool.group == "messaging" || OF_SESSIONS.contains(&tool.name),
            Self::Full => true,
        }
    }
}

impl By {
    /// What the setting is called.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Deny => "tools.deny",
            Self::AgentDeny => "agents.tools.*.deny",
            Self::Allow => "tools.allow",
            Self::AgentAllow => "agents.tools.*.allow",
            Self::Profile => "tools.profile",
            Self::AgentProfile => "agents.tools.*.profile",
        }
    }
}

/// What forbids a tool: either list of what is forbidden, else the list of what is allowed, else the
/// profile. Of the last two the agent's takes the place of the tenant's. None where it may be used.
pub fn forbidden(tool: Tool<'_>, tenant: &Rules, agent: Option<&Rules>) -> Option<By> {
    if lists(&tenant.deny, tool) {
        return Some(By::Deny);
    }
    if agent.is_some_and(|it| lists(&it.deny, tool)) {
        return Some(By::AgentDeny);
    }
    let own = agent.and_then(|it| it.allow.as_ref()).map(|it| (it, By::AgentAllow));
    let allow = own.or_else(|| tenant.allow.as_ref().map(|it| (it, By::Allow)));
    if let Some((allow, by)) = allow
        && !lists(allow, tool)
    {
        return Some(by);
    }
    let own = agent.and_then(|it| it.profile).map(|it| (it, By::AgentProfile));
    let profile = own.or_else(|| tenant.profile.map(|it| (it, By::Profile)));
    profile.filter(|(it, _)| !it.has(tool)).map(|(_, by)| by)
}

/// Whether a list names a tool.
pub fn lists(list: &[String], tool: Tool<'_>) -> bool {
    list.iter().any(|entry| names(entry, tool))
}

/// Whether an entry of a list means this tool: by its name or another name for it, or by its group;
/// `*` stands for any characters of either.
fn names(entry: &str, tool: Tool<'_>) -> bool {
    let entry = entry.trim().to_ascii_lowercase();
    if let Some(group) = entry.strip_prefix(GROUP) {
        return group == EVERY || is_like(group, tool.group);
    }
    let alias = ALIASES.iter().find(|(known, _)| *known == entry);
    is_like(alias.map_or(entry.as_str(), |(_, own)| own), tool.name)
}

/// Whether `pattern` stands for `name`. The time is that of reading both.
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const EXEC: Tool<'_> = Tool { name: "exec", group: "runtime" };

    fn rules(value: Value) -> Rules {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_forbids_a_tool() {
        let check = |tenant: Value, agent: Value, by: Option<By>| {
            let (tenant_rules, agent_rules) = (rules(tenant.clone()), rules(agent.clone()));
            let found = forbidden(EXEC, &tenant_rules, Some(&agent_rules));
            assert_eq!(found, by, "{tenant} {agent}");
        };
        let none = || json!({});
        check(none(), none(), None);
        check(json!({"deny": ["exec"], "allow": ["exec"]}), none(), Some(By::Deny));
        check(none(), json!({"deny": [" EXEC "]}), Some(By::AgentDeny));
        check(json!({"deny": ["exec"]}), json!({"allow": ["exec"]}), Some(By::Deny));
        check(json!({"allow": []}), none(), Some(By::Allow));
        check(json!({"allow": ["read"]}), none(), Some(By::Allow));
        check(json!({"allow": ["read"]}), json!({"allow": ["exec"]}), None);
        check(json!({"allow": ["exec"]}), json!({"allow": []}), Some(By::AgentAllow));
        check(json!({"profile": "minimal", "allow": ["*"]}), none(), Some(By::Profile));
        check(json!({"profile": "messaging"}), json!({"profile": "coding"}), None);
        check(none(), json!({"profile": "messaging"}), Some(By::AgentProfile));
    }

    #[test]
    fn what_an_entry_means() {
        let check = |entry: &str, means: bool| assert_eq!(names(entry, EXEC), means, "{entry}");
        for entry in ["exec", "Exec", "bash", "*", "e*", "*x*c", "group:runtime", "GROUP:run*"] {
            check(entry, true);
        }
        for entry in ["group:openclaw", "group:*", &"*".repeat(256)] {
            check(entry, true);
        }
        for entry in ["", "execute", "ex", "*xx*", "group:", "group:fs", "group", "runtime"] {
            check(entry, false);
        }
        check("exec*c", false);
        check(&format!("{}z", "*".repeat(255)), false);
    }
}
