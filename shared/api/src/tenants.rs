//! `tenants.*`: what a tenant may learn of itself from the supervisor's records.

use serde::{Deserialize, Serialize};
use types::{Limits, TenantId};

methods! { Supervisor;
    /// What a tenant may learn of itself.
    pub trait Tenants {
        /// The caller's own tenant.
        "tenants.get" [Read] fn get(GetParams) -> Tenant;
        /// What the caller's own tenant has used in the current UTC day, beside its limits.
        "tenants.quota.status" [Read] fn quota_status(GetParams) -> QuotaStatus;
    }
}

/// No parameters: the tenant is the token's.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetParams {}

/// A tenant, as it may see itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// Milliseconds since the epoch.
    pub created_at: u64,
    /// The limits that hold for it.
    pub limits: Limits,
}

/// Use beside limits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaStatus {
    /// The UTC day, for example `2026-11-22`.
    pub window: String,
    /// Requests.
    pub requests: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Micro-dollars.
    pub cost_micros: u64,
    /// The limits that hold.
    pub limits: Limits,
}
