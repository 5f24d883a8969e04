//! Jobs that somebody takes away: from the table, with their run logs, and told to clients.

use api::cron::Job;
use types::AgentId;

use super::run::{agent_of, session, tell};
use super::{Edit, Failed, Keep, change, log};
use crate::service::Core;

/// Removes every job that `goes`, and says how many. What of them runs is not stopped, and its end
/// is not written down.
pub(crate) async fn remove(
    core: &Core,
    goes: impl Fn(&Job) -> bool + Send,
) -> Result<usize, Failed> {
    let removed = change(core, Keep::Backup, move |table, _now| {
        let ids: Vec<_> = table.jobs.extract_if(.., |job| goes(job)).map(|job| job.id).collect();
        let changed = !ids.is_empty();
        Ok(Edit { value: ids, changed, log: Vec::new() })
    });
    let ids = removed.await?;
    let gone = ids.clone();
    let logs = core.store.job(move |root| gone.iter().try_for_each(|id| log::remove(root, id)));
    let forgotten = logs.await;
    for id in &ids {
        tell(core, "removed", id, None);
    }
    forgotten?;
    Ok(ids.len())
}

/// Whether nothing could come of the job without the agent: it is its, or its session is.
pub(crate) fn is_of(job: &Job, agent: &AgentId) -> bool {
    agents_of(job).contains(agent)
}

/// Who a job acts for: the agent that it is of, and the one whose session it is about.
pub(crate) fn agents_of(job: &Job) -> Vec<AgentId> {
    let of_session = session(job, 0).ok().map(|key| key.agent().clone());
    [agent_of(job)].into_iter().chain(of_session).collect()
}
