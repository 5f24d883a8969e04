//! The table of timers: when a tenant's worker wants to be woken, one at most for each tenant.
//!
//! Says when, never what for: that is in the tenant's own files.

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use crate::store::{Guard, Op};
use crate::{Error, Records, TRIES, contended, json, tenants, unchanged};

const PREFIX: &str = "timer/";

/// When one tenant's worker is to be woken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimerRow {
    /// Whose worker.
    pub tenant: TenantId,
    /// When.
    pub at: UnixMillis,
}

/// Where the timer of one tenant is.
pub(crate) fn key(tenant: &TenantId) -> String {
    format!("{PREFIX}{tenant}")
}

impl Records {
    /// Every timer.
    pub async fn timers(&self) -> Result<Vec<TimerRow>, Error> {
        self.every(PREFIX).await
    }

    /// A tenant's timer.
    pub async fn timer(&self, tenant: &TenantId) -> Result<Option<TimerRow>, Error> {
        let item = self.item(&key(tenant)).await?;
        item.map(|item| json::decode(&item.key, &item.value)).transpose()
    }

    /// Sets the timer of a tenant, which must exist until it is written; `None` for no timer.
    pub async fn set_timer(&self, tenant: &TenantId, at: Option<UnixMillis>) -> Result<(), Error> {
        let key = key(tenant);
        for _ in 0..TRIES {
            let owner = self.item(&tenants::key(tenant)).await?.ok_or(Error::NotFound)?;
            let before = self.item(&key).await?;
            let op = match (at, &before) {
                (None, None) => return Ok(()),
                (None, Some(item)) => Op::Delete(item.key.clone()),
                (Some(at), _) => {
                    let row = TimerRow { tenant: tenant.clone(), at };
                    let value = before.as_ref().map(|item| &*item.value);
                    Op::put(key.clone(), json::encode(&row, value)?)
                }
            };
            let guards =
                vec![Guard::Created(owner.key, owner.created), unchanged(&key, before.as_ref())];
            if self.try_commit(guards, vec![op]).await? {
                return Ok(());
            }
        }
        Err(contended(key))
    }
}

#[cfg(test)]
mod tests {
    use types::Limits;

    use super::*;

    #[tokio::test]
    async fn a_timer_is_replaced_and_goes_with_its_tenant() {
        let records = Records::in_memory();
        let (acme, other): (TenantId, TenantId) = ("acme".parse().unwrap(), "b".parse().unwrap());
        for id in [&acme, &other] {
            records.insert_tenant(id, 1, Limits::default()).await.unwrap();
        }
        let all = async || records.timers().await.unwrap();
        records.set_timer(&acme, Some(5)).await.unwrap();
        records.set_timer(&other, Some(6)).await.unwrap();
        records.set_timer(&acme, Some(7)).await.unwrap();
        assert_eq!(all().await.iter().map(|row| row.at).collect::<Vec<_>>(), [7, 6]);
        records.set_timer(&other, None).await.unwrap();
        records.set_timer(&other, None).await.unwrap();
        assert_eq!(all().await, [TimerRow { tenant: acme.clone(), at: 7 }]);
        records.delete_tenant(&acme).await.unwrap();
        assert_eq!(all().await, []);
        assert!(matches!(records.set_timer(&acme, Some(8)).await, Err(Error::NotFound)));
    }
}
