//! What the `model` of a request stands for: an agent of the tenant, or a provider's model.

use types::AgentId;

use super::error::Fault;

/// Whom a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A turn of an agent.
    Agent(AgentId),
    /// A plain completion, which stores nothing.
    Model,
}

impl Target {
    /// Reads a model's name.
    pub(crate) fn parse(model: &str) -> Result<Self, Fault> {
        let lower = model.to_ascii_lowercase();
        if lower == "openclaw" {
            return Ok(Self::Agent(AgentId::main()));
        }
        let agent = ["openclaw/", "openclaw:", "agent:"]
            .iter()
            .find_map(|prefix| lower.strip_prefix(prefix));
        match agent {
            None => Ok(Self::Model),
            Some("default") => Ok(Self::Agent(AgentId::main())),
            Some(id) => agent_id(id).map(Self::Agent),
        }
    }
}

/// An agent's id as a client wrote it; the agent may not exist.
pub(crate) fn agent_id(text: &str) -> Result<AgentId, Fault> {
    let lower = text.trim().to_ascii_lowercase();
    // A malformed id names no agent either, and its text is cut: it may be as long as a body.
    lower.parse().map_err(|_invalid| Fault::no_agent(&lower.chars().take(64).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_agents_and_of_models() {
        let check = |model: &str, agent: Option<&str>| {
            let wanted = agent.map_or(Target::Model, |id| Target::Agent(id.parse().unwrap()));
            assert_eq!(Target::parse(model), Ok(wanted), "{model}");
        };
        check("openclaw", Some("main"));
        check("openclaw/default", Some("main"));
        check("openclaw/Ops", Some("ops"));
        check("openclaw:ops", Some("ops"));
        check("agent:ops", Some("ops"));
        check("gpt-5", None);
        check("openai/openclaw", None);
        check("openclawish", None);
        assert_eq!(Target::parse("agent:../x").unwrap_err().status, 404);
        assert_eq!(Target::parse("openclaw/").unwrap_err().status, 404);
    }
}
