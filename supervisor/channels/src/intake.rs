//! What comes in, from the address that was called to what is to be done about it. Keeps nothing itself:
//! whoever asks keeps a delivery before anything is acknowledged, and answers strangers when it is.
//!
//! An address that nobody has, a proof that does not hold and an account that is stopped all look the same
//! from outside.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use http::HeaderMap;
use networks::Us;
use records::{AccountRow, PeerKind, Records, Redeemed, RequestRow, Sent};
use ring::digest::{SHA256, digest};
use types::{Clock, Secret, TenantId};

use crate::adapter::{Adapter, Received, Reply, Request};
use crate::door::Door;
use crate::facts::{Done, Facts, Kind, Place, Unreadable};
use crate::pairing;
use crate::policy::{self, Ask, Bound, Code, Decision, Turn, Why};
use crate::recipe::{Recipe, Refused};

/// Accounts whose doors are remembered: those of which nobody has heard for longest are forgotten.
const MAX_DOORS: usize = 4096;

/// What opens sealed credentials. Asked for each request: what is not held cannot be lost.
#[async_trait]
pub trait Secrets: Send + Sync + std::fmt::Debug {
    /// What proves requests to an account, in every form that is good now, and by which recipe.
    async fn proofs(&self, account: &AccountRow) -> Result<(Recipe, Vec<Secret>), Failed>;
}

/// Something could not be found out. Whoever calls tries again.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The records failed.
    #[error("the records of channels failed")]
    Records(#[from] records::Error),
    /// A credential could not be opened.
    #[error("a credential cannot be opened")]
    Sealed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system gives no random bytes.
    #[error("no code can be made")]
    Random,
}

/// Why a request is turned away. The caller is not told which.
#[derive(Debug, thiserror::Error)]
pub enum Turned {
    /// Nobody has this address.
    #[error("nobody has this address")]
    Unknown,
    /// It does not prove itself.
    #[error("it does not prove itself")]
    Unproven(#[source] Refused),
    /// It is proven, and cannot be read: bringing it again does not help.
    #[error("it is proven and cannot be read")]
    Unreadable(#[source] Unreadable),
    /// Something failed here: to be brought again.
    #[error("it could not be looked at")]
    Failed(#[source] Failed),
}

/// A request that has proven itself.
#[derive(Debug)]
pub struct Proven {
    /// To which account it came.
    pub account: AccountRow,
    /// What is in it.
    pub received: Received,
}

/// What is to be done about an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Nothing(Why),
    /// It is to be kept for a worker.
    Keep(Box<Kept>),
    /// A stranger is to be told something, which may be lost.
    Tell(Place, Words),
}

/// An event that is to be kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// For whom.
    pub turn: Turn,
    /// The event's name in the account.
    pub event: String,
    /// Where an answer goes.
    pub place: Place,
    /// Who did it.
    pub sender: String,
    /// Whether others hear it too.
    pub is_group: bool,
}

/// What a stranger is told.
#[derive(Debug)]
pub enum Words {
    /// That whoever runs the account is to approve this code.
    Approve(Secret),
    /// That one is let in by a code of whoever one wants to talk to.
    SendCode,
    /// That the code was good.
    Welcome,
    /// That it was not.
    WrongCode,
    /// That it was, and that one is somebody else's already.
    Elsewhere,
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Eq for Words {}

impl Words {
    /// What stands in the message.
    pub fn text(&self) -> String {
        match self {
            Self::Approve(code) => format!(
                "I do not know you yet. Whoever runs this account can let you in with the code {}.",
                code.expose()
            ),
            Self::SendCode => {
                "I do not know you yet. Send me the code that you were given.".to_owned()
            }
            Self::Welcome => "Welcome. You can talk to me now.".to_owned(),
            Self::WrongCode => "That code is not good, or not any more.".to_owned(),
            Self::Elsewhere => {
                "You are let in here already. Ask to be let go of there first.".to_owned()
            }
        }
    }
}

/// What comes in over all accounts. Clones are the same.
#[derive(Debug, Clone)]
pub struct Intake(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    records: Records,
    secrets: Arc<dyn Secrets>,
    clock: Arc<dyn Clock>,
    doors: Mutex<HashMap<String, (u64, Door)>>,
}

/// The digest under which an address is kept.
pub fn path_digest(path: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, path.as_bytes()).as_ref());
    bytes
}

