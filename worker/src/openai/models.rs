//! `GET /v1/models` and `GET /v1/models/{id}`: the tenant's agents, and the models it may call.

use std::collections::HashSet;

use proto::worker::{Head, ServePart};
use serde::Serialize;
use types::AgentId;

use super::error::Fault;
use super::reply::Reply;
use super::target::{Target, agent_id};
use crate::service::Core;
use crate::store;

/// Models that this tenant may use, in the operator's order.
#[derive(Debug, Default)]
pub(crate) struct Models {
    models: Vec<proto::worker::Model>,
    /// Every way in which one of them can be named.
    names: HashSet<String>,
    default: String,
}

impl Models {
    /// From the configuration.
    pub(crate) fn new(models: Vec<proto::worker::Model>, default: String) -> Self {
        let both = |model: &proto::worker::Model| [model.name.clone(), qualified(model)];
        let names = models.iter().flat_map(both).collect();
        Self { models, names, default }
    }

    /// Whether `name` names one of them.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Every one of them: provider and name, in the operator's order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.models.iter().map(|model| (model.provider.as_str(), model.name.as_str()))
    }

    /// What an agent turn uses.
    pub(crate) fn of_agents(&self) -> &str {
        &self.default
    }

    /// Names as a client sees them: the short one, or the full one where the short one is taken.
    fn listed(&self) -> Vec<(String, &str)> {
        let mut taken = HashSet::new();
        let listed = self.models.iter().map(|model| {
            let name = if taken.insert(model.name.as_str()) {
                model.name.clone()
            } else {
                qualified(model)
            };
            (name, model.provider.as_str())
        });
        listed.collect()
    }

    /// The provider of the model that `name` names.
    fn owner(&self, name: &str) -> Option<&str> {
        let found = self.models.iter().find(|model| name == model.name || name == qualified(model));
        found.map(|model| model.provider.as_str())
    }
}

fn qualified(model: &proto::worker::Model) -> String {
    format!("{}/{}", model.provider, model.name)
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
}

impl<'a> Model<'a> {
    const fn new(id: &'a str, owned_by: &'a str) -> Self {
        Self { id, object: "model", created: 0, owned_by }
    }
}

/// The list.
pub(super) async fn list(core: &Core, models: &Models) -> Result<Reply, Fault> {
    let agents = core.store.job(store::agents).await.map_err(|err| Fault::storage(&err))?;
    let agents: Vec<String> = ["openclaw".to_owned(), "openclaw/default".to_owned()]
        .into_iter()
        .chain(agents.iter().map(|agent| format!("openclaw/{agent}")))
        .collect();
    let listed = models.listed();
    let data = agents
        .iter()
        .map(|id| Model::new(id, "openclaw"))
        .chain(listed.iter().map(|(id, owner)| Model::new(id, owner)))
        .collect();
    Ok(json(&List { object: "list", data }))
}

/// One of them.
pub(super) async fn get(core: &Core, models: &Models, id: &str) -> Result<Reply, Fault> {
    let owner = match Target::parse(id)? {
        Target::Agent(agent) => {
            known_agent(core, &agent).await?;
            "openclaw"
        }
        Target::Model => models.owner(id).ok_or_else(|| Fault::no_model(id))?,
    };
    Ok(json(&Model::new(id, owner)))
}

/// Refuses an agent that the tenant does not have.
pub(crate) async fn known_agent(core: &Core, agent: &AgentId) -> Result<(), Fault> {
    if *agent == AgentId::main() {
        return Ok(());
    }
    let looked_for = agent.clone();
    let found = core.store.job(move |root| store::has_agent(root, &looked_for)).await;
    if found.map_err(|err| Fault::storage(&err))? {
        Ok(())
    } else {
        Err(Fault::no_agent(agent.as_str()))
    }
}

/// The agent that a header names, if it names one.
pub(super) fn agent_of_header(header: &str) -> Result<Option<AgentId>, Fault> {
    if header.trim().is_empty() { Ok(None) } else { agent_id(header).map(Some) }
}

/// The model that the header `x-openclaw-model` wants an agent to ask, if it names one.
pub(super) fn backend(models: &Models, header: &str) -> Result<Option<String>, Fault> {
    let name = header.trim();
    if name.is_empty() {
        return Ok(None);
    }
    if models.has(name) { Ok(Some(name.to_owned())) } else { Err(Fault::no_model(name)) }
}

fn json(document: &impl Serialize) -> Reply {
    let data = serde_json::to_vec(document).unwrap_or_default().into();
    let head = Head { status: 200, event_stream: false, retry_after_s: 0 };
    Reply::Whole(Some(ServePart { head: Some(head), data }))
}
