//! What nodes are asked to do: sent to one connection, answered by that connection only, and done
//! once for each key.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::{Connection, Message};

/// Invocations that one node has under way.
const MAX_PENDING: usize = 64;

/// How long an outcome is kept for those who ask again with the same key.
const KEPT_FOR: Duration = Duration::from_mins(5);

/// Keys that are remembered of one tenant: more than thirteen new ones a second.
pub(crate) const MAX_KEYS: usize = 4096;

/// Bytes of the outcomes that are kept of one tenant.
pub(crate) const MAX_KEPT_BYTES: usize = 8 << 20;

/// Bytes of an outcome that is kept: what is larger is told once.
pub(crate) const MAX_OUTCOME: usize = 256 << 10;

/// Characters of the code or the message of a node's error: people read no more.
pub(crate) const MAX_ERROR: usize = 1024;

/// What a node is asked to do.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Which command.
    pub command: String,
    /// Its parameters as JSON text.
    pub params_json: Option<String>,
    /// How long it may take.
    pub timeout: Duration,
    /// Chosen by the caller; the same for the same work.
    pub idempotency_key: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the node did it.
    pub ok: bool,
    /// The result as JSON text.
    pub payload_json: Option<String>,
    /// Why not.
    pub error: Option<NodeError>,
}

impl Outcome {
    /// With an error that is not too long.
    pub(crate) fn shortened(mut self) -> Self {
        if let Some(NodeError { code, message }) = &mut self.error {
            for text in [code, message].into_iter().flatten() {
                if let Some((end, _)) = text.char_indices().nth(MAX_ERROR) {
                    text.truncate(end);
                    text.shrink_to_fit();
                }
            }
        }
        self
    }

    fn size(&self) -> usize {
        let error =
            self.error.as_ref().map_or([None, None], |it| [it.code.as_ref(), it.message.as_ref()]);
        error.into_iter().flatten().chain(&self.payload_json).map(String::len).sum()
    }
}

/// Why a node did not do it, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeError {
    /// For programs.
    pub code: Option<String>,
    /// For people.
    pub message: Option<String>,
}

/// Why there is no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The node has no connection.
    #[error("the node is not connected")]
    NotConnected,
    /// The node has as many things to do as it may have, or the tenant has used as many keys in five
    /// minutes as can be remembered.
    #[error("the node has too much to do; try again later")]
    Busy,
    /// The node went away first.
    #[error("the node disconnected before it answered")]
    Gone,
    /// The node took too long.
    #[error("the node did not answer in time")]
    TimedOut,
    /// It was done, and the outcome was too large to be kept or had to make room.
    #[error("the node has done this already, and its result is no longer kept")]
    NotKept,
}

type Ended = Result<Outcome, InvokeError>;

/// The invocations of one tenant, by node and key.
#[derive(Debug, Default)]
pub(crate) struct Invocations(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    /// Oldest first.
    order: VecDeque<Key>,
    /// Of the outcomes.
    bytes: usize,
}

type Key = (String, String);

#[derive(Debug)]
struct Entry {
    /// When it began, then when it ended.
    at: Instant,
    /// Of the outcome.
    bytes: usize,
    ended: watch::Receiver<Option<Ended>>,
}

/// What one connection was asked and has not answered.
#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<HashMap<String, oneshot::Sender<Outcome>>>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    id: &'a str,
    node_id: &'a str,
    command: &'a str,
    #[serde(rename = "paramsJSON", skip_serializing_if = "Option::is_none")]
    params_json: Option<&'a str>,
    timeout_ms: u64,
    idempotency_key: &'a str,
}

impl Invocations {
    pub(crate) async fn run(
        &self,
        node: &Arc<Connection>,
        node_id: &str,
        invocation: Invocation,
    ) -> Ended {
        let key = (node_id.to_owned(), invocation.idempotency_key.clone());
        let (tell, ended) = watch::channel(None);
        let earlier = self.kept().enter(&key, ended)?;
        if let Some(mut earlier) = earlier {
            let done = earlier.wait_for(Option::is_some).await;
            return done.ok().and_then(|it| it.clone()).unwrap_or(Err(InvokeError::Gone));
        }
        let forget = Forget { invocations: self, key: Some(key) };
        let result = ask(node, node_id, &invocation).await;
        tell.send_replace(Some(forget.keep(&result)));
        result
    }

