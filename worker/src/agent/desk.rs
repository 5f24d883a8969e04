//! Which runs there are and were lately, and which messages wait for their session.
//!
//! In memory: what must outlive the process is in the transcript.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::host::{Message, Part, Role, part};
use tokio::sync::{Notify, watch};
use types::UnixMillis;

use super::history::text_message;
use super::run::{RunHandle, RunOutcome, RunRequest, Source};
use crate::openai::Fault;
use crate::settings::{DropPolicy, QueueMode};

/// Ended runs that are remembered, and for how long, in milliseconds. As in `OpenClaw`.
const MAX_ENDED: usize = 1000;
const KEPT: u64 = 10 * 60 * 1000;
/// Bytes of an answer that are remembered after its run has ended.
const MAX_TEXT: usize = 8 << 10;
/// Dropped messages of one session whose starts are told to the model, and characters of one.
const MAX_DROPPED: usize = 20;
const MAX_START: usize = 140;

type Outcome = Option<Arc<RunOutcome>>;

/// The runs and queues of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Desk(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    runs: HashMap<Arc<str>, Noted>,
    /// Oldest first.
    ended: VecDeque<(UnixMillis, Arc<str>)>,
    /// By session key; there is none without a message that waits.
    queues: HashMap<String, Queue>,
}

#[derive(Debug)]
struct Noted {
    key: String,
    outcome: watch::Receiver<Outcome>,
    /// The run that took this one's message with its own.
    leader: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Starts of the messages that were dropped.
    dropped: Vec<String>,
    arrived: Arc<Notify>,
}

/// A message that waits for its session.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) run_id: String,
    pub(crate) message: String,
    pub(crate) accepted_at: UnixMillis,
    /// Whether nobody wrote it.
    pub(crate) is_hidden: bool,
    images: Vec<String>,
    mode: QueueMode,
    event: Arc<str>,
}

impl Waiting {
    pub(super) fn new(request: &RunRequest, mode: QueueMode, now: UnixMillis) -> Self {
        // A command is never taken together with other messages.
        let is_command = request.commands && super::command::parse(&request.message).is_some();
        let mode = if is_command { QueueMode::Followup } else { mode };
        Self {
            run_id: request.run_id.clone(),
            message: request.message.clone(),
            accepted_at: now,
            is_hidden: matches!(request.source, Source::Heartbeat | Source::Wake),
            images: request.images.clone(),
            mode,
            event: Arc::clone(&request.event),
        }
    }
}

/// What one run takes from the queue.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Those after its own.
    more: Vec<Waiting>,
    dropped: Vec<String>,
}

impl Taken {
    /// The events that the turn deals with, that of the run first.
    pub(super) fn events(&self, own: &Arc<str>) -> Vec<Arc<str>> {
        let more = self.more.iter().map(|waiting| &waiting.event);
        let all = std::iter::once(own).chain(more).filter(|event| !event.is_empty());
        all.map(Arc::clone).collect()
    }

    /// The messages of a turn: more for the system prompt, then one of the user.
    pub(super) fn messages(
        &self,
        message: &str,
        images: &[String],
        extra_system: &[String],
    ) -> Vec<Message> {
        let mut text = String::new();
        if !self.dropped.is_empty() {
            text.push_str("[There was no room for these earlier messages; they began with:]\n");
            for start in &self.dropped {
                text.push_str("- ");
                text.push_str(start);
                text.push('\n');
            }
            text.push('\n');
        }
        text.push_str(message);
        let mut images: Vec<&String> = images.iter().collect();
        for waiting in &self.more {
            text.push_str("\n\n");
            text.push_str(&waiting.message);
            images.extend(&waiting.images);
        }
        let system = extra_system.iter().map(|text| text_message(Role::System, text.clone()));
        let mut said = text_message(Role::User, text);
        said.parts.extend(
            images.into_iter().map(|url| Part { part: Some(part::Part::ImageUrl(url.clone())) }),
        );
        system.chain([said]).collect()
    }
}

impl Desk {
    /// Notes a run, or gives the one that has this id.
    pub(super) fn begin(
        &self,
        run_id: &str,
        key: &str,
        now: UnixMillis,
    ) -> Result<watch::Sender<Outcome>, RunHandle> {
        let mut board = self.lock();
        board.prune(now);
        if let Some(known) = board.handle(run_id) {
            return Err(known);
        }
        let (sender, outcome) = watch::channel(None);
        let noted = Noted { key: key.to_owned(), outcome, leader: None };
        board.runs.insert(Arc::from(run_id), noted);
        Ok(sender)
    }

    /// Takes back a run that could not begin, or is to begin anew.
    pub(super) fn forget(&self, run_id: &str) {
        let mut board = self.lock();
        board.runs.remove(run_id);
        board.ended.retain(|(_, id)| &**id != run_id);
    }

