//! The limits of a caller as headers, in the form in which `OpenAI`'s clients read them, and whether a
//! refused one is to try again by itself.
//!
//! Limits of the gateway as a whole are not among them: they would tell one tenant what others use.

use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use tenants::{Rate, Rates};

/// The longest wait that clients keep to by themselves: what is longer they take for none, and ask again
/// after a second.
const MAX_WAIT_S: u64 = 60;

/// What clients do as they are told by, whatever the status.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Names of the three headers of one kind of limit.
struct Names {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

const REQUESTS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-requests"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
    reset: HeaderName::from_static("x-ratelimit-reset-requests"),
};

const TOKENS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
    reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
};

/// Says in the head of an answer what is left of the caller's limits.
pub(crate) fn tell(response: &mut Response, rates: &Rates) {
    let status = response.status();
    let headers = response.headers_mut();
    put(headers, &REQUESTS, rates.requests.as_ref());
    put(headers, &TOKENS, rates.tokens.as_ref());
    if status == StatusCode::TOO_MANY_REQUESTS && !is_soon(headers) {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
}

fn put(headers: &mut HeaderMap, names: &Names, rate: Option<&Rate>) {
    let Some(rate) = rate else { return };
    headers.insert(names.limit.clone(), HeaderValue::from(rate.max));
    headers.insert(names.remaining.clone(), HeaderValue::from(rate.remaining));
    if let Ok(span) = HeaderValue::from_str(&span(rate.resets_in_ms)) {
        headers.insert(names.reset.clone(), span);
    }
}

/// Whether a client that is told to wait waits.
fn is_soon(headers: &HeaderMap) -> bool {
    let wait = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    wait.is_some_and(|it| it <= MAX_WAIT_S)
}

/// A stretch of time as `OpenAI` writes it: `120ms`, `1s`, `6m0s`, `23h59m1s`. What is left of a second
/// counts as one, so that nobody comes too early.
fn span(millis: u64) -> String {
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let seconds = millis.div_ceil(1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_stretch_of_time_is_written_as_openai_does() {
        let check = |millis: u64, want: &str| assert_eq!(span(millis), want);
        check(0, "0ms");
        check(120, "120ms");
        check(1000, "1s");
        check(1001, "2s");
        check(59_999, "1m0s");
        check(360_000, "6m0s");
        check(86_341_000, "23h59m1s");
        check(31 * 86_400_000, "744h0m0s");
    }

    fn told(status: u16, retry_after: Option<u64>, rates: &Rates) -> HeaderMap {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        tell(&mut response, rates);
        response.headers().clone()
    }

    #[test]
    fn a_client_is_told_what_is_left() {
        let requests = Some(Rate { max: 60, remaining: 59, resets_in_ms: 1000 });
        let tokens = Some(Rate { max: 150_000, remaining: 149_984, resets_in_ms: 360_000 });
        let headers = told(200, None, &Rates { requests, tokens });
        let check = |name: &str, want: &str| assert_eq!(headers[name], want, "{name}");
        check("x-ratelimit-limit-requests", "60");
        check("x-ratelimit-remaining-requests", "59");
        check("x-ratelimit-reset-requests", "1s");
        check("x-ratelimit-limit-tokens", "150000");
        check("x-ratelimit-remaining-tokens", "149984");
        check("x-ratelimit-reset-tokens", "6m0s");
        assert!(told(200, None, &Rates::default()).is_empty());
    }

    #[test]
    fn a_client_does_not_ask_again_by_itself_where_waiting_takes_long() {
        let check = |status: u16, retry_after: Option<u64>, told_not_to: bool| {
            let headers = told(status, retry_after, &Rates::default());
            let found = headers.get(SHOULD_RETRY).map(|it| it.to_str().unwrap().to_owned());
            assert_eq!(found.as_deref(), told_not_to.then_some("false"));
        };
        check(429, Some(1), false);
        check(429, Some(60), false);
        check(429, Some(61), true);
        check(429, Some(2_600_000), true);
        check(429, None, true);
        check(503, Some(100), false);
        check(200, None, false);
    }
}
