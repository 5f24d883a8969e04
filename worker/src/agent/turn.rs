//! One turn: store the prompt and ask the model at once, relay, run what it calls, store the
//! answer, then say so.
//!
//! Nothing is sent before the prompt is durable, and the end is sent after the answer is. A turn
//! that is cut short leaves what it has in the transcript. Whoever it is for, this is the one
//! engine: where the answer goes is an `Output`.

use std::sync::Arc;
use std::time::Duration;

use proto::host::{Message, Params};
use tokio::sync::mpsc;

use super::asking::{Asking, Prepared, prepare, shorten};
use super::key::SessionKey;
use super::output::{Output, Writer};
use super::prompt::Incoming;
use super::run::{RunStatus, Source};
use super::steps::{Last, Steps};
use super::{choice, history, journal, keep, resume};
use crate::heartbeat;
use crate::openai::{Fault, Fold, Reply};
use crate::runs::Place;
use crate::service::Core;
use crate::store::MAX_LINE;
use crate::tools::Allowed;

/// Parts on their way to a client that reads slowly; then the model's stream is read no further.
const PARTS: usize = 4;
/// Bytes of a reply, so that with everything else of its entry it fits a line of the transcript.
pub(super) const MAX_REPLY: usize = MAX_LINE - (64 << 10);

/// A request for one turn.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) key: SessionKey,
    /// What the client says; system messages are more for the system prompt.
    pub(crate) messages: Vec<Message>,
    pub(crate) params: Params,
    /// The model that is asked, and those that take its place.
    pub(crate) model: choice::Asked,
    pub(crate) request_id: String,
    /// The id of the run, to be stored with the prompt.
    pub(crate) mark: Option<String>,
    /// How long it may take; `None` for what the settings say.
    pub(crate) timeout: Option<Duration>,
    /// Who started it; `None` for a request over HTTP.
    pub(crate) source: Option<Source>,
    /// The tools that it may use at most; `None` for what its agent and its session may.
    pub(crate) ceiling: Option<Allowed>,
    /// How many runs started each other before it.
    pub(crate) depth: u8,
    /// The session whose run has sent the message.
    pub(crate) sender: Option<String>,
    /// The events that it deals with.
    pub(crate) events: Vec<Arc<str>>,
    /// Whether an earlier process was cut off in it: its message is in the transcript.
    pub(crate) resumes: bool,
}

/// Starts a turn whose answer is an HTTP reply, as a task of its own: it outlives its reply, to
/// store what there is.
pub(crate) fn start(
    core: &Core,
    run_id: &str,
    mut turn: Turn,
    writer: Box<dyn Writer>,
) -> Result<Reply, Fault> {
    let incoming = Incoming::new(std::mem::take(&mut turn.messages))?;
    let (run, place) = core.runs.begin_turn(run_id, turn.key.as_str())?;
    let (parts, reply) = mpsc::channel(PARTS);
    let output = Output::http(run, parts, writer);
    let core = core.clone();
    let tasks = core.tasks.clone();
    drop(tasks.spawn(async move { perform(&core, turn, incoming, output, place).await }));
    Ok(Reply::Turn(reply))
}

/// Why a reply ended before the model had finished it.
#[derive(Debug)]
pub(super) enum Cut {
    /// Somebody stopped the run, or the process ends.
    Stopped,
    /// The client went away.
    Gone,
    /// It takes too long.
    TimedOut,
    /// It is longer than it may be.
    TooLong,
    /// The model call failed.
    Failed(Fault),
}

/// A run without an answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) status: RunStatus,
    pub(super) fault: Fault,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { status: RunStatus::Error, fault }
    }
}

async fn perform(core: &Core, turn: Turn, incoming: Incoming, mut output: Output, place: Place) {
    let answered = match output.unless_cut(place.turn()).await {
        Ok(_lane) => answer(core, turn, incoming, &mut output).await,
        Err(cut) => Err(output.failed(cut)),
    };
    // The session is free again; how fast this client reads its end is its own affair.
    drop(place);
    match answered {
        Ok(fold) => output.finish(&fold).await,
        Err(failed) => output.fail(&failed).await,
    }
}

/// A turn, in the lane of its session.
pub(super) async fn answer(
    core: &Core,
    mut turn: Turn,
    incoming: Incoming,
    output: &mut Output,
) -> Result<Fold, Failed> {
    let began = core.store.now();
    let answered = Box::pin(ask(core, &mut turn, incoming, output)).await;
    journal::turn_ended(&turn, &answered, began, core.store.now());
    answered
}

async fn ask(
    core: &Core,
    turn: &mut Turn,
    mut incoming: Incoming,
    output: &mut Output,
) -> Result<Fold, Failed> {
    let timeout =
        turn.timeout.unwrap_or_else(|| core.live.now().settings.agents.defaults.timeout());
    output.limit(timeout);
    output.phase("preparing_context");
    if turn.resumes {
        return Box::pin(resume::go_on(core, turn, incoming, output)).await;
    }
    let waiting = heartbeat::take(core, &turn.key, turn.source);
    let (prepared, waiting) = futures_util::future::join(prepare(core, turn), waiting).await;
    let mut prepared = prepared?;
    let ceiling = waiting.ceiling().filter(|_| !incoming.is_answer());
    incoming.tell(waiting, &prepared.past.told);
    if let Some(ceiling) = ceiling {
        // What it is told may have been said by a run that has fewer tools.
        let own = turn.ceiling.take();
        turn.ceiling = Some(own.map_or_else(|| ceiling.clone(), |own| own.and(&ceiling)));
        prepared = prepare(core, turn).await?;
    }
    let turn = &*turn;
    if turn.source == Some(Source::Wake) && incoming.events.is_empty() {
        // Another turn has told it meanwhile.
        incoming.forget(core).await;
        return Ok(Fold::new(MAX_REPLY));
    }
    if prepared.past.is_cut
        && shorten(core, turn, output).await.map_err(|cut| output.failed(cut))?
    {
        prepared = prepare(core, turn).await?;
    }
    if prepared.is_new {
        prepared.past.messages = history::newest(incoming.earlier.clone());
    }
    answer_with(core, turn, &incoming, prepared, output).await
}

/// Asks the model until there is an answer, and stores it.
pub(super) async fn answer_with(
    core: &Core,
    turn: &Turn,
    incoming: &Incoming,
    prepared: Prepared,
    output: &mut Output,
) -> Result<Fold, Failed> {
    output.started(&prepared.session);
    output.phase("starting_model");
    let mut steps = Steps::new(core, Asking::new(core, turn, incoming, prepared));
    let Last { fold, cut, is_kept } = Box::pin(steps.last(output)).await?;
    let cut = cut.map(|cut| output.ending(cut));
    let answer = keep::Answer { fold, is_kept, before: &steps.before };
    keep::reply(core, turn, &steps.asking().prepared, answer, cut).await
}
