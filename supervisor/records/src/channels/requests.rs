//! Strangers who have written to an account of a tenant and wait to be let in. Each has one request;
//! where there are too many the oldest goes, so that nobody keeps another out.

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use super::peers::{PeerKind, PeerRow, Proven, digest_name};
use crate::store::Op;
use crate::{Error, Records, TRIES, contended, json, unchanged};

const REQUESTS: &str = "channel/request/";

/// Requests at one account: many more than one looks through, so that the oldest is long past.
pub const MAX_REQUESTS: usize = 64;

/// One stranger who waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestRow {
    /// At which account.
    pub account: String,
    /// Who, by an id that is never another's.
    pub id: String,
    /// SHA-256 of the code that was told to them.
    #[serde(with = "crate::json::digest")]
    pub digest: [u8; 32],
    /// When.
    pub at: UnixMillis,
    /// Until when it waits.
    pub expires_at: UnixMillis,
}

pub(super) fn prefix(tenant: &TenantId) -> String {
    format!("{REQUESTS}{tenant}/")
}

pub(super) fn of_account(tenant: &TenantId, account: &str) -> String {
    format!("{}{account}/", prefix(tenant))
}

fn key(tenant: &TenantId, row: &RequestRow) -> String {
    format!("{}{}", of_account(tenant, &row.account), digest_name(&[&row.id]))
}

impl Records {
    /// Those who wait at a tenant's accounts, oldest first.
    pub async fn requests(
        &self,
        tenant: &TenantId,
        now: UnixMillis,
    ) -> Result<Vec<RequestRow>, Error> {
        let mut rows: Vec<RequestRow> = self.every(&prefix(tenant)).await?;
        rows.retain(|row| row.expires_at > now);
        rows.sort_by_key(|row| row.at);
        Ok(rows)
    }

    /// Keeps a stranger's request in the place of an earlier one. Those that are too old go, and where
    /// too many are left the oldest.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such tenant.
    pub async fn put_request(&self, tenant: &TenantId, row: &RequestRow) -> Result<(), Error> {
        let key = key(tenant, row);
        for _ in 0..TRIES {
            let mut guards = self.owner_guard(Some(tenant)).await?;
            let before = self.item(&key).await?;
            guards.push(unchanged(&key, before.as_ref()));
            let all: Vec<RequestRow> = self.every(&of_account(tenant, &row.account)).await?;
            let mut others: Vec<_> = all.iter().filter(|it| it.id != row.id).collect();
            others.sort_by_key(|it| it.at);
            let (good, past): (Vec<_>, Vec<_>) =
                others.into_iter().partition(|it| it.expires_at > row.at);
            let over = good.len().saturating_add(1).saturating_sub(MAX_REQUESTS);
            let gone = past.into_iter().chain(good.into_iter().take(over));
            let mut ops: Vec<_> =
                gone.map(|old| Op::Delete(self::key(tenant, old).into())).collect();
            let value = before.as_ref().map(|it| &*it.value);
            ops.push(Op::put(key.clone(), json::encode(row, value)?));
            if self.try_commit(guards, ops).await? {
                return Ok(());
            }
        }
        Err(contended(key))
    }

    /// Lets in whoever was told a code. `None` where nobody was who still waits.
    ///
    /// # Errors
    /// As [`Records::bind`].
    pub async fn approve_request(
        &self,
        tenant: &TenantId,
        digest: &[u8; 32],
        (by, now): (&str, UnixMillis),
    ) -> Result<Option<PeerRow>, Error> {
        for _ in 0..TRIES {
            let all = self.requests(tenant, now).await?;
            let Some(request) = all.into_iter().find(|it| it.digest == *digest) else {
                return Ok(None);
            };
            let row = PeerRow {
                account: request.account.clone(),
                kind: PeerKind::User,
                id: request.id.clone(),
                called: None,
                agent: None,
                proven: Proven::Approved,
                by: by.to_owned(),
                at: now,
            };
            let key = key(tenant, &request);
            let Some(item) = self.item(&key).await? else { continue };
            let mut guards = vec![unchanged(&key, Some(&item))];
            let mut ops = vec![Op::Delete(item.key)];
            if !self.binding(tenant, &row, &mut guards, &mut ops).await? {
                return Ok(None);
            }
            if self.try_commit(guards, ops).await? {
                return Ok(Some(row));
            }
        }
        Err(contended(REQUESTS))
    }

    /// Sends a stranger away.
    ///
    /// # Errors
    /// [`Error::NotFound`] where nobody was told this code.
    pub async fn dismiss_request(&self, tenant: &TenantId, digest: &[u8; 32]) -> Result<(), Error> {
        let all: Vec<RequestRow> = self.every(&prefix(tenant)).await?;
        let request = all.iter().find(|it| it.digest == *digest).ok_or(Error::NotFound)?;
        self.delete(&key(tenant, request)).await
    }
}
