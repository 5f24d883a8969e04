//! What somebody says at a chat network becomes a run of that conversation's session, once, and its
//! answer goes back there.
//!
//! Whose the event is, and whether its sender may write to the tenant at all, the supervisor has found
//! out; what it says is read here and nowhere else. The network is not reached from here.

mod aside;
mod came;
mod draft;
mod files;
mod order;

use std::sync::Arc;
use std::time::Duration;

use networks::{Message, Network, Us, What};
use proto::worker::ChannelEvent;
use tokio::sync::watch;
use tonic::{Code, Status};
use types::Chain;

pub(crate) use aside::{Aside, Parts, outbound};
pub(crate) use order::Order;

use crate::agent::{self, RunHandle, RunOutcome, RunRequest, RunStatus, SessionKey, Source, Stand};
use crate::heartbeat;
use crate::openai::Fault;
use crate::service::Core;
use crate::settings::QueueMode;
use crate::store;

/// Bytes of an event: the longest text of any network, and what stands around it.
const MAX_EVENT: usize = 1 << 20;

/// Characters of what somebody is called, as far as it is told to the model.
const MAX_CALLED: usize = 64;

/// Messages of one intent, and bytes of them: both less than the supervisor takes.
const MAX_PARTS: usize = 16;
const MAX_BYTES: usize = 200 << 10;

/// Intents of one answer: more than anybody reads.
const MAX_INTENTS: usize = 8;

/// How often what could not be kept is handed over again, and how long after.
const TRIES: usize = 5;
const AGAIN: Duration = Duration::from_secs(1);

/// Takes an event.
///
/// # Errors
/// `INVALID_ARGUMENT` where it will never be taken, `RESOURCE_EXHAUSTED` where too much is under way.
pub(crate) async fn hear(core: &Core, event: ChannelEvent) -> Result<(), Status> {
    let heard = Heard::read(event)?;
    let (key, id) = (&heard.key, heard.event.event_id.as_str());
    known(core, key).await?;
    let run_id = format!("channel:{id}");
    let stand = agent::stand(core, key, &run_id, id).await.map_err(|err| storage(&err))?;
    let (growing, growth) = watch::channel(String::new());
    if heard.event.settled {
        return Ok(());
    }
    let run = match stand {
        Stand::Known(run) => run,
        Stand::Answered => {
            agent::over(core, id, key, &run_id, None).await;
            return Ok(());
        }
        Stand::New | Stand::Cut(_) => {
            let came =
                if is_new(&heard.message) { came::fetch(core, &heard).await } else { Vec::new() };
            let Some(text) = heard.text(&came) else {
                agent::over(core, id, key, &run_id, None).await;
                return Ok(());
            };
            let most = files::most(core, &heard).await;
            let mut request = heard.request(text, most);
            request.resumes = matches!(stand, Stand::Cut(_));
            request.run_id = run_id;
            request.growing = Some(growing);
            agent::run(core, request).await.map_err(|fault| refused(&fault))?
        }
    };
    heard.follow(core, &run, growth);
    Ok(())
}

/// An event that was read.
#[derive(Debug)]
struct Heard {
    network: &'static Network,
    key: SessionKey,
    message: Message,
    event: ChannelEvent,
}

impl Heard {
    fn read(event: ChannelEvent) -> Result<Self, Status> {
        let network = networks::network(&event.network);
        let network = network.ok_or_else(|| Status::invalid_argument("no such network"))?;
        if event.event.len() > MAX_EVENT {
            return Err(Status::invalid_argument("the event is too long"));
        }
        let name = Some(event.us_name.as_str()).filter(|name| !name.is_empty());
        let us = Us { id: &event.us_id, name };
        let message = (network.read)(&event.event, us);
        let message = message.map_err(|err| Status::invalid_argument(Chain(&err).to_string()))?;
        let key = SessionKey::parse(&event.session);
        let key = key.map_err(|fault| Status::invalid_argument(fault.message))?;
        Ok(Self { network, key, message, event })
    }

