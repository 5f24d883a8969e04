//! What tenants used, a row for each tenant and UTC day.

use ledger::UsageDelta;
use types::TenantId;

use crate::store::{Guard, MAX_RANGE, Op};
use crate::{Error, Records, TRIES, UsageRow, contended, json, tenants, unchanged};

const PREFIX: &str = "usage/";

/// Where the usage of one tenant is.
pub(crate) fn prefix(tenant: &TenantId) -> String {
    format!("{PREFIX}{tenant}/")
}

fn key(tenant: &TenantId, day: &str) -> String {
    format!("{}{day}", prefix(tenant))
}

impl Records {
    /// What a tenant used in a UTC day, for example `2026-11-22`.
    pub async fn usage(&self, tenant: &TenantId, day: &str) -> Result<UsageRow, Error> {
        let item = self.item(&key(tenant, day)).await?;
        let row = item.map(|item| json::decode(&item.key, &item.value)).transpose()?;
        Ok(row.unwrap_or_default())
    }

    /// What a tenant used on each UTC day after `after` on which it used something, oldest first,
    /// and at most as many days as one range has.
    pub async fn usage_after(
        &self,
        tenant: &TenantId,
        after: &str,
    ) -> Result<Vec<(String, UsageRow)>, Error> {
        let (prefix, after) = (prefix(tenant), key(tenant, after));
        let range = self.store.range(prefix.as_bytes(), Some(after.as_bytes()), MAX_RANGE);
        let (items, _) = range.await?;
        let day = |key: &[u8]| {
            let day = key.strip_prefix(prefix.as_bytes()).unwrap_or_default();
            String::from_utf8_lossy(day).into_owned()
        };
        items.iter().map(|it| Ok((day(&it.key), json::decode(&it.key, &it.value)?))).collect()
    }

    /// Adds to usage rows, in one commit. What a tenant used that is gone is not kept.
    pub async fn add_usage(&self, deltas: &[(&TenantId, &UsageDelta)]) -> Result<(), Error> {
        for _ in 0..TRIES {
            let (mut guards, mut ops) = (Vec::new(), Vec::new());
            for (tenant, delta) in deltas {
                let Some(owner) = self.item(&tenants::key(tenant)).await? else { continue };
                let key = key(tenant, &delta.day());
                let before = self.item(&key).await?;
                let value = before.as_ref().map(|item| &*item.value);
                let row = value.map(|value| json::decode(key.as_bytes(), value)).transpose()?;
                let row = sum(row.unwrap_or_default(), delta);
                guards.push(Guard::Created(owner.key, owner.created));
                guards.push(unchanged(&key, before.as_ref()));
                ops.push(Op::put(key, json::encode(&row, value)?));
            }
            if self.try_commit(guards, ops).await? {
                return Ok(());
            }
        }
        Err(contended(PREFIX))
    }
}

const fn sum(row: UsageRow, delta: &UsageDelta) -> UsageRow {
    UsageRow {
        requests: row.requests.saturating_add(delta.used().requests),
        input_tokens: row.input_tokens.saturating_add(delta.used().input_tokens),
        output_tokens: row.output_tokens.saturating_add(delta.used().output_tokens),
        cost_micros: row.cost_micros.saturating_add(delta.used().cost_micros),
    }
}
