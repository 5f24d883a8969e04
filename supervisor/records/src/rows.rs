//! The rows, as the rest of the supervisor knows them and as they are stored.

use serde::{Deserialize, Serialize};
use types::{Limits, Role, Scopes, TenantId, UnixMillis};

use crate::{DeviceBinding, Erasing};

/// One registered tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantRow {
    /// Its name.
    pub id: TenantId,
    /// Its number, from which its host ids follow. Never used again, even after deletion.
    pub index: u32,
    /// When it was registered.
    pub created_at: UnixMillis,
    /// Whether its requests are refused.
    pub suspended: bool,
    /// What it may use.
    #[serde(with = "crate::json::limits")]
    pub limits: Limits,
    /// When it last had a request.
    pub last_active_at: Option<UnixMillis>,
    /// What limits its disk, once that is made.
    pub disk: Option<String>,
    /// What it may reach beside what all tenants may, as text.
    #[serde(default)]
    pub egress: Vec<String>,
    /// Set when it is being erased: nothing of it is shown or served any more.
    #[serde(default)]
    pub erasing: Option<Erasing>,
}

/// One token of one tenant. The secret itself is stored nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRow {
    /// `tok_` or, for a device, `dtk_` and 16 hexadecimal digits.
    pub id: String,
    /// Whose token it is.
    pub tenant: TenantId,
    /// What people call it.
    pub label: String,
    /// What it may do.
    #[serde(with = "crate::json::scopes")]
    pub scopes: Scopes,
    /// SHA-256 of the whole token as it is presented.
    #[serde(with = "crate::json::digest")]
    pub digest: [u8; 32],
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it ends.
    pub expires_at: Option<UnixMillis>,
    /// How often it was rotated, plus one.
    pub generation: u64,
    /// When it was last presented, a little late.
    pub last_used_at: Option<UnixMillis>,
    /// The one device that it is good for; none for a tenant's token.
    #[serde(default)]
    pub device: Option<DeviceBinding>,
}

/// One operator's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRow {
    /// `key_` and 16 hexadecimal digits.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the whole key as it is presented.
    #[serde(with = "crate::json::digest")]
    pub digest: [u8; 32],
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it ends.
    pub expires_at: Option<UnixMillis>,
}

/// The answer to a request that came with an idempotency key.
///
/// It is stored as it is, so it must hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdempotencyRow {
    /// SHA-256 of the request, so that the same key on another request is noticed.
    #[serde(with = "crate::json::digest")]
    pub fingerprint: [u8; 32],
    /// The status that was answered.
    pub status: u16,
    /// The body that was answered, at most 8 KiB.
    pub body: String,
}
