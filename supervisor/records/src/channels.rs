//! The tables of chat networks: accounts, who is bound to whom, codes and requests. Which events pass is
//! not decided here; what may be there only once in the whole gateway is.

mod claims;
mod codes;
mod cursors;
mod pages;
mod peers;
mod requests;

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use crate::store::{Guard, Op};
use crate::{Error, Records, TRIES, contended, json, tenants, unchanged};

pub use claims::Claimed;
pub use codes::{CodeRow, MAX_CODES, Redeemed, Sent};
pub use cursors::{CursorRow, MAX_CURSOR};
pub use pages::{
    MAX_SHOWN, MAX_SHOWN_BYTES, MAX_SHOWN_ITEM, PageHead, Pages, Showing, Shown, ShownRow,
};
pub use peers::{MAX_PEERS, PeerKind, PeerRow, Proven};
pub use requests::{MAX_REQUESTS, RequestRow};

use claims::{Claim, Holder};

/// Accounts of one tenant, and those that are shared: some for each network.
pub const MAX_ACCOUNTS: usize = 32;

/// Immutable ids that one list of an account has: of usual ids, two lists fit a value of the store.
pub const MAX_LISTED: usize = 128;

const ACCOUNTS: &str = "channel/account/";

/// Where accounts are that all tenants share: no tenant has such a name.
const SHARED: &str = "~";

/// One account of a chat network. Its credentials are sealed, and not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountRow {
    /// `cha_` and 16 hexadecimal digits.
    pub id: String,
    /// Whose it is; none where all tenants share it.
    pub owner: Option<TenantId>,
    /// The network.
    pub channel: String,
    /// What people call it: unique among the owner's accounts of the network.
    pub name: String,
    /// What the network calls it, once that is known: no other account is called so.
    pub vendor: Option<String>,
    /// The id of the user that we are there, and its name where one writes to it by that.
    pub us: (String, Option<String>),
    /// SHA-256 over network and credential: no other account has the same.
    #[serde(with = "crate::json::digest")]
    pub fingerprint: [u8; 32],
    /// SHA-256 of what stands in its address; none where nothing comes in by one.
    #[serde(default)]
    pub path: Option<PathDigest>,
    /// How its events come in.
    pub way: String,
    /// Where it is called, where every account says that for itself.
    pub server: Option<String>,
    /// Who may write to it.
    pub policy: AccountPolicy,
    /// Whether it is to be connected.
    pub running: bool,
    /// Why nothing is sent over it until somebody has looked.
    pub shut: Option<Shut>,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// A digest that a row may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathDigest(#[serde(with = "crate::json::digest")] pub [u8; 32]);

/// Who may write to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountPolicy {
    /// In conversations of two: `pairing`, `allowlist`, `open` or `disabled`.
    pub direct: String,
    /// In conversations of more: `allowlist`, `open` or `disabled`.
    pub groups: String,
    /// Senders that may, by their ids.
    pub senders: Vec<String>,
    /// Conversations of more in which one may, by their ids.
    pub rooms: Vec<String>,
    /// Whether one is to name us in conversations of more.
    pub mention: bool,
    /// The agent that answers; none for the tenant's first.
    pub agent: Option<String>,
    /// Events that are taken in a minute; none for as many as the tenant's own limits let in.
    pub per_minute: Option<u32>,
    /// Who may show its page, where it has one.
    #[serde(default)]
    pub page: PagePolicy,
}

/// Who may show an account's page, and to whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PagePolicy {
    /// The origins of sites that may have the page in theirs.
    pub origins: Vec<String>,
    /// Whether only visitors may write for whom such a site has signed.
    pub signed: bool,
}

/// Why nothing is sent over an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shut {
    /// Since when.
    pub at: UnixMillis,
    /// What the network says.
    pub why: String,
}

/// What came of writing an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountPut {
    /// It is written.
    Done,
    /// Another is there than the one that was read.
    Changed,
    /// Something of it is another account's.
    Claimed(Claimed),
}

impl AccountRow {
    /// What must be this account's alone.
    fn claims(&self) -> Vec<Claim> {
        let vendor = self.vendor.as_ref().map(|it| Claim::vendor(&self.channel, it));
        let secret = Claim::secret(&self.channel, &self.fingerprint);
        let path = self.path.map(|it| Claim::path(&it.0));
        let name = Claim::name(&home(self.owner.as_ref()), &self.channel, &self.name);
        [vendor, Some(secret), path, Some(name)].into_iter().flatten().collect()
    }
}

