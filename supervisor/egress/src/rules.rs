//! What one tenant may reach: what the operator allows, narrowed by the tenant's own settings. Pure.

use std::collections::BTreeMap;

use api::tool_policy::{self, Rules as ToolRules, Tool};
use serde::Deserialize as _;
use serde_json::Value;

use crate::refused::Refused;
use crate::rule::{Ask, Rule};

/// The tool for which fetches are made.
const TOOL: Tool<'static> = Tool { name: "web_fetch", group: "web" };

/// The rules of one tenant. By default nothing may be reached.
#[derive(Debug, Default)]
pub struct Rules {
    allow: Vec<Rule>,
    /// Of which one has to allow it too.
    narrow: Option<Vec<Rule>>,
    deny: Vec<Rule>,
    /// Something is forbidden that cannot be understood: then everything is.
    fault: bool,
    no_fetch: bool,
}

/// A leave that the rules have given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Whether a rule of the operator's names the host, rather than any.
    pub(crate) named: bool,
    /// Whether the operator has named the host for this very purpose: then its address is whatever it is.
    pub(crate) own: bool,
}

impl Rules {
    /// What `allow` comes to for a tenant with these settings.
    pub(crate) fn new(allow: Vec<Rule>, settings: &[u8]) -> Self {
        let Ok(settings) = serde_json::from_slice::<Value>(settings) else {
            return Self { fault: true, ..Self::default() };
        };
        let list = |path: &str| settings.pointer(path).and_then(Value::as_array);
        let rule = |it: &Value| it.as_str().and_then(|it| it.parse::<Rule>().ok());
        let deny = list("/tools/egress/deny").map_or(&[][..], Vec::as_slice);
        let understood: Vec<_> = deny.iter().filter_map(rule).collect();
        Self {
            allow,
            narrow: list("/tools/egress/allow").map(|it| it.iter().filter_map(rule).collect()),
            fault: understood.len() < deny.len(),
            deny: understood,
            no_fetch: forbids_fetch(&settings),
        }
    }

    /// Whether there is anything that may be reached.
    pub fn is_open(&self) -> bool {
        !self.fault
            && !self.allow.is_empty()
            && self.narrow.as_ref().is_none_or(|it| !it.is_empty())
    }

    /// Whether the tenant may fetch at all.
    pub(crate) fn check_tool(&self) -> Result<(), Refused> {
        if self.no_fetch { Err(Refused::Tool) } else { Ok(()) }
    }

    /// Whether `ask` is let through.
    pub(crate) fn check(&self, ask: &Ask<'_>) -> Result<Grant, Refused> {
        if self.fault {
            return Err(Refused::Fault);
        }
        if let Some(rule) = self.deny.iter().find(|rule| rule.forbids(ask)) {
            return Err(Refused::Denied { rule: rule.to_string() });
        }
        if let Some(narrow) = &self.narrow
            && !narrow.iter().any(|rule| rule.allows(ask))
        {
            return Err(Refused::Narrowed);
        }
        let mut allowing = self.allow.iter().filter(|rule| rule.allows(ask)).peekable();
        if allowing.peek().is_none() {
            return Err(Refused::NoRule);
        }
        Ok(Grant { named: allowing.any(Rule::names_hosts), own: false })
    }
}

/// Whether nobody of the tenant's may fetch. A fetch does not say for which agent it is, and so what
/// one of them may, all may; what they may not, the worker sees to. What cannot be understood forbids.
fn forbids_fetch(settings: &Value) -> bool {
    let read = |path: &str| settings.pointer(path).filter(|it| !it.is_null());
    let tenant = read("/tools").map_or_else(|| Ok(ToolRules::default()), ToolRules::deserialize);
    let agents = read("/agents/tools")
        .map_or_else(|| Ok(BTreeMap::new()), BTreeMap::<String, ToolRules>::deserialize);
    let (Ok(tenant), Ok(agents)) = (tenant, agents) else { return true };
    let may = |agent| tool_policy::forbidden(TOOL, &tenant, agent).is_none();
    !may(None) && !agents.values().any(|it| may(Some(it)))
}

#[cfg(test)]
mod tests;
