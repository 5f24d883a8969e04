//! A message of the assistant that no model has said.

use serde::Serialize;
use serde_json::value::RawValue;

use super::adoption;
use super::announce::{self, About};
use super::key::SessionKey;
use super::record;
use crate::Error;
use crate::openai::Fault;
use crate::service::Core;
use crate::store::{self, Change, SessionId};

/// Puts `text` into a session as soon as its turns are over, and gives its entry.
/// One that has an id of its own is put there once.
pub(crate) async fn inject(
    core: &Core,
    key: &SessionKey,
    text: &str,
    own: Option<&str>,
) -> Result<String, Fault> {
    let place = core.runs.line_up(key.as_str())?;
    let _lane = place.turn().await;
    if let Some(own) = own {
        let earlier = adoption::of_session(core, key, own).await;
        let earlier = earlier.map_err(|err| Fault::storage(&err))?;
        if earlier.is_some_and(|(_, earlier)| earlier.run.is_some()) {
            return Ok(own.to_owned());
        }
    }
    let injected = append(core, key, text, own).await;
    let (id, message) = injected.map_err(|err| Fault::storage(&err))?;
    let run_id = format!("inject-{id}");
    let told = Told {
        run_id: &run_id,
        session_key: key.as_str(),
        agent_id: key.agent().as_str(),
        seq: 0,
        state: "final",
        message,
    };
    core.events.emit("chat", key.as_str(), &told);
    announce::changed(core, key, "send", None).await;
    Ok(id)
}

async fn append(
    core: &Core,
    key: &SessionKey,
    text: &str,
    own: Option<&str>,
) -> Result<(String, Option<Box<RawValue>>), Error> {
    let wanted = key.clone();
    let read = core.store.job(move |root| store::session(root, wanted.agent(), wanted.as_str()));
    let session = read.await?.map_or_else(SessionId::new, |row| row.session_id);
    let mut messages = vec![record::injected(text, false, core.store.now())?];
    record::mark(&mut messages, own);
    let appended = core.store.append(key.agent(), &session, messages).await?;
    let begin = Change::Begin { session };
    core.store.commit(key.agent(), key.as_str(), begin).await?;
    let last = appended.last().cloned();
    announce::messages(core, key, appended, About { run_id: None, row: true }).await;
    Ok(last.map(|last| (last.id, last.message)).unwrap_or_default())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    run_id: &'a str,
    session_key: &'a str,
    agent_id: &'a str,
    seq: u64,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Box<RawValue>>,
}