fn home(owner: Option<&TenantId>) -> String {
    owner.map_or_else(|| SHARED.to_owned(), ToString::to_string)
}

fn accounts(owner: Option<&TenantId>) -> String {
    format!("{ACCOUNTS}{}/", home(owner))
}

fn key(owner: Option<&TenantId>, id: &str) -> String {
    format!("{}{id}", accounts(owner))
}

/// A row of a backup.
pub(crate) fn account_key(tenant: &TenantId, id: &str) -> String {
    key(Some(tenant), id)
}

/// A row of a backup.
pub(crate) fn peer_key(tenant: &TenantId, row: &PeerRow) -> String {
    peers::key(tenant, row)
}

/// Where a tenant's rows are, by what they are. What they claim is removed beside them.
pub(crate) fn prefixes(tenant: &TenantId) -> [(&'static str, String); 6] {
    [
        ("channelAccounts", accounts(Some(tenant))),
        ("channelPeers", peers::prefix(tenant)),
        ("channelCodes", codes::prefix(tenant)),
        ("channelRequests", requests::prefix(tenant)),
        ("channelCursors", cursors::prefix(Some(tenant))),
        ("channelPages", pages::prefix(tenant)),
    ]
}

impl Records {
    /// Every account of a tenant, or those that are shared.
    pub async fn accounts(&self, owner: Option<&TenantId>) -> Result<Vec<AccountRow>, Error> {
        self.every(&accounts(owner)).await
    }

    /// Every account.
    pub async fn all_accounts(&self) -> Result<Vec<AccountRow>, Error> {
        self.every(ACCOUNTS).await
    }

    /// One account.
    pub async fn account(
        &self,
        owner: Option<&TenantId>,
        id: &str,
    ) -> Result<Option<AccountRow>, Error> {
        self.channel_row(&key(owner, id)).await
    }

    /// The account whose address has this digest.
    pub async fn account_at(&self, path: &[u8; 32]) -> Result<Option<AccountRow>, Error> {
        let Some(holder) = self.holder(&Claim::path(path)).await? else { return Ok(None) };
        let row = self.account(holder.tenant.as_ref(), &holder.account).await?;
        Ok(row.filter(|row| row.path == Some(PathDigest(*path))))
    }

    /// Writes an account over the one that was read, none for a new one, with what it claims. Nothing
    /// is done where that is not the one that is there, or something of it is another's.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such tenant; [`Error::TooLarge`] where there are too many.
    pub async fn put_account(
        &self,
        row: &AccountRow,
        over: Option<&AccountRow>,
    ) -> Result<AccountPut, Error> {
        bounded(row)?;
        let (owner, key) = (row.owner.as_ref(), key(row.owner.as_ref(), &row.id));
        let holder = Holder { tenant: row.owner.clone(), account: row.id.clone(), at: key.clone() };
        for _ in 0..TRIES {
            let mut guards = self.owner_guard(owner).await?;
            let before = self.item(&key).await?;
            let found: Option<AccountRow> =
                before.as_ref().map(|it| json::decode(&it.key, &it.value)).transpose()?;
            if found.as_ref() != over {
                return Ok(AccountPut::Changed);
            }
            if found.is_none() && self.accounts(owner).await?.len() >= MAX_ACCOUNTS {
                return Err(Error::TooLarge { what: "the number of accounts", max: MAX_ACCOUNTS });
            }
            guards.push(unchanged(&key, before.as_ref()));
            let mut ops = Vec::new();
            let claims = row.claims();
            for claim in &claims {
                if let Err(claimed) = self.claim(claim, &holder, &mut guards, &mut ops).await? {
                    return Ok(AccountPut::Claimed(claimed));
                }
            }
            for old in over.map(AccountRow::claims).unwrap_or_default() {
                if !claims.contains(&old) {
                    self.unclaim(&old, &holder, &mut guards, &mut ops).await?;
                }
            }
            let value = before.as_ref().map(|it| &*it.value);
            ops.push(Op::put(key.clone(), json::encode(row, value)?));
            if self.try_commit(guards, ops).await? {
                return Ok(AccountPut::Done);
            }
        }
        Err(contended(key))
    }

    /// Removes an account with everything that hangs on it: who was bound, codes, requests, what its pages
    /// showed, its cursor.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none.
    pub async fn remove_account(&self, row: &AccountRow) -> Result<(), Error> {
        let (owner, key) = (row.owner.as_ref(), key(row.owner.as_ref(), &row.id));
        let holder = Holder { tenant: row.owner.clone(), account: row.id.clone(), at: key.clone() };
        for _ in 0..TRIES {
            let found = self.item(&key).await?.ok_or(Error::NotFound)?;
            let mut guards = vec![unchanged(&key, Some(&found))];
            let mut ops = vec![Op::Delete(key.clone().into())];
            for claim in json::decode::<AccountRow>(&found.key, &found.value)?.claims() {
                self.unclaim(&claim, &holder, &mut guards, &mut ops).await?;
            }
            if let Some(owner) = owner {
                ops.extend(self.peer_deletions(owner, Some(&row.id)).await?);
                ops.extend(self.code_deletions(owner, Some(&row.id)).await?);
                let requests = requests::of_account(owner, &row.id);
                ops.push(Op::DeletePrefix(requests.into()));
                let pages = pages::of_account(owner, &row.id);
                ops.push(Op::DeletePrefix(pages.into()));
            }
            ops.push(Op::Delete(cursors::key(owner, &row.id).into()));
            if self.try_commit(guards, ops).await? {
                return Ok(());
            }
        }
        Err(contended(key))
    }

    /// What a tenant's rows claim, to be removed with them.
    pub(crate) async fn channel_deletions(&self, tenant: &TenantId) -> Result<Vec<Op>, Error> {
        let mut ops = self.peer_deletions(tenant, None).await?;
        ops.extend(self.code_deletions(tenant, None).await?);
        for row in self.accounts(Some(tenant)).await? {
            let at = key(Some(tenant), &row.id);
            for claim in row.claims() {
                let holder = self.holder(&claim).await?;
                if holder.is_some_and(|it| it.at == at) {
                    ops.push(Op::Delete(claim.key().into()));
                }
            }
        }
        Ok(ops)
    }

    /// Claims again what rows of a backup stand for. An account of which something is another's by now
    /// stays, is not connected, and says why.
    pub async fn claim_again(&self, tenant: &TenantId, now: UnixMillis) -> Result<(), Error> {
        for row in self.accounts(Some(tenant)).await? {
            if let AccountPut::Claimed(claimed) = self.put_account(&row, Some(&row)).await? {
                let why = format!("{} is another account's by now", claimed.name());
                let key = key(Some(tenant), &row.id);
                let shut =
                    AccountRow { running: false, shut: Some(Shut { at: now, why }), ..row.clone() };
                let found = self.item(&key).await?;
                let guards = vec![unchanged(&key, found.as_ref())];
                let value = found.as_ref().map(|it| &*it.value);
                let ops = vec![Op::put(key, json::encode(&shut, value)?)];
                // Whoever changes it meanwhile has claimed what it claims.
                self.try_commit(guards, ops).await?;
            }
        }
        self.claim_peers_again(tenant).await
    }

    async fn owner_guard(&self, owner: Option<&TenantId>) -> Result<Vec<Guard>, Error> {
        let Some(tenant) = owner else { return Ok(Vec::new()) };
        let item = self.item(&tenants::key(tenant)).await?.ok_or(Error::NotFound)?;
        Ok(vec![Guard::Created(item.key, item.created)])
    }

    /// That an account is there which is a tenant's own, or everybody's. At another's nobody has a place
    /// to give.
    async fn account_guard(&self, tenant: &TenantId, account: &str) -> Result<Guard, Error> {
        let own = self.item(&key(Some(tenant), account)).await?;
        let found = match own {
            Some(item) => Some(item),
            None => self.item(&key(None, account)).await?,
        };
        let item = found.ok_or(Error::NotFound)?;
        Ok(Guard::Created(item.key, item.created))
    }

    async fn channel_row<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<T>, Error> {
        let item = self.item(key).await?;
        item.map(|item| json::decode(&item.key, &item.value)).transpose()
    }
}

fn bounded(row: &AccountRow) -> Result<(), Error> {
    for list in [&row.policy.senders, &row.policy.rooms, &row.policy.page.origins] {
        if list.len() > MAX_LISTED {
            return Err(Error::TooLarge { what: "a list of ids or origins", max: MAX_LISTED });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
