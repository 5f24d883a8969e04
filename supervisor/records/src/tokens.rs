//! The table of tenants' tokens.

use types::{TenantId, UnixMillis};

use crate::store::{Guard, Op};
use crate::{Error, Records, TRIES, TokenRow, contended, json, tenants, unchanged};

const PREFIX: &str = "token/";
const DEVICE_PREFIX: &str = "device-token/";

/// How the id of a device's token starts.
pub const DEVICE_ID: &str = "dtk_";

/// Where the tokens of one tenant are.
pub(crate) fn prefix(tenant: &TenantId) -> String {
    format!("{PREFIX}{tenant}/")
}

/// Where the tokens of one tenant's devices are: see [`crate::devices`] on why not with the others.
pub(crate) fn device_prefix(tenant: &TenantId) -> String {
    format!("{DEVICE_PREFIX}{tenant}/")
}

pub(crate) fn key(tenant: &TenantId, id: &str) -> String {
    let of_device = id.starts_with(DEVICE_ID);
    format!("{}{id}", if of_device { device_prefix(tenant) } else { prefix(tenant) })
}

impl Records {
    /// Every token of every tenant.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, Error> {
        self.every(PREFIX).await
    }

    /// The tokens of one tenant, without those of its devices.
    pub async fn tokens_of(&self, tenant: &TenantId) -> Result<Vec<TokenRow>, Error> {
        self.every(&prefix(tenant)).await
    }

    /// Every token of every tenant's devices.
    pub async fn device_tokens(&self) -> Result<Vec<TokenRow>, Error> {
        self.every(DEVICE_PREFIX).await
    }

    /// Writes a token, whose tenant must exist until it is written.
    pub async fn put_token(&self, row: &TokenRow) -> Result<(), Error> {
        let key = key(&row.tenant, &row.id);
        for _ in 0..TRIES {
            let tenant = self.item(&tenants::key(&row.tenant)).await?.ok_or(Error::NotFound)?;
            let before = self.item(&key).await?;
            let value = json::encode(row, before.as_ref().map(|item| &*item.value))?;
            let guards =
                vec![Guard::Created(tenant.key, tenant.created), unchanged(&key, before.as_ref())];
            if self.try_commit(guards, vec![Op::put(key.clone(), value)]).await? {
                return Ok(());
            }
        }
        Err(contended(key))
    }

    /// Removes a token.
    pub async fn delete_token(&self, tenant: &TenantId, id: &str) -> Result<(), Error> {
        self.delete(&key(tenant, id)).await
    }

    /// Removes every token of a tenant.
    pub async fn delete_tokens_of(&self, tenant: &TenantId) -> Result<(), Error> {
        let ops = vec![
            Op::DeletePrefix(prefix(tenant).into()),
            Op::DeletePrefix(device_prefix(tenant).into()),
        ];
        self.store.commit(Vec::new(), ops).await?;
        Ok(())
    }

    /// Writes down when tokens were last used, in one commit. Those that are gone stay gone.
    pub async fn touch_tokens(&self, used: &[(&TenantId, &str, UnixMillis)]) -> Result<(), Error> {
        for _ in 0..TRIES {
            let (mut guards, mut ops) = (Vec::new(), Vec::new());
            for (tenant, id, at) in used {
                let key = key(tenant, id);
                let Some(item) = self.item(&key).await? else { continue };
                let mut row: TokenRow = json::decode(&item.key, &item.value)?;
                row.last_used_at = row.last_used_at.max(Some(*at));
                guards.push(unchanged(&key, Some(&item)));
                ops.push(Op::put(key, json::encode(&row, Some(&item.value))?));
            }
            if self.try_commit(guards, ops).await? {
                return Ok(());
            }
        }
        Err(contended(PREFIX))
    }

    /// Removes the row at `key`, which must be there.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Error> {
        for _ in 0..TRIES {
            let item = self.item(key).await?.ok_or(Error::NotFound)?;
            let guards = vec![unchanged(key, Some(&item))];
            if self.try_commit(guards, vec![Op::Delete(item.key)]).await? {
                return Ok(());
            }
        }
        Err(contended(key))
    }
}
