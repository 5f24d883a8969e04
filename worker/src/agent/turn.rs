//! One turn: store the prompt and ask the model at once, relay, store the answer, then say so.
//!
//! Nothing is sent before the prompt is durable, and the end is sent after the answer is. A turn
//! that is cut short leaves what it has in the transcript. Whoever it is for, this is the one
//! engine: where the answer goes is an `Output`.

use std::time::Duration;

use proto::host::{LlmRequest, Message, Params, Role};
use tokio::sync::mpsc;
use types::UnixMillis;

use super::history::{self, Past};
use super::key::SessionKey;
use super::output::{Output, Writer};
use super::prompt::{self, Incoming};
use super::relay::{beside, relay};
use super::run::{RunStatus, Source};
use super::{anew, choice, compact, journal, keep, workspace};
use crate::Error;
use crate::openai::{Fault, Fold, Reply};
use crate::runs::Place;
use crate::service::Core;
use crate::store::{self, MAX_LINE, SessionId};
use crate::{heartbeat, skills};

/// Parts on their way to a client that reads slowly; then the model's stream is read no further.
const PARTS: usize = 4;
/// Bytes of a reply, so that with everything else of its entry it fits a line of the transcript.
const MAX_REPLY: usize = MAX_LINE - (64 << 10);

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

/// What is known before the model is asked.
pub(super) struct Prepared {
    pub(super) session: SessionId,
    pub(super) is_new: bool,
    workspace: String,
    /// What the model is told of its skills.
    skills: String,
    pub(super) past: Past,
    /// The models that are asked, one after the other where one fails.
    models: Vec<String>,
    /// How much the model is to think, where the session says.
    thinking: Option<String>,
    pub(super) started_at: UnixMillis,
}

/// A turn, in the lane of its session.
pub(super) async fn answer(
    core: &Core,
    turn: Turn,
    incoming: Incoming,
    output: &mut Output,
) -> Result<Fold, Failed> {
    let began = core.store.now();
    let answered = Box::pin(ask(core, &turn, incoming, output)).await;
    journal::turn_ended(&turn, &answered, began, core.store.now());
    answered
}

async fn ask(
    core: &Core,
    turn: &Turn,
    mut incoming: Incoming,
    output: &mut Output,
) -> Result<Fold, Failed> {
    let timeout =
        turn.timeout.unwrap_or_else(|| core.live.now().settings.agents.defaults.timeout());
    output.limit(timeout);
    output.phase("preparing_context");
    let waiting = heartbeat::take(core, &turn.key, turn.source);
    let (prepared, waiting) = futures_util::future::join(prepare(core, turn), waiting).await;
    let mut prepared = prepared?;
    incoming.tell(waiting, &prepared.past.told);
    if turn.source == Some(Source::Wake) && incoming.events.is_empty() {
        // Another turn has told it meanwhile.
        incoming.forget(core).await;
        return Ok(Fold::new(MAX_REPLY));
    }
    if prepared.past.is_cut && shorten(core, turn, output).await? {
        prepared = prepare(core, turn).await?;
    }
    if prepared.is_new {
        prepared.past.messages = history::newest(incoming.earlier.clone());
    }
    output.started(&prepared.session);
    output.phase("starting_model");
    let mut asking = Asking { core, turn, incoming: &incoming, prepared, compacted: false };
    let mut fold = Fold::new(MAX_REPLY);
    let mut cut = asking.first(&mut fold, output).await?;
    while let Some(Cut::Failed(fault)) = &cut
        && fold.is_untouched()
        && let Some(request) = asking.again(fault, output).await?
    {
        let opened = output.unless_cut(Box::pin(core.llm.stream(request))).await;
        cut = relay(opened, &mut fold, output).await;
    }
    let cut = cut.map(|cut| output.ending(cut));
    keep::reply(core, turn, &asking.prepared, fold, cut).await
}

/// Compacts the conversation. True where it is shorter now.
async fn shorten(core: &Core, turn: &Turn, output: &mut Output) -> Result<bool, Failed> {
    output.compacting("start", None);
    let compacted = output.unless_cut(compact::in_lane(core, &turn.key, "")).await;
    let compacted = compacted.map_err(|cut| output.failed(cut))?;
    // Without a summary the oldest messages are left out, which is better than no answer.
    let done = matches!(compacted, Ok(Some(_)));
    output.compacting("end", Some(done));
    Ok(done)
}

/// The calls of one turn.
struct Asking<'a> {
    core: &'a Core,
    turn: &'a Turn,
    incoming: &'a Incoming,
    prepared: Prepared,
    compacted: bool,
}

