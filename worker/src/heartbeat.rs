//! Heartbeats: turns of the main session that nobody asked for, and what is told to a session
//! between its turns.
//!
//! Keeps no time: the next heartbeat is a wish of the one timer (`cron::Alarm`). What waits for a
//! turn is in `cron/heartbeat.json` until a turn has had it.

mod beat;
mod events;
mod hidden;
mod hours;
mod say;
mod settings;
mod state;

use std::sync::{Arc, Mutex};

use types::UnixMillis;

pub(crate) use beat::ring;
pub(crate) use events::{Waiting, take};
pub(crate) use hidden::is_hidden;
pub(crate) use say::{WAKE, may_say_nothing, says_nothing};
pub(crate) use settings::HeartbeatSettings;
pub(crate) use state::{Queued, Stored};

use state::Event;

use crate::Error;
use crate::agent::{self, RunOutcome, RunRequest, SessionKey, Source, Stand};
use crate::cron::Wish;
use crate::service::Core;
use crate::settings::QueueMode;
use crate::store::Dir;
use crate::tools::Allowed;

/// The end of the key of a session that heartbeats have for themselves.
const OWN: &str = ":heartbeat";

/// What changes of the file need: one after the other.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    writing: tokio::sync::Mutex<()>,
    /// What turns that are under way tell: no second turn tells it too.
    taken: Mutex<Vec<Event>>,
}

/// What is stored.
pub(crate) async fn read(core: &Core) -> Result<Stored, Error> {
    core.store.job(Stored::read).await
}

/// Changes what is stored, durably, and says when the next heartbeat is wanted.
pub(crate) async fn change<T>(
    core: &Core,
    edit: impl FnOnce(&mut Stored, UnixMillis) -> T + Send,
) -> Result<T, Error> {
    let _writing = core.pulse.writing.lock().await;
    let (mut stored, now) = (read(core).await?, core.store.now());
    let before = stored.clone();
    let value = edit(&mut stored, now);
    let settings = core.live.now().settings;
    let next = stored.aim(&settings.agents.defaults.heartbeat, now);
    if stored != before {
        if let Err(status) = core.cron.alarm.before(next).await {
            tracing::warn!(%status, "the next heartbeat may be late");
        }
        core.store.job(move |root: &Dir| stored.write(root)).await?;
    }
    core.cron.alarm.after(Wish::Heartbeats, next).await;
    Ok(value)
}

/// Looks at what is stored and at the settings, and sets the timer.
pub(crate) async fn sync(core: &Core) {
    if let Err(err) = change(core, |_, _| ()).await {
        tracing::error!(error = %types::Chain(&err), "heartbeats are not looked at");
    }
}

/// Puts something aside for the next turn of the session, whoever starts it: that turn has the tools
/// of `ceiling` at most, where one is given.
pub(crate) async fn queue(
    core: &Core,
    key: &SessionKey,
    text: &str,
    ceiling: Option<&Allowed>,
) -> Result<Queued, Error> {
    let id = uuid::Uuid::new_v4().to_string();
    put(core, key, text, (id, ceiling), false).await
}

/// The same under a name: what was told under it is not told again. It waits until it is told.
///
/// # Errors
/// [`Error::Full`] where only such events wait, as many as may.
pub(crate) async fn queue_as(
    core: &Core,
    key: &SessionKey,
    text: &str,
    id: String,
) -> Result<Queued, Error> {
    put(core, key, text, (id, None), true).await
}

async fn put(
    core: &Core,
    key: &SessionKey,
    text: &str,
    (id, ceiling): (String, Option<&Allowed>),
    is_promised: bool,
) -> Result<Queued, Error> {
    let (session_key, text) = (key.as_str().to_owned(), text.to_owned());
    let tools_allow = ceiling.map(Allowed::names);
    let push = move |stored: &mut Stored, ts| {
        stored.push(Event { id, ts, session_key, text, tools_allow, is_promised })
    };
    change(core, push).await?
}

/// A run that tells a session something.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// Its id: what was told in it is not told again.
    pub(crate) run_id: &'a str,
    /// The tools that it has at most.
    pub(crate) ceiling: Option<Allowed>,
    /// Whether an earlier process had begun it.
    pub(crate) is_again: bool,
}

/// Tells the session something at once and waits for what it says to it. Where another turn has told it
/// first, nothing is said.
pub(crate) async fn tell_and_wait(
    core: &Core,
    key: &SessionKey,
    text: &str,
    asked: Asked<'_>,
) -> Result<Arc<RunOutcome>, String> {
    let unread = |err: Error| {
        if let Error::Full { .. } = err {
            return err.to_string();
        }
        tracing::error!(error = %types::Chain(&err), "an event was not written");
        "the tenant's files could not be written".to_owned()
    };
    let Asked { run_id, ceiling, is_again } = asked;
    let mut resumes = false;
    if is_again {
        match agent::stand(core, key, run_id, run_id).await.map_err(unread)? {
            Stand::Known(handle) => return Ok(handle.done().await),
            Stand::Cut(_) => resumes = true,
            Stand::New => {}
            // What it has come to went with the transcript that it was in.
            Stand::Answered => return Err("its session began anew while it was told".to_owned()),
        }
    }
    if !resumes {
        let told = put(core, key, text, (run_id.to_owned(), ceiling.as_ref()), true).await;
        told.map_err(unread)?;
    }
    wake(core, key, (run_id, resumes), ceiling).await
}

/// Starts a turn that tells what waits.
async fn wake(
    core: &Core,
    key: &SessionKey,
    (run_id, resumes): (&str, bool),
    ceiling: Option<Allowed>,
) -> Result<Arc<RunOutcome>, String> {
    let mut request = RunRequest::new(key.clone(), WAKE, Source::Wake);
    run_id.clone_into(&mut request.run_id);
    request.event = run_id.into();
    request.is_followed = true;
    request.resumes = resumes;
    // Taken together with messages of the user, it would hide them.
    request.queue = Some(QueueMode::Followup);
    request.ceiling = ceiling;
    let handle = agent::run(core, request).await.map_err(|fault| fault.message)?;
    Ok(handle.done().await)
}

/// Tells the session something at once, and does not wait. The turn that does it has the tools of
/// `ceiling` at most, where one is given.
pub(crate) async fn tell(
    core: &Core,
    key: &SessionKey,
    text: &str,
    ceiling: Option<Allowed>,
) -> Result<Queued, Error> {
    let queued = queue(core, key, text, ceiling.as_ref()).await?;
    let (run, background) = (core.runs.begin(), core.events.background());
    let (core, tasks, key) = (core.clone(), core.tasks.clone(), key.clone());
    drop(tasks.spawn(async move {
        let run_id = format!("wake:{}", uuid::Uuid::new_v4());
        if let Err(why) = wake(&core, &key, (&run_id, false), ceiling).await {
            tracing::warn!(why, "a session was not told; it is with its next turn");
        }
        drop((run, background));
    }));
    Ok(queued)
}

#[cfg(test)]
mod tests;
