//! `agents.*`.

mod files;
mod workspace;

use std::time::Duration;

use api::ApiError;
use api::agents::{
    AgentCreated, AgentDeleted, AgentList, AgentModel, AgentSummary, AgentUpdated, Agents,
    CreateParams, DeleteParams, FileList, FileParams, FileReply, FileSaved, FilesParams, Identity,
    ListParams, Removed, SaveFileParams, UpdateParams, WorkspaceFileReply, WorkspaceGetParams,
    WorkspaceList, WorkspaceListParams,
};
use api::models::{THINKING_DEFAULT, THINKING_LEVELS, THINKING_OPTIONS};
use api::sessions::Set;
use types::AgentId;

use super::{Call, known_model, storage, unknown_agent};
use crate::agents::{self, Agent, AgentSettings, MAX_AGENTS, Making, Removal};
use crate::cron;
use crate::service::Core;
use crate::sessions::View;

/// Characters of a name.
const MAX_NAME: usize = 128;
/// Bytes of an emoji: some are made of ten code points.
const MAX_EMOJI: usize = 64;
/// Bytes of a picture, which may be a `data:` address.
const MAX_AVATAR: usize = 64 << 10;

/// How long runs of an agent may take to end that is deleted.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

impl Agents for Call<'_> {
    async fn list(&self, _params: ListParams) -> Result<AgentList, ApiError> {
        let agents = self.core.store.job(agents::list).await.map_err(|err| storage(&err))?;
        let view = View::new(self.core);
        Ok(AgentList {
            default_id: AgentId::main(),
            main_key: "main",
            scope: "per-sender",
            ownership: "explicit",
            selection_required: false,
            agents: agents.into_iter().map(|agent| summary(&view, agent)).collect(),
        })
    }

    async fn create(&self, params: CreateParams) -> Result<AgentCreated, ApiError> {
        let name = name(&params.name)?;
        let id = agents::id_of(&name);
        let id = id.ok_or_else(|| ApiError::invalid("name must hold a letter or a digit"))?;
        if id == AgentId::main() {
            return Err(ApiError::invalid("\"main\" is reserved"));
        }
        if let Some(model) = &params.model {
            known_model(self, model)?;
        }
        let settings = AgentSettings {
            name: Some(name.clone()),
            model: params.model.clone(),
            emoji: emoji(params.emoji)?,
            avatar: avatar(params.avatar)?,
            created_at: Some(self.core.store.now()),
        };
        let agent = Agent { id: id.clone(), settings };
        let made = self.core.store.job(move |root| agents::create(root, agent)).await;
        match made.map_err(|err| storage(&err))? {
            Making::Made(agent) => Ok(AgentCreated {
                ok: true,
                workspace: agent.workspace(),
                agent_id: agent.id,
                name,
                model: agent.settings.model,
            }),
            Making::Taken => Err(ApiError::invalid(format!("agent \"{id}\" already exists"))),
            Making::TooMany => {
                let message = format!("there are {MAX_AGENTS} agents already; delete one first");
                Err(ApiError::new(api::Code::ResourceExhausted, message))
            }
        }
    }

    async fn update(&self, params: UpdateParams) -> Result<AgentUpdated, ApiError> {
        let id = agent_id(&params.agent_id)?;
        let name = params.name.as_deref().map(name).transpose()?;
        if let Set::To(model) = &params.model {
            known_model(self, model)?;
        }
        let has = (params.emoji.is_some(), params.avatar.is_some());
        let (emoji, avatar) = (emoji(params.emoji)?, avatar(params.avatar)?);
        let of = id.clone();
        let change = move |settings: &mut AgentSettings| {
            if name.is_some() {
                settings.name = name;
            }
            match params.model {
                Set::Keep => {}
                Set::Clear => settings.model = None,
                Set::To(model) => settings.model = Some(model),
            }
            if has.0 {
                settings.emoji = emoji;
            }
            if has.1 {
                settings.avatar = avatar;
            }
        };
        let updated = self.core.store.job(move |root| agents::update(root, &of, change)).await;
        match updated.map_err(|err| storage(&err))? {
            Some(agent) => Ok(AgentUpdated { ok: true, agent_id: agent.id }),
            None => Err(unknown_agent(id.as_str())),
        }
    }

    async fn delete(&self, params: DeleteParams) -> Result<AgentDeleted, ApiError> {
        let id = agent_id(&params.agent_id)?;
        if id == AgentId::main() {
            return Err(ApiError::invalid("\"main\" cannot be deleted"));
        }
        let put_aside = params.delete_files == Some(false);
        let removal = if put_aside { Removal::PutAside } else { Removal::Files };
        let (of, now) = (id.clone(), self.core.store.now());
        // What runs in its workspace would go on in one that nobody sees.
        stop(self.core, &id).await;
        let removed =
            self.core.store.job(move |root| agents::remove(root, &of, removal, now)).await;
        let removed = removed.map_err(|err| storage(&err))?;
        // Asked again after a failure here, this is done although the agent is gone.
        self.core.memory.forget(self.core, &id).await.map_err(|err| storage(&err))?;
        let jobs = cron::remove(self.core, |job| cron::is_of(job, &id)).await;
        jobs.map_err(super::cron::failed)?;
        if !removed {
            return Err(unknown_agent(id.as_str()));
        }
        // What began meanwhile can store nothing: the store does not bring an agent back.
        stop(self.core, &id).await;
        let removed = vec![Removed { path: format!("agents/{id}"), method: "trash" }];
        Ok(AgentDeleted { ok: true, agent_id: id, removed_bindings: 0, removed })
    }

    async fn files_list(&self, params: FilesParams) -> Result<FileList, ApiError> {
        files::list(self, params).await
    }

    async fn files_get(&self, params: FileParams) -> Result<FileReply, ApiError> {
        files::get(self, params).await
    }

    async fn files_set(&self, params: SaveFileParams) -> Result<FileSaved, ApiError> {
        files::set(self, params).await
    }

    async fn workspace_list(&self, params: WorkspaceListParams) -> Result<WorkspaceList, ApiError> {
        workspace::list(self, params).await
    }

    async fn workspace_get(
        &self,
        params: WorkspaceGetParams,
    ) -> Result<WorkspaceFileReply, ApiError> {
        workspace::get(self, params).await
    }
}

