//! Tokens of one tenant.

use serde::{Deserialize, Serialize};
use types::Scopes;
use utoipa::ToSchema;

use crate::{Timestamp, schema};

/// A token to make.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateToken {
    /// What the token is for, at most 64 characters.
    #[schema(max_length = 64)]
    pub label: String,
    /// What it may do; at least one.
    #[schema(schema_with = schema::scopes)]
    pub scopes: Scopes,
    /// When it stops to hold; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A token that was made or rotated.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedToken {
    /// The token's id; not the token itself.
    pub id: String,
    /// The token. It is shown this once: a repeated request with the same idempotency key gets
    /// null.
    pub token: Option<String>,
    /// What it may do.
    #[schema(schema_with = schema::scopes)]
    pub scopes: Scopes,
    /// What it is for.
    pub label: String,
    /// When it stops to hold; null means never.
    pub expires_at: Option<Timestamp>,
}

/// The tokens of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// The tokens, oldest first.
    pub tokens: Vec<Token>,
}

/// One token, without the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// The token's id.
    pub id: String,
    /// What it is for.
    pub label: String,
    /// What it may do.
    #[schema(schema_with = schema::scopes)]
    pub scopes: Scopes,
    /// When it was made or last rotated.
    pub created_at: Timestamp,
    /// When it stops to hold; null means never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute; null when never.
    pub last_used_at: Option<Timestamp>,
    /// How many times it was rotated, plus one.
    pub generation: u64,
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Scope;

    #[test]
    fn the_shape_of_tokens_create() {
        let issued = IssuedToken {
            id: "tok_1".to_owned(),
            token: Some("tk_acme_x".to_owned()),
            scopes: [Scope::Read, Scope::Hooks].into_iter().collect(),
            label: "ci".to_owned(),
            expires_at: None,
        };
        assert_eq!(
            serde_json::to_string(&issued).unwrap(),
            r#"{"id":"tok_1","token":"tk_acme_x","scopes":["operator.read","hooks"],"label":"ci","expiresAt":null}"#
        );
        assert!(!format!("{issued:?}").contains("acme"));
    }

    #[test]
    fn a_token_to_make_refuses_what_it_does_not_know() {
        let check = |json: &str, ok: bool| {
            assert_eq!(serde_json::from_str::<CreateToken>(json).is_ok(), ok, "{json}");
        };
        check(r#"{"label":"a","scopes":["operator.read"]}"#, true);
        check(r#"{"label":"a","scopes":["owner"]}"#, false);
        check(r#"{"label":"a","scopes":[],"role":"owner"}"#, false);
        check(r#"{"label":"a","scopes":[],"expiresAt":"soon"}"#, false);
    }
}
