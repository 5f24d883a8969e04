//! The table of when tenants' backups are made and which are kept, and how the last one ended. When it
//! is time is not decided here.

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use crate::store::Guard;
use crate::store::Op;
use crate::{Error, Records, TRIES, contended, json, tenants, unchanged};

const PREFIX: &str = "backup-plan/";

/// What holds for one tenant's backups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanRow {
    /// Milliseconds from one to the next; 0 for none, absent for what holds for all tenants.
    #[serde(default)]
    pub every_ms: Option<u64>,
    /// Which are kept: newest, days, weeks, months; absent for what holds for all tenants.
    #[serde(default)]
    pub keep: Option<[u32; 4]>,
    /// When the last one of the schedule was begun.
    #[serde(default)]
    pub last_begun: UnixMillis,
    /// Failures since the last success.
    #[serde(default)]
    pub failures: u32,
    /// Why the last one failed, in a word.
    #[serde(default)]
    pub last_failure: Option<String>,
}

/// Where the plan of one tenant is.
pub(crate) fn key(tenant: &TenantId) -> String {
    format!("{PREFIX}{tenant}")
}

impl Records {
    /// A tenant's plan; an empty one where nothing was said.
    pub async fn plan(&self, tenant: &TenantId) -> Result<PlanRow, Error> {
        let item = self.item(&key(tenant)).await?;
        let row = item.map(|item| json::decode(&item.key, &item.value)).transpose()?;
        Ok(row.unwrap_or_default())
    }

    /// Changes a tenant's plan, whose tenant must exist until it is written. `change` is called again
    /// where another writer was faster.
    pub async fn update_plan(
        &self,
        tenant: &TenantId,
        mut change: impl FnMut(&mut PlanRow) + Send,
    ) -> Result<PlanRow, Error> {
        let key = key(tenant);
        for _ in 0..TRIES {
            let owner = self.item(&tenants::key(tenant)).await?.ok_or(Error::NotFound)?;
            let before = self.item(&key).await?;
            let read = before.as_ref().map(|item| json::decode(&item.key, &item.value));
            let mut row: PlanRow = read.transpose()?.unwrap_or_default();
            change(&mut row);
            let value = json::encode(&row, before.as_ref().map(|item| &*item.value))?;
            let guards =
                vec![Guard::Created(owner.key, owner.created), unchanged(&key, before.as_ref())];
            if self.try_commit(guards, vec![Op::put(key.clone(), value)]).await? {
                return Ok(row);
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
    async fn a_plan_is_changed_and_goes_with_its_tenant() {
        let records = Records::in_memory();
        let acme: TenantId = "acme".parse().unwrap();
        records.update_plan(&acme, |_| ()).await.unwrap_err();
        records.insert_tenant(&acme, 1, Limits::default()).await.unwrap();
        records.update_plan(&acme, |row| row.every_ms = Some(5)).await.unwrap();
        let row = records.update_plan(&acme, |row| row.failures += 1).await.unwrap();
        assert_eq!((row.every_ms, row.failures), (Some(5), 1));
        assert_eq!(records.plan(&acme).await.unwrap(), row);
        records.delete_tenant(&acme).await.unwrap();
        assert_eq!(records.plan(&acme).await.unwrap(), PlanRow::default());
    }
}
