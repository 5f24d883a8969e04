//! What of a turn is kept: the prompt before its answer, the answer before its end is told, and who
//! is told of either.

use super::adoption;
use super::announce::{self, About};
use super::asking::Prepared;
use super::calls::Given;
use super::prompt::Incoming;
use super::record;
use super::run::{RunStatus, Source};
use super::turn::{Failed, Turn};
use crate::openai::{Before, Call, Fault, Fold};
use crate::service::Core;
use crate::sessions::{Kind, Plain};
use crate::store::{Appended, Change, Origin, Stop, Stored, StoredMessage};
use crate::{Error, heartbeat};

/// What started a turn that no person has asked for.
pub(super) fn origin(turn: &Turn) -> Option<Origin> {
    let kind = Kind::of_key(turn.key.as_str());
    match (turn.source?, kind) {
        // In a session of its own it is what the session is about.
        (Source::Chat | Source::Agent | Source::Channel, _)
        | (Source::Cron, Kind::Cron { .. })
        | (Source::Hook, Kind::Hook { .. })
        | (Source::Session, Kind::Plain { kind: Plain::Subagent, .. }) => None,
        (Source::Heartbeat | Source::Wake, _) => Some(Origin::Heartbeat),
        (Source::Cron, _) => Some(Origin::Cron),
        (Source::Hook, _) => Some(Origin::Hook),
        (Source::Session, _) => Some(Origin::Session),
    }
}

/// Makes the prompt durable, and the session where it is new.
pub(super) async fn prompt(
    core: &Core,
    turn: &Turn,
    prepared: &Prepared,
    incoming: &Incoming,
) -> Result<(), Error> {
    if turn.resumes {
        return Ok(());
    }
    let mark = turn.mark.as_deref().unwrap_or_default();
    let adopted = adoption::adopt(core, &turn.events, &turn.key, (mark, &prepared.session));
    if turn.events.len() < 2 {
        // The transcript alone says it as well: which is written first does not matter.
        let stored = store_prompt(core, turn, prepared, incoming);
        return futures_util::future::try_join(adopted, stored).await.map(drop);
    }
    // Of messages that were taken together the transcript names one run only.
    adopted.await?;
    store_prompt(core, turn, prepared, incoming).await
}

async fn store_prompt(
    core: &Core,
    turn: &Turn,
    prepared: &Prepared,
    incoming: &Incoming,
) -> Result<(), Error> {
    let (agent, now) = (turn.key.agent(), core.store.now());
    let before = &prepared.past.messages;
    let mut messages = Vec::new();
    // A session that nobody can name again needs no copy of what its only client keeps.
    if prepared.is_new && turn.key.is_addressable() {
        messages = record::incoming(before, &[], now)?;
    }
    let mut prompt = record::incoming(&incoming.prompt, before, now)?;
    record::mark(&mut prompt, turn.mark.as_deref());
    record::attribute(&mut prompt, (origin(turn), turn.sender.as_deref()), &incoming.events);
    messages.extend(prompt);
    let appended = core.store.append(agent, &prepared.session, messages).await?;
    if prepared.is_new {
        let begin = Change::Begin { session: prepared.session.clone() };
        core.store.commit(agent, turn.key.as_str(), begin).await?;
    }
    incoming.forget(core).await;
    announced(core, turn, appended).await;
    Ok(())
}

/// Stores an answer whose calls are about to be run. `is_last` says that whoever asked gets it when
/// they have been.
pub(super) async fn step(
    core: &Core,
    turn: &Turn,
    prepared: &Prepared,
    fold: &Fold,
    is_last: bool,
) -> Result<(), Fault> {
    let now = core.store.now();
    let totals = record::totals(fold, false);
    let said = record::reply(fold, totals, Stop::ToolUse, None, now);
    let mut said = [said.map_err(|err| Fault::storage(&err))?];
    if is_last {
        record::mark(&mut said, turn.mark.as_deref());
    }
    record::attribute(&mut said, (origin(turn), None), &[]);
    append(core, turn, prepared, said.into()).await
}

