//! The audit trail as auditors read it.

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};
use utoipa::{IntoParams, ToSchema};

/// Which records.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Only records after this number: the `next` of the page before. Absent: the newest.
    pub after: Option<u64>,
    /// Only records of this tenant.
    #[param(value_type = Option<String>)]
    pub tenant: Option<TenantId>,
    /// At most this many; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// Some records.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// The records as their lines have them, oldest first.
    #[schema(value_type = Vec<Object>)]
    pub records: Vec<serde_json::Value>,
    /// What to ask for next with `after`: the number of the last record that was looked at; null where
    /// there is no record yet.
    pub next: Option<u64>,
}

/// Where the trail stands, signed. Kept elsewhere, it finds a trail that was set back or rewritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditHead {
    /// The number of the last record.
    pub seq: u64,
    /// The SHA-256 digest of its line.
    pub hash: String,
    /// When it was signed, in milliseconds since the epoch.
    #[schema(value_type = u64)]
    pub at: UnixMillis,
    /// The Ed25519 signature, as hexadecimal digits.
    pub signature: String,
    /// The public key under which it is verified.
    pub public_key: String,
}
