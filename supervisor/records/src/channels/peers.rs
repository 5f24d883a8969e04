//! Who is bound to a tenant at an account: persons, conversations and spaces, by ids that are never
//! another's. At one account each is bound once.

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use super::claims::{Claim, Claimed, Holder};
use crate::store::{MAX_RANGE, Op};
use crate::{Error, Records, TRIES, contended, hex, json, unchanged};

const PEERS: &str = "channel/peer/";

/// Bound persons, conversations and spaces of one tenant.
pub const MAX_PEERS: usize = 2048;

/// Who or what is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerKind {
    /// A person.
    User,
    /// A conversation of more than two.
    Room,
    /// A workspace or server.
    Space,
}

/// How it was shown that somebody may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proven {
    /// By a code that the tenant has given out.
    Code,
    /// The tenant has approved a request.
    Approved,
    /// The tenant or the operator has said so.
    Named,
}

/// One person, conversation or space that is bound to a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerRow {
    /// The account.
    pub account: String,
    /// Who or what.
    pub kind: PeerKind,
    /// By which id.
    pub id: String,
    /// What it was called then, for people: proves nothing.
    pub called: Option<String>,
    /// The agent that answers; none for the account's.
    pub agent: Option<String>,
    /// How it was shown.
    pub proven: Proven,
    /// By whom.
    pub by: String,
    /// When.
    pub at: UnixMillis,
}

impl PeerKind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Room => "room",
            Self::Space => "space",
        }
    }
}

impl PeerRow {
    pub(super) fn claim(&self) -> Claim {
        Claim::peer(&self.account, self.kind.name(), &self.id)
    }

    pub(super) fn holder(&self, tenant: &TenantId) -> Holder {
        let (account, at) = (self.account.clone(), key(tenant, self));
        Holder { tenant: Some(tenant.clone()), account, at }
    }
}

pub(super) fn prefix(tenant: &TenantId) -> String {
    format!("{PEERS}{tenant}/")
}

fn of_account(tenant: &TenantId, account: &str) -> String {
    format!("{}{account}/", prefix(tenant))
}

pub(super) fn key(tenant: &TenantId, row: &PeerRow) -> String {
    // Ids of networks are longer than keys may be.
    format!("{}{}", of_account(tenant, &row.account), row.claim())
}

impl Records {
    /// Who is bound to a tenant, at one account or at all.
    pub async fn peers(
        &self,
        tenant: &TenantId,
        account: Option<&str>,
    ) -> Result<Vec<PeerRow>, Error> {
        let all = account.map_or_else(|| prefix(tenant), |it| of_account(tenant, it));
        self.every(&all).await
    }

    /// To whom somebody is bound at an account.
    pub async fn peer(
        &self,
        account: &str,
        kind: PeerKind,
        id: &str,
    ) -> Result<Option<(TenantId, PeerRow)>, Error> {
        let holder = self.holder(&Claim::peer(account, kind.name(), id)).await?;
        let Some(Holder { tenant: Some(tenant), at, .. }) = holder else { return Ok(None) };
        let row: Option<PeerRow> = self.channel_row(&at).await?;
        Ok(row.map(|row| (tenant, row)))
    }

    /// Binds somebody to a tenant. False where another tenant has them.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such tenant, or no such account of its or of all's;
    /// [`Error::TooLarge`] where there are too many.
    pub async fn bind(&self, tenant: &TenantId, row: &PeerRow) -> Result<bool, Error> {
        let key = key(tenant, row);
        for _ in 0..TRIES {
            let (mut guards, mut ops) = (Vec::new(), Vec::new());
            if !self.binding(tenant, row, &mut guards, &mut ops).await? {
                return Ok(false);
            }
            if self.try_commit(guards, ops).await? {
                return Ok(true);
            }
        }
        Err(contended(key))
    }

    /// Adds to a commit that somebody is bound. False where another tenant has them.
    pub(super) async fn binding(
        &self,
        tenant: &TenantId,
        row: &PeerRow,
        guards: &mut Vec<crate::store::Guard>,
        ops: &mut Vec<Op>,
    ) -> Result<bool, Error> {
        guards.extend(self.owner_guard(Some(tenant)).await?);
        guards.push(self.account_guard(tenant, &row.account).await?);
        let key = key(tenant, row);
        let before = self.item(&key).await?;
        if before.is_none() {
            let (all, _) = self.store.range(prefix(tenant).as_bytes(), None, MAX_RANGE).await?;
            if all.len() >= MAX_PEERS {
                return Err(Error::TooLarge { what: "who is bound to a tenant", max: MAX_PEERS });
            }
        }
        let claimed = self.claim(&row.claim(), &row.holder(tenant), guards, ops).await?;
        if claimed == Err(Claimed::Peer) {
            return Ok(false);
        }
        guards.push(unchanged(&key, before.as_ref()));
        let value = before.as_ref().map(|it| &*it.value);
        ops.push(Op::put(key, json::encode(row, value)?));
        Ok(true)
    }

    /// Somebody is bound no more.
    ///
    /// # Errors
    /// [`Error::NotFound`] where they were not.
    pub async fn unbind(&self, tenant: &TenantId, row: &PeerRow) -> Result<(), Error> {
        let key = key(tenant, row);
        for _ in 0..TRIES {
            let found = self.item(&key).await?.ok_or(Error::NotFound)?;
            let mut guards = vec![unchanged(&key, Some(&found))];
            let mut ops = vec![Op::Delete(found.key)];
            self.unclaim(&row.claim(), &row.holder(tenant), &mut guards, &mut ops).await?;
            if self.try_commit(guards, ops).await? {
                return Ok(());
            }
        }
        Err(contended(key))
    }

    /// What removes bound peers with their claims.
    pub(super) async fn peer_deletions(
        &self,
        tenant: &TenantId,
        account: Option<&str>,
    ) -> Result<Vec<Op>, Error> {
        let mut ops = Vec::new();
        for row in self.peers(tenant, account).await? {
            let holder = self.holder(&row.claim()).await?;
            if holder.is_some_and(|it| it == row.holder(tenant)) {
                ops.push(Op::Delete(row.claim().key().into()));
            }
        }
        let all = account.map_or_else(|| prefix(tenant), |it| of_account(tenant, it));
        ops.push(Op::DeletePrefix(all.into()));
        Ok(ops)
    }

    /// Claims again those who were bound when a backup was made; whoever is another tenant's by now is
    /// bound to this one no more.
    pub(super) async fn claim_peers_again(&self, tenant: &TenantId) -> Result<(), Error> {
        for row in self.peers(tenant, None).await? {
            let bound = self.bind(tenant, &row).await;
            if matches!(bound, Ok(false) | Err(Error::NotFound)) {
                let op = Op::Delete(key(tenant, &row).into());
                self.store.commit(Vec::new(), vec![op]).await?;
            } else {
                bound?;
            }
        }
        Ok(())
    }
}

/// The name of a row by what it is about.
pub(super) fn digest_name(parts: &[&str]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    hex::encode(context.finish().as_ref())
}
