//! `agents.files.*`: the files of a workspace that make the system prompt.

use api::ApiError;
use api::agents::{
    FileEntry, FileList, FileParams, FileReply, FileSaved, FilesParams, SaveFileParams,
};
use types::AgentId;

use super::super::{Call, storage, unknown_agent};
use super::agent_id;
use crate::Error;
use crate::agents::{self, Content, FILES, MAX_FILE, Refused};
use crate::store::{self, Dir, Kind};

/// The files, those that are missing too.
pub(super) async fn list(call: &Call<'_>, params: FilesParams) -> Result<FileList, ApiError> {
    let id = agent_id(&params.agent_id)?;
    let of = id.clone();
    let read = move |root: &Dir| {
        let Some(workspace) = open(root, &of)? else { return Ok(None) };
        let entry = |(name, may_miss): &(&'static str, bool)| {
            let kind = workspace.kind(name).map_err(Error::io("look at a file"))?;
            let mut entry = entry(&of, name, None);
            if let Some(Kind::File { size, changed }) = kind {
                entry.missing = false;
                entry.size = Some(size);
                entry.updated_at_ms = Some(changed);
            }
            entry.expected_absent = (entry.missing && *may_miss).then_some(true);
            Ok(entry)
        };
        FILES.iter().map(entry).collect::<Result<Vec<_>, Error>>().map(Some)
    };
    let files = call.core.store.job(read).await.map_err(|err| storage(&err))?;
    let files = files.ok_or_else(|| unknown_agent(id.as_str()))?;
    // A file system that tells no upper from lower case would show the same file twice; and the
    // second name exists for workspaces of older versions only.
    let shown = |file: &FileEntry| file.name != "memory.md" || !file.missing;
    let files = files.into_iter().filter(shown).collect();
    Ok(FileList { workspace: agents::workspace_path(&id), agent_id: id, files })
}

/// One file with its content.
pub(super) async fn get(call: &Call<'_>, params: FileParams) -> Result<FileReply, ApiError> {
    let id = agent_id(&params.agent_id)?;
    let name = file_name(&params.name)?;
    let of = id.clone();
    let read = move |root: &Dir| {
        let Some(workspace) = open(root, &of)? else { return Ok(None) };
        let found = agents::read_file(&workspace, name)?;
        let read = |found: Option<Content>| Ok(entry(&of, name, found.map(text).transpose()?));
        Ok(Some(found.and_then(read)))
    };
    let read = call.core.store.job(read).await.map_err(|err| storage(&err))?;
    let read = read.ok_or_else(|| unknown_agent(id.as_str()))?;
    let file = read.map_err(|why| refused(name, why))?;
    Ok(FileReply { workspace: agents::workspace_path(&id), agent_id: id, file })
}

/// Writes one file whole.
pub(super) async fn set(call: &Call<'_>, params: SaveFileParams) -> Result<FileSaved, ApiError> {
    let id = agent_id(&params.agent_id)?;
    let name = file_name(&params.name)?;
    if params.content.len() > MAX_FILE {
        return Err(refused(name, Refused::TooLarge));
    }
    let (of, content) = (id.clone(), params.content);
    let write = move |root: &Dir| {
        let written = agents::write_file(root, &of, name, &content)?;
        Ok(written.map(|written| written.map(|changed| (changed, content))))
    };
    let written = call.core.store.job(write).await.map_err(|err| storage(&err))?;
    let written = written.ok_or_else(|| unknown_agent(id.as_str()))?;
    let (changed, content) = written.map_err(|why| refused(name, why))?;
    let file = entry(&id, name, Some((content, changed)));
    Ok(FileSaved { ok: true, workspace: agents::workspace_path(&id), agent_id: id, file })
}

/// The workspace of an agent, made where it is missing. `None` where there is no such agent.
pub(super) fn open(root: &Dir, agent: &AgentId) -> Result<Option<Dir>, Error> {
    let folder = store::agent_folder(root, agent)?;
    folder.as_ref().map(crate::agent::seed_workspace).transpose()
}

pub(super) fn refused(name: &str, why: Refused) -> ApiError {
    ApiError::invalid(format!("\"{name}\" {why}"))
}

fn file_name(name: &str) -> Result<&'static str, ApiError> {
    let known = FILES.iter().find(|(known, _)| *known == name);
    known.map(|(name, _)| *name).ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        ApiError::invalid(format!("unsupported file \"{shown}\""))
    })
}

/// The text of a file and when it changed last.
fn text(content: Content) -> Result<(String, u64), Refused> {
    let text = String::from_utf8(content.bytes).map_err(|_why| Refused::NotText)?;
    Ok((text, content.changed))
}

/// A file: its text and when it changed last, where it is there.
fn entry(agent: &AgentId, name: &'static str, found: Option<(String, u64)>) -> FileEntry {
    let (content, updated_at_ms) = found.unzip();
    FileEntry {
        name: name.to_owned(),
        path: format!("{}/{name}", agents::workspace_path(agent)),
        missing: content.is_none(),
        expected_absent: None,
        size: content.as_ref().and_then(|text| u64::try_from(text.len()).ok()),
        updated_at_ms,
        content,
    }
}
