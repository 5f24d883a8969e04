//! Beginning a session anew under the same key: by command, or because it is stale.

use jiff::tz::TimeZone;

use super::key::SessionKey;
use crate::Error;
use crate::service::Core;
use crate::store::{self, Aside, Change, Row, SessionId};

/// Begins a session anew, if there is one, and puts its transcript aside. The caller has its lane.
pub(super) async fn begin(core: &Core, key: &SessionKey) -> Result<Option<SessionId>, Error> {
    let wanted = key.clone();
    let read = core.store.job(move |root| store::session(root, wanted.agent(), wanted.as_str()));
    match read.await? {
        Some(row) => replace(core, key, &row).await.map(Some),
        None => Ok(None),
    }
}

async fn replace(core: &Core, key: &SessionKey, row: &Row) -> Result<SessionId, Error> {
    let session = SessionId::new();
    let reset = Change::Reset { session: session.clone() };
    core.store.commit(key.agent(), key.as_str(), reset).await?;
    let aside = core.store.put_aside(key.agent(), row.session_id.clone(), Aside::Reset).await?;
    tracing::debug!(aside = aside.len(), "a session was begun anew");
    Ok(session)
}

/// Begins a session anew that has not been used for as long as the settings say.
pub(super) async fn if_stale(
    core: &Core,
    key: &SessionKey,
    row: &Row,
) -> Result<Option<SessionId>, Error> {
    let settings = core.live.now().settings;
    if !settings.session.is_stale(row, core.store.now(), &TimeZone::UTC) {
        return Ok(None);
    }
    replace(core, key, row).await.map(Some)
}
