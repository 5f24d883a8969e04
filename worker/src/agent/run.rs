//! Runs that no HTTP reply waits for: begun at once, gone on with in the background, told as
//! events, and remembered for a while.

mod source;

use std::sync::Arc;
use std::time::Duration;

use proto::host::Params;
use tokio::sync::{OwnedMutexGuard, watch};
use types::UnixMillis;

use super::adoption;
use super::announce;
use super::choice::Asked;
use super::command::{self, Command, Done};
use super::desk::{Taken, Waiting};
use super::key::SessionKey;
use super::output::Output;
use super::prompt::Incoming;
use super::told::Told;
use super::turn::{self, Failed, Turn};
use crate::openai::{Fault, Fold};
use crate::runs::{Place, Run};
use crate::service::Core;
use crate::settings::QueueMode;
use crate::store;
use crate::tools::Allowed;
use crate::upcalls;

pub(crate) use source::Source;

/// A message that starts a run.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
pub(crate) struct RunRequest {
    pub(crate) key: SessionKey,
    pub(crate) message: String,
    /// Pictures as `https:` or `data:` URLs.
    pub(crate) images: Vec<String>,
    pub(crate) source: Source,
    /// The model that the caller wants; `None` for what the session, the agent or the settings say.
    pub(crate) model: Option<String>,
    /// The models that take its place when it fails; `None` for those of the settings.
    pub(crate) fallbacks: Option<Vec<String>>,
    /// More for the system prompt.
    pub(crate) extra_system: Vec<String>,
    pub(crate) params: Params,
    /// Whether the answer goes to a channel. There are none yet.
    pub(crate) deliver: bool,
    /// The run's id: the caller's idempotency key, or one of our own.
    pub(crate) run_id: String,
    /// How long it may take; `None` for what the settings say.
    pub(crate) timeout: Option<Duration>,
    /// The id under which both sides log model calls.
    pub(crate) request_id: String,
    /// What the client calls itself.
    pub(crate) client: String,
    /// How it is queued; `None` for what the session or the settings say.
    pub(crate) queue: Option<QueueMode>,
    /// Whether a message that begins with a slash may be a command.
    pub(crate) commands: bool,
    /// The tools that it may use at most; `None` for what its agent and its session may.
    pub(crate) ceiling: Option<Allowed>,
    /// How many runs started each other before it.
    pub(crate) depth: u8,
    /// The session whose run has sent the message.
    pub(crate) sender: Option<String>,
    /// The event that it deals with; empty for none.
    pub(crate) event: Arc<str>,
    /// Whether whoever starts it says what has become of the event.
    pub(crate) is_followed: bool,
    /// Whether an earlier process was cut off in it: its message is in the transcript.
    pub(crate) resumes: bool,
    /// Who is told what the answer has come to while it is written.
    pub(crate) growing: Option<watch::Sender<String>>,
}

