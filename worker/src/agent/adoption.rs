//! An event that may have come before: which run has it, how that run stands, and what the supervisor
//! is told when it is over.

use std::sync::Arc;

use super::earlier::{Earlier, look};
use super::key::SessionKey;
use super::run::{RunHandle, RunOutcome, RunStatus};
use crate::Error;
use crate::adopted::{self, Record, Stage};
use crate::openai::Fault;
use crate::service::Core;
use crate::store::{self, Dir};

/// How an event stands.
#[derive(Debug)]
pub(crate) enum Stand {
    /// Nothing of it is known.
    New,
    /// This run has it, or had it.
    Known(RunHandle),
    /// It is over, and nothing more of it is known.
    Answered,
    /// The run of this id had it, and was cut off before it had answered.
    Cut(String),
}

/// How the event stands, whose run is `run_id` in the session `key`. An event without a name is known
/// by its run alone.
pub(crate) async fn stand(
    core: &Core,
    key: &SessionKey,
    run_id: &str,
    event: &str,
) -> Result<Stand, Error> {
    if let Some(run) = core.desk.find(run_id, Some(key.as_str())) {
        return Ok(Stand::Known(run));
    }
    let record = if event.is_empty() { None } else { adopted::find(core, event).await? };
    let Some(record) = record else {
        let earlier = of_session(core, key, run_id).await?.map(|(_, earlier)| earlier);
        return Ok(told(earlier.as_ref(), run_id).unwrap_or(Stand::New));
    };
    if let Some(run) = core.desk.find(&record.run, Some(&record.key)) {
        return Ok(Stand::Known(run));
    }
    let key = SessionKey::parse(&record.key).unwrap_or_else(|_| key.clone());
    // Not in the transcript of the record alone: where a process ended as it began a session, the next one
    // has begun another, and may have ended before that was in the record.
    let earlier = of_session(core, &key, &record.run).await?;
    let is_of_record = earlier.as_ref().is_some_and(|(session, _)| *session == record.session);
    let earlier = earlier.map(|(_, earlier)| earlier);
    Ok(match (told(earlier.as_ref(), &record.run), record.stage) {
        (Some(Stand::Known(run)), _) => Stand::Known(run),
        (_, Stage::Answered) => Stand::Answered,
        (Some(stand), Stage::Adopted) => stand,
        // The session has begun anew since, and with it what had been said. A transcript that is
        // neither there nor put aside was never begun.
        (None, Stage::Adopted) if !is_of_record && was_put_aside(core, &key, &record).await? => {
            Stand::Answered
        }
        (None, Stage::Adopted) => Stand::New,
    })
}

fn told(earlier: Option<&Earlier>, run_id: &str) -> Option<Stand> {
    let earlier = earlier?;
    let run = earlier.run.as_ref()?;
    Some(if earlier.is_cut { Stand::Cut(run_id.to_owned()) } else { Stand::Known(run.clone()) })
}

async fn was_put_aside(core: &Core, key: &SessionKey, record: &Record) -> Result<bool, Error> {
    let (agent, session) = (key.agent().clone(), record.session.clone());
    core.store.job(move |root| store::was_put_aside(root, &agent, &session)).await
}

/// The name of the session's transcript, and what it says of a run; `None` where there is none.
pub(super) async fn of_session(
    core: &Core,
    key: &SessionKey,
    run_id: &str,
) -> Result<Option<(String, Earlier)>, Error> {
    let (key, run_id) = (key.clone(), run_id.to_owned());
    let read = move |root: &Dir| {
        let Some(row) = store::session(root, key.agent(), key.as_str())? else { return Ok(None) };
        let session = row.session_id.as_str();
        let file = store::transcript(root, key.agent(), &row.session_id)?;
        let Some(file) = file else { return Ok(None) };
        let earlier = look(&file, session, &run_id);
        let earlier = earlier.map_err(Error::io("read a transcript"))?;
        Ok(Some((session.to_owned(), earlier)))
    };
    core.store.job(read).await
}

/// Says what has become of the event when the run is over.
pub(crate) fn follow(core: &Core, event: &str, key: &SessionKey, run: &RunHandle) {
    if event.is_empty() {
        return;
    }
    let background = core.events.background();
    let (scope, event, key, run) = (core.clone(), event.to_owned(), key.clone(), run.clone());
    drop(core.tasks.spawn(async move {
        let outcome = run.done().await;
        conclude(&scope, &event, &key, run.id(), &outcome).await;
        drop(background);
    }));
}

