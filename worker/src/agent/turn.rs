//! One turn: store the prompt and ask the model at once, relay, store the answer, then say so.
//!
//! Nothing is sent before the prompt is durable, and the end is sent after the answer is. A turn
//! that is cut short leaves what it has in the transcript.

use proto::host::{LlmBatch, LlmRequest, Message, Role};
use proto::worker::ServePart;
use tokio::sync::mpsc;
use tonic::Streaming;

use super::history;
use super::key::SessionKey;
use super::output::Output;
use super::prompt::{self, Incoming};
use super::{record, workspace};
use crate::Error;
use crate::openai::{ChatRequest, Fault, Fold, Reply, Shape};
use crate::runs::{Place, Run};
use crate::service::Core;
use crate::store::{self, Change, MAX_LINE, SessionId, Stop};

/// Parts on their way to a client that reads slowly; then the model's stream is read no further.
const PARTS: usize = 4;
/// Bytes of a reply, so that with everything else of its entry it fits a line of the transcript.
const MAX_REPLY: usize = MAX_LINE - (64 << 10);

/// A request for one turn.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) key: SessionKey,
    pub(crate) chat: ChatRequest,
    pub(crate) shape: Shape,
    /// The model that is asked.
    pub(crate) model: String,
    pub(crate) request_id: String,
}

/// Starts a turn as a task of its own: it outlives its reply, to store what there is.
pub(crate) fn start(core: &Core, mut turn: Turn) -> Result<Reply, Fault> {
    let incoming = Incoming::new(std::mem::take(&mut turn.chat.messages))?;
    let (run, place) = core.runs.begin_turn(&turn.shape.id, turn.key.as_str())?;
    let (parts, reply) = mpsc::channel(PARTS);
    let core = core.clone();
    let tasks = core.tasks.clone();
    drop(tasks.spawn(async move { perform(&core, turn, incoming, (run, place), parts).await }));
    Ok(Reply::Turn(reply))
}

/// Why a reply ended before the model had finished it.
#[derive(Debug)]
pub(super) enum Cut {
    /// Somebody stopped the run, or the process ends.
    Stopped,
    /// The client went away.
    Gone,
    /// It is longer than it may be.
    TooLong,
    /// The model call failed.
    Failed(Fault),
}

async fn perform(
    core: &Core,
    turn: Turn,
    incoming: Incoming,
    (run, place): (Run, Place),
    parts: mpsc::Sender<ServePart>,
) {
    let mut output = Output::new(parts, run, &turn.shape, turn.chat.stream);
    let answered = match output.unless_cut(place.turn()).await {
        Ok(_lane) => answer(core, &turn, incoming, &mut output).await,
        Err(cut) => Err(output.fault(cut)),
    };
    // The session is free again; how fast this client reads its end is its own affair.
    match answered {
        Ok(fold) => output.finish(&fold).await,
        Err(fault) => output.fail(&fault).await,
    }
}

/// What is known before the model is asked.
struct Prepared {
    session: SessionId,
    is_new: bool,
    workspace: String,
    history: Vec<Message>,
}

async fn answer(
    core: &Core,
    turn: &Turn,
    incoming: Incoming,
    output: &mut Output,
) -> Result<Fold, Fault> {
    let mut prepared = prepare(core, turn).await.map_err(|err| Fault::storage(&err))?;
    if prepared.is_new {
        prepared.history = history::newest(incoming.earlier.clone());
    }
    let request = request(core, turn, &prepared, &incoming)?;
    let stored = store_prompt(core, turn, &prepared, &incoming);
    let opened = beside(stored, output.unless_cut(core.llm.stream(request))).await;
    let opened = opened.map_err(|err| Fault::storage(&err))?;
    let mut fold = Fold::new(MAX_REPLY);
    let cut = match opened {
        Ok(Ok(llm)) => relay(llm, &mut fold, output).await.err(),
        Ok(Err(status)) => Some(Cut::Failed(Fault::from(&status))),
        Err(cut) => Some(cut),
    };
    let cut = cut.map(|cut| output.ending(cut));
    store_reply(core, turn, &prepared.session, fold, cut).await
}

/// Asks the model while the prompt is being stored. Gives the call once the prompt is durable;
/// where it cannot be stored the call is cancelled at once.
async fn beside<T>(
    stored: impl Future<Output = Result<(), Error>>,
    opened: impl Future<Output = T>,
) -> Result<T, Error> {
    tokio::pin!(stored, opened);
    tokio::select! {
        biased;
        stored = &mut stored => {
            stored?;
            Ok(opened.await)
        }
        opened = &mut opened => {
            stored.await?;
            Ok(opened)
        }
    }
}