impl RunRequest {
    /// A run of `message` in the session `key`, everything else as the settings say.
    pub(crate) fn new(key: SessionKey, message: impl Into<String>, source: Source) -> Self {
        let run_id = uuid::Uuid::new_v4().to_string();
        Self {
            key,
            message: message.into(),
            images: Vec::new(),
            source,
            model: None,
            fallbacks: None,
            extra_system: Vec::new(),
            params: Params::default(),
            deliver: false,
            request_id: upcalls::own_id(),
            run_id,
            timeout: None,
            client: String::new(),
            queue: None,
            commands: matches!(source, Source::Chat | Source::Agent | Source::Channel),
            ceiling: None,
            depth: 0,
            sender: None,
            event: Arc::from(""),
            is_followed: false,
            resumes: false,
            growing: None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunStatus {
    Ok,
    Error,
    /// It took too long.
    Timeout,
    /// Somebody stopped it, or dropped its message from the queue.
    Aborted,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub(crate) struct RunOutcome {
    pub(crate) status: RunStatus,
    /// What the model said, as far as it came.
    pub(crate) text: String,
    pub(crate) usage: Option<proto::host::Usage>,
    /// Why it is not `Ok`.
    pub(crate) error: Option<Fault>,
    pub(crate) provider: String,
    pub(crate) model: String,
    /// The transcript's name, where one was begun.
    pub(crate) session_id: Option<String>,
    /// `stop`, `length`, `aborted` and so on.
    pub(crate) stop_reason: &'static str,
    pub(crate) started_at: UnixMillis,
    pub(crate) ended_at: UnixMillis,
}

/// A run that goes on, or has ended. Dropping it changes nothing.
#[derive(Debug, Clone)]
pub(crate) struct RunHandle {
    id: Arc<str>,
    outcome: watch::Receiver<Option<Arc<RunOutcome>>>,
}

impl RunHandle {
    pub(super) fn new(id: Arc<str>, outcome: watch::Receiver<Option<Arc<RunOutcome>>>) -> Self {
        Self { id, outcome }
    }

    /// The run's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What came of it, where it has ended.
    pub(crate) fn ended(&self) -> Option<Arc<RunOutcome>> {
        self.outcome.borrow().clone()
    }

    /// Waits for its end. Dropping the future leaves the run alone.
    pub(crate) async fn done(&self) -> Arc<RunOutcome> {
        let mut outcome = self.outcome.clone();
        let ended = outcome.wait_for(Option::is_some).await;
        match ended.map(|ended| ended.clone()) {
            Ok(Some(ended)) => ended,
            // Its task is gone without a word: the process ends.
            Ok(None) | Err(_) => Arc::new(RunOutcome::lost()),
        }
    }
}

impl RunOutcome {
    /// A run whose process has gone.
    pub(super) fn lost() -> Self {
        Self {
            status: RunStatus::Error,
            text: String::new(),
            usage: None,
            error: Some(Fault::shutting_down()),
            provider: String::new(),
            model: String::new(),
            session_id: None,
            stop_reason: "error",
            started_at: 0,
            ended_at: 0,
        }
    }
}

/// Begins a run, or gives the one that has the same id already. It goes on whoever listens.
///
/// # Errors
/// When too many runs are under way or too many messages wait, or the session cannot be read.
pub(crate) async fn run(core: &Core, request: RunRequest) -> Result<RunHandle, Fault> {
    let mode = match request.queue {
        Some(mode) => mode,
        None => mode_of(core, &request.key).await?,
    };
    begin(core, request, mode)
}

/// How messages of the session wait, whoever they come from.
async fn mode_of(core: &Core, key: &SessionKey) -> Result<QueueMode, Fault> {
    let key = key.clone();
    let row = core.store.job(move |root| store::session(root, key.agent(), key.as_str())).await;
    let row = row.map_err(|err| Fault::storage(&err))?;
    let of_session = row.as_ref().and_then(|row| row.meta.queue_mode.as_deref());
    Ok(core.live.now().settings.messages.queue.mode_of(of_session))
}

/// Nothing is waited for here: messages keep the order in which they come.
fn begin(core: &Core, request: RunRequest, mode: QueueMode) -> Result<RunHandle, Fault> {
    let (key, now) = (request.key.as_str().to_owned(), core.store.now());
    let outcome = match core.desk.begin(&request.run_id, &key, now) {
        Ok(outcome) => outcome,
        Err(known) if core.desk.find(&request.run_id, Some(&key)).is_some() => return Ok(known),
        Err(_elsewhere) => {
            let message = "A run with this idempotency key belongs to another session.";
            return Err(Fault::invalid(Some("idempotencyKey"), message));
        }
    };
    let handle = RunHandle::new(Arc::from(request.run_id.as_str()), outcome.subscribe());
    let begun = line_up(core, &request, mode);
    let begun = begun.inspect_err(|_full| core.desk.forget(&request.run_id));
    let (run, place, waits) = begun?;
    let told = Told::new(core, &request, outcome);
    let background = core.events.background();
    let (core, tasks) = (core.clone(), core.tasks.clone());
    drop(tasks.spawn(async move {
        let (key, run_id) = (request.key.clone(), request.run_id.clone());
        let event = Arc::clone(&request.event);
        let concludes = !event.is_empty() && !request.is_followed;
        let ended = core.desk.find(&run_id, None);
        let output = Output::events(run, told);
        Box::pin(perform(&core, request, output, &place, waits)).await;
        if let Some(outcome) = ended.filter(|_| concludes).and_then(|run| run.ended()) {
            adoption::conclude(&core, &event, &key, &run_id, &outcome).await;
        }
        core.desk.end(&run_id, core.store.now());
        announce::changed(&core, &key, "agent.input.settled", Some(&run_id)).await;
        drop((place, background));
    }));
    Ok(handle)
}

/// Takes a place in the session's lane, and in its queue where the message may wait there.
fn line_up(
    core: &Core,
    request: &RunRequest,
    mode: QueueMode,
) -> Result<(Run, Place, bool), Fault> {
    let key = request.key.as_str();
    let settings = core.live.now().settings;
    // What goes on is not taken together with what comes after it.
    let mode = if request.resumes { QueueMode::Followup } else { mode };
    if mode == QueueMode::Interrupt || is_stop(request) {
        drop(core.runs.stop_turns(key, None));
    }
    let waits = core.runs.has_turns(key);
    let queue = &settings.messages.queue;
    let waiting = Waiting::new(request, mode, core.store.now());
    let pushed =
        core.desk.push(key, waiting, if waits { queue.cap() } else { usize::MAX }, queue.drop);
    if let Some(dropped) = pushed? {
        drop(core.runs.stop_turns(key, Some(&dropped)));
    }
    let begun = core.runs.begin_turn(&request.run_id, key);
    let begun = begun.inspect_err(|_busy| core.desk.remove(key, &request.run_id));
    let (run, place) = begun?;
    Ok((run, place, waits))
}

fn is_stop(request: &RunRequest) -> bool {
    command_of(request).is_some_and(|(command, _)| command.stops())
}

async fn perform(core: &Core, request: RunRequest, mut output: Output, place: &Place, waits: bool) {
    let told = announce::changed(core, &request.key, "send", Some(&request.run_id));
    if let Some((command, _)) = command_of(&request)
        && command.is_instant()
    {
        told.await;
        return at_once(core, &request, command, output, place).await;
    }
    // It lines up before anything else is waited for, so that messages keep their order.
    let turn = output.unless_cut(turn_of(core, &request, place, waits));
    let (turn, ()) = futures_util::future::join(turn, told).await;
    let (lane, taken) = match turn {
        Ok(both) => both,
        Err(cut) => {
            core.desk.remove(request.key.as_str(), &request.run_id);
            let failed = output.failed(cut);
            return output.fail(&failed).await;
        }
    };
    let Some(taken) = taken else {
        // Another run has taken this message with its own.
        drop(lane);
        return output.join(core.desk.leader(&request.run_id)).await;
    };
    let answered = in_lane(core, request, taken, &mut output).await;
    drop(lane);
    match answered {
        Ok(Answered::Model(fold)) => output.finish(&fold).await,
        Ok(Answered::Command(text)) => output.said(&text),
        Err(failed) => output.fail(&failed).await,
    }
}

/// Answers a command that waits for no run; it is stored when the session is free.
async fn at_once(
    core: &Core,
    request: &RunRequest,
    command: &Command,
    mut output: Output,
    place: &Place,
) {
    core.desk.remove(request.key.as_str(), &request.run_id);
    match command::now(core, request, command).await {
        Ok(text) => {
            output.said(&text);
            let _lane = place.turn().await;
            if let Err(fault) = command::store(core, request, &text).await {
                tracing::warn!(status = fault.status, "a command could not be stored");
            }
        }
        Err(fault) => output.fail(&Failed::from(fault)).await,
    }
}

fn command_of(request: &RunRequest) -> Option<(&'static Command, &str)> {
    let is_open = request.commands && !request.resumes;
    if is_open { command::parse(&request.message) } else { None }
}

enum Answered {
    Model(Fold),
    Command(String),
}

/// Waits for the session to be free, and takes the messages that this run is for: its own, and
/// where they are collected those that wait.
async fn turn_of(
    core: &Core,
    request: &RunRequest,
    place: &Place,
    waits: bool,
) -> (OwnedMutexGuard<()>, Option<Taken>) {
    let lane = place.turn().await;
    let key = request.key.as_str();
    let debounce = core.live.now().settings.messages.queue.debounce();
    if waits && core.desk.collects(key, &request.run_id) {
        let arrived = core.desk.arrivals(key);
        // Quiet is time without a further message.
        while tokio::time::timeout(debounce, arrived.notified()).await.is_ok() {}
    }
    (lane, core.desk.take(key, &request.run_id))
}

async fn in_lane(
    core: &Core,
    request: RunRequest,
    taken: Taken,
    output: &mut Output,
) -> Result<Answered, Failed> {
    let mut message = request.message.clone();
    if let Some((command, argument)) = command_of(&request) {
        match command::perform(core, &request, command, argument).await? {
            Done::Said(text) => {
                command::store(core, &request, &text).await?;
                return Ok(Answered::Command(text));
            }
            Done::GoesOn(first) => message = first,
        }
    }
    let messages = taken.messages(&message, &request.images, &request.extra_system);
    let events = taken.events(&request.event);
    let turn = Turn {
        key: request.key,
        messages: Vec::new(),
        params: request.params,
        model: Asked { model: request.model, fallbacks: request.fallbacks },
        request_id: request.request_id,
        mark: Some(request.run_id),
        timeout: request.timeout,
        source: Some(request.source),
        ceiling: request.ceiling,
        depth: request.depth,
        sender: request.sender,
        events,
        resumes: request.resumes,
    };
    let incoming = Incoming::new(messages)?;
    turn::answer(core, turn, incoming, output).await.map(Answered::Model)
}

#[cfg(test)]
mod tests;
