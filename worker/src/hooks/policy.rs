//! Which agent and which session a hook may have. Pure.

use types::AgentId;

use super::Refused;
use super::settings::HookSettings;
use crate::agent::SessionKey;

/// The agent of a request.
pub(super) fn agent(settings: &HookSettings, named: Option<&str>) -> Result<AgentId, Refused> {
    let Some(named) = named.map(str::trim).filter(|named| !named.is_empty()) else {
        return Ok(AgentId::main());
    };
    let agent: AgentId =
        named.to_lowercase().parse().map_err(|err| Refused::bad(format!("agentId: {err}")))?;
    let allowed = settings
        .allowed_agent_ids
        .as_ref()
        .is_none_or(|allowed| allowed.iter().any(|it| it == "*" || it == agent.as_str()));
    if allowed {
        Ok(agent)
    } else {
        Err(Refused::bad("agentId is not allowed by hooks.allowedAgentIds"))
    }
}

/// The session that a request names, or the one of the settings. `trusted` is a name from the
/// settings themselves, which needs no leave.
pub(super) fn session(
    settings: &HookSettings,
    agent: &AgentId,
    named: Option<&str>,
    trusted: bool,
) -> Result<Option<SessionKey>, Refused> {
    let named = named.map(str::trim).filter(|named| !named.is_empty());
    if named.is_some() && !trusted && !settings.request_chooses() {
        let why = "sessionKey is not allowed: hooks.allowRequestSessionKey is off";
        return Err(Refused::bad(why));
    }
    let Some(name) = named.or(settings.default_session_key.as_deref()) else { return Ok(None) };
    if let Some(prefixes) = &settings.allowed_session_key_prefixes
        && !prefixes.iter().any(|prefix| name.to_lowercase().starts_with(&prefix.to_lowercase()))
    {
        let why = "sessionKey is not allowed by hooks.allowedSessionKeyPrefixes";
        return Err(Refused::bad(why));
    }
    let key = key(agent, name)?;
    if key.agent() == agent {
        return Ok(Some(key));
    }
    Err(Refused::bad("sessionKey belongs to another agent than agentId"))
}

/// The session `name` of an agent, or the one that it names in full.
pub(super) fn key(agent: &AgentId, name: &str) -> Result<SessionKey, Refused> {
    let full = name.to_lowercase();
    let full = if full.starts_with("agent:") { full } else { format!("agent:{agent}:{full}") };
    SessionKey::parse(&full).map_err(|fault| Refused::bad(fault.message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(
        settings: serde_json::Value,
        named: Option<&str>,
        trusted: bool,
        want: Result<Option<&str>, &str>,
    ) {
        let settings: HookSettings = serde_json::from_value(settings).unwrap();
        let got = session(&settings, &AgentId::main(), named, trusted);
        match (got, want) {
            (Ok(key), Ok(want)) => assert_eq!(key.as_ref().map(SessionKey::as_str), want),
            (Err(refused), Err(want)) => assert!(refused.why.contains(want), "{}", refused.why),
            (got, want) => panic!("{got:?} {want:?}"),
        }
    }

    #[test]
    fn a_request_names_a_session_only_where_it_may() {
        check(json!({}), None, false, Ok(None));
        check(json!({}), Some("x"), false, Err("allowRequestSessionKey"));
        check(json!({}), Some("X"), true, Ok(Some("agent:main:x")));
        check(
            json!({"defaultSessionKey": "hook:all"}),
            None,
            false,
            Ok(Some("agent:main:hook:all")),
        );
        let open = json!({"allowRequestSessionKey": true});
        check(open.clone(), Some("agent:main:x"), false, Ok(Some("agent:main:x")));
        check(open.clone(), Some("agent:ops:x"), false, Err("another agent"));
        check(open, Some("agent:../x:y"), false, Err("session key"));
        let narrow =
            json!({"allowRequestSessionKey": true, "allowedSessionKeyPrefixes": ["hook:"]});
        check(narrow.clone(), Some("hook:a"), false, Ok(Some("agent:main:hook:a")));
        check(narrow, Some("main"), false, Err("allowedSessionKeyPrefixes"));
    }

    #[test]
    fn agents_that_are_allowed() {
        let settings: HookSettings =
            serde_json::from_value(json!({"allowedAgentIds": ["ops"]})).unwrap();
        assert_eq!(agent(&settings, Some("OPS")).unwrap().as_str(), "ops");
        assert!(
            agent(&settings, Some("other")).is_err() && agent(&settings, Some("../x")).is_err()
        );
        assert_eq!(agent(&settings, None).unwrap(), AgentId::main());
        agent(&HookSettings::default(), Some("other")).unwrap();
    }
}