/// Reads what the turn starts from. A new session gets its id here.
async fn prepare(core: &Core, turn: &Turn) -> Result<Prepared, Error> {
    let key = turn.key.clone();
    let read = move |root: &store::Dir| {
        let workspace = workspace::read(root, key.agent())?;
        let row = store::session(root, key.agent(), key.as_str())?;
        let mut history = Vec::new();
        if let Some(row) = &row
            && let Some(file) = store::transcript(root, key.agent(), &row.session_id)?
        {
            history = history::read(&file).map_err(Error::io("read a transcript"))?;
        }
        let is_new = row.is_none();
        let session = row.map_or_else(SessionId::new, |row| row.session_id);
        Ok(Prepared { session, is_new, workspace, history })
    };
    core.store.job(read).await
}

fn request(
    core: &Core,
    turn: &Turn,
    prepared: &Prepared,
    incoming: &Incoming,
) -> Result<LlmRequest, Fault> {
    let said = prepared.history.iter().chain(&incoming.prompt).cloned().collect();
    let said = history::settle(said);
    let goes_on = said.last().is_some_and(|last| last.role() == Role::Tool);
    if incoming.is_answer() && !goes_on {
        let message = "The tool messages answer no open tool calls of this session.";
        return Err(Fault::invalid(Some("messages"), message));
    }
    let agent = turn.key.agent();
    let system = prompt::system(agent, &prepared.workspace, &incoming.system, core.store.now());
    Ok(LlmRequest {
        model: turn.model.clone(),
        messages: std::iter::once(system).chain(said).collect(),
        params: Some(turn.chat.params.clone()),
        request_id: turn.request_id.clone(),
    })
}

/// Makes the prompt durable, and the session where it is new.
async fn store_prompt(
    core: &Core,
    turn: &Turn,
    prepared: &Prepared,
    incoming: &Incoming,
) -> Result<(), Error> {
    let (agent, now) = (turn.key.agent(), core.store.now());
    let mut messages = Vec::new();
    // A session that nobody can name again needs no copy of what its only client keeps.
    if prepared.is_new && turn.key.is_addressable() {
        messages = record::incoming(&prepared.history, &[], now)?;
    }
    messages.extend(record::incoming(&incoming.prompt, &prepared.history, now)?);
    let appended = core.store.append(agent, &prepared.session, messages);
    if !prepared.is_new {
        return appended.await;
    }
    appended.await?;
    let begin = Change::Begin { session: prepared.session.clone() };
    core.store.commit(agent, turn.key.as_str(), begin).await
}

/// Passes the model's events on until they end or are cut short.
async fn relay(
    mut llm: Streaming<LlmBatch>,
    fold: &mut Fold,
    output: &mut Output,
) -> Result<(), Cut> {
    loop {
        let batch = match output.unless_cut(llm.message()).await? {
            Ok(Some(batch)) => batch,
            _ if fold.is_finished() => return Ok(()),
            Ok(None) => return Err(Cut::Failed(Fault::cut_short())),
            Err(status) => return Err(Cut::Failed(Fault::from(&status))),
        };
        for event in batch.events.iter().filter_map(|event| event.event.as_ref()) {
            fold.push(event).map_err(|_too_long| Cut::TooLong)?;
            output.event(event);
        }
        output.flush().await?;
    }
}

/// Stores the reply, or as much of it as there is; what was cut short is a failure after that.
async fn store_reply(
    core: &Core,
    turn: &Turn,
    session: &SessionId,
    mut fold: Fold,
    cut: Option<(Stop, Option<Fault>)>,
) -> Result<Fold, Fault> {
    let (stop, fault) = match cut {
        Some((Stop::Length, _)) => {
            fold.cut();
            (Stop::Length, None)
        }
        Some(cut) => cut,
        None => (record::stop_of(&fold), None),
    };
    let error = fault.as_ref().filter(|_| stop == Stop::Error).map(|fault| fault.message.clone());
    let (agent, now) = (turn.key.agent(), core.store.now());
    let totals = record::totals(&fold, stop == Stop::Aborted);
    let reply = record::reply(&fold, totals.clone(), stop, error, now);
    let reply = reply.map_err(|err| Fault::storage(&err))?;
    let end = Change::End { session: session.clone(), totals };
    let stored = futures_util::future::try_join(
        core.store.append(agent, session, vec![reply]),
        core.store.commit(agent, turn.key.as_str(), end),
    );
    stored.await.map_err(|err| Fault::storage(&err))?;
    fault.map_or(Ok(fold), Err)
}
