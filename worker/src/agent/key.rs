//! Session keys: which conversation a request belongs to.

use types::AgentId;

use crate::openai::Fault;

/// Bytes of a session key.
const MAX_KEY: usize = 512;
/// Sessions of these kinds are made by the gateway itself.
const RESERVED: [&str; 3] = ["subagent:", "cron:", "acp:"];

/// The full key of a session, and the agent that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionKey {
    agent: AgentId,
    key: String,
    /// Whether another request can name the same session.
    is_addressable: bool,
}

impl SessionKey {
    /// The session of a request: the one of its header, else its user's, else one of its own.
    pub(crate) fn choose(agent: &AgentId, header: &str, user: Option<&str>) -> Result<Self, Fault> {
        let header = header.trim();
        let user = user.map(str::trim).filter(|user| !user.is_empty());
        if !header.is_empty() {
            return Self::named(agent, header);
        }
        let (kind, name) = match user {
            Some(user) => ("openai-user", user.to_lowercase()),
            None => ("openai", uuid::Uuid::new_v4().to_string()),
        };
        let mut chosen = Self::checked(agent, &format!("{kind}:{name}"))?;
        chosen.is_addressable = user.is_some();
        Ok(chosen)
    }

    /// The session that `text` names, for looking at it: any session that there may be.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let lower = text.trim().to_lowercase();
        let Some(rest) = lower.strip_prefix("agent:") else {
            return Self::checked(&AgentId::main(), &lower);
        };
        let (id, name) = rest.split_once(':').unwrap_or((rest, ""));
        let agent = id.parse().map_err(|_invalid| invalid("it names no agent"))?;
        Self::checked(&agent, name)
    }

    /// The whole key.
    pub(crate) fn as_str(&self) -> &str {
        &self.key
    }

    /// The agent.
    pub(crate) const fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// Whether another request can name the same session.
    pub(crate) const fn is_addressable(&self) -> bool {
        self.is_addressable
    }

    fn named(agent: &AgentId, text: &str) -> Result<Self, Fault> {
        let lower = text.to_lowercase();
        if let Some(reserved) = RESERVED.iter().find(|reserved| lower.starts_with(*reserved)) {
            return Err(invalid(&format!("`{reserved}` is reserved")));
        }
        let rest = match lower.strip_prefix("agent:") {
            None => lower.as_str(),
            Some(rest) => match rest.split_once(':') {
                Some((id, rest)) if id == agent.as_str() => rest,
                Some(_) => return Err(invalid("it belongs to another agent than the one asked")),
                None => return Err(invalid("it must be agent:<agent>:<name>")),
            },
        };
        if let Some(reserved) = RESERVED.iter().find(|reserved| rest.starts_with(*reserved)) {
            return Err(invalid(&format!("`{reserved}` is reserved")));
        }
        Self::checked(agent, rest)
    }

    fn checked(agent: &AgentId, rest: &str) -> Result<Self, Fault> {
        let key = format!("agent:{agent}:{rest}");
        if rest.is_empty() || rest.chars().any(char::is_control) {
            return Err(invalid("it must not be empty or hold control characters"));
        }
        if key.len() > MAX_KEY {
            return Err(invalid(&format!("it has at most {MAX_KEY} bytes")));
        }
        Ok(Self { agent: agent.clone(), key, is_addressable: true })
    }
}

/// The whole key of the session that `text` names, if it names one; what the fuzzer tries.
pub fn session_key(text: &str) -> Option<String> {
    SessionKey::parse(text).ok().map(|it| it.key)
}

fn invalid(why: &str) -> Fault {
    Fault::invalid(Some("session_key"), format!("Invalid session key: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(header: &str, user: Option<&str>) -> Option<String> {
        SessionKey::choose(&AgentId::main(), header, user).ok().map(|key| key.key)
    }

    #[test]
    fn header_then_user_then_one_of_its_own() {
        let check = |header: &str, user: Option<&str>, key: &str| {
            assert_eq!(chosen(header, user).as_deref(), Some(key));
        };
        check("main", Some("u"), "agent:main:main");
        check(" My Chat ", None, "agent:main:my chat");
        check("agent:main:Ops", None, "agent:main:ops");
        check("", Some("Ada"), "agent:main:openai-user:ada");
        let (one, two) = (chosen("", None).unwrap(), chosen("", Some(" ")).unwrap());
        assert!(one.starts_with("agent:main:openai:") && one != two);
        assert!(!SessionKey::choose(&AgentId::main(), "", None).unwrap().is_addressable());
    }

    #[test]
    fn keys_that_are_refused() {
        let long = "x".repeat(MAX_KEY);
        for header in [
            "subagent:1",
            "CRON:x",
            "acp:1",
            "agent:main:cron:1",
            "agent:other:main",
            "agent:main",
            "agent:main:",
            "a\nb",
            &long,
        ] {
            assert_eq!(chosen(header, None), None, "{header}");
        }
    }

    #[test]
    fn a_key_alone_names_its_agent() {
        let check = |text: &str, agent: &str, key: &str| {
            let parsed = SessionKey::parse(text).unwrap();
            assert_eq!((parsed.agent().as_str(), parsed.as_str()), (agent, key));
        };
        check("main", "main", "agent:main:main");
        check("agent:ops:X", "ops", "agent:ops:x");
        SessionKey::parse("agent:../x:y").unwrap_err();
    }
}
