//! `tenants.*`: what a tenant may learn of itself from the supervisor's records, and do to itself.
//!
//! The tenant is the token's. Where a `tenantId` is given it must be that one; any other is answered
//! as one that does not exist.

use serde::{Deserialize, Serialize};
use types::{Dimension, Level, Limits, Secret, TenantId, Window};

methods! { Supervisor;
    /// What a tenant may learn of itself, and do to itself.
    pub trait Tenants {
        /// The caller's own tenant.
        "tenants.get" [Read] fn get(TenantParams) -> Tenant;
        /// Gives the caller's token a new secret; the old one ends with its connections, right after
        /// the answer.
        "tenants.rotate" [Admin] fn rotate(TenantParams) -> Rotated;
        /// Ends the tenant with all that it has.
        "tenants.delete" [Admin] fn delete(DeleteParams) -> Deleted;
        /// What the tenant has used in the current month.
        "tenants.usage" [Read] fn usage(UsageParams) -> Usage;
        /// What the tenant has used in each of the last months in which it used something.
        "tenants.usage.history" [Read] fn usage_history(HistoryParams) -> History;
        /// What the tenant has used in the current UTC day, beside its limits.
        "tenants.quota.status" [Read] fn quota_status(TenantParams) -> QuotaStatus;
        /// Makes a backup of the tenant in the operator's store.
        "tenants.backup" [Admin] fn backup(BackupParams) -> BackedUp;
        /// The tenant's backups, newest first.
        "tenants.backups.list" [Read] fn backups_list(BackupParams) -> Backups;
        /// Puts one of the tenant's backups in its place.
        "tenants.restore" [Admin] fn restore(RestoreParams) -> Restored;
    }
}

/// Which tenant: the token's.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantParams {
    /// The caller's own, if it is there.
    pub tenant_id: Option<String>,
}

/// Which tenant, and that it is meant.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteParams {
    /// The caller's own, if it is there.
    pub tenant_id: Option<String>,
    /// Must be true.
    pub confirm: Option<bool>,
    /// No effect: the data goes with the tenant.
    pub delete_data: Option<bool>,
}

/// Which tenant.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsageParams {
    /// The caller's own, if it is there.
    pub tenant_id: Option<String>,
    /// No effect: the disk has a limit of its own.
    pub refresh_disk: Option<bool>,
}

/// Which tenant, and how far back.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HistoryParams {
    /// The caller's own, if it is there.
    pub tenant_id: Option<String>,
    /// Months, the current one among them: 1 to 24, 6 if absent.
    pub months: Option<u32>,
}

/// Which tenant. Where backups lie is the operator's choice: whoever names it must name what it is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupParams {
    /// The caller's own, if it is there.
    pub tenant_id: Option<String>,
    /// A bucket.
    pub bucket: Option<String>,
    /// Of which service.
    pub endpoint: Option<String>,
    /// In which region.
    pub region: Option<String>,
    /// Under which prefix.
    pub prefix: Option<String>,
}

/// Which tenant, and where from.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreParams {
    /// The caller's own, if it is there.
    pub tenant_id: Option<String>,
    /// Which backup, as `tenants.backups.list` has it.
    pub key: Option<String>,
    /// A bucket.
    pub bucket: Option<String>,
    /// Of which service.
    pub endpoint: Option<String>,
    /// In which region.
    pub region: Option<String>,
    /// Under which prefix.
    pub prefix: Option<String>,
    /// Must not be true: a tenant makes no tenants.
    pub create_if_missing: Option<bool>,
}

/// A backup that was made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackedUp {
    /// The backup's name.
    pub key: String,
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// When it was begun, in UTC.
    pub timestamp: String,
    /// Bytes of it as it is stored.
    pub size: u64,
}

/// The tenant's backups.
#[derive(Debug, Serialize)]
pub struct Backups {
    /// Newest first.
    pub backups: Vec<Backup>,
}

/// One backup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// The backup's name.
    pub key: String,
    /// Bytes of it as it is stored.
    pub size: u64,
    /// When it was whole, in UTC.
    pub last_modified: String,
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// When it was begun, in UTC.
    pub timestamp: String,
}

/// A backup that was restored.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// When, in UTC.
    pub restored_at: String,
    /// Which backup.
    pub source_key: String,
}

/// A tenant, as it may see itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// What people call it: the same.
    pub display_name: TenantId,
    /// Milliseconds since the epoch.
    pub created_at: u64,
    /// When it last had a request, in milliseconds since the epoch.
    pub last_seen_at: Option<u64>,
    /// Whether its requests are refused.
    pub disabled: bool,
    /// The limits that hold for it.
    pub limits: Limits,
}

/// The new secret of the caller's token.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotated {
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// What the caller presents from now on; shown here and nowhere else.
    #[serde(serialize_with = "exposed")]
    pub token: Secret,
}

fn exposed<S: serde::Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose())
}

/// The tenant is gone.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// Yes.
    pub deleted: bool,
    /// Its id.
    pub tenant_id: TenantId,
}

/// What was used in one month.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Month {
    /// The UTC month, for example `2026-11`.
    pub period: String,
    /// Requests.
    pub total_requests: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// The part of the input tokens that came from a provider's cache.
    pub cached_tokens: u64,
    /// The part of the output tokens that was reasoning.
    pub reasoning_tokens: u64,
    /// Micro-dollars.
    pub cost_micros: u64,
    /// The same in cents, rounded down.
    pub total_cost_cents: u64,
    /// Seconds that programs ran, rounded down.
    pub sandbox_seconds: u64,
    /// Bytes that left for the outside or came from it.
    pub egress_bytes: u64,
}

/// What was used in the current month.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// What was used.
    #[serde(flatten)]
    pub month: Month,
    /// When this was counted, in milliseconds since the epoch.
    pub updated_at: u64,
    /// When the day's limits begin anew, in milliseconds since the epoch.
    pub quota_reset_at: u64,
    /// How each limit stands.
    pub standings: Vec<Standing>,
}

/// What was used in earlier months and the current one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// Newest first; months without use are left out.
    pub history: Vec<Month>,
}

/// Use beside limits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the wire format has them")]
pub struct QuotaStatus {
    /// The tenant's id.
    pub tenant_id: TenantId,
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
    /// Tokens used of those that may be used in a day, in per cent; none without a limit.
    pub token_usage_percent: Option<u64>,
    /// The same of money.
    pub cost_usage_percent: Option<u64>,
    /// Whether the day's tokens are used up.
    pub is_over_token_limit: bool,
    /// Whether the day's money is used up.
    pub is_over_cost_limit: bool,
    /// Whether a limit of the tenant is used up, so that nothing more is done before it begins anew.
    pub is_blocked: bool,
    /// Whether four fifths of one are used.
    pub is_at_soft_limit: bool,
    /// How each limit stands, those of the tenant's tokens, agents and sessions included.
    pub standings: Vec<Standing>,
}

/// How one limit stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// `tenant`, `token`, `agent` or `session`.
    pub level: Level,
    /// Which token, agent or session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The limit as quotas write it, for example `tokens/day`.
    pub limit: String,
    /// What is counted.
    pub dimension: Dimension,
    /// In which window; none for what is counted as it is now.
    pub window: Option<Window>,
    /// The most there may be.
    pub max: u64,
    /// What is used.
    pub settled: u64,
    /// What is set aside for what is under way.
    pub held: u64,
    /// What may still be asked for.
    pub remaining: u64,
    /// What is used or set aside, in per cent of what there may be.
    pub percent: u64,
    /// When the window ends, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<u64>,
}
