//! From an address, a question or a socket to the inbox: what is acknowledged is kept, and what is not kept
//! is not acknowledged.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use records::AccountRow;
use ring::digest::{SHA256, digest};
use runtime::Tasks;
use tokio::sync::Semaphore;
use types::{Chain, Clock};

use crate::adapter::{Adapter, Letter, Received, Reply, Sending};
use crate::facts::Place;
use crate::intake::{Intake, Kept, Next, Proven, Words};
use crate::lines::{Lines, Watcher};
use crate::policy::Why;

/// Strangers that are answered at once: the next one waits.
const MAX_TELLING: usize = 16;

/// Strangers that wait for their answer: one more is not answered.
const MAX_WAITING: usize = 1024;

/// Keeps events for workers.
#[async_trait]
pub trait Keeper: Send + Sync + std::fmt::Debug {
    /// Keeps an event durably; the same event again is not kept a second time. Goes on to its end when
    /// whoever waits for it is gone.
    ///
    /// # Errors
    /// When it could not be kept.
    async fn keep(&self, account: &AccountRow, kept: Kept, event: Vec<u8>) -> Result<(), NotKept>;
}

/// Why an event could not be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotKept {
    /// It may be later: the network is to bring it again.
    Later(String),
    /// It will never be: bringing it again would not help.
    Never(String),
}

/// What became of an event that may be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is kept for a worker.
    Kept,
    /// Nothing: whoever sent it is a stranger, and is told how one is let in.
    Asked,
    /// It was a code, and whoever sent it is told what has come of that.
    Code,
    /// Nothing.
    Nothing(Why),
    /// It is lost: it could never be read or kept.
    Lost(String),
}

/// What comes in. Clones are the same.
#[derive(Debug, Clone)]
pub struct Inbound(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    intake: Intake,
    keeper: Arc<dyn Keeper>,
    lines: Arc<dyn Lines>,
    watcher: Arc<dyn Watcher>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    telling: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// What comes in goes through these.
#[derive(Debug)]
pub struct Ways {
    /// Decides.
    pub intake: Intake,
    /// Keeps.
    pub keeper: Arc<dyn Keeper>,
    /// Answers strangers.
    pub lines: Arc<dyn Lines>,
    /// Is told.
    pub watcher: Arc<dyn Watcher>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Owns what answers strangers.
    pub tasks: Tasks,
}

impl Inbound {
    /// Through these.
    pub fn new(ways: Ways) -> Self {
        let Ways { intake, keeper, lines, watcher, clock, tasks } = ways;
        let telling = Arc::new(Semaphore::new(MAX_TELLING));
        let waiting = Arc::new(Semaphore::new(MAX_WAITING));
        Self(Arc::new(Parts { intake, keeper, lines, watcher, clock, tasks, telling, waiting }))
    }

    pub(crate) fn lines(&self) -> &dyn Lines {
        &*self.0.lines
    }

    pub(crate) fn watcher(&self) -> &dyn Watcher {
        &*self.0.watcher
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// A request to an address, and what it is answered: that it is kept is said when it is.
    pub async fn request(
        &self,
        channel: &str,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Reply {
        let unknown = crate::intake::Turned::Unknown;
        let Some(adapter) = crate::adapter(channel) else { return unknown.reply() };
        let answered = self.answer(adapter, path, headers, body);
        let Some(ack) = adapter.network().is.ack else { return answered.await };
        match tokio::time::timeout(ack, answered).await {
            Ok(reply) => reply,
            // The network has stopped waiting, and brings it again.
            Err(_elapsed) => LATER,
        }
    }

    async fn answer(
        &self,
        adapter: &'static dyn Adapter,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Reply {
        let Proven { account, received } =
            match self.0.intake.request(adapter, path, headers, body).await {
                Ok(proven) => proven,
                Err(turned) => {
                    tracing::debug!(error = %Chain(&turned), "a request is turned away");
                    return turned.reply();
                }
            };
        match received {
            Received::Nothing => Reply::ok(),
            Received::Question(reply) => reply,
            Received::Events { events, reply } => {
                for event in events {
                    if self.take(adapter, &account, event).await.is_err() {
                        return LATER;
                    }
                }
                reply
            }
        }
    }

    /// Takes an event that came over an account. It may be acknowledged when this says so.
    ///
    /// # Errors
    /// When it could not be kept, or nobody knows, with why: it is to come again.
    pub async fn take(
        &self,
        adapter: &'static dyn Adapter,
        account: &AccountRow,
        event: Vec<u8>,
    ) -> Result<Taken, String> {
        let parts = &*self.0;
        parts.watcher.came(account);
        let next = match parts.intake.event(adapter, account, &event).await {
            Ok(Ok(next)) => next,
            Ok(Err(unreadable)) => {
                let why = Chain(&unreadable).to_string();
                parts.watcher.lost(account, &why);
                return Ok(Taken::Lost(why));
            }
            Err(failed) => {
                tracing::error!(error = %Chain(&failed), "an event cannot be looked at");
                return Err(Chain(&failed).to_string());
            }
        };
        match next {
            Next::Nothing(why) => {
                tracing::debug!(?why, "an event is of no concern");
                Ok(Taken::Nothing(why))
            }
            Next::Tell(place, words) => {
                let is_code = !matches!(words, Words::Approve(_) | Words::SendCode);
                self.tell(adapter, account, (place, words), &event);
                Ok(if is_code { Taken::Code } else { Taken::Asked })
            }
            Next::Keep(kept) => match parts.keeper.keep(account, *kept, event).await {
                Ok(()) => Ok(Taken::Kept),
                Err(NotKept::Later(why)) => Err(why),
                Err(NotKept::Never(why)) => {
                    parts.watcher.lost(account, &why);
                    Ok(Taken::Lost(why))
                }
            },
        }
    }

    /// Tells a stranger something. What does not arrive is told again when the stranger writes again.
    fn tell(
        &self,
        adapter: &'static dyn Adapter,
        account: &AccountRow,
        (place, words): (Place, Words),
        event: &[u8],
    ) {
        let Ok(seat) = Arc::clone(&self.0.waiting).try_acquire_owned() else { return };
        let parts = networks::parts(&words.text(), adapter.network().is);
        let Some(part) = parts.into_iter().next() else { return };
        let (this, account, key) = (self.clone(), account.clone(), key(&account.id, event));
        self.0.tasks.spawn_until_stopped(async move {
            let Ok(_turn) = this.0.telling.acquire().await else { return };
            let now = this.0.clock.now();
            let letter = Letter {
                place: &place,
                us: &account.us.0,
                part: &part,
                key: &key,
                over: None,
                is_first: true,
                now,
                since: now,
            };
            let called = match adapter.send(letter) {
                Sending::Call(call) => this.0.lines.call(&account, call).await,
                Sending::Page(frame) => this.0.lines.show(&account, &place.room, frame).await,
                Sending::Say(frame) => {
                    let outcome = this.0.lines.say(&account, &key, frame).await;
                    tracing::debug!(?outcome, "a stranger was told");
                    return drop(seat);
                }
                Sending::Never => return,
            };
            tracing::debug!(?called, "a stranger was told");
            drop(seat);
        });
    }
}

/// It is to be brought again.
const LATER: Reply = Reply { status: 503, body: None };

/// The same for the same event, so that whoever is told twice reads it once.
fn key(account: &str, event: &[u8]) -> String {
    let digest = digest(&SHA256, &[account.as_bytes(), event].concat());
    let digest = digest.as_ref().first_chunk().map_or(0, |it| u128::from_be_bytes(*it));
    format!("{digest:032x}-t")
}

#[cfg(test)]
mod tests;