impl Asking<'_> {
    /// Asks the model while the prompt is being stored.
    async fn first(&self, fold: &mut Fold, output: &mut Output) -> Result<Option<Cut>, Failed> {
        let request = self.request()?;
        let call = Box::pin(self.core.llm.stream(request));
        let stored = keep::prompt(self.core, self.turn, &self.prepared, self.incoming);
        let opened = beside(stored, output.unless_cut(call)).await;
        let opened = opened.map_err(|err| Fault::storage(&err))?;
        Ok(relay(opened, fold, output).await)
    }

    /// What is asked after `fault`, if anything.
    async fn again(
        &mut self,
        fault: &Fault,
        output: &mut Output,
    ) -> Result<Option<LlmRequest>, Failed> {
        if compact::is_overflow(fault) && !std::mem::replace(&mut self.compacted, true) {
            if !shorten(self.core, self.turn, output).await? {
                return Ok(None);
            }
            let models = std::mem::take(&mut self.prepared.models);
            self.prepared = prepare(self.core, self.turn).await?;
            self.prepared.models = models;
            // The prompt is in the transcript by now, without its pictures.
            let before =
                self.prepared.past.messages.len().saturating_sub(self.incoming.prompt.len());
            self.prepared.past.messages.truncate(before);
            return Ok(Some(self.request()?));
        }
        if !choice::may_help(fault) || self.prepared.models.len() < 2 {
            return Ok(None);
        }
        self.prepared.models.remove(0);
        Ok(Some(self.request()?))
    }

    fn request(&self) -> Result<LlmRequest, Fault> {
        let Self { core, turn, incoming, prepared, .. } = self;
        let said = prepared.past.messages.iter().chain(&incoming.prompt).cloned().collect();
        let said = history::settle(said);
        let goes_on = said.last().is_some_and(|last| last.role() == Role::Tool);
        if incoming.is_answer() && !goes_on {
            let message = "The tool messages answer no open tool calls of this session.";
            return Err(Fault::invalid(Some("messages"), message));
        }
        let agent = turn.key.agent();
        let files = [prepared.workspace.as_str(), prepared.skills.as_str()];
        let system = prompt::system(agent, files, &incoming.system, core.store.now());
        let mut params = turn.params.clone();
        params.reasoning_effort = params.reasoning_effort.or_else(|| prepared.thinking.clone());
        params.reasoning_effort.take_if(|level| level == choice::OFF);
        Ok(LlmRequest {
            model: prepared.models.first().cloned().unwrap_or_default(),
            messages: std::iter::once(system).chain(said).collect(),
            params: Some(params),
            request_id: turn.request_id.clone(),
        })
    }
}

/// Reads what the turn starts from. A new session gets its id here, and one that is stale is begun
/// anew.
async fn prepare(core: &Core, turn: &Turn) -> Result<Prepared, Fault> {
    let key = turn.key.clone();
    let room = core.live.now().settings.agents.defaults.room();
    let read = move |root: &store::Dir| {
        let workspace = workspace::read(root, key.agent())?;
        let row = store::session(root, key.agent(), key.as_str())?;
        let mut past = Past::default();
        if let Some(row) = &row
            && let Some(file) = store::transcript(root, key.agent(), &row.session_id)?
        {
            let budget = history::budget(room, workspace.len());
            past = history::read(&file, budget).map_err(Error::io("read a transcript"))?;
        }
        let chosen = choice::of_session(root, key.agent(), row.as_ref())?;
        Ok((workspace, row, past, chosen))
    };
    let skills = skills::prompt(core, turn.key.agent());
    let (read, skills) = futures_util::future::join(core.store.job(read), skills).await;
    let (workspace, row, mut past, chosen) = read.map_err(|err| Fault::storage(&err))?;
    let mut session = row.as_ref().map_or_else(SessionId::new, |row| row.session_id.clone());
    let mut is_new = row.is_none();
    let thinking = row.as_ref().and_then(|row| row.meta.thinking_level.clone());
    // What nobody has asked for begins nothing anew: the next message of the user does.
    if let Some(row) = &row
        && keep::origin(turn).is_none()
    {
        let fresh = anew::if_stale(core, &turn.key, row).await;
        if let Some(fresh) = fresh.map_err(|err| Fault::storage(&err))? {
            past = Past { told: past.told, ..Past::default() };
            (session, is_new) = (fresh, true);
        }
    }
    let models = choice::models(core, &turn.model, chosen)?;
    let started_at = core.store.now();
    Ok(Prepared { session, is_new, workspace, skills, past, models, thinking, started_at })
}
