//! What the settings say about the tools of agents: `tools`. The supervisor holds on to what it alone
//! decides; here it says what to prepare and what not to try.

use serde::Deserialize;

use crate::tools::policy::Rules;

/// How often the same call may give the same result before the model is warned, and before the run
/// is stopped, where nothing is set.
const WARN_AT: usize = 3;
const STOP_AT: usize = 5;

/// Characters that `web_fetch` gives where nothing is set, as in `OpenClaw`.
const WEB_CHARS: usize = 20_000;

/// `tools`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ToolSettings {
    #[serde(flatten)]
    pub(crate) rules: Rules,
    #[serde(rename = "loop")]
    pub(crate) looping: Loop,
    pub(crate) agent_to_agent: AgentToAgent,
    pub(crate) exec: Exec,
    web: Web,
}

/// `tools.agentToAgent`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AgentToAgent {
    /// Whether tools of one agent reach the sessions and jobs of others.
    pub(crate) enabled: bool,
}

/// `tools.exec`, as far as a worker needs it to prepare what the supervisor decides.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Exec {
    pub(crate) security: Security,
    pub(crate) ask: Ask,
}

/// What may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Security {
    #[default]
    Full,
    Allowlist,
    /// Also for a word that is unheard of here.
    #[serde(other)]
    Deny,
}

/// Whether a person is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ask {
    #[default]
    Off,
    OnMiss,
    /// Also for a word that is unheard of here.
    #[serde(other)]
    Always,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Web {
    max_chars: Option<usize>,
}

impl Exec {
    /// Whether somebody may have to agree to a command.
    pub(crate) fn may_ask(self) -> bool {
        self.ask != Ask::Off || self.security == Security::Allowlist
    }
}

impl ToolSettings {
    /// Characters that `web_fetch` gives at most.
    pub(crate) fn web_chars(&self) -> usize {
        self.web.max_chars.unwrap_or(WEB_CHARS)
    }
}

/// `tools.loop`: what happens to a run that repeats itself.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Loop {
    warn_at: Option<usize>,
    stop_at: Option<usize>,
}

impl Loop {
    /// After how many equal results the model is warned.
    pub(crate) fn warn_at(self) -> usize {
        self.warn_at.unwrap_or(WARN_AT).max(2)
    }

    /// After how many the run is stopped.
    pub(crate) fn stop_at(self) -> usize {
        self.stop_at.unwrap_or(STOP_AT).max(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unheard_of_forbids_and_what_is_missing_has_its_default() {
        let check = |text: &str, security: Security, may_ask: bool| {
            let exec = serde_json::from_str::<ToolSettings>(text).unwrap().exec;
            assert_eq!((exec.security, exec.may_ask()), (security, may_ask), "{text}");
        };
        check("{}", Security::Full, false);
        check(r#"{"exec":{"ask":"on-miss"},"other":1}"#, Security::Full, true);
        check(r#"{"exec":{"security":"allowlist"}}"#, Security::Allowlist, true);
        check(r#"{"exec":{"security":"deny"}}"#, Security::Deny, false);
        check(r#"{"exec":{"security":"unheard-of","ask":"unheard-of"}}"#, Security::Deny, true);
        let settings: ToolSettings = serde_json::from_str("{}").unwrap();
        assert!(!settings.agent_to_agent.enabled && settings.web_chars() == WEB_CHARS);
    }
}
