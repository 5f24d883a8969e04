//! `agents.*`: the agents of one tenant, and the files of their workspaces.
//!
//! Paths in results are beneath the tenant's root, for example `agents/main/workspace`.

use serde::{Deserialize, Serialize};
use types::AgentId;

use crate::models::ThinkingLevel;
use crate::sessions::Set;

mod files;

pub use files::{
    Encoding, FileEntry, FileList, FileParams, FileReply, FileSaved, FilesParams, SaveFileParams,
    WorkspaceEntry, WorkspaceFile, WorkspaceFileReply, WorkspaceGetParams, WorkspaceKind,
    WorkspaceList, WorkspaceListParams,
};

methods! { Worker;
    /// The agents of one tenant.
    pub trait Agents {
        /// Every agent; `main` first.
        "agents.list" [Read] fn list(ListParams) -> AgentList;
        /// Makes an agent with a workspace of its own.
        "agents.create" [Admin] fn create(CreateParams) -> AgentCreated;
        /// Changes an agent.
        "agents.update" [Admin] fn update(UpdateParams) -> AgentUpdated;
        /// Deletes an agent with its sessions.
        "agents.delete" [Admin] fn delete(DeleteParams) -> AgentDeleted;
        /// The files of a workspace that make the system prompt.
        "agents.files.list" [Read] fn files_list(FilesParams) -> FileList;
        /// One of them.
        "agents.files.get" [Read] fn files_get(FileParams) -> FileReply;
        /// Writes one of them.
        "agents.files.set" [Admin] fn files_set(SaveFileParams) -> FileSaved;
        /// A folder of a workspace.
        "agents.workspace.list" [Read] fn workspace_list(WorkspaceListParams) -> WorkspaceList;
        /// Any file of a workspace.
        "agents.workspace.get" [Read] fn workspace_get(WorkspaceGetParams) -> WorkspaceFileReply;
    }
}

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListParams {}

/// Every agent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentList {
    /// The agent that a request means that names none.
    pub default_id: AgentId,
    /// The last part of every agent's main session key.
    pub main_key: &'static str,
    /// Always `per-sender`.
    pub scope: &'static str,
    /// Always `explicit`.
    pub ownership: &'static str,
    /// Always false: there is a default.
    pub selection_required: bool,
    /// The agents.
    pub agents: Vec<AgentSummary>,
}

/// One agent.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentSummary {
    /// Its id.
    pub id: AgentId,
    /// Always `agent`.
    pub kind: &'static str,
    /// When it was made, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<u64>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it shows itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Its workspace.
    pub workspace: String,
    /// Always false: workspaces are no git repositories.
    pub workspace_git: bool,
    /// The model that its turns use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<AgentModel>,
    /// How much its model can be told to think.
    pub thinking_levels: &'static [ThinkingLevel],
    /// The same, as words.
    pub thinking_options: &'static [&'static str],
    /// How much it thinks where nobody says.
    pub thinking_default: &'static str,
}

/// The models of an agent.
#[derive(Debug, Clone, Serialize)]
pub struct AgentModel {
    /// The one that is asked first.
    pub primary: String,
    /// Those that are asked when it fails.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
}

/// How an agent shows itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its manner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<String>,
    /// Its emoji.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
    /// Its picture, as the tenant named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// Its picture where it is an `https:` or `data:` address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// An agent to make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CreateParams {
    /// Its name, 1 to 128 characters; the id is made from it.
    pub name: String,
    /// No effect: the workspace is `agents/<id>/workspace`.
    pub workspace: Option<String>,
    /// Its model, one of `models.list`; the tenant's default if absent.
    pub model: Option<String>,
    /// Its emoji, 32 bytes at most.
    pub emoji: Option<String>,
    /// Its picture: an address or a path in its workspace, 64 KiB at most.
    pub avatar: Option<String>,
}

/// The agent that was made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentCreated {
    /// Always true.
    pub ok: bool,
    /// Its id.
    pub agent_id: AgentId,
    /// Its name.
    pub name: String,
    /// Its workspace.
    pub workspace: String,
    /// Its model, if it has one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// What to change of an agent. What is absent stays; an empty emoji or avatar is taken away.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UpdateParams {
    /// The agent.
    pub agent_id: String,
    /// Its name, 1 to 128 characters; the id stays.
    pub name: Option<String>,
    /// No effect: the workspace is `agents/<id>/workspace`.
    pub workspace: Option<String>,
    /// Its model, one of `models.list`; null for the tenant's default.
    #[serde(default)]
    pub model: Set<String>,
    /// Its emoji, 32 bytes at most.
    pub emoji: Option<String>,
    /// Its picture, 64 KiB at most.
    pub avatar: Option<String>,
}

/// The agent was changed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentUpdated {
    /// Always true.
    pub ok: bool,
    /// The agent.
    pub agent_id: AgentId,
}

/// The agent to delete.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DeleteParams {
    /// The agent; `main` cannot be deleted.
    pub agent_id: String,
    /// Whether its files are removed at once, which is so if absent. Otherwise they are put aside,
    /// and the four agents put aside last are kept.
    pub delete_files: Option<bool>,
}

/// The agent is gone.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentDeleted {
    /// Always true.
    pub ok: bool,
    /// The agent.
    pub agent_id: AgentId,
    /// Always 0: channels are not bound to agents here.
    pub removed_bindings: u32,
    /// What was removed or put aside.
    pub removed: Vec<Removed>,
}

/// One folder that was removed or put aside.
#[derive(Debug, Serialize)]
pub struct Removed {
    /// Where it was.
    pub path: String,
    /// Always `trash`, the official word for both.
    pub method: &'static str,
}
