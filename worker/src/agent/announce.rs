//! What those are told who follow sessions rather than one run: messages as they are stored, and
//! that a session has changed.

use api::sessions::SessionRow;
use serde::Serialize;
use types::{AgentId, UnixMillis};

use super::history::{Mark, marked};
use super::key::SessionKey;
use crate::service::Core;
use crate::sessions::session_row;
use crate::store::{self, Appended};

/// Tells of messages that are in the transcript now.
pub(super) async fn messages(
    core: &Core,
    key: &SessionKey,
    appended: Vec<Appended>,
    about: About<'_>,
) {
    let session = if about.row { read(core, key).await } else { None };
    for one in appended {
        let Some(message) = one.message else { continue };
        let message = marked(&message, Mark { id: &one.id, seq: one.seq, run_id: about.run_id });
        let told = Message {
            session_key: key.as_str(),
            agent_id: key.agent(),
            message,
            message_id: &one.id,
            message_seq: one.seq,
            session: session.as_deref(),
        };
        core.events.emit("session.message", key.as_str(), &told);
    }
}

/// What is told of messages beside themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// The run that they belong to: by it a page knows that it has shown one as it was made.
    pub(super) run_id: Option<&'a str>,
    /// Whether the session's row is read, which costs a look into the sessions file.
    pub(super) row: bool,
}

/// Tells that a session has changed, and how it is now.
pub(crate) async fn changed(
    core: &Core,
    key: &SessionKey,
    reason: &'static str,
    run_id: Option<&str>,
) {
    let session = read(core, key).await;
    let told = Changed {
        session_key: key.as_str(),
        agent_id: key.agent(),
        reason,
        run_id,
        ts: core.store.now(),
        session_id: session.as_ref().map(|row| row.session_id.as_str()),
        session: session.as_deref(),
    };
    core.events.emit("sessions.changed", key.as_str(), &told);
}

async fn read(core: &Core, key: &SessionKey) -> Option<Box<SessionRow>> {
    let wanted = key.clone();
    let read = core.store.job(move |root| store::session(root, wanted.agent(), wanted.as_str()));
    match read.await {
        Ok(row) => row.map(|row| Box::new(session_row(core, &row))),
        Err(err) => {
            tracing::warn!(error = %types::Chain(&err), "a session could not be read for an event");
            None
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    session_key: &'a str,
    agent_id: &'a AgentId,
    message: Box<serde_json::value::RawValue>,
    message_id: &'a str,
    message_seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a SessionRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed<'a> {
    session_key: &'a str,
    agent_id: &'a AgentId,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
    ts: UnixMillis,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a SessionRow>,
}
