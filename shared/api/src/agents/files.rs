//! `agents.files.*` and `agents.workspace.*`.

use serde::{Deserialize, Serialize};
use types::AgentId;

/// Whose files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FilesParams {
    /// The agent.
    pub agent_id: String,
}

/// Which file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FileParams {
    /// The agent.
    pub agent_id: String,
    /// One of the names that `agents.files.list` gives.
    pub name: String,
}

/// A file to write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SaveFileParams {
    /// The agent.
    pub agent_id: String,
    /// One of the names that `agents.files.list` gives.
    pub name: String,
    /// The whole content, 256 KiB at most.
    pub content: String,
}

/// The files of a workspace that make the system prompt, those that are missing too.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileList {
    /// The agent.
    pub agent_id: AgentId,
    /// Its workspace.
    pub workspace: String,
    /// The files.
    pub files: Vec<FileEntry>,
}

/// One file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileReply {
    /// The agent.
    pub agent_id: AgentId,
    /// Its workspace.
    pub workspace: String,
    /// The file.
    pub file: FileEntry,
}

/// The file was written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSaved {
    /// Always true.
    pub ok: bool,
    /// The agent.
    pub agent_id: AgentId,
    /// Its workspace.
    pub workspace: String,
    /// The file.
    pub file: FileEntry,
}

/// A file of a workspace, with its content where that was asked for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// Whether it is not there.
    pub missing: bool,
    /// Whether it need not be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_absent: Option<bool>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at_ms: Option<u64>,
    /// The content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// A folder of a workspace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WorkspaceListParams {
    /// The agent.
    pub agent_id: String,
    /// The folder, relative to the workspace; the workspace itself if absent or empty.
    pub path: Option<String>,
    /// How many entries to leave out before the first.
    pub offset: Option<u32>,
    /// At most this many, 1 or more; 200 if absent. More than 1000 are as 1000.
    pub limit: Option<u32>,
}

/// A folder's entries, folders first, then by name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceList {
    /// The agent.
    pub agent_id: AgentId,
    /// The folder.
    pub path: String,
    /// The folder around it, if it is not the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_path: Option<String>,
    /// The entries of this page.
    pub entries: Vec<WorkspaceEntry>,
    /// How many there are.
    pub total_entries: usize,
    /// How many were left out before the first.
    pub offset: usize,
}

/// One entry of a folder. What is neither a file nor a folder is not listed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceEntry {
    /// Where it is, relative to the workspace.
    pub path: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: WorkspaceKind,
    /// Bytes of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at_ms: Option<u64>,
}

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceKind {
    /// A folder.
    Directory,
    /// A regular file.
    File,
}

/// Which file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WorkspaceGetParams {
    /// The agent.
    pub agent_id: String,
    /// The file, relative to the workspace.
    pub path: String,
}

/// One file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceFileReply {
    /// The agent.
    pub agent_id: AgentId,
    /// The file.
    pub file: WorkspaceFile,
}

/// A file of a workspace with its content, 256 KiB at most.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceFile {
    /// Where it is, relative to the workspace.
    pub path: String,
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since the epoch.
    pub updated_at_ms: u64,
    /// What its name says that it is.
    pub mime_type: &'static str,
    /// How the content is written here.
    pub encoding: Encoding,
    /// The content.
    pub content: String,
}

/// How a file's content is written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As text.
    Utf8,
    /// As the base64 of its bytes.
    Base64,
}
