//! Files: an app asks where to bring one, brings it, and says where it belongs; whoever reads one shows
//! the token of the app.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::web::{Asks, Given};
use super::workspace::{File, Workspace};
use super::{Shared, deliver};
use crate::networks::serve::{Asked, Failure, Told, encoded};

/// The largest file, in bytes: less than Slack takes, and enough to see that a bound holds.
const MAX_FILE: u64 = 16 << 20;

/// What an app and an event say of a file.
pub(super) fn described(shared: &Shared, workspace: &Workspace, id: &str, file: &File) -> Value {
    let (address, team) = (shared.address, &workspace.is.team);
    let name = encoded(&file.name);
    let url = format!("http://{address}/files-pri/{team}-{id}/download/{name}");
    json!({
        "id": id, "name": file.name, "title": file.title, "mimetype": file.media_type,
        "size": file.content.len(), "mode": "hosted", "is_external": false,
        "url_private": url, "url_private_download": url,
    })
}

pub(super) fn begin(asks: &Asks<'_>) -> Given {
    let (name, length) = (asks.needs("filename")?, asks.needs("length")?);
    let length: u64 = length.parse().or(Err("invalid_arguments"))?;
    if length == 0 || length > MAX_FILE {
        return Err("file_upload_size_restricted");
    }
    let mut state = asks.workspace.state.lock().unwrap();
    let id = state.id("F");
    let media_type = "application/octet-stream".to_owned();
    let file = File { title: name.clone(), name, media_type, content: Vec::new(), is_whole: false };
    state.files.insert(id.clone(), file);
    let (host, team) = (&asks.host, &asks.workspace.is.team);
    let url = format!("http://{host}/upload/v1/{team}-{id}?length={length}");
    Ok(json!({"upload_url": url, "file_id": id}))
}

/// Takes the bytes of a file; the address alone says whose it is.
pub(super) fn bring(shared: &Arc<Shared>, asked: &Asked) -> Told {
    let place = asked.path.strip_prefix("/upload/v1/").unwrap_or_default();
    let found = place.split_once('-').and_then(|(team, id)| Some((shared.by_team(team)?, id)));
    let Some((workspace, id)) = found else { return plain(404, "not found") };
    let mut state = workspace.state.lock().unwrap();
    let Some(file) = state.files.get_mut(id) else { return plain(404, "not found") };
    if asked.query("length") != Some(asked.body.len().to_string().as_str()) {
        return plain(400, "length");
    }
    file.content = asked.body.to_vec();
    plain(200, &format!("OK - {}", asked.body.len()))
}

pub(super) fn complete(asks: &Asks<'_>) -> Given {
    let files = asks.json("files");
    let files = files.as_array().ok_or("invalid_arguments")?;
    let mut told = Vec::new();
    {
        let mut state = asks.workspace.state.lock().unwrap();
        for wanted in files {
            let id = wanted["id"].as_str().ok_or("invalid_arguments")?;
            let file = state.files.get_mut(id).ok_or("file_not_found")?;
            if file.content.is_empty() {
                return Err("file_not_found");
            }
            file.is_whole = true;
            if let Some(title) = wanted["title"].as_str() {
                title.clone_into(&mut file.title);
            }
            told.push(described(asks.shared, asks.workspace, id, &state.files[id]));
        }
    }
    if let Some(room) = asks.text("channel_id") {
        let room = {
            let found = asks.workspace.state.lock().unwrap().room(&room);
            found.ok_or("channel_not_found")?
        };
        share(asks, &room, &told);
    }
    Ok(json!({"files": told}))
}

/// Says in a room that there are files.
fn share(asks: &Asks<'_>, room: &str, files: &[Value]) {
    let is = &asks.workspace.is;
    let message = {
        let mut state = asks.workspace.state.lock().unwrap();
        let text = asks.text("initial_comment").unwrap_or_default();
        let mut message = json!({
            "type": "message", "subtype": "file_share", "user": is.user, "bot_id": is.bot,
            "app_id": is.app, "text": text, "ts": state.ts(), "files": files,
        });
        if let Some(thread) = asks.text("thread_ts") {
            message["thread_ts"] = thread.into();
        }
        state.put(room, message.clone());
        message
    };
    let heard = asks.workspace.heard(room, &message, None);
    deliver::events(asks.shared, asks.workspace, heard);
}

pub(super) fn info(asks: &Asks<'_>) -> Given {
    let id = asks.needs("file")?;
    let state = asks.workspace.state.lock().unwrap();
    let file = state.files.get(&id).filter(|it| it.is_whole).ok_or("file_not_found")?;
    Ok(json!({"file": described(asks.shared, asks.workspace, &id, file)}))
}

/// Gives a file to whoever has the app's token. Whoever has it not is led to a page where people log
/// in, with a status that looks well: this is what Slack does.
pub(super) async fn fetch(shared: &Arc<Shared>, asked: &Asked) -> Told {
    let place = asked.path.strip_prefix("/files-pri/").unwrap_or_default();
    let place = place.split('/').next().unwrap_or_default();
    let found = place.split_once('-').and_then(|(team, id)| Some((shared.by_team(team)?, id)));
    let Some((workspace, id)) = found else { return plain(404, "not found") };
    let failure = workspace.failures.take("files");
    let told = match &failure {
        Some(Failure::Answer(status, headers, body)) => {
            return Told::failure(*status, headers.clone(), body.clone());
        }
        Some(Failure::Cut) => return Told::Cut,
        _ => content(&workspace, id, asked.header("authorization")),
    };
    told.after(failure).await
}

fn content(workspace: &Workspace, id: &str, shown: &str) -> Told {
    if shown.strip_prefix("Bearer ") != Some(&workspace.is.bot_token) {
        let page = Response::builder().header("content-type", "text/html; charset=utf-8");
        return Told::Whole(page.body(Bytes::from_static(b"<html>Sign in</html>")).unwrap());
    }
    let state = workspace.state.lock().unwrap();
    let Some(file) = state.files.get(id).filter(|it| it.is_whole) else {
        return plain(404, "not found");
    };
    let reply = Response::builder().header("content-type", &file.media_type);
    Told::Whole(reply.body(file.content.clone().into()).unwrap())
}

fn plain(status: u16, text: &str) -> Told {
    Told::failure(status, vec![("content-type".into(), "text/plain".into())], text.to_owned())
}