    /// What the model is told; none where there is nothing to answer.
    fn text(&self, came: &[String]) -> Option<String> {
        let Message { text, called, .. } = &self.message;
        if !is_new(&self.message) {
            return None;
        }
        let mut said = text.trim().to_owned();
        for note in came {
            said = if said.is_empty() { note.clone() } else { format!("{said}\n\n{note}") };
        }
        if said.is_empty() {
            return None;
        }
        let called = called.as_deref().map(short).filter(|it| !it.is_empty());
        Some(match called.filter(|_| self.event.is_group && !said.starts_with('/')) {
            Some(called) => format!("{called}: {said}"),
            None => said,
        })
    }

    fn request(&self, text: String, largest_file: u64) -> RunRequest {
        let mut request = RunRequest::new(self.key.clone(), text, Source::Channel);
        // Each message has an answer of its own.
        request.queue = Some(QueueMode::Followup);
        request.deliver = true;
        request.event = self.event.event_id.as_str().into();
        request.is_followed = true;
        if !self.event.request_id.is_empty() {
            request.request_id.clone_from(&self.event.request_id);
        }
        request.client.clone_from(&self.event.network);
        let title = self.network.is.title;
        let who = if self.event.is_group {
            "Several people may write in this conversation; who writes stands before each message, as \
             they call themselves, which proves nothing."
        } else {
            "One person writes in this conversation."
        };
        let mut told = format!("What you answer is sent over {title}. {who}");
        if largest_file > 0 {
            told = format!("{told} {}", files::told(largest_file));
        }
        request.extra_system = vec![told];
        request
    }

    /// Sends the answer when the run is over, and then says that the event is dealt with.
    fn follow(self, core: &Core, run: &RunHandle, growth: watch::Receiver<String>) {
        let (going, background) = (core.runs.begin(), core.events.background());
        let (core, tasks, run) = (core.clone(), core.tasks.clone(), run.clone());
        // What a command says is not to wait for a run that goes on.
        let is_command = self.message.text.trim_start().starts_with('/');
        let mut place = (!is_command).then(|| core.answers.line_up(self.key.as_str()));
        drop(tasks.spawn(async move {
            if let Some(place) = &mut place {
                place.turn().await;
            }
            draft::show(&core, &self, &run, growth).await;
            self.end(&core, &run).await;
            drop((place, going, background));
        }));
    }

    async fn end(&self, core: &Core, run: &RunHandle) {
        let outcome = run.done().await;
        let (id, key) = (self.event.event_id.as_str(), &self.key);
        let is_over = agent::is_over(core, id, key, run.id(), &outcome).await;
        if !matches!(is_over, Ok(Some(true))) {
            return agent::conclude(core, id, key, run.id(), &outcome).await;
        }
        // Only an answer: of what has failed this process knows more than is written down.
        let kept = agent::kept(core, key, run.id(), Arc::clone(&outcome)).await;
        let outcome = if kept.status == RunStatus::Ok { kept } else { outcome };
        match self.answer(core, run.id(), &outcome).await {
            Ok(()) => agent::over(core, id, key, run.id(), outcome.session_id.as_deref()).await,
            // It comes again, finds its answer in the transcript, whole, and is answered then.
            Err(why) => agent::hand_back(core, id, run.id(), &why).await,
        }
    }

    /// Hands the answer over. The same run again is sent once.
    async fn answer(&self, core: &Core, run_id: &str, outcome: &RunOutcome) -> Result<(), String> {
        let Some(text) = said(outcome) else { return Ok(()) };
        let (mut text, paths) = files::split(&text);
        let handed_over = core.aside.begin().await;
        let last = format!("{run_id}.{MAX_INTENTS}");
        let (enclosed, notes) = files::take(core, self, &last, &paths).await;
        for note in notes {
            text = format!("{text}\n\n{note}");
        }
        // Whether there is a draft the supervisor knows, also of one that an earlier process has sent.
        let draft = self.network.is.edits.map(|_apart| draft::id(run_id));
        let said = written(&networks::parts(&text, self.network.is))?;
        for (at, intent) in intents(said).into_iter().enumerate() {
            let over = draft.as_deref().filter(|_| at == 0);
            self.submit(core, &format!("{run_id}.{at}"), intent, over).await?;
        }
        if !enclosed.is_empty() {
            self.submit(core, &last, written(&enclosed)?, None).await?;
        }
        drop(handed_over);
        aside::tidy(core).await;
        Ok(())
    }

