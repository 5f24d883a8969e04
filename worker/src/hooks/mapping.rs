//! Hooks of the tenant's own: which mapping is for a request, and what it makes of the body. Pure.

use api::cron::WakeMode;
use serde_json::Value;

use super::settings::{Action, HookSettings, Mapping};
use super::{Agent, MAX_TEXT, Refused, template};

/// What a mapping makes of a request.
#[derive(Debug)]
pub(super) enum Found {
    Wake { text: String, mode: WakeMode, session: Option<String> },
    Agent(Box<Agent>),
}

/// The first mapping that is for the hook `name` and `body`.
pub(super) fn find(settings: &HookSettings, name: &str, body: &Value) -> Result<Found, Refused> {
    let mapping = settings.mappings().find(|mapping| is_for(mapping, name, body));
    let mapping = mapping.ok_or_else(|| Refused::new(404, "Not Found"))?;
    if mapping.transform.is_some() || mapping.for_each.is_some() {
        let why = "this hook's mapping has a transform or forEach, which this gateway does not run";
        return Err(Refused::bad(why));
    }
    let fill = |template: &str| template::fill(template, name, body, MAX_TEXT);
    let session = mapping.session_key.as_deref().map(fill);
    match mapping.action() {
        Action::Wake => {
            let text = fill(mapping.text_template.as_deref().unwrap_or_default());
            if text.trim().is_empty() {
                return Err(Refused::bad("hook mapping requires text"));
            }
            Ok(Found::Wake { text, mode: mapping.wake_mode.unwrap_or(WakeMode::Now), session })
        }
        Action::Agent => {
            let message = fill(mapping.message_template.as_deref().unwrap_or_default());
            if message.trim().is_empty() {
                return Err(Refused::bad("hook mapping requires message"));
            }
            Ok(Found::Agent(Box::new(Agent {
                message,
                name: mapping.name.as_deref().map(fill).or_else(|| Some(name.to_owned())),
                agent_id: mapping.agent_id.clone(),
                session_key: session,
                deliver: mapping.deliver,
                model: mapping.model.clone(),
                thinking: mapping.thinking.clone(),
                timeout_seconds: mapping.timeout_seconds,
                ..Agent::default()
            })))
        }
    }
}

fn is_for(mapping: &Mapping, name: &str, body: &Value) -> bool {
    let path = mapping.r#match.path.as_deref().map(|path| path.trim_matches('/'));
    let source = mapping.r#match.source.as_deref();
    path.is_none_or(|path| path == name)
        && source.is_none_or(|source| body.get("source").and_then(Value::as_str) == Some(source))
}