/// Stores what a call gave.
pub(super) async fn result(
    core: &Core,
    turn: &Turn,
    prepared: &Prepared,
    call: &Call,
    given: &Given,
) -> Result<(), Fault> {
    let result = record::result(call, given, core.store.now());
    let result = result.map_err(|err| Fault::storage(&err))?;
    append(core, turn, prepared, vec![result]).await
}

async fn append(
    core: &Core,
    turn: &Turn,
    prepared: &Prepared,
    messages: Vec<Stored>,
) -> Result<(), Fault> {
    let appended = core.store.append(turn.key.agent(), &prepared.session, messages).await;
    announced(core, turn, appended.map_err(|err| Fault::storage(&err))?).await;
    Ok(())
}

/// The last answer of a turn, as far as it came.
pub(super) struct Answer<'a> {
    pub(super) fold: Fold,
    /// Whether it is in the transcript.
    pub(super) is_kept: bool,
    /// What was said and used before it.
    pub(super) before: &'a Before,
}

/// Stores the reply, or as much of it as there is; what was cut short is a failure after that.
/// Gives all that was said in the turn.
pub(super) async fn reply(
    core: &Core,
    turn: &Turn,
    prepared: &Prepared,
    answer: Answer<'_>,
    cut: Option<(Stop, Option<Failed>)>,
) -> Result<Fold, Failed> {
    let Answer { mut fold, is_kept, before } = answer;
    let (stop, failed) = match cut {
        // Not the end of it: the next process goes on from what is in the transcript.
        Some((_, Some(failed))) if is_for_later(core, turn, &failed).await => return Err(failed),
        Some((Stop::Length, _)) => {
            fold.cut();
            (Stop::Length, None)
        }
        Some(cut) => cut,
        None => (record::stop_of(&fold), None),
    };
    let error = failed.as_ref().filter(|failed| failed.status != RunStatus::Aborted);
    let error = error.map(|failed| failed.fault.message.clone());
    let (agent, now) = (turn.key.agent(), core.store.now());
    let mut totals = record::totals(&fold, stop == Stop::Aborted);
    totals.before =
        [before.usage.input_tokens, before.usage.output_tokens, before.usage.cached_tokens];
    totals.fields = record::noted(turn.mark.as_deref(), prepared.started_at, now, failed.as_ref());
    let session = &prepared.session;
    let mut messages = Vec::new();
    if !is_kept {
        let reply = record::reply(&fold, totals.clone(), stop, error, now);
        messages.push(reply.map_err(|err| Fault::storage(&err))?);
        record::mark(&mut messages, turn.mark.as_deref());
        record::attribute(&mut messages, (origin(turn), None), &[]);
    }
    let end = Change::End { session: session.clone(), totals };
    let append = async {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        core.store.append(agent, session, messages).await
    };
    let commit = core.store.commit(agent, turn.key.as_str(), end);
    let stored = futures_util::future::try_join(append, commit).await;
    let (appended, ()) = stored.map_err(|err| Fault::storage(&err))?;
    announced(core, turn, appended).await;
    fold.follow(before);
    failed.map_or(Ok(fold), Err)
}

/// Whether a turn that was cut short is gone on with in the next process.
async fn is_for_later(core: &Core, turn: &Turn, failed: &Failed) -> bool {
    // A refusal, and what somebody stopped, are not for want of a supervisor.
    let may_be = failed.status == RunStatus::Error && failed.fault.status >= 500;
    !turn.events.is_empty() && may_be && core.is_ending().await
}

/// Tells of what is in the transcript now, but for what clients do not show.
async fn announced(core: &Core, turn: &Turn, mut appended: Vec<Appended>) {
    let settings = core.live.now().settings;
    let ack_chars = settings.agents.defaults.heartbeat.ack_chars();
    appended.retain(|one| {
        let message = one.message.as_ref().and_then(|raw| StoredMessage::parse(raw));
        !message.is_some_and(|message| heartbeat::is_hidden(&message, ack_chars))
    });
    let about = About { run_id: turn.mark.as_deref(), row: turn.mark.is_some() };
    announce::messages(core, &turn.key, appended, about).await;
}
