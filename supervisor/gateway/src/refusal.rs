//! Why a client was not let in: the answer to its `connect`, and how the connection ends.

use api::{ApiError, Code};
use auth::Unauthenticated;
use hub::Close;
use serde_json::json;

use crate::connect::{Connect, Invalid};

/// Close codes of the WebSocket protocol and of `OpenClaw`.
pub(crate) mod code {
    pub(crate) const NORMAL: u16 = 1000;
    pub(crate) const PROTOCOL: u16 = 1002;
    pub(crate) const UNSUPPORTED: u16 = 1003;
    pub(crate) const NO_TEXT: u16 = 1007;
    pub(crate) const POLICY: u16 = 1008;
    pub(crate) const TOO_BIG: u16 = 1009;
    pub(crate) const RESTART: u16 = 1012;
    pub(crate) const TRY_LATER: u16 = 1013;
}

/// How long a client waits before it tries a starting gateway again, in milliseconds.
const STARTING_RETRY_MS: u32 = 500;

/// A client that is not let in.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The answer to `connect`; none where nothing can be answered.
    pub(crate) error: Option<ApiError>,
    /// How the connection ends.
    pub(crate) close: Close,
}

/// What the client presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presented {
    Token,
    Password,
    DeviceToken,
}

impl Refusal {
    /// A refusal whose answer says it all.
    pub(crate) const fn of(error: ApiError) -> Self {
        Self { error: Some(error), close: Close::now(code::POLICY, "connect failed") }
    }

    fn plain(message: &str, close: Close) -> Self {
        Self { error: Some(ApiError::invalid(message)), close }
    }

    pub(crate) const fn silent(code: u16, reason: &'static str) -> Self {
        Self { error: None, close: Close::now(code, reason) }
    }

    pub(crate) fn not_connect() -> Self {
        let message = "invalid handshake: first request must be connect";
        Self::plain(message, Close::now(code::POLICY, message))
    }

    pub(crate) fn malformed(why: &str) -> Self {
        let close = Close::now(code::POLICY, "invalid request frame");
        Self::plain(&format!("invalid request frame: {why}"), close)
    }

    pub(crate) fn params(why: &Invalid) -> Self {
        let reason = match why {
            Invalid::Params(_) => "invalid connect params",
            Invalid::Role => "invalid role",
        };
        Self::plain(&why.to_string(), Close::now(code::POLICY, reason))
    }

    pub(crate) fn protocol(connect: &Connect<'_>) -> Self {
        let details = json!({
            "code": "PROTOCOL_MISMATCH",
            "clientMinProtocol": connect.min,
            "clientMaxProtocol": connect.max,
            "expectedProtocol": api::wire::PROTOCOL,
            "minimumProbeProtocol": api::wire::OLDEST_PROTOCOL,
        });
        let error = ApiError::invalid("protocol mismatch").with_details(details);
        Self { error: Some(error), close: Close::now(code::PROTOCOL, "protocol mismatch") }
    }

    pub(crate) fn starting() -> Self {
        let error = ApiError {
            retry_after_ms: Some(STARTING_RETRY_MS),
            ..ApiError::unavailable("gateway starting; retry shortly")
        };
        let error = error.with_details(json!({"reason": "startup-sidecars"}));
        Self { error: Some(error), close: Close::now(code::TRY_LATER, "gateway starting") }
    }

    pub(crate) fn origin() -> Self {
        Self::of(detailed(
            Code::InvalidRequest,
            "origin not allowed (open the Control UI from the gateway host or allow it in the gateway's configuration)",
            "CONTROL_UI_ORIGIN_NOT_ALLOWED",
        ))
    }

    pub(crate) fn no_device(control_ui: bool) -> Self {
        Self::of(if control_ui {
            let message =
                "control ui requires device identity (use HTTPS or localhost secure context)";
            detailed(Code::InvalidRequest, message, "CONTROL_UI_DEVICE_IDENTITY_REQUIRED")
        } else {
            detailed(Code::NotPaired, "device identity required", "DEVICE_IDENTITY_REQUIRED")
        })
    }

    pub(crate) fn no_scope() -> Self {
        Self::of(detailed(
            Code::InvalidRequest,
            "unauthorized: the token gives no scope of a connection",
            "AUTH_SCOPE_MISMATCH",
        ))
    }

    /// The token was right, and its tenant is suspended or has just been deleted.
    pub(crate) fn over() -> Self {
        let message = "unauthorized: the tenant is suspended or the token has ended";
        Self::of(detailed(Code::InvalidRequest, message, "AUTH_UNAUTHORIZED"))
    }

    pub(crate) fn full(why: &str) -> Self {
        let error = ApiError { retry_after_ms: Some(1000), ..ApiError::unavailable(why) };
        Self { error: Some(error), close: Close::now(code::TRY_LATER, "too many connections") }
    }

    /// The token is wrong, or not of the tenant of the path; nobody learns which.
    pub(crate) fn mismatch(presented: Presented, may_retry: bool) -> Self {
        let (what, detail, reason) = match presented {
            Presented::Token => ("gateway token mismatch", "AUTH_TOKEN_MISMATCH", "token_mismatch"),
            Presented::Password => {
                ("gateway password mismatch", "AUTH_PASSWORD_MISMATCH", "password_mismatch")
            }
            Presented::DeviceToken => {
                ("device token mismatch", "AUTH_DEVICE_TOKEN_MISMATCH", "device_token_mismatch")
            }
        };
        let next = if may_retry { "retry_with_device_token" } else { "update_auth_credentials" };
        let error = ApiError::invalid(format!("unauthorized: {what}")).with_details(json!({
            "code": detail,
            "authReason": reason,
            "canRetryWithDeviceToken": may_retry,
            "recommendedNextStep": next,
        }));
        Self { error: Some(error), close: Close::now(code::POLICY, "unauthorized") }
    }

    /// What `auth` says of a token.
    pub(crate) fn unauthenticated(
        why: Unauthenticated,
        presented: Presented,
        may_retry: bool,
    ) -> Self {
        match why {
            Unauthenticated::LockedOut { retry_after_s } => {
                let message = "unauthorized: too many failed authentication attempts (retry later)";
                let error = detailed(Code::InvalidRequest, message, "AUTH_RATE_LIMITED");
                let retry = u32::try_from(retry_after_s.saturating_mul(1000)).unwrap_or(u32::MAX);
                let mut refusal = Self::of(ApiError { retry_after_ms: Some(retry), ..error });
                refusal.close = Close::now(code::POLICY, "unauthorized");
                refusal
            }
            Unauthenticated::Missing => Self::of(detailed(
                Code::InvalidRequest,
                "unauthorized: gateway token missing",
                "AUTH_TOKEN_MISSING",
            )),
            Unauthenticated::Wrong | Unauthenticated::Expired => {
                Self::mismatch(presented, may_retry)
            }
        }
    }
}

fn detailed(code: Code, message: &str, detail: &str) -> ApiError {
    ApiError::new(code, message).with_details(json!({ "code": detail }))
}
