//! What a tenant's settings let programs do: the operator's defaults with the tenant's own above
//! them, read here and not believed of the worker, which may have been taken over. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::approvals::{AskWhen, Security};
use api::tool_policy::{self, By, Rules, Tool};
use serde::Deserialize;
use types::AgentId;

use crate::approvals;

/// The tool that runs commands.
const EXEC: Tool<'static> = Tool { name: "exec", group: "runtime" };

/// A terminal; people have it, and so only what names it forbids it.
const TERMINAL: Tool<'static> = Tool { name: "terminal", group: "terminal" };

/// Minutes without a key after which a terminal ends.
const IDLE_MINUTES: u64 = 30;

/// Minutes after which a terminal ends in any case.
const MAX_MINUTES: u64 = 12 * 60;

/// What commands can reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Network {
    /// Nothing: there is no network in their sandbox.
    #[default]
    None,
    /// What the rules of egress allow, through the supervisor's proxy.
    Broker,
}

/// What holds for one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Commands.
    pub(crate) exec: Exec,
    /// Terminals.
    pub(crate) terminal: Terminal,
}

/// What holds for commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exec {
    /// What the tenant says of tools, and what it says of those of single agents.
    tenant: Arc<Rules>,
    agents: Arc<BTreeMap<String, Rules>>,
    /// Which may run, and when somebody is asked.
    pub(crate) rules: approvals::Policy,
    /// Seconds that one may take.
    pub(crate) timeout_s: Option<u32>,
    /// What they can reach.
    pub(crate) network: Network,
}

/// What holds for terminals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Which setting forbids them.
    pub(crate) forbidden_by: Option<&'static str>,
    /// Seconds without a key after which one ends.
    pub(crate) idle_s: u64,
    /// Seconds after which one ends in any case.
    pub(crate) max_s: u64,
    /// Variables beside the harmless ones that may be set.
    pub(crate) env: Vec<String>,
}

