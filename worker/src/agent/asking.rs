//! What a turn asks its model: what it starts from, and the request of each of its steps.

use std::collections::HashSet;

use proto::host::{LlmRequest, Message, Part, Role, part};
use types::UnixMillis;

use super::history::{self, CHARS_PER_TOKEN, Past, text_message};
use super::offer::Offer;
use super::output::Output;
use super::prompt::{self, Incoming};
use super::relay::{Pass, beside, relay};
use super::turn::{Cut, Failed, Turn};
use super::{anew, choice, compact, keep, workspace};
use crate::openai::{Fault, Fold};
use crate::service::Core;
use crate::store::{self, SessionId};
use crate::{Error, skills};

/// What a model is told that has taken all its steps.
const LAST: &str = "[This run has taken all the steps that it may. Answer now with what you have: \
no tool is called any more.]";
/// What stands where an older result had to give way.
const LEFT_OUT: &str = "[This result was left out for want of room. Call the tool again if you \
need it.]";

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
    /// What the model may call.
    pub(super) offer: Offer,
}

/// Compacts the conversation. True where it is shorter now.
pub(super) async fn shorten(core: &Core, turn: &Turn, output: &mut Output) -> Result<bool, Cut> {
    output.compacting("start", None);
    let compacted = output.unless_cut(compact::in_lane(core, &turn.key, "")).await?;
    // Without a summary the oldest messages are left out, which is better than no answer.
    let done = matches!(compacted, Ok(Some(_)));
    output.compacting("end", Some(done));
    Ok(done)
}

/// Whether the conversation was shortened for this turn's model: once at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compacted {
    Not,
    /// What was said before the prompt.
    Earlier,
    /// The same in mid-run: the prompt is among the earlier messages now.
    WithPrompt,
}

/// The calls of the model in one turn.
pub(super) struct Asking<'a> {
    pub(super) core: &'a Core,
    pub(super) turn: &'a Turn,
    incoming: &'a Incoming,
    pub(super) prepared: Prepared,
    compacted: Compacted,
    /// What was said and done since the prompt: answers with calls, and what they gave.
    pub(super) steps: Vec<Message>,
    /// Whether the model must answer now.
    pub(super) is_last: bool,
}

impl<'a> Asking<'a> {
    pub(super) fn new(
        core: &'a Core,
        turn: &'a Turn,
        incoming: &'a Incoming,
        prepared: Prepared,
    ) -> Self {
        let (steps, is_last) = (Vec::new(), false);
        Self { core, turn, incoming, prepared, compacted: Compacted::Not, steps, is_last }
    }

    /// What the model may call.
    pub(super) const fn offer(&self) -> &Offer {
        &self.prepared.offer
    }

    /// Asks the model while the prompt is being stored.
    pub(super) async fn first(
        &self,
        fold: &mut Fold,
        output: &mut Output,
    ) -> Result<Option<Cut>, Failed> {
        let request = self.request()?;
        let call = Box::pin(self.core.llm.stream(request));
        let stored = keep::prompt(self.core, self.turn, &self.prepared, self.incoming);
        let opened = beside(stored, output.unless_cut(call)).await;
        let opened = opened.map_err(|err| Fault::storage(&err))?;
        Ok(relay(opened, Pass::first(self.offer()), fold, output).await)
    }

    /// Whether it is asked again after `fault`: with a shorter conversation, or another model.
    pub(super) async fn again(&mut self, fault: &Fault, output: &mut Output) -> Result<bool, Cut> {
        if compact::is_overflow(fault) && self.compacted == Compacted::Not {
            self.compacted = Compacted::Earlier;
            if !shorten(self.core, self.turn, output).await? {
                return Ok(false);
            }
            let models = std::mem::take(&mut self.prepared.models);
            self.prepared = prepare(self.core, self.turn).await.map_err(Cut::Failed)?;
            self.prepared.models = models;
            // Everything is in the transcript by now, without its pictures.
            if self.steps.is_empty() {
                let before =
                    self.prepared.past.messages.len().saturating_sub(self.incoming.prompt.len());
                self.prepared.past.messages.truncate(before);
            } else {
                self.compacted = Compacted::WithPrompt;
                self.steps.clear();
            }
            return Ok(true);
        }
        if !choice::may_help(fault) || self.prepared.models.len() < 2 {
            return Ok(false);
        }
        self.prepared.models.remove(0);
        Ok(true)
    }