    /// Forgets what is too old to be asked for again.
    pub(crate) fn sweep(&self) {
        self.kept().shrink();
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.kept().bytes
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Makes a place for the outcome of `key`, or gives the one that is there.
    fn enter(
        &mut self,
        key: &Key,
        ended: watch::Receiver<Option<Ended>>,
    ) -> Result<Option<watch::Receiver<Option<Ended>>>, InvokeError> {
        if self.entries.contains_key(key) || self.entries.len() >= MAX_KEYS {
            self.shrink();
        }
        if let Some(earlier) = self.entries.get(key) {
            return Ok(Some(earlier.ended.clone()));
        }
        if self.entries.len() >= MAX_KEYS {
            return Err(InvokeError::Busy);
        }
        self.order.push_back(key.clone());
        self.entries.insert(key.clone(), Entry { at: Instant::now(), bytes: 0, ended });
        Ok(None)
    }

    /// Forgets what is old, and the oldest outcomes where there is too much. Their keys stay, so that
    /// nothing is done twice; what has not ended stays too.
    fn shrink(&mut self) {
        let Self { entries, order, bytes } = self;
        order.retain(|key| {
            let Some(entry) = entries.get_mut(key) else { return false };
            if entry.ended.borrow().is_none() {
                return true;
            }
            let stays = entry.at.elapsed() <= KEPT_FOR;
            if !stays || (*bytes > MAX_KEPT_BYTES && entry.bytes > 0) {
                *bytes = bytes.saturating_sub(std::mem::take(&mut entry.bytes));
                entry.ended = watch::channel(Some(Err(InvokeError::NotKept))).1;
            }
            if !stays {
                entries.remove(key);
            }
            stays
        });
    }

    fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes = self.bytes.saturating_sub(entry.bytes);
            self.order.retain(|it| it != key);
        }
    }
}

/// Forgets an invocation that nobody waits for any more or that never began.
struct Forget<'a> {
    invocations: &'a Invocations,
    key: Option<Key>,
}

impl Forget<'_> {
    /// Keeps an outcome of the node's, unless it is too large, and gives what others with its key are
    /// told. Whoever gets an error may try again.
    fn keep(mut self, result: &Ended) -> Ended {
        let Ok(outcome) = result else { return result.clone() };
        let size = outcome.size();
        let (told, bytes) = if size <= MAX_OUTCOME {
            (result.clone(), size)
        } else {
            (Err(InvokeError::NotKept), 0)
        };
        let mut kept = self.invocations.kept();
        if let Some(entry) = self.key.take().and_then(|key| kept.entries.get_mut(&key)) {
            (entry.at, entry.bytes) = (Instant::now(), bytes);
            kept.bytes += bytes;
        }
        if kept.bytes > MAX_KEPT_BYTES {
            kept.shrink();
        }
        told
    }
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.invocations.kept().forget(&key);
        }
    }
}

async fn ask(node: &Connection, node_id: &str, invocation: &Invocation) -> Ended {
    let id = uuid::Uuid::new_v4().to_string();
    let request = Request {
        id: &id,
        node_id,
        command: &invocation.command,
        params_json: invocation.params_json.as_deref(),
        timeout_ms: u64::try_from(invocation.timeout.as_millis()).unwrap_or(u64::MAX),
        idempotency_key: &invocation.idempotency_key,
    };
    let event = api::events::event("node.invoke.request").ok_or(InvokeError::NotConnected)?;
    // Text and numbers always have a JSON form.
    let payload = serde_json::to_vec(&request).unwrap_or_default().into();
    let asked = node.pending.begin(&id)?;
    let _over = Over { pending: &node.pending, id: &id };
    if !node.push_aside(&Message { event, payload, session_key: String::new() }) {
        return Err(InvokeError::NotConnected);
    }
    match tokio::time::timeout(invocation.timeout, asked).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(_gone)) => Err(InvokeError::Gone),
        Err(_elapsed) => Err(InvokeError::TimedOut),
    }
}

/// Takes an invocation off the list of what a node was asked, however its caller ends.
struct Over<'a> {
    pending: &'a Pending,
    id: &'a str,
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.pending.all().remove(self.id);
    }
}

impl Pending {
    fn begin(&self, id: &str) -> Result<oneshot::Receiver<Outcome>, InvokeError> {
        let mut all = self.all();
        if all.len() >= MAX_PENDING {
            return Err(InvokeError::Busy);
        }
        let (sender, receiver) = oneshot::channel();
        all.insert(id.to_owned(), sender);
        Ok(receiver)
    }

    pub(crate) fn complete(&self, id: &str, outcome: Outcome) -> bool {
        let asked = self.all().remove(id);
        asked.is_some_and(|it| it.send(outcome).is_ok())
    }

    pub(crate) fn clear(&self) {
        self.all().clear();
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Outcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
