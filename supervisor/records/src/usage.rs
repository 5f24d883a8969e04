//! What tenants used, a row for each tenant and UTC day.

use ledger::UsageDelta;
use types::TenantId;

use crate::store::{Guard, Op};
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