    /// Notes that a run has ended; it is remembered for a while.
    pub(super) fn end(&self, run_id: &str, now: UnixMillis) {
        let mut board = self.lock();
        let Some((id, noted)) = board.runs.get_key_value(run_id) else { return };
        let (id, ended) = (Arc::clone(id), noted.outcome.borrow().clone());
        if let Some(ended) = ended.filter(|ended| ended.text.len() > MAX_TEXT) {
            let mut short = RunOutcome::clone(&ended);
            short.text.truncate(short.text.floor_char_boundary(MAX_TEXT));
            if let Some(noted) = board.runs.get_mut(run_id) {
                noted.outcome = watch::channel(Some(Arc::new(short))).1;
            }
        }
        board.ended.push_back((now, id));
        board.prune(now);
    }

    /// The run called `run_id` in the session `key`, if it is under way or was lately.
    pub(crate) fn find(&self, run_id: &str, key: Option<&str>) -> Option<RunHandle> {
        let board = self.lock();
        let noted = board.runs.get(run_id)?;
        key.is_none_or(|key| key == noted.key).then(|| board.handle(run_id)).flatten()
    }

    /// Adds a message to its session's queue. Gives the run whose message was dropped for it.
    pub(super) fn push(
        &self,
        key: &str,
        waiting: Waiting,
        cap: usize,
        policy: DropPolicy,
    ) -> Result<Option<String>, Fault> {
        let mut board = self.lock();
        let queue = board.queues.entry(key.to_owned()).or_default();
        let mut dropped = None;
        if queue.waiting.len() >= cap {
            if policy == DropPolicy::New {
                return Err(Fault::queue_full(cap));
            }
            dropped = queue.waiting.pop_front();
        }
        if let Some(dropped) = &dropped
            && policy == DropPolicy::Summarize
            && queue.dropped.len() < MAX_DROPPED
        {
            queue.dropped.push(dropped.message.chars().take(MAX_START).collect());
        }
        queue.waiting.push_back(waiting);
        queue.arrived.notify_one();
        Ok(dropped.map(|dropped| dropped.run_id))
    }

    /// Takes a message out of the queue without running it.
    pub(super) fn remove(&self, key: &str, run_id: &str) {
        let mut board = self.lock();
        if let Some(queue) = board.queues.get_mut(key) {
            queue.waiting.retain(|waiting| waiting.run_id != run_id);
        }
        board.tidy(key);
    }

    /// Whether this message is to be taken together with those after it.
    pub(super) fn collects(&self, key: &str, run_id: &str) -> bool {
        let board = self.lock();
        let queue = board.queues.get(key);
        let own = queue.and_then(|queue| queue.waiting.iter().find(|one| one.run_id == run_id));
        own.is_some_and(|own| own.mode == QueueMode::Collect)
    }

    /// Told of each message that is added to the queue.
    pub(super) fn arrivals(&self, key: &str) -> Arc<Notify> {
        Arc::clone(&self.lock().queues.entry(key.to_owned()).or_default().arrived)
    }

    /// Takes a run's message, and where it collects those after it that do. `None` where another
    /// run has taken it.
    pub(super) fn take(&self, key: &str, run_id: &str) -> Option<Taken> {
        let mut board = self.lock();
        let queue = board.queues.get_mut(key)?;
        let at = queue.waiting.iter().position(|waiting| waiting.run_id == run_id)?;
        let own = queue.waiting.remove(at)?;
        let mut taken = Taken { more: Vec::new(), dropped: std::mem::take(&mut queue.dropped) };
        if own.mode == QueueMode::Collect {
            let all = std::mem::take(&mut queue.waiting);
            for waiting in all {
                if waiting.mode == QueueMode::Collect {
                    taken.more.push(waiting);
                } else {
                    queue.waiting.push_back(waiting);
                }
            }
        }
        let leader: Arc<str> = Arc::from(run_id);
        for joined in &taken.more {
            if let Some(noted) = board.runs.get_mut(joined.run_id.as_str()) {
                noted.leader = Some(Arc::clone(&leader));
            }
        }
        board.tidy(key);
        Some(taken)
    }

    /// The run that took this one's message.
    pub(super) fn leader(&self, run_id: &str) -> Option<RunHandle> {
        let board = self.lock();
        let leader = board.runs.get(run_id)?.leader.as_ref()?;
        board.handle(leader)
    }

    /// The messages that wait in a session, oldest first.
    pub(crate) fn waiting(&self, key: &str) -> Vec<Waiting> {
        let board = self.lock();
        board
            .queues
            .get(key)
            .map(|queue| queue.waiting.iter().cloned().collect())
            .unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn handle(&self, run_id: &str) -> Option<RunHandle> {
        let (id, noted) = self.runs.get_key_value(run_id)?;
        Some(RunHandle::new(Arc::clone(id), noted.outcome.clone()))
    }

    fn prune(&mut self, now: UnixMillis) {
        while let Some((at, _)) = self.ended.front()
            && (self.ended.len() > MAX_ENDED || at.saturating_add(KEPT) < now)
        {
            if let Some((_, id)) = self.ended.pop_front() {
                self.runs.remove(&id);
            }
        }
    }

    fn tidy(&mut self, key: &str) {
        if self.queues.get(key).is_some_and(|queue| queue.waiting.is_empty()) {
            self.queues.remove(key);
        }
    }
}
