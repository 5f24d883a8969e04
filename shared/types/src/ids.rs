//! Identifiers: parsed once, at the edge, into a type that cannot be wrong.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Text that is not an identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must match ^[a-z0-9][a-z0-9_-]*$ and have 1 to {max} characters")]
pub struct InvalidId {
    kind: &'static str,
    max: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $Name:ident, $kind:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $Name(Arc<str>);

        impl $Name {
            /// The longest identifier, in bytes.
            pub const MAX: usize = $max;

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $Name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if is_id(text.as_bytes(), $max) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(InvalidId { kind: $kind, max: $max })
                }
            }
        }

        impl TryFrom<String> for $Name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$Name> for String {
            fn from(id: $Name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// One tenant of this installation, for example `acme`.
    TenantId, "a tenant id", 32
);
id!(
    /// One agent of one tenant, for example `main`.
    AgentId, "an agent id", 64
);

impl AgentId {
    /// The agent that every tenant has.
    pub fn main() -> Self {
        Self(Arc::from("main"))
    }
}

fn is_id(text: &[u8], max: usize) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= max
        && text.first().is_some_and(plain)
        && text.iter().all(|byte| plain(byte) || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_id() {
        let check =
            |text: &str, ok: bool| assert_eq!(text.parse::<TenantId>().is_ok(), ok, "{text:?}");
        check("a", true);
        check("0_-", true);
        check(&"a".repeat(32), true);
        check(&"a".repeat(33), false);
        check("", false);
        check("-a", false);
        check("A", false);
        check("a/b", false);
        check("..", false);
        check("a\0", false);
        check("ä", false);
    }
}
