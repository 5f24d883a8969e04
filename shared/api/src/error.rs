//! What a caller is told when a method fails: a code for programs and a sentence for people.

use serde::{Deserialize, Serialize};

/// The codes of `OpenClaw`'s protocol and its fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// The request cannot be understood or is not allowed in this form.
    InvalidRequest,
    /// The token does not have the scope.
    Unauthorized,
    /// What the request names does not exist.
    NotFound,
    /// A limit is reached; trying again later helps.
    ResourceExhausted,
    /// The work took too long.
    AgentTimeout,
    /// The gateway cannot do it now.
    Unavailable,
    /// The connection does not have the scope; only on the WebSocket, where the client's own code
    /// knows this word.
    Forbidden,
    /// The device or node must be approved first.
    NotPaired,
}

impl Code {
    /// The code on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::NotFound => "NOT_FOUND",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::AgentTimeout => "AGENT_TIMEOUT",
            Self::Unavailable => "UNAVAILABLE",
            Self::Forbidden => "FORBIDDEN",
            Self::NotPaired => "NOT_PAIRED",
        }
    }

    /// The code called `name`; a name from a newer worker reads as `Unavailable`.
    pub fn from_name(name: &str) -> Self {
        match name {
            "INVALID_REQUEST" => Self::InvalidRequest,
            "UNAUTHORIZED" => Self::Unauthorized,
            "NOT_FOUND" => Self::NotFound,
            "RESOURCE_EXHAUSTED" => Self::ResourceExhausted,
            "AGENT_TIMEOUT" => Self::AgentTimeout,
            "FORBIDDEN" => Self::Forbidden,
            "NOT_PAIRED" => Self::NotPaired,
            _ => Self::Unavailable,
        }
    }
}

/// A method's failure. The message is public: it names the field and the limit, never a path, a
/// secret or another tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
    /// When trying again may help, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
    /// What programs may want to know beside the code: a small object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<serde_json::Value>>,
}

impl ApiError {
    /// A failure with a public sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None, details: None }
    }

    /// The same failure with details for programs.
    #[must_use]
    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// The request cannot be understood or is not allowed in this form.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, message)
    }

    /// What the request names does not exist, or is not the caller's to know of.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// The gateway cannot do it now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, message)
    }
}
