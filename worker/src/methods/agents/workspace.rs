//! `agents.workspace.*`: looking into a workspace. Links are neither shown nor followed.

use api::ApiError;
use api::agents::{
    Encoding, WorkspaceEntry, WorkspaceFile, WorkspaceFileReply, WorkspaceGetParams, WorkspaceKind,
    WorkspaceList, WorkspaceListParams,
};

use super::super::{Call, storage, unknown_agent};
use super::agent_id;
use super::files::{open, refused};
use crate::Error;
use crate::agents::{self, Content};
use crate::store::{Dir, Kind};

/// Bytes of a path, and folders in it.
const MAX_PATH: usize = 1024;
const MAX_DEPTH: usize = 32;
/// Entries of a folder that are looked at.
const MAX_ENTRIES: usize = 5000;
/// Entries of one page.
const MAX_PAGE: u32 = 1000;

/// A folder.
pub(super) async fn list(
    call: &Call<'_>,
    params: WorkspaceListParams,
) -> Result<WorkspaceList, ApiError> {
    let id = agent_id(&params.agent_id)?;
    let limit = match params.limit {
        Some(0) => return Err(ApiError::invalid("limit must be 1 or more")),
        limit => usize::try_from(limit.unwrap_or(200).min(MAX_PAGE)).unwrap_or(usize::MAX),
    };
    let offset = usize::try_from(params.offset.unwrap_or(0)).unwrap_or(usize::MAX);
    let path = checked(params.path.as_deref().unwrap_or_default())?;
    let (of, folder) = (id.clone(), path.clone());
    let read = move |root: &Dir| {
        let Some(workspace) = open(root, &of)? else { return Ok(None) };
        let dir = match folder.as_str() {
            "" => Some(workspace),
            folder => workspace.sub(folder).map_err(Error::io("open a folder"))?,
        };
        dir.map(|dir| entries(&dir, &folder)).transpose().map(Some)
    };
    let read = call.core.store.job(read).await.map_err(|err| storage(&err))?;
    let entries = read.ok_or_else(|| unknown_agent(id.as_str()))?;
    let entries = entries.ok_or_else(|| ApiError::not_found("there is no such folder"))?;
    let total_entries = entries.len();
    let parent_path = match path.rsplit_once('/') {
        Some((parent, _)) => Some(parent.to_owned()),
        None => (!path.is_empty()).then(String::new),
    };
    let entries = entries.into_iter().skip(offset).take(limit).collect();
    Ok(WorkspaceList { agent_id: id, path, parent_path, entries, total_entries, offset })
}

/// A file.
pub(super) async fn get(
    call: &Call<'_>,
    params: WorkspaceGetParams,
) -> Result<WorkspaceFileReply, ApiError> {
    let id = agent_id(&params.agent_id)?;
    let path = checked(&params.path)?;
    let (folder, name) = match path.rsplit_once('/') {
        Some((folder, name)) => (Some(folder.to_owned()), name.to_owned()),
        None => (None, path.clone()),
    };
    if name.is_empty() {
        return Err(ApiError::invalid("path must name a file"));
    }
    let (of, file) = (id.clone(), name.clone());
    let read = move |root: &Dir| {
        let Some(workspace) = open(root, &of)? else { return Ok(None) };
        let dir = match folder {
            None => Some(workspace),
            Some(folder) => workspace.sub(&folder).map_err(Error::io("open a folder"))?,
        };
        let Some(dir) = dir else { return Ok(Some(Ok(None))) };
        agents::read_file(&dir, &file).map(Some)
    };
    let read = call.core.store.job(read).await.map_err(|err| storage(&err))?;
    let read = read.ok_or_else(|| unknown_agent(id.as_str()))?;
    let found = read.map_err(|why| refused(&name, why))?;
    let Some(Content { bytes, changed: updated_at_ms }) = found else {
        return Err(ApiError::not_found("there is no such file"));
    };
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let (encoding, content) = match String::from_utf8(bytes) {
        Ok(text) => (Encoding::Utf8, text),
        Err(err) => (Encoding::Base64, base64(err.as_bytes())),
    };
    let mime_type = mime_type(&name);
    let file = WorkspaceFile { path, name, size, updated_at_ms, mime_type, encoding, content };
    Ok(WorkspaceFileReply { agent_id: id, file })
}

/// A path within the workspace, without slashes at its ends.
fn checked(path: &str) -> Result<String, ApiError> {
    let path = path.trim_matches('/');
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\0', '\\']);
    let depth = path.split('/').count();
    let fits = path.len() <= MAX_PATH && depth <= MAX_DEPTH;
    if path.is_empty() || path == "." {
        Ok(String::new())
    } else if fits && path.split('/').all(is_plain) {
        Ok(path.to_owned())
    } else {
        Err(ApiError::invalid(format!(
            "path must be relative to the workspace, of at most {MAX_PATH} bytes and {MAX_DEPTH} \
             folders, without `.` and `..`"
        )))
    }
}

/// The files and folders of a folder: folders first, then by name.
fn entries(dir: &Dir, path: &str) -> Result<Vec<WorkspaceEntry>, Error> {
    let mut entries = Vec::new();
    for name in dir.names().map_err(Error::io("list a folder"))?.take(MAX_ENTRIES) {
        let name = name.map_err(Error::io("list a folder"))?;
        let (kind, size, changed) = match dir.kind(&name).map_err(Error::io("look at a file"))? {
            Some(Kind::File { size, changed }) => (WorkspaceKind::File, Some(size), changed),
            Some(Kind::Directory { changed }) => (WorkspaceKind::Directory, None, changed),
            None => continue,
        };
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        entries.push(WorkspaceEntry { path, name, kind, size, updated_at_ms: Some(changed) });
    }
    entries.sort_unstable_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(entries)
}

/// What a file is, as far as its name says.
fn mime_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    match ending.as_deref() {
        Some("md" | "markdown") => "text/markdown",
        Some("txt" | "log") => "text/plain",
        Some("json") => "application/json",
        Some("html" | "htm") => "text/html",
        Some("css") => "text/css",
        Some("js" | "mjs") => "text/javascript",
        Some("csv") => "text/csv",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("svg") => "image/svg+xml",
        Some("pdf") => "application/pdf",
        _ => "application/octet-stream",
    }
}

/// The standard alphabet, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = usize::try_from(bits >> (18 - 6 * at) & 63).ok();
            let letter = letter.and_then(|letter| ALPHABET.get(letter)).copied().unwrap_or(b'=');
            let is_padding = usize::try_from(at).is_ok_and(|at| at > group.len());
            text.push(char::from(if is_padding { b'=' } else { letter }));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standard_one() {
        let check = |bytes: &[u8], wanted: &str| assert_eq!(base64(bytes), wanted);
        check(b"", "");
        check(b"f", "Zg==");
        check(b"fo", "Zm8=");
        check(b"foo", "Zm9v");
        check(&[0xff, 0xfe, 0, 1], "//4AAQ==");
    }

    #[test]
    fn paths_stay_in_the_workspace() {
        let check = |path: &str, wanted: Option<&str>| {
            assert_eq!(checked(path).ok().as_deref(), wanted, "{path}");
        };
        check("", Some(""));
        check("/skills/", Some("skills"));
        check("a/b.md", Some("a/b.md"));
        check("..", None);
        check("a/../b", None);
        check("a//b", None);
        check("a\0b", None);
        check(&"a/".repeat(40), None);
    }
}