/// How a run has ended as its transcript has it: an answer that was kept is one, though what was to be
/// written beside it was not.
pub(crate) async fn kept(
    core: &Core,
    key: &SessionKey,
    run_id: &str,
    outcome: Arc<RunOutcome>,
) -> Arc<RunOutcome> {
    if outcome.status == RunStatus::Ok {
        return outcome;
    }
    let earlier = of_session(core, key, run_id).await.ok().flatten();
    match told(earlier.as_ref().map(|(_, earlier)| earlier), run_id) {
        Some(Stand::Known(run)) => run.ended().unwrap_or(outcome),
        _ => outcome,
    }
}

/// Says what has become of an event whose run is over: dealt with, or to be handed over again.
pub(crate) async fn conclude(
    core: &Core,
    event: &str,
    key: &SessionKey,
    run_id: &str,
    outcome: &RunOutcome,
) {
    match is_over(core, event, key, run_id, outcome).await {
        // The process ends: the next one goes on with it.
        Ok(None) => {}
        Ok(Some(true)) => over(core, event, key, run_id, outcome.session_id.as_deref()).await,
        Ok(Some(false)) => {
            let why = outcome.error.as_ref().map_or("", |fault| fault.message.as_str());
            hand_back(core, event, run_id, why).await;
        }
        Err(err) => {
            tracing::error!(error = %types::Chain(&err), "what became of an event is not known");
            hand_back(core, event, run_id, "the tenant's files could not be read").await;
        }
    }
}

/// The event is to be handed over again: when it comes it is a run of its own, not this one's failure.
pub(crate) async fn hand_back(core: &Core, event: &str, run_id: &str, why: &str) {
    core.desk.forget(run_id);
    core.events.settled(event, true, why).await;
}

/// The event is dealt with.
pub(crate) async fn over(
    core: &Core,
    event: &str,
    key: &SessionKey,
    run_id: &str,
    session: Option<&str>,
) {
    if event.is_empty() {
        return;
    }
    let record = Record {
        event: event.to_owned(),
        run: run_id.to_owned(),
        key: key.as_str().to_owned(),
        session: session.unwrap_or_default().to_owned(),
        stage: Stage::Answered,
        at: core.store.now(),
    };
    match adopted::note(core, vec![record]).await {
        Ok(()) => core.events.settled(event, false, "").await,
        Err(err) => {
            // Found in its transcript when it comes again.
            tracing::error!(error = %types::Chain(&err), "an event may come again");
            core.events.settled(event, true, "the tenant's files could not be written").await;
        }
    }
}

/// Whether the run has come to an end that stays; `None` where nobody can say before the next process.
pub(crate) async fn is_over(
    core: &Core,
    event: &str,
    key: &SessionKey,
    run_id: &str,
    outcome: &RunOutcome,
) -> Result<Option<bool>, Error> {
    if outcome.status == RunStatus::Ok {
        return Ok(Some(true));
    }
    let record = adopted::find(core, event).await?;
    let run_id = record.as_ref().map_or(run_id, |record| record.run.as_str());
    let earlier = of_session(core, key, run_id).await?.map(|(_, earlier)| earlier);
    match told(earlier.as_ref(), run_id) {
        // Its answer, or that it failed, is in the transcript.
        Some(Stand::Known(_)) => Ok(Some(true)),
        _ if core.runs.is_stopping() => Ok(None),
        Some(_) => Ok(Some(false)),
        None if outcome.status == RunStatus::Aborted => Ok(Some(true)),
        None => Ok(Some(outcome.error.as_ref().is_some_and(is_final))),
    }
}

/// Whether the same message would be refused again, whenever it came.
const fn is_final(fault: &Fault) -> bool {
    fault.status >= 400 && fault.status < 500 && fault.status != 429
}

/// Writes down which run has taken events, before their messages are in its transcript or while they
/// are being written there.
pub(super) async fn adopt(
    core: &Core,
    events: &[Arc<str>],
    key: &SessionKey,
    (run_id, session): (&str, &store::SessionId),
) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    let at = core.store.now();
    let records = events.iter().map(|event| Record {
        event: event.to_string(),
        run: run_id.to_owned(),
        key: key.as_str().to_owned(),
        session: session.as_str().to_owned(),
        stage: Stage::Adopted,
        at,
    });
    adopted::note(core, records.collect()).await
}
