//! Which model a turn asks: what the request says, else the session, else the agent, else the
//! settings, else the operator's default; and those that take its place when it fails.

use types::AgentId;

use crate::Error;
use crate::agents;
use crate::openai::Fault;
use crate::service::Core;
use crate::store::{Dir, Row};

/// Models of one turn, the first included: each that fails costs time.
const MAX_MODELS: usize = 5;

/// The model that somebody chose for a session, or else for its agent.
pub(super) fn of_session(
    root: &Dir,
    agent: &AgentId,
    row: Option<&Row>,
) -> Result<Option<String>, Error> {
    if let Some(chosen) = row.and_then(Row::model_override) {
        return Ok(Some(chosen));
    }
    Ok(agents::get(root, agent)?.and_then(|agent| agent.settings.model))
}

/// The models of a turn, in the order in which they are asked.
pub(super) fn models(
    core: &Core,
    asked: Option<&str>,
    chosen: Option<String>,
) -> Result<Vec<String>, Fault> {
    let known = core.models();
    if let Some(asked) = asked {
        return if known.has(asked) {
            Ok(vec![asked.to_owned()])
        } else {
            Err(Fault::no_model(asked))
        };
    }
    let settings = core.live.now().settings;
    let set = settings.agents.defaults.model.as_ref();
    // A model that the operator has taken away since is passed over.
    let mut names: Vec<String> = chosen
        .into_iter()
        .chain(set.into_iter().flat_map(|set| set.names().map(str::to_owned)))
        .filter(|name| known.has(name))
        .collect();
    names.push(known.of_agents().to_owned());
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names.truncate(MAX_MODELS);
    Ok(names)
}

/// Whether another model may answer where one has failed with `fault`.
pub(super) const fn may_help(fault: &Fault) -> bool {
    matches!(fault.status, 404 | 429 | 502 | 503 | 504)
}