impl Intake {
    /// Over these records.
    pub fn new(records: Records, secrets: Arc<dyn Secrets>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Parts { records, secrets, clock, doors: Mutex::default() }))
    }

    /// A request to an address of ours. The body is as long as whoever reads it allows.
    ///
    /// # Errors
    /// When it is to be turned away.
    pub async fn request(
        &self,
        adapter: &dyn Adapter,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Proven, Turned> {
        let found = self.0.records.account_at(&path_digest(path)).await;
        let found = found.map_err(|err| Turned::Failed(Failed::Records(err)))?;
        let is_its = |it: &AccountRow| it.channel == adapter.network().is.name;
        let account = found.filter(|it| is_its(it) && it.running).ok_or(Turned::Unknown)?;
        let (recipe, secrets) = self.0.secrets.proofs(&account).await.map_err(Turned::Failed)?;
        let proven = recipe.verify(&secrets, headers, body, self.0.clock.now());
        proven.map_err(Turned::Unproven)?;
        let received = adapter.receive(Request { headers, body }).map_err(Turned::Unreadable)?;
        Ok(Proven { account, received })
    }

    /// What is to be done about an event that came over an account.
    ///
    /// # Errors
    /// When that could not be found out: the event is not to be acknowledged. The inner error is of an
    /// event that cannot be read, which is.
    pub async fn event(
        &self,
        adapter: &dyn Adapter,
        account: &AccountRow,
        event: &[u8],
    ) -> Result<Result<Next, Unreadable>, Failed> {
        let us = Us { id: &account.us.0, name: account.us.1.as_deref() };
        let facts = match adapter.facts(event, us) {
            Ok(facts) => facts,
            Err(err) => return Ok(Err(err)),
        };
        let decision = match &facts.done {
            Some(done) => self.decide(account, &facts, done).await?,
            None => policy::decide(account, &facts, Bound::default()),
        };
        let Facts { event, done: Some(done), .. } = facts else {
            return Ok(Ok(Next::Nothing(Why::Nothing)));
        };
        Ok(Ok(match decision {
            Decision::Drop(why) => Next::Nothing(why),
            Decision::Turn(turn) => {
                let Done { place, sender, room, .. } = done;
                let is_group = room.kind != Kind::Direct;
                Next::Keep(Box::new(Kept { turn, event, place, sender, is_group }))
            }
            Decision::Ask(ask) => self.ask(account, &ask, done).await?,
            Decision::Code(code) => self.code(account, &code, done).await?,
        }))
    }

    async fn decide(
        &self,
        account: &AccountRow,
        facts: &Facts,
        done: &Done,
    ) -> Result<Decision, Failed> {
        let (mut room, mut user, mut space) = (None, None, None);
        for (kind, id) in policy::asked(done) {
            let found = self.0.records.peer(&account.id, kind, id).await?;
            match kind {
                PeerKind::Room => room = found,
                PeerKind::User => user = found,
                PeerKind::Space => space = found,
            }
        }
        let bound = Bound { room: room.as_ref(), user: user.as_ref(), space: space.as_ref() };
        Ok(policy::decide(account, facts, bound))
    }

    async fn ask(&self, account: &AccountRow, ask: &Ask, done: Done) -> Result<Next, Failed> {
        let now = self.0.clock.now();
        if !self.door(&account.id, |door| door.answers(&done.sender, now)) {
            return Ok(Next::Nothing(Why::NotListed));
        }
        let words = match ask {
            Ask::Code => Words::SendCode,
            Ask::Approval(tenant) => self.request_of(account, tenant, &done.sender).await?,
        };
        Ok(Next::Tell(done.place, words))
    }

    async fn request_of(
        &self,
        account: &AccountRow,
        tenant: &TenantId,
        sender: &str,
    ) -> Result<Words, Failed> {
        let (code, digest) = pairing::mint(pairing::TOLD).map_err(|_none| Failed::Random)?;
        let at = self.0.clock.now();
        let row = RequestRow {
            account: account.id.clone(),
            id: sender.to_owned(),
            digest,
            at,
            expires_at: at.saturating_add(pairing::TOLD_MS),
        };
        self.0.records.put_request(tenant, &row).await?;
        Ok(Words::Approve(code))
    }

    async fn code(&self, account: &AccountRow, code: &Code, done: Done) -> Result<Next, Failed> {
        let now = self.0.clock.now();
        if !self.door(&account.id, |door| door.tries(&done.sender, now)) {
            return Ok(Next::Nothing(Why::NotListed));
        }
        let sent = Sent { kind: code.kind, id: &code.id, within: code.within.as_ref(), now };
        let words = match self.0.records.redeem(&account.id, &code.digest, &sent).await? {
            Redeemed::Bound(..) => Words::Welcome,
            Redeemed::Elsewhere => Words::Elsewhere,
            Redeemed::Wrong => Words::WrongCode,
        };
        Ok(Next::Tell(done.place, words))
    }

    fn door<T>(&self, account: &str, pass: impl FnOnce(&mut Door) -> T) -> T {
        let now = self.0.clock.now();
        let mut doors = self.0.doors.lock().unwrap_or_else(PoisonError::into_inner);
        if doors.len() >= MAX_DOORS && !doors.contains_key(account) {
            let oldest = doors.iter().min_by_key(|(_, (at, _))| *at).map(|it| it.0.clone());
            oldest.and_then(|it| doors.remove(&it));
        }
        let (at, door) = doors.entry(account.to_owned()).or_default();
        *at = now;
        pass(door)
    }
}

impl Turned {
    /// What the caller is answered: whatever is wrong with who called is the same.
    pub const fn reply(&self) -> Reply {
        let status = match self {
            Self::Unknown | Self::Unproven(_) => 401,
            Self::Unreadable(_) => 400,
            Self::Failed(_) => 503,
        };
        Reply { status, body: None }
    }
}

#[cfg(test)]
mod tests;
