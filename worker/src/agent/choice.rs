//! Which model a turn asks: what the request says, else the session, else the agent, else the
//! settings, else the operator's default; and those that take its place when it fails.

use types::AgentId;

use super::key::SessionKey;
use crate::openai::Fault;
use crate::service::Core;
use crate::store::{self, Dir, Row};
use crate::{Error, agents};

/// Models of one turn, the first included: each that fails costs time.
pub(crate) const MAX_MODELS: usize = 5;
/// The level at which a model is not told to think, whatever its session says.
pub(super) const OFF: &str = "off";

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

/// The models of a session's turns, in the order in which they are asked.
pub(crate) async fn models_of(core: &Core, key: &SessionKey) -> Result<Vec<String>, Fault> {
    let key = key.clone();
    let chosen = core.store.job(move |root| {
        let row = store::session(root, key.agent(), key.as_str())?;
        of_session(root, key.agent(), row.as_ref())
    });
    models(core, &Asked::default(), chosen.await.map_err(|err| Fault::storage(&err))?)
}

/// What a request says of models.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// The model; `None` for what the session, the agent or the settings say.
    pub(crate) model: Option<String>,
    /// Those that take its place when it fails; `None` for those of the settings, where the model
    /// comes from there.
    pub(crate) fallbacks: Option<Vec<String>>,
}

/// The models of a turn, in the order in which they are asked.
pub(super) fn models(
    core: &Core,
    asked: &Asked,
    chosen: Option<String>,
) -> Result<Vec<String>, Fault> {
    let known = core.models();
    let mut names = match &asked.model {
        Some(model) if known.has(model) => vec![model.clone()],
        Some(model) => return Err(Fault::no_model(model)),
        None => unasked(core, chosen),
    };
    if let Some(fallbacks) = &asked.fallbacks {
        names.truncate(1);
        names.extend(fallbacks.iter().filter(|name| known.has(name)).cloned());
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names.truncate(MAX_MODELS);
    Ok(names)
}

/// The models of a turn whose request names none.
fn unasked(core: &Core, chosen: Option<String>) -> Vec<String> {
    let known = core.models();
    let settings = core.live.now().settings;
    let set = settings.agents.defaults.model.as_ref();
    // A model that the operator has taken away since is passed over.
    let mut names: Vec<String> = chosen
        .into_iter()
        .chain(set.into_iter().flat_map(|set| set.names().map(str::to_owned)))
        .filter(|name| known.has(name))
        .collect();
    names.push(known.of_agents().to_owned());
    names
}

/// How much a model is to think, as a request says it; `None` for what the session says.
///
/// # Errors
/// When it is no such word.
pub(crate) fn thinking(level: Option<&str>) -> Result<Option<String>, Fault> {
    match level {
        None | Some("" | "default") => Ok(None),
        Some(level @ (OFF | "minimal" | "low" | "medium" | "high" | "xhigh")) => {
            Ok(Some(level.to_owned()))
        }
        Some(_) => {
            let message = "thinking must be off, minimal, low, medium, high or xhigh";
            Err(Fault::invalid(Some("thinking"), message))
        }
    }
}

/// Whether another model may answer where one has failed with `fault`.
pub(super) const fn may_help(fault: &Fault) -> bool {
    matches!(fault.status, 404 | 429 | 502 | 503 | 504)
}