/// A part of the settings: what is missing or of another version's shape does not hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    tools: Tools,
    agents: Agents,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Agents {
    tools: BTreeMap<String, Rules>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Tools {
    #[serde(flatten)]
    rules: Rules,
    exec: ExecSettings,
    terminal: TerminalSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ExecSettings {
    security: Option<Security>,
    ask: Option<AskWhen>,
    timeout_seconds: Option<u32>,
    network: Network,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TerminalSettings {
    enabled: Option<bool>,
    idle_minutes: Option<u64>,
    max_minutes: Option<u64>,
    env: Vec<String>,
}

impl Policy {
    /// Reads effective settings.
    ///
    /// # Errors
    /// When they are not of the shape that the schema has; nothing may run then.
    pub(crate) fn parse(settings: &[u8]) -> Result<Self, serde_json::Error> {
        let Settings { tools, agents } = serde_json::from_slice(settings)?;
        let terminal = Terminal {
            forbidden_by: tools.forbids_terminals(),
            idle_s: tools.terminal.idle_minutes.unwrap_or(IDLE_MINUTES).saturating_mul(60),
            max_s: tools.terminal.max_minutes.unwrap_or(MAX_MINUTES).saturating_mul(60),
            env: tools.terminal.env.clone(),
        };
        let exec = Exec {
            tenant: Arc::new(tools.rules),
            agents: Arc::new(agents.tools),
            rules: approvals::Policy::OPEN.and(tools.exec.security, tools.exec.ask),
            timeout_s: tools.exec.timeout_seconds,
            network: tools.exec.network,
        };
        Ok(Self { exec, terminal })
    }
}

impl Exec {
    /// Which setting forbids all commands of an agent.
    pub(crate) fn forbidden_by(&self, agent: &AgentId) -> Option<&'static str> {
        if self.rules.security == Security::Deny {
            return Some("tools.exec.security");
        }
        let own = self.agents.get(agent.as_str());
        tool_policy::forbidden(EXEC, &self.tenant, own).map(By::setting)
    }
}

impl Tools {
    fn forbids_terminals(&self) -> Option<&'static str> {
        if tool_policy::lists(&self.rules.deny, TERMINAL) {
            return Some("tools.deny");
        }
        (self.terminal.enabled == Some(false)).then_some("tools.terminal.enabled")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(tools: &Value) -> Policy {
        Policy::parse(json!({"tools": tools, "agents": {}}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_forbids_commands() {
        let check = |tools: Value, by: Option<&str>| {
            let found = policy(&tools).exec.forbidden_by(&AgentId::main());
            assert_eq!(found, by, "{tools}");
        };
        check(json!({}), None);
        check(json!({"deny": ["exec"]}), Some("tools.deny"));
        check(json!({"deny": ["*"], "allow": ["exec"]}), Some("tools.deny"));
        check(json!({"deny": ["read", "execute", "terminal"]}), None);
        check(json!({"allow": ["read"]}), Some("tools.allow"));
        check(json!({"allow": []}), Some("tools.allow"));
        check(json!({"allow": ["group:runtime"], "profile": "coding"}), None);
        check(json!({"allow": ["exec"], "profile": "minimal"}), Some("tools.profile"));
        check(json!({"exec": {"security": "deny"}}), Some("tools.exec.security"));
        check(json!({"exec": {"security": "allowlist"}}), None);
    }

    #[test]
    fn what_an_agent_is_not_given_is_not_run_for_it() {
        let settings = json!({
            "tools": {"profile": "coding"},
            "agents": {"tools": {
                "a": {"deny": ["ex*"]},
                "b": {"allow": ["read"]},
                "c": {"profile": "messaging"},
                "d": {"profile": "full"},
            }},
        });
        let policy = Policy::parse(settings.to_string().as_bytes()).unwrap();
        let check = |agent: &str, by: Option<&str>| {
            assert_eq!(policy.exec.forbidden_by(&agent.parse().unwrap()), by, "{agent}");
        };
        check("a", Some("agents.tools.*.deny"));
        check("b", Some("agents.tools.*.allow"));
        check("c", Some("agents.tools.*.profile"));
        check("d", None);
        check("main", None);
    }

    #[test]
    fn what_forbids_terminals() {
        let check = |tools: Value, by: Option<&str>| {
            assert_eq!(policy(&tools).terminal.forbidden_by, by, "{tools}");
        };
        check(json!({}), None);
        check(json!({"deny": ["exec"], "profile": "minimal", "allow": ["read"]}), None);
        check(json!({"deny": ["terminal"]}), Some("tools.deny"));
        check(json!({"terminal": {"enabled": false}}), Some("tools.terminal.enabled"));
        check(json!({"terminal": {"enabled": true}, "deny": ["*"]}), Some("tools.deny"));
    }

    #[test]
    fn what_is_said_holds_and_what_is_not_said_is_narrow() {
        let none = policy(&json!({}));
        assert_eq!((none.exec.network, none.exec.timeout_s), (Network::None, None));
        assert_eq!((none.terminal.idle_s, none.terminal.max_s), (1800, 43_200));
        let some = policy(&json!({
            "exec": {"ask": "on-miss", "security": "allowlist", "network": "broker",
                "timeoutSeconds": 7},
            "terminal": {"idleMinutes": 1, "maxMinutes": 2, "env": ["EDITOR"]},
        }));
        let rules = approvals::Policy { security: Security::Allowlist, ask: AskWhen::OnMiss };
        assert_eq!((some.exec.rules, none.exec.rules), (rules, approvals::Policy::OPEN));
        assert_eq!((some.exec.network, some.exec.timeout_s), (Network::Broker, Some(7)));
        assert_eq!((some.terminal.idle_s, some.terminal.max_s), (60, 120));
        assert_eq!(some.terminal.env, ["EDITOR"]);
        Policy::parse(br#"{"tools": {"exec": {"security": "none"}}}"#).unwrap_err();
    }
}
