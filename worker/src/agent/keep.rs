//! What of a turn is kept: the prompt before its answer, the answer before its end is told, and who
//! is told of either.

use super::announce::{self, About};
use super::prompt::Incoming;
use super::record;
use super::run::{RunStatus, Source};
use super::turn::{Failed, Prepared, Turn};
use crate::openai::{Fault, Fold};
use crate::service::Core;
use crate::sessions::Kind;
use crate::store::{Appended, Change, Origin, Stop, StoredMessage};
use crate::{Error, heartbeat};

/// What started a turn that no person has asked for.
pub(super) fn origin(turn: &Turn) -> Option<Origin> {
    let kind = Kind::of_key(turn.key.as_str());
    match (turn.source?, kind) {
        // In a session of its own it is what the session is about.
        (Source::Chat | Source::Agent, _)
        | (Source::Cron, Kind::Cron { .. })
        | (Source::Hook, Kind::Hook { .. }) => None,
        (Source::Heartbeat | Source::Wake, _) => Some(Origin::Heartbeat),
        (Source::Cron, _) => Some(Origin::Cron),
        (Source::Hook, _) => Some(Origin::Hook),
    }
}

/// Makes the prompt durable, and the session where it is new.
pub(super) async fn prompt(
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
    record::attribute(&mut prompt, origin(turn), &incoming.events);
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

/// Stores the reply, or as much of it as there is; what was cut short is a failure after that.
pub(super) async fn reply(
    core: &Core,
    turn: &Turn,
    prepared: &Prepared,
    mut fold: Fold,
    cut: Option<(Stop, Option<Failed>)>,
) -> Result<Fold, Failed> {
    let (stop, failed) = match cut {
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
    totals.fields = record::noted(turn.mark.as_deref(), prepared.started_at, now, failed.as_ref());
    let session = &prepared.session;
    let reply = record::reply(&fold, totals.clone(), stop, error, now);
    let mut reply = [reply.map_err(|err| Fault::storage(&err))?];
    record::mark(&mut reply, turn.mark.as_deref());
    record::attribute(&mut reply, origin(turn), &[]);
    let end = Change::End { session: session.clone(), totals };
    let stored = futures_util::future::try_join(
        core.store.append(agent, session, reply.into()),
        core.store.commit(agent, turn.key.as_str(), end),
    );
    let (appended, ()) = stored.await.map_err(|err| Fault::storage(&err))?;
    announced(core, turn, appended).await;
    failed.map_or(Ok(fold), Err)
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
