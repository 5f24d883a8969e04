//! `tools.*`: every tool that there is, and those that a session's next run has.

use api::ApiError;
use api::tools::{
    Catalog, CatalogParams, Effective, EffectiveEntry, EffectiveGroup, EffectiveParams, Entry,
    Group, Profile, Tools,
};
use types::AgentId;

use super::sessions::{keyed, stored};
use super::{Call, storage, unknown_agent};
use crate::tools::policy::{Profile as Set, Rules};
use crate::tools::{self, Row};
use crate::{agent, agents};

/// What all tools come from: there are no plugins.
const SOURCE: &str = "core";

impl Tools for Call<'_> {
    async fn catalog(&self, params: CatalogParams) -> Result<Catalog, ApiError> {
        let agent_id = match &params.agent_id {
            None => AgentId::main(),
            Some(id) => id.trim().to_lowercase().parse().map_err(|_invalid| unknown_agent(id))?,
        };
        let of = agent_id.clone();
        let found = self.core.store.job(move |root| agents::get(root, &of)).await;
        if found.map_err(|err| storage(&err))?.is_none() {
            return Err(unknown_agent(agent_id.as_str()));
        }
        let profiles = Set::ALL.map(|set| Profile { id: set.name(), label: set.label() });
        let groups = tools::Group::ALL.map(|group| {
            let tools = tools::rows().filter(|row| row.group == group).map(entry).collect();
            Group { id: group.name(), label: group.label(), source: SOURCE, tools }
        });
        let groups = groups.into_iter().filter(|group| !group.tools.is_empty()).collect();
        Ok(Catalog { agent_id, profiles: profiles.into(), groups })
    }

    async fn effective(&self, params: EffectiveParams) -> Result<Effective, ApiError> {
        let named = params.session_key.trim();
        let key = match &params.agent_id {
            Some(_) if named.starts_with("agent:") => keyed(named, None)?,
            agent => keyed(named, agent.as_ref())?,
        };
        let row = stored(self, &key).await?;
        let settings = self.core.live.now().settings;
        let of_agent = settings.agents.tools.get(key.agent().as_str());
        let profile = Rules::profile(&settings.tools.rules, of_agent).name();
        let allowed = agent::allowed_in(self.core, &key, row.as_ref());
        let tools = tools::rows().filter(|row| allowed.has(row.name)).map(usable);
        let tools: Vec<EffectiveEntry> = tools.collect();
        let group = EffectiveGroup { id: SOURCE, label: "Built-in", source: SOURCE, tools };
        let groups = Some(group).filter(|group| !group.tools.is_empty());
        Ok(Effective {
            agent_id: key.agent().clone(),
            profile,
            groups: groups.into_iter().collect(),
        })
    }
}

fn entry(row: &'static Row) -> Entry {
    let sets = Set::ALL.into_iter().filter(|set| set.has(row));
    Entry {
        id: row.name,
        label: row.label,
        description: row.description,
        source: SOURCE,
        default_profiles: sets.map(Set::name).collect(),
    }
}

fn usable(row: &'static Row) -> EffectiveEntry {
    EffectiveEntry {
        id: row.name,
        label: row.label,
        description: row.in_a_sentence().to_owned(),
        raw_description: row.description,
        source: SOURCE,
    }
}
