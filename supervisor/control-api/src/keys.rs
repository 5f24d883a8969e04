//! Operator keys of the control plane.

use serde::{Deserialize, Serialize};
use types::Role;
use utoipa::ToSchema;

use crate::{Timestamp, schema};

/// A key to make.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateKey {
    /// Who or what the key is for, at most 64 characters.
    #[schema(max_length = 64)]
    pub label: String,
    /// What it may do.
    #[schema(schema_with = schema::role)]
    pub role: Role,
    /// When it stops to hold; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A key that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedKey {
    /// The key's id; not the key itself.
    pub id: String,
    /// The key. It is shown this once: a repeated request with the same idempotency key gets null.
    pub key: Option<String>,
    /// Who or what it is for.
    pub label: String,
    /// What it may do.
    #[schema(schema_with = schema::role)]
    pub role: Role,
    /// When it stops to hold; null means never.
    pub expires_at: Option<Timestamp>,
}

/// Every operator key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyList {
    /// The keys, oldest first.
    pub keys: Vec<Key>,
}

/// One key, without the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// The key's id.
    pub id: String,
    /// Who or what it is for.
    pub label: String,
    /// What it may do.
    #[schema(schema_with = schema::role)]
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops to hold; null means never.
    pub expires_at: Option<Timestamp>,
}

impl std::fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedKey").field("id", &self.id).finish_non_exhaustive()
    }
}
