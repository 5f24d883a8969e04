//! Heartbeats: turns of the main session that nobody asked for, and what is told to a session
//! between its turns.
//!
//! Keeps no time: the next heartbeat is a wish of the one timer (`cron::Alarm`). What waits for a
//! turn is in `cron/heartbeat.json` until a turn has had it.

mod beat;
mod hours;
mod say;
mod settings;
mod state;

use std::sync::{Arc, Mutex, PoisonError};

use types::UnixMillis;

pub(crate) use beat::ring;
pub(crate) use say::says_nothing;
pub(crate) use settings::HeartbeatSettings;
pub(crate) use state::{Event, Queued, Stored};

use crate::Error;
use crate::agent::{self, RunOutcome, RunRequest, SessionKey, Source};
use crate::cron::Wish;
use crate::service::Core;
use crate::store::Dir;

/// What changes of the file need: one after the other.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    writing: tokio::sync::Mutex<()>,
    /// What turns that are under way tell: no second turn tells it too.
    taken: Mutex<Vec<Event>>,
}

/// Events that a turn tells. They are others' to tell again when this is dropped, unless they have
/// been told.
#[derive(Debug)]
struct Taken<'a> {
    pulse: &'a Pulse,
    events: Vec<Event>,
}

impl Pulse {
    fn take(&self, mut events: Vec<Event>) -> Taken<'_> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        events.retain(|event| !taken.contains(event));
        taken.extend(events.iter().cloned());
        Taken { pulse: self, events }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut taken = self.pulse.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|event| !self.events.contains(event));
    }
}

/// Whether there are heartbeats. Where that cannot be read there are none.
pub(crate) async fn is_on(core: &Core) -> bool {
    let every = core.live.now().settings.agents.defaults.heartbeat.every_ms();
    every.is_some() && read(core).await.is_ok_and(|stored| stored.enabled)
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

/// Puts something aside for the next turn of the session.
pub(crate) async fn queue(core: &Core, key: &SessionKey, text: &str) -> Result<Queued, Error> {
    let (key, text) = (key.as_str().to_owned(), text.to_owned());
    change(core, move |stored, now| stored.push(key, text, now)).await
}

/// Tells the session something at once, and waits for what it says to it.
pub(crate) async fn tell_and_wait(
    core: &Core,
    key: &SessionKey,
    text: &str,
    run_id: &str,
) -> Result<Arc<RunOutcome>, String> {
    let unwritten = |err: Error| {
        tracing::error!(error = %types::Chain(&err), "an event was not written");
        "the tenant's files could not be written".to_owned()
    };
    queue(core, key, text).await.map_err(unwritten)?;
    let mut taken = core.pulse.take(read(core).await.map_err(unwritten)?.of(key.as_str()));
    if taken.events.is_empty() {
        // Another turn tells the same just now; who waits for this one still gets an answer.
        let (ts, session_key) = (core.store.now(), key.as_str().to_owned());
        taken.events.push(Event { ts, session_key, text: text.to_owned() });
    }
    let mut request = RunRequest::new(key.clone(), say::events(&taken.events), Source::Heartbeat);
    run_id.clone_into(&mut request.run_id);
    let handle = agent::run(core, request).map_err(|fault| fault.message)?;
    let outcome = handle.done().await;
    if outcome.session_id.is_some() {
        // The turn has it in its transcript.
        change(core, |stored, _now| stored.forget(&taken.events)).await.map_err(unwritten)?;
    }
    Ok(outcome)
}

/// Tells the session something at once, and does not wait.
pub(crate) async fn tell(core: &Core, key: &SessionKey, text: &str) -> Result<Queued, Error> {
    let queued = queue(core, key, text).await?;
    let (run, background) = (core.runs.begin(), core.events.background());
    let (core, tasks) = (core.clone(), core.tasks.clone());
    let (key, text) = (key.clone(), text.to_owned());
    drop(tasks.spawn(async move {
        let run_id = format!("wake:{}", uuid::Uuid::new_v4());
        if let Err(why) = tell_and_wait(&core, &key, &text, &run_id).await {
            tracing::warn!(why, "a session was not told; it is with its next turn");
        }
        drop((run, background));
    }));
    Ok(queued)
}

#[cfg(test)]
mod tests;
