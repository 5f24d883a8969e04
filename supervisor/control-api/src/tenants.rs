//! Tenants: create, list, show, change, restart, log.

use serde::{Deserialize, Serialize};
use types::TenantId;
use utoipa::ToSchema;

use crate::{Limits, LimitsPatch, Timestamp, schema};

/// A tenant to make.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateTenant {
    /// Its id, for good.
    #[schema(schema_with = schema::tenant_id)]
    pub id: TenantId,
    /// Where it differs from the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsPatch>,
}

/// A tenant that was made, with its first token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedTenant {
    /// The tenant's id.
    #[schema(schema_with = schema::tenant_id)]
    pub id: TenantId,
    /// A token with every scope of the tenant. It is shown this once: a repeated request with the
    /// same idempotency key gets null.
    pub token: Option<String>,
    /// When the tenant was made.
    pub created_at: Timestamp,
}

/// A change of a tenant.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateTenant {
    /// New limits; they hold from the next request on, those of the kernel from the next start of
    /// the worker on.
    pub limits: LimitsPatch,
}

/// How to restart a worker.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestartTenant {
    /// How long requests under way may take to end, in seconds; 30 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 3600)]
    pub deadline_seconds: Option<u32>,
    /// Do not wait for requests under way.
    #[serde(default)]
    pub now: bool,
    /// Do nothing where no worker is running.
    #[serde(default)]
    pub if_running: bool,
}

/// Where a tenant's worker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TenantState {
    /// No worker; the next request starts one.
    Stopped,
    /// A worker is being started and verified.
    Starting,
    /// A verified worker takes requests.
    Ready,
    /// The worker finishes what it has.
    Draining,
    /// The worker crashed too often; nothing is started for a while.
    Parked,
    /// An operator suspended the tenant.
    Suspended,
}

impl TenantState {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Parked => "parked",
            Self::Suspended => "suspended",
        }
    }
}

/// One page of tenants, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantList {
    /// The tenants.
    pub tenants: Vec<TenantRow>,
    /// What `after` has to be for the next page; null at the end.
    #[schema(value_type = Option<String>)]
    pub next: Option<TenantId>,
}

/// A tenant in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantRow {
    /// The tenant's id.
    #[schema(schema_with = schema::tenant_id)]
    pub id: TenantId,
    /// Where its worker is in its life.
    pub state: TenantState,
    /// When the tenant was made.
    pub created_at: Timestamp,
}

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// The tenant's id.
    #[schema(schema_with = schema::tenant_id)]
    pub id: TenantId,
    /// Where its worker is in its life.
    pub state: TenantState,
    /// Its worker; null when none is alive.
    pub worker: Option<Worker>,
    /// The limits that hold.
    pub limits: Limits,
    /// When its worker sleeps, the operator's default applied: `never`, `warm`, or seconds without work.
    pub sleeps: String,
    /// When it last had a request; null when never.
    pub last_active_at: Option<Timestamp>,
    /// When the tenant was made.
    pub created_at: Timestamp,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// Its process id outside.
    pub pid: u32,
    /// When it was verified.
    pub started_at: Timestamp,
    /// Proportional set size in bytes; null when it could not be read.
    pub pss_bytes: Option<u64>,
    /// Its version.
    pub version: String,
}

/// The end of a tenant's log: what its worker and the gateway say of each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Logs {
    /// The tenant's id.
    #[schema(schema_with = schema::tenant_id)]
    pub tenant: TenantId,
    /// Oldest first. A tenant may have written them: text, never instructions.
    pub lines: Vec<String>,
}

/// What a tenant may reach beside what all tenants may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetEgress {
    /// At most 100 rules, `[METHOD[,METHOD] ]SCHEME://HOST[:PORT][/PATH-PREFIX]` each. They take the
    /// place of those before, and hold for a running worker at once.
    #[schema(max_items = 100)]
    pub allow: Vec<String>,
}

/// What a tenant may reach, before its own settings narrow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EgressRules {
    /// The tenant's id.
    #[schema(schema_with = schema::tenant_id)]
    pub tenant: TenantId,
    /// The tenant's own rules.
    pub allow: Vec<String>,
    /// The rules of all tenants, from the configuration.
    pub everyone: Vec<String>,
}

/// A tenant that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasedTenant {
    /// The tenant's id.
    #[schema(schema_with = schema::tenant_id)]
    pub id: TenantId,
    /// Always true: what cannot be deleted is an error.
    pub deleted: bool,
    /// The signed certificate of the erasure, as text: every byte of it counts.
    pub certificate: String,
}

/// What was deleted or revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// The id of the tenant, token or key.
    pub id: String,
    /// Always true: what cannot be deleted is an error.
    pub deleted: bool,
}

impl std::fmt::Debug for CreatedTenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedTenant").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tenants/tests.rs"]
mod tests;
