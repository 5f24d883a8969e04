//! A limit that was met, in the words of the protocols that clients speak: `OpenAI`'s, and `OpenClaw`'s.

use serde_json::{Value, json};
use types::{Cause, Dimension, Limited};

use crate::{ApiError, Code};

/// Bytes of a refusal's JSON form; a subject's name has at most a few hundred.
const MAX_JSON: usize = 2048;

/// `OpenAI`'s words for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// The HTTP status.
    pub status: u16,
    /// The kind of failure. Clients take money that is used up for something that waiting does not
    /// help, and all else for something that passes.
    pub kind: &'static str,
    /// The code.
    pub code: &'static str,
}

/// `OpenAI`'s words for `limited`.
pub fn words(limited: &Limited) -> Words {
    const MONEY: &str = "insufficient_quota";
    const RATE: &str = "rate_limit_exceeded";
    let (status, kind, code) = match limited.cause {
        Cause::Reached if limited.dimension == Dimension::CostMicros => (429, MONEY, MONEY),
        Cause::Reached => (429, RATE, RATE),
        Cause::PriceUnknown => (429, MONEY, "price_unknown"),
        Cause::Unwritable => (503, "server_error", "ledger_unavailable"),
    };
    Words { status, kind, code }
}

/// A refusal that came from another process as JSON; none where it is something else.
pub fn read(json: &[u8]) -> Option<Limited> {
    if json.len() > MAX_JSON { None } else { serde_json::from_slice(json).ok() }
}

/// The refusal for programs: a code of its own, which limit as its text form, and all parts of it.
pub fn details(limited: &Limited) -> Value {
    let code = match limited.cause {
        Cause::Reached => "LIMIT_REACHED",
        Cause::PriceUnknown => "PRICE_UNKNOWN",
        Cause::Unwritable => "LEDGER_UNAVAILABLE",
    };
    let Ok(Value::Object(mut details)) = serde_json::to_value(limited) else {
        return json!({ "code": code });
    };
    details.insert("code".to_owned(), code.into());
    details.insert("limit".to_owned(), limited.limit().into());
    details.into()
}

impl From<&Limited> for ApiError {
    fn from(limited: &Limited) -> Self {
        let code = match limited.cause {
            Cause::Reached | Cause::PriceUnknown => Code::ResourceExhausted,
            Cause::Unwritable => Code::Unavailable,
        };
        let millis = limited.retry_after_seconds.saturating_mul(1000);
        let retry_after_ms = (millis > 0).then(|| u32::try_from(millis).unwrap_or(u32::MAX));
        let error = Self::new(code, limited.to_string()).with_details(details(limited));
        Self { retry_after_ms, ..error }
    }
}

#[cfg(test)]
mod tests {
    use types::{Level, Window};

    use super::*;

    fn money() -> Limited {
        Limited {
            cause: Cause::Reached,
            level: Level::Tenant,
            subject: None,
            dimension: Dimension::CostMicros,
            window: Some(Window::Month),
            max: Some(5_000_000),
            remaining: Some(0),
            retry_after_seconds: 61,
            resets_at: 1_796_083_200_000,
        }
    }

    #[test]
    fn what_openais_clients_read() {
        let check = |limited: Limited, status: u16, kind: &'static str, code: &'static str| {
            assert_eq!(words(&limited), Words { status, kind, code });
        };
        check(money(), 429, "insufficient_quota", "insufficient_quota");
        let tokens = Limited { dimension: Dimension::Tokens, ..money() };
        check(tokens, 429, "rate_limit_exceeded", "rate_limit_exceeded");
        let unknown = Limited { cause: Cause::PriceUnknown, ..money() };
        check(unknown, 429, "insufficient_quota", "price_unknown");
        let unwritable = Limited { cause: Cause::Unwritable, ..money() };
        check(unwritable, 503, "server_error", "ledger_unavailable");
    }

    #[test]
    fn what_openclaws_clients_read() {
        let error = ApiError::from(&money());
        assert_eq!((error.code, error.retry_after_ms), (Code::ResourceExhausted, Some(61_000)));
        assert_eq!(
            *error.details.unwrap(),
            json!({
                "code": "LIMIT_REACHED", "cause": "reached", "limit": "costMicros/month",
                "level": "tenant", "dimension": "costMicros", "window": "month", "max": 5_000_000,
                "remaining": 0, "retryAfterSeconds": 61, "resetsAt": 1_796_083_200_000_u64,
            })
        );
        let never = Limited { cause: Cause::PriceUnknown, retry_after_seconds: 0, ..money() };
        assert_eq!(ApiError::from(&never).retry_after_ms, None);
        let long = Limited { retry_after_seconds: u64::MAX, ..money() };
        assert_eq!(ApiError::from(&long).retry_after_ms, Some(u32::MAX));
    }

    #[test]
    fn what_comes_from_elsewhere_is_read_up_to_a_bound() {
        let json = serde_json::to_vec(&money()).unwrap();
        assert_eq!(read(&json), Some(money()));
        assert_eq!(read(b"{}"), None);
        assert_eq!(read(&[json, vec![b' '; MAX_JSON]].concat()), None);
    }
}
