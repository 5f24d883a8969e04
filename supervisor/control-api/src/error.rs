//! The one envelope in which the control plane says that something failed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What every failure looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// The failure.
    pub error: Problem,
}

/// One failure: a code for programs, a sentence for people, and where to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// For programs.
    pub code: Code,
    /// For people; holds no path, no secret and nothing of another tenant.
    pub message: String,
    /// The field of the request that is wrong, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The request, as the log names it.
    pub request_id: String,
}

/// Why a request failed. Each code has one HTTP status, and none of them is a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request cannot be understood.
    InvalidRequest,
    /// No key, or one that does not hold.
    Unauthenticated,
    /// The key's role is too small, or the tenant's state forbids it.
    Forbidden,
    /// What the request names does not exist.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The request came too slowly.
    RequestTimeout,
    /// Something of that name exists, or the idempotency key was used with another body.
    Conflict,
    /// The body is larger than 64 KiB.
    PayloadTooLarge,
    /// A value is understood but outside what can be enforced.
    InvalidValue,
    /// Too many attempts or requests; later helps.
    RateLimited,
    /// The gateway cannot do it now.
    Unavailable,
    /// A worker did not answer in time.
    Timeout,
}

impl Code {
    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::Conflict => "conflict",
            Self::PayloadTooLarge => "payload_too_large",
            Self::InvalidValue => "invalid_value",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
        }
    }

    /// The HTTP status that goes with the code.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::Conflict => 409,
            Self::PayloadTooLarge => 413,
            Self::InvalidValue => 422,
            Self::RateLimited => 429,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// The code for an HTTP status; what has none of its own reads as `Unavailable`.
    pub const fn from_status(status: u16) -> Self {
        match status {
            400 => Self::InvalidRequest,
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            409 => Self::Conflict,
            413 => Self::PayloadTooLarge,
            422 => Self::InvalidValue,
            429 => Self::RateLimited,
            504 => Self::Timeout,
            _ => Self::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope() {
        let problem = Problem {
            code: Code::InvalidValue,
            message: "m".to_owned(),
            field: None,
            request_id: "r".to_owned(),
        };
        assert_eq!(
            serde_json::to_string(&Failure { error: problem }).unwrap(),
            r#"{"error":{"code":"invalid_value","message":"m","requestId":"r"}}"#
        );
        for code in [400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 503, 504] {
            let code = Code::from_status(code);
            assert_eq!(Code::from_status(code.status()), code);
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.as_str()));
        }
    }
}
