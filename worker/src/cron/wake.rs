//! What the worker does when it starts, when its settings change, and when the timer rings.

use tonic::Status;
use types::UnixMillis;

use super::{FOLDER, Failed, pump, read};
use crate::service::Core;
use crate::store::Dir;
use crate::{Error, heartbeat};

/// Looks at what is stored and at the settings, and sets the timer, beside everything else.
pub(crate) fn sync(core: &Core) {
    let (core, tasks) = (core.clone(), core.tasks.clone());
    drop(tasks.spawn(async move {
        let heartbeats = core.live.now().settings.agents.defaults.heartbeat.every_ms().is_some();
        let look = |root: &Dir| root.sub(FOLDER).map_err(Error::io("look for jobs"));
        // Most tenants have neither, and their workers start a little faster.
        if !heartbeats && core.store.job(look).await.is_ok_and(|found| found.is_none()) {
            return;
        }
        if let Err(failed) = read(&core).await {
            tracing::error!(?failed, "the jobs are not looked at");
        }
        heartbeat::sync(&core).await;
    }));
}

/// The timer has rung for `due_at`. What is due is on disk as begun and has its next time when
/// this returns.
pub(crate) async fn woken(core: &Core, due_at: UnixMillis) -> Result<(), Status> {
    core.cron.alarm.rang(due_at).await;
    pump(core).await.map_err(|failed| unavailable(&failed))?;
    heartbeat::ring(core).await.map_err(|err| unavailable(&Failed::Storage(err)))?;
    if core.cron.alarm.is_to_be_kept(due_at).await {
        return Err(Status::aborted("the next time could not be set"));
    }
    Ok(())
}

fn unavailable(failed: &Failed) -> Status {
    tracing::error!(?failed, "what is due cannot be looked at");
    Status::unavailable("what is due cannot be looked at")
}
