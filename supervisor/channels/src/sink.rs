//! Brings what workers send to where it goes: looks whether the conversation is still the tenant's, keeps
//! the pace, makes the call of it, and says what came of that.
//!
//! Opens no connection: that, and putting the secret into a call, is for whoever has [`Lines`].

mod files;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use delivery::outbox::{self, Fate, Means, Seen};
use networks::{Twice, Us};
use records::{AccountRow, PeerKind, Records};
use tokio::time::Instant;
use types::{Clock, TenantId};

use crate::adapter::{Adapter, Answer, Fetch, Letter, Outcome, Sending};
use crate::facts::Place;
use crate::handle::Target;
use crate::lines::{Called, Lines, Watcher, shut};
use crate::pace::Pace;

/// How long a message waits here for its place in time; what is farther away is brought later.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// How old an attempt is at least of which a look that finds nothing proves that it did not arrive: what is
/// on its way when a process ends may still be taken, in milliseconds.
const ARRIVING_MS: u64 = 5_000;

/// The same of a file, which Slack shows some time after it has said that it will:
/// <https://github.com/slackapi/bolt-js/issues/2115>.
const FILE_ARRIVING_MS: u64 = 10_000;

/// Accounts whose pace is remembered, of one network: all that there may be, many times over.
const MAX_PACES: usize = 4096;

/// Brings one tenant's messages over the accounts of one network.
#[derive(Debug)]
pub struct Sink {
    tenant: TenantId,
    adapter: &'static dyn Adapter,
    shared: std::sync::Arc<Shared>,
}

/// What all sinks of one network share.
#[derive(Debug)]
pub struct Shared {
    records: Records,
    lines: std::sync::Arc<dyn Lines>,
    watcher: std::sync::Arc<dyn Watcher>,
    clock: std::sync::Arc<dyn Clock>,
    paces: Mutex<HashMap<String, Pace>>,
}

impl Shared {
    /// Over these records and lines.
    pub fn new(
        records: Records,
        lines: std::sync::Arc<dyn Lines>,
        watcher: std::sync::Arc<dyn Watcher>,
        clock: std::sync::Arc<dyn Clock>,
    ) -> Self {
        Self { records, lines, watcher, clock, paces: Mutex::default() }
    }

    /// The pace of an account.
    fn pace<T>(&self, account: &str, of: impl FnOnce(&mut Pace) -> T) -> T {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= MAX_PACES && !paces.contains_key(account) {
            // Whoever is forgotten may send at once, which the network bears once.
            paces.clear();
        }
        of(paces.entry(account.to_owned()).or_default())
    }
}

/// Why something is not there that came with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFetched {
    /// It never will be.
    #[error("{0}")]
    Never(String),
    /// It has more bytes than are fetched.
    #[error("it has more than {0} bytes")]
    TooLarge(usize),
    /// It may be later.
    #[error("{0}")]
    Away(String),
}

/// A conversation that may be written to.
struct Open {
    account: AccountRow,
    place: Place,
}

/// A message that may go.
struct Ready {
    account: AccountRow,
    place: Place,
    part: networks::Part,
    held: Option<files::Held>,
}

impl Sink {
    /// Of this tenant, to this network.
    pub fn new(
        tenant: TenantId,
        adapter: &'static dyn Adapter,
        shared: std::sync::Arc<Shared>,
    ) -> Self {
        Self { tenant, adapter, shared }
    }

    /// Shows that an answer is being written; gives whether it is shown.
    pub async fn typing(&self, place: &str) -> bool {
        let Ok(Open { account, place }) = self.open(place).await else { return false };
        let us = Us { id: &account.us.0, name: account.us.1.as_deref() };
        let Some(call) = self.adapter.typing(&place, us) else { return false };
        let called = self.shared.lines.call(&account, call).await;
        matches!(called, Called::Answered { status: 200..=299, .. })
    }

    /// Fetches what came with a message over the account of `place`.
    ///
    /// # Errors
    /// When there is none, it is too large, or it cannot be had now.
    pub async fn fetch(&self, place: &str, reference: &str) -> Result<Vec<u8>, NotFetched> {
        let Ok(Open { account, .. }) = self.open(place).await else {
            return Err(NotFetched::Never("the conversation is closed".to_owned()));
        };
        let never = || NotFetched::Never("the network has nothing of the kind".to_owned());
        let lines = &self.shared.lines;
        let call = match self.adapter.fetch(reference).ok_or_else(never)? {
            Fetch::At(call) => call,
            Fetch::Ask(call) => {
                let (status, body) = fetched(lines.call(&account, call).await)?;
                let answer = Answer { status, retry_after: None, body: &body };
                self.adapter.found(answer).ok_or_else(never)?
            }
        };
        let most = usize::try_from(self.adapter.network().is.media.inward).unwrap_or(usize::MAX);
        let (_, body) = fetched(lines.fetch(&account, call, most).await)?;
        if body.len() > most { Err(NotFetched::TooLarge(most)) } else { Ok(body) }
    }