    /// The ids of the calls that the model is told of.
    pub(super) fn call_ids(&self) -> HashSet<String> {
        let past = self.prepared.past.messages.iter();
        let messages = past.chain(&self.incoming.prompt).chain(&self.steps);
        messages.flat_map(|message| &message.tool_calls).map(|call| call.id.clone()).collect()
    }

    /// What the model is asked next.
    pub(super) fn request(&self) -> Result<LlmRequest, Fault> {
        let Self { core, turn, incoming, prepared, .. } = self;
        let is_past = self.compacted == Compacted::WithPrompt;
        let prompt = if is_past { &[][..] } else { &incoming.prompt };
        let said = prepared.past.messages.iter().chain(prompt).chain(&self.steps).cloned();
        let mut said = history::settle(said.collect());
        let goes_on = said.last().is_some_and(|last| last.role() == Role::Tool);
        if incoming.is_answer() && self.steps.is_empty() && !is_past && !goes_on {
            let message = "The tool messages answer no open tool calls of this session.";
            return Err(Fault::invalid(Some("messages"), message));
        }
        if !self.steps.is_empty() {
            let room = core.live.now().settings.agents.defaults.room();
            leave_out(&mut said, usize::try_from(room).unwrap_or(usize::MAX));
        }
        if self.is_last {
            said.push(text_message(Role::User, LAST.to_owned()));
        }
        let mut params = turn.params.clone();
        params.reasoning_effort = params.reasoning_effort.or_else(|| prepared.thinking.clone());
        params.reasoning_effort.take_if(|level| level == choice::OFF);
        prepared.offer.put(&mut params, self.is_last);
        Ok(LlmRequest {
            model: prepared.models.first().cloned().unwrap_or_default(),
            messages: std::iter::once(self.system()).chain(said).collect(),
            params: Some(params),
            request_id: turn.request_id.clone(),
            agent: turn.key.agent().to_string(),
            session_key: turn.key.as_str().to_owned(),
        })
    }

    fn system(&self) -> Message {
        let Self { core, turn, incoming, prepared, .. } = self;
        let (agent, tools) = (turn.key.agent(), prepared.offer.told());
        let files = [prepared.workspace.as_str(), prepared.skills.as_str()];
        prompt::system(agent, files, &tools, &incoming.system, core.store.now())
    }
}

/// Takes the texts of the oldest results out where all messages together need more than `room`
/// tokens.
fn leave_out(said: &mut [Message], room: usize) {
    let max = room.saturating_mul(CHARS_PER_TOKEN);
    let mut cost: usize = said.iter().map(history::cost).sum();
    for message in said.iter_mut().filter(|message| message.role() == Role::Tool) {
        let own = history::cost(message);
        if cost <= max {
            return;
        }
        if own > LEFT_OUT.len() {
            message.parts = vec![Part { part: Some(part::Part::Text(LEFT_OUT.to_owned())) }];
            cost -= own - LEFT_OUT.len();
        }
    }
}

/// Reads what the turn starts from. A new session gets its id here, and one that is stale is begun
/// anew.
pub(super) async fn prepare(core: &Core, turn: &Turn) -> Result<Prepared, Fault> {
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
        && !turn.resumes
    {
        let fresh = anew::if_stale(core, &turn.key, row).await;
        if let Some(fresh) = fresh.map_err(|err| Fault::storage(&err))? {
            past = Past { told: past.told, ..Past::default() };
            (session, is_new) = (fresh, true);
        }
    }
    let models = choice::models(core, &turn.model, chosen)?;
    let offer = Offer::new(core, turn, row.as_ref())?;
    let started_at = core.store.now();
    Ok(Prepared { session, is_new, workspace, skills, past, models, thinking, started_at, offer })
}
