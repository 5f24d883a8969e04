//! What stands in the path and in the query of a request.

use serde::Deserialize;
use types::TenantId;
use utoipa::IntoParams;

use crate::schema;

/// The tenant that the path names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[serde(deny_unknown_fields)]
pub struct TenantPath {
    /// The tenant's id.
    #[param(schema_with = schema::tenant_id)]
    pub id: TenantId,
}

/// The token that the path names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenPath {
    /// The tenant's id.
    #[param(schema_with = schema::tenant_id)]
    pub id: TenantId,
    /// The token's id, for example `tok_0123456789abcdef`; not the token itself.
    pub token_id: String,
}

/// The terminal that the path names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TerminalPath {
    /// The tenant's id.
    #[param(schema_with = schema::tenant_id)]
    pub id: TenantId,
    /// The terminal's id.
    pub terminal_id: String,
}

/// The operator key that the path names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyPath {
    /// The key's id; not the key itself.
    pub key_id: String,
}

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// At most this many rows; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// Only rows after this id: the `next` of the page before.
    #[param(value_type = Option<String>)]
    pub after: Option<TenantId>,
}

/// How much of a log.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LogsQuery {
    /// The last so many lines; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    pub lines: Option<u32>,
}