    /// Looks whether the place may be written to.
    async fn open(&self, place: &str) -> Result<Open, Fate> {
        let failed = |why: &str| Fate::Failed(why.to_owned());
        let records = |err: records::Error| Fate::Retry(types::Chain(&err).to_string());
        let target = Target::read(place.as_bytes()).ok_or_else(|| failed("it goes nowhere"))?;
        let owner = (!target.shared).then_some(&self.tenant);
        let account = self.shared.records.account(owner, &target.account).await.map_err(records)?;
        let is = self.adapter.network().is;
        let account = account.filter(|it| it.channel == is.name);
        let account = account.ok_or_else(|| failed("the account is gone"))?;
        if !account.running {
            return Err(failed("the account is not connected"));
        }
        if let Some(shut) = &account.shut {
            return Err(Fate::Retry(format!("nothing is sent over the account: {}", shut.why)));
        }
        if target.shared && !self.is_ours(&target).await.map_err(records)? {
            return Err(failed("the conversation is not this tenant's any more"));
        }
        Ok(Open { account, place: target.place })
    }

    /// Looks whether a part may go, and where.
    async fn ready(&self, part: outbox::Part<'_>) -> Result<Ready, Fate> {
        let Open { account, place } = self.open(part.place).await?;
        let is = self.adapter.network().is;
        let said: networks::Part = serde_json::from_slice(part.content)
            .map_err(|err| Fate::Failed(format!("it is no message: {err}")))?;
        // Tags are not counted where they are no text, so that this much may be more than is taken.
        let long = is.text.unit.of(&said.text);
        if long > is.text.max && is.dialect != networks::Dialect::Tags {
            return Err(Fate::Failed(format!("it has {long} of at most {}", is.text.max)));
        }
        Ok(Ready { account, place, part: said, held: None })
    }

    async fn is_ours(&self, target: &Target) -> Result<bool, records::Error> {
        let Some((kind, id)) = &target.bound else { return Ok(false) };
        let room = (PeerKind::Room, &target.place.room);
        // Whatever is nearer decides: a conversation may have been bound to another since.
        for (kind, id) in [room, (*kind, id)] {
            if let Some((tenant, _)) = self.shared.records.peer(&target.account, kind, id).await? {
                return Ok(tenant == self.tenant);
            }
        }
        Ok(false)
    }

    async fn bring(&self, mut ready: Ready, part: outbox::Part<'_>) -> Fate {
        // Once more where the conversation has moved; whoever moves again is brought later.
        for _ in 0..2 {
            let outcome = match self.try_once(&ready, part).await {
                Ok(outcome) => outcome,
                Err(fate) => return fate,
            };
            match outcome {
                Outcome::Sent(id) => {
                    self.shared.watcher.sent(&ready.account);
                    return Fate::Sent(id);
                }
                Outcome::Wait(wait) => {
                    let until = Instant::now() + Duration::from_millis(wait);
                    self.shared.pace(&ready.account.id, |pace| pace.pause(until));
                    return Fate::Wait(wait, "the network asks us to wait".to_owned());
                }
                Outcome::Refused(why) => return Fate::Failed(why),
                Outcome::Unknown(why) => return Fate::Unknown(why),
                Outcome::Shut(why) => return self.shut(ready.account, why).await,
                Outcome::Moved(room) => ready.place.room = room,
            }
        }
        Fate::Retry("the conversation has moved".to_owned())
    }

    async fn try_once(&self, ready: &Ready, part: outbox::Part<'_>) -> Result<Outcome, Fate> {
        let letter = letter(ready, part, self.shared.clock.now());
        if let Some(held) = &ready.held {
            return self.upload(ready, letter, held).await;
        }
        let called = match self.adapter.send(letter) {
            Sending::Call(call) => self.shared.lines.call(&ready.account, call).await,
            Sending::Page(frame) => {
                self.shared.lines.show(&ready.account, &ready.place.room, frame).await
            }
            Sending::Say(frame) => {
                return Ok(self.shared.lines.say(&ready.account, part.key, frame).await);
            }
            Sending::Never => {
                return Err(Fate::Failed("the network has no such message".to_owned()));
            }
        };
        self.shown(called, letter)
    }