/// Stops the runs of an agent and its programs, and waits for their ends, for a while. Deleting or
/// resetting a session stops no program: they are the agent's, whichever session began them.
async fn stop(core: &Core, id: &AgentId) {
    let prefix = format!("agent:{id}:");
    let keys = core.runs.by_session().into_keys().filter(|key| key.starts_with(&prefix));
    let mut places = Vec::new();
    for key in keys {
        drop(core.runs.stop_turns(&key, None));
        places.extend(core.runs.line_up(&key));
    }
    let ends = async {
        for place in &places {
            // The lane is free when the run has ended.
            drop(place.turn().await);
        }
    };
    let ended = tokio::time::timeout(STOP_PATIENCE, ends).await.is_ok();
    let stopped = core.programs.stop_all_of(id, core.store.now()).await;
    if !(ended && stopped) {
        tracing::warn!(agent = %id, ended, stopped, "something of a deleted agent still runs");
    }
}

fn summary(view: &View, agent: Agent) -> AgentSummary {
    let workspace = agent.workspace();
    let Agent { id, settings } = agent;
    let own = settings.model.clone();
    let primary = own.or_else(|| view.default_model().map(str::to_owned));
    let url = settings.avatar.clone().filter(|avatar| is_address(avatar));
    let identity = Identity {
        name: settings.name.clone(),
        theme: None,
        emoji: settings.emoji,
        avatar: settings.avatar,
        avatar_url: url,
    };
    AgentSummary {
        id,
        kind: "agent",
        created_at: settings.created_at,
        name: settings.name,
        identity: Some(identity).filter(|identity| *identity != Identity::default()),
        workspace,
        workspace_git: false,
        model: primary.map(|primary| AgentModel { primary, fallbacks: view.fallbacks() }),
        thinking_levels: THINKING_LEVELS,
        thinking_options: THINKING_OPTIONS,
        thinking_default: THINKING_DEFAULT,
    }
}

/// Whether a picture can be shown as it is.
fn is_address(avatar: &str) -> bool {
    ["https://", "data:image/"].iter().any(|start| avatar.starts_with(start))
}

/// An agent that a request names; what cannot be an id is an agent that there is not.
fn agent_id(text: &str) -> Result<AgentId, ApiError> {
    text.trim().to_lowercase().parse().map_err(|_invalid| unknown_agent(text))
}

fn name(text: &str) -> Result<String, ApiError> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let message = format!("name must have 1 to {MAX_NAME} characters and no line break");
        return Err(ApiError::invalid(message));
    }
    Ok(name.to_owned())
}

/// An emoji; an empty one takes it away.
fn emoji(text: Option<String>) -> Result<Option<String>, ApiError> {
    short("emoji", text, MAX_EMOJI)
}

/// A picture; an empty one takes it away.
fn avatar(text: Option<String>) -> Result<Option<String>, ApiError> {
    short("avatar", text, MAX_AVATAR)
}

fn short(name: &str, text: Option<String>, max: usize) -> Result<Option<String>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let text = text.trim();
    if text.len() > max || text.chars().any(char::is_control) {
        let message = format!("{name} has at most {max} bytes and no line break");
        return Err(ApiError::invalid(message));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests;