    async fn submit(
        &self,
        core: &Core,
        id: &str,
        parts: Vec<Vec<u8>>,
        over: Option<&str>,
    ) -> Result<(), String> {
        let mut tries = tokio::time::interval(AGAIN);
        let mut last = String::new();
        for _ in 0..TRIES {
            tries.tick().await;
            match core.outbox.say(id, &self.event.handle, parts.clone(), over).await {
                Ok(()) => return Ok(()),
                Err(status) if status.code() == Code::InvalidArgument => {
                    // The conversation is not the tenant's any more: nobody is there to be answered.
                    tracing::warn!(why = status.message(), "an answer goes nowhere");
                    return Ok(());
                }
                Err(status) => last = format!("{}: {}", status.code(), status.message()),
            }
        }
        Err(last)
    }
}

/// Messages as they are handed over.
fn written(parts: &[networks::Part]) -> Result<Vec<Vec<u8>>, String> {
    let written: Result<Vec<_>, _> = parts.iter().map(serde_json::to_vec).collect();
    written.map_err(|err| err.to_string())
}

/// Messages as intents, each within its bounds.
fn intents(parts: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let mut all: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut bytes = 0;
    for part in parts {
        let fits = bytes + part.len() <= MAX_BYTES;
        bytes += part.len();
        let count = all.len();
        match all.last_mut() {
            Some(last) if fits && last.len() < MAX_PARTS => last.push(part),
            Some(_) | None if count < MAX_INTENTS => {
                bytes = part.len();
                all.push(vec![part]);
            }
            Some(_) | None => break,
        }
    }
    all
}

/// What is said of a run; none where that is nothing.
fn said(outcome: &RunOutcome) -> Option<String> {
    match (outcome.status, &outcome.error) {
        (RunStatus::Ok, _) if heartbeat::says_nothing(&outcome.text) => None,
        (RunStatus::Ok, _) => Some(outcome.text.clone()),
        // Whoever has stopped it was answered.
        (RunStatus::Aborted, _) => None,
        (RunStatus::Timeout, _) => Some("That took too long, and I have stopped.".to_owned()),
        (RunStatus::Error, Some(fault)) if fault.limit.is_some() => {
            Some(format!("I cannot answer now: {}", fault.message))
        }
        (RunStatus::Error, _) => {
            Some("Something went wrong, and I cannot answer that. Please try again.".to_owned())
        }
    }
}

/// What somebody says instead of something older was answered when it was that.
fn is_new(message: &Message) -> bool {
    message.what != What::Edited
}

fn short(text: &str) -> String {
    let plain = text.chars().filter(|it| !it.is_control()).take(MAX_CALLED);
    plain.collect::<String>().trim().to_owned()
}

async fn known(core: &Core, key: &SessionKey) -> Result<(), Status> {
    let agent = key.agent().clone();
    let found = core.store.job(move |root| store::has_agent(root, &agent)).await;
    if found.map_err(|err| storage(&err))? {
        return Ok(());
    }
    Err(Status::invalid_argument(format!("there is no agent {}", key.agent())))
}

fn storage(err: &crate::Error) -> Status {
    tracing::error!(error = %Chain(err), "an event of a network could not be read or written");
    Status::unavailable("the tenant's files could not be read or written")
}

fn refused(fault: &Fault) -> Status {
    if fault.status == 429 || fault.status >= 500 {
        return Status::resource_exhausted(fault.message.clone());
    }
    Status::invalid_argument(fault.message.clone())
}

#[cfg(test)]
mod tests;