    /// What came of a call, or of showing a frame on pages.
    fn shown(&self, called: Called, letter: Letter<'_>) -> Result<Outcome, Fate> {
        let is_page = self.adapter.network().is.ways.contains(&networks::Way::Page);
        match called {
            // A page knows a message by its key.
            Called::Answered { status: 200..=299, .. } if is_page => {
                Ok(Outcome::Sent(Some(letter.over.unwrap_or(letter.key).to_owned())))
            }
            Called::Answered { status, retry_after, body } => {
                let retry_after = retry_after.as_deref();
                Ok(self.adapter.outcome(Answer { status, retry_after, body: &body }))
            }
            Called::Unsent(why) => Err(Fate::Retry(why)),
            Called::Unknown(why) => Err(Fate::Unknown(why)),
        }
    }

    async fn shut(&self, account: AccountRow, why: String) -> Fate {
        let Shared { records, watcher, clock, .. } = &*self.shared;
        shut(records, &**watcher, clock.now(), &account, &why).await;
        Fate::Retry(format!("the network does not know the account any more: {why}"))
    }
}

/// What came of asking for something.
fn fetched(called: Called) -> Result<(u16, Vec<u8>), NotFetched> {
    match called {
        Called::Answered { status: status @ 200..=299, body, .. } => Ok((status, body)),
        Called::Answered { status: status @ (408 | 429 | 500..), .. } => {
            Err(NotFetched::Away(format!("the network answered {status}")))
        }
        Called::Answered { status, .. } => {
            Err(NotFetched::Never(format!("the network answered {status}")))
        }
        Called::Unsent(why) | Called::Unknown(why) => Err(NotFetched::Away(why)),
    }
}

fn letter<'a>(ready: &'a Ready, part: outbox::Part<'a>, now: u64) -> Letter<'a> {
    // An intent's parts are numbered behind its key: the first answers, the others follow.
    let is_first = part.key.ends_with("-0");
    let (key, over, since) = (part.key, part.over, part.since);
    let (us, place) = (ready.account.us.0.as_str(), &ready.place);
    Letter { place, us, part: &ready.part, key, over, is_first, now, since }
}

#[async_trait]
impl outbox::Sink for Sink {
    fn means(&self) -> Means {
        match self.adapter.network().is.twice {
            Twice::Known => Means::DurableKey,
            Twice::KnownFor(_) | Twice::Seen => Means::ReadBack,
            Twice::Doubled => Means::None,
        }
    }

    async fn send(&self, part: outbox::Part<'_>) -> Fate {
        let mut ready = match self.ready(part).await {
            Ok(ready) => ready,
            Err(fate) => return fate,
        };
        ready.held = match self.held(ready.part.file.as_ref()).await {
            Ok(held) => held,
            Err(fate) => return fate,
        };
        let (pace, now) = (self.adapter.network().is.pace, Instant::now());
        let taken = self
            .shared
            .pace(&ready.account.id, |it| it.take(&ready.place.room, pace, (now, MAX_WAIT)));
        match taken {
            Ok(at) => tokio::time::sleep_until(at).await,
            Err(away) => {
                let wait = u64::try_from(away.as_millis()).unwrap_or(u64::MAX);
                return Fate::Wait(
                    wait,
                    "the network is written to as fast as it allows".to_owned(),
                );
            }
        }
        self.bring(ready, part).await
    }

    async fn look(&self, part: outbox::Part<'_>) -> Option<Seen> {
        if let Twice::KnownFor(time) = self.adapter.network().is.twice {
            let age = self.shared.clock.now().saturating_sub(part.since);
            // As long as its key is known it is sent again, and there once.
            return (u128::from(age) < time.as_millis()).then_some(Seen::Absent);
        }
        let ready = self.ready(part).await.ok()?;
        let letter = letter(&ready, part, self.shared.clock.now());
        let call = self.adapter.look(letter)?;
        match self.shared.lines.call(&ready.account, call).await {
            Called::Answered { status, retry_after, body } => {
                let retry_after = retry_after.as_deref();
                let seen = self.adapter.seen(letter, Answer { status, retry_after, body: &body });
                let age = self.shared.clock.now().saturating_sub(part.tried);
                let is_file = letter.part.file.is_some();
                let arriving = if is_file { FILE_ARRIVING_MS } else { ARRIVING_MS };
                seen.filter(|it| *it != Seen::Absent || age >= arriving)
            }
            Called::Unsent(_) | Called::Unknown(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
