//! Codes that a tenant gives out: whoever sends one to an account is bound to that tenant, once. What is
//! kept of a code is its digest.

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use super::claims::{Claim, Holder};
use super::peers::{PeerKind, PeerRow, Proven};
use crate::store::Op;
use crate::{Error, Records, TRIES, contended, hex, json, unchanged};

const CODES: &str = "channel/code/";

/// Codes of one tenant that are good at once.
pub const MAX_CODES: usize = 32;

/// One code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodeRow {
    /// At which account it is good.
    pub account: String,
    /// SHA-256 of the code.
    #[serde(with = "crate::json::digest")]
    pub digest: [u8; 32],
    /// What it binds.
    pub kind: PeerKind,
    /// The agent that answers whoever is bound by it.
    pub agent: Option<String>,
    /// By whom it was made.
    pub by: String,
    /// Until when it is good.
    pub expires_at: UnixMillis,
}

/// What came of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// Whoever sent it is bound to this tenant, and the code is used up.
    Bound(TenantId, PeerRow),
    /// It is none, or was used, or is too old.
    Wrong,
    /// It is good, and whoever sent it is bound to another tenant: the code stays.
    Elsewhere,
}

impl CodeRow {
    fn claim(&self) -> Claim {
        Claim::code(&self.account, &self.digest)
    }

    fn holder(&self, tenant: &TenantId) -> Holder {
        let (account, at) = (self.account.clone(), key(tenant, self));
        Holder { tenant: Some(tenant.clone()), account, at }
    }
}

pub(super) fn prefix(tenant: &TenantId) -> String {
    format!("{CODES}{tenant}/")
}

fn key(tenant: &TenantId, row: &CodeRow) -> String {
    format!("{}{}", prefix(tenant), hex::encode(&row.digest))
}

impl Records {
    /// Keeps a code of a tenant. Those that are too old go. False where there is one of the same
    /// digest, which does not happen to codes that are made as they should.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such tenant, or no such account of its or of all's;
    /// [`Error::TooLarge`] where too many are good.
    pub async fn put_code(
        &self,
        tenant: &TenantId,
        row: &CodeRow,
        now: UnixMillis,
    ) -> Result<bool, Error> {
        let key = key(tenant, row);
        for _ in 0..TRIES {
            let mut guards = self.owner_guard(Some(tenant)).await?;
            guards.push(self.account_guard(tenant, &row.account).await?);
            let mut ops = Vec::new();
            let all: Vec<CodeRow> = self.every(&prefix(tenant)).await?;
            let mut good = 0;
            for old in &all {
                if old.expires_at > now {
                    good += 1;
                    continue;
                }
                ops.push(Op::Delete(self::key(tenant, old).into()));
                self.unclaim(&old.claim(), &old.holder(tenant), &mut guards, &mut ops).await?;
            }
            if good >= MAX_CODES {
                return Err(Error::TooLarge { what: "codes that are good", max: MAX_CODES });
            }
            let before = self.item(&key).await?;
            let (claim, holder) = (row.claim(), row.holder(tenant));
            let claimed = self.claim(&claim, &holder, &mut guards, &mut ops).await?;
            if claimed.is_err() || before.is_some() {
                return Ok(false);
            }
            guards.push(unchanged(&key, None));
            ops.push(Op::put(key.clone(), json::encode(row, None)?));
            if self.try_commit(guards, ops).await? {
                return Ok(true);
            }
        }
        Err(contended(key))
    }

    /// Somebody has sent a code to an account. In one commit the code is used up and they are bound to
    /// the tenant that has made it.
    ///
    /// A code for a conversation binds only where `within` says that the sender is that tenant's
    /// already.
    ///
    /// # Errors
    /// As [`Records::bind`].
    pub async fn redeem(
        &self,
        account: &str,
        digest: &[u8; 32],
        sent: &Sent<'_>,
    ) -> Result<Redeemed, Error> {
        for _ in 0..TRIES {
            let holder = self.holder(&Claim::code(account, digest)).await?;
            let Some(Holder { tenant: Some(tenant), at, .. }) = holder else {
                return Ok(Redeemed::Wrong);
            };
            let Some(item) = self.item(&at).await? else { return Ok(Redeemed::Wrong) };
            let code: CodeRow = json::decode(&item.key, &item.value)?;
            let is_ours = sent.within.is_none_or(|within| *within == tenant);
            if code.expires_at <= sent.now || code.kind != sent.kind || !is_ours {
                return Ok(Redeemed::Wrong);
            }
            let row = PeerRow {
                account: account.to_owned(),
                kind: sent.kind,
                id: sent.id.to_owned(),
                called: None,
                agent: code.agent.clone(),
                proven: Proven::Code,
                by: code.by.clone(),
                at: sent.now,
            };
            let mut guards = vec![unchanged(&at, Some(&item))];
            let mut ops = vec![Op::Delete(at.clone().into())];
            self.unclaim(&code.claim(), &code.holder(&tenant), &mut guards, &mut ops).await?;
            if !self.binding(&tenant, &row, &mut guards, &mut ops).await? {
                return Ok(Redeemed::Elsewhere);
            }
            if self.try_commit(guards, ops).await? {
                return Ok(Redeemed::Bound(tenant, row));
            }
        }
        Err(contended(CODES))
    }

    /// What removes codes with their claims.
    pub(super) async fn code_deletions(
        &self,
        tenant: &TenantId,
        account: Option<&str>,
    ) -> Result<Vec<Op>, Error> {
        let mut ops = Vec::new();
        let all: Vec<CodeRow> = self.every(&prefix(tenant)).await?;
        for row in all.iter().filter(|row| account.is_none_or(|it| it == row.account)) {
            let holder = self.holder(&row.claim()).await?;
            if holder.is_some_and(|it| it == row.holder(tenant)) {
                ops.push(Op::Delete(row.claim().key().into()));
            }
            ops.push(Op::Delete(key(tenant, row).into()));
        }
        Ok(ops)
    }
}

/// Who has sent a code.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// What is to be bound.
    pub kind: PeerKind,
    /// By which id.
    pub id: &'a str,
    /// To which tenant the sender is bound, for a conversation; none for the sender's own.
    pub within: Option<&'a TenantId>,
    /// When.
    pub now: UnixMillis,
}
