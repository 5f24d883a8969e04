//! Frames: what a client sends after the handshake, and what goes back. Reads the envelope only;
//! parameters and results stay as they came.

use std::borrow::Cow;
use std::fmt::Write as _;

use api::ApiError;
use bytes::{BufMut as _, Bytes, BytesMut};
use hub::StateVersion;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The longest request id, in bytes; it comes back in the answer.
pub const MAX_ID: usize = 256;

/// The longest method name, in bytes.
pub const MAX_METHOD: usize = 128;

/// The longest trace parent, in bytes.
const MAX_TRACE: usize = 128;

/// Characters of what is said of a frame that is none.
const MAX_WHY: usize = 200;

/// Bytes of a failure: so much may always wait for a connection, and no failure says more that is
/// not its caller's own text.
const MAX_FAILURE: usize = 32 << 10;

/// Up to which wait a client is told to try again by itself. The day or the month that a limit takes to
/// begin anew is for a person to wait for.
const SOON_MS: u32 = 10 * 60 * 1000;

/// The longest wait that is told: what clients' timers can be set to. A longer one would go off at once.
const MAX_TIMER_MS: u32 = i32::MAX.unsigned_abs();

/// The id of an answer to what has none.
const NO_ID: &str = "invalid";

/// A request of a client.
#[derive(Debug)]
pub struct Request<'a> {
    /// Chosen by the client.
    pub id: Cow<'a, str>,
    /// A name of the method table, or not.
    pub method: Cow<'a, str>,
    /// JSON, unread; none where there are none.
    pub params: Option<&'a RawValue>,
}

/// What is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Malformed {
    /// The id to answer with.
    pub id: String,
    /// Why, for the client.
    pub why: String,
    /// Whether it is not even JSON.
    pub no_json: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    traceparent: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    expected_profile_id: Option<Cow<'a, str>>,
}

/// As much as can be had of what is no request.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// Reads a frame.
///
/// # Errors
/// When it is no request, with the id to answer with.
pub fn parse(frame: &str) -> Result<Request<'_>, Malformed> {
    let wire = serde_json::from_str::<Wire<'_>>(frame).map_err(|err| malformed(frame, &err))?;
    let fault = fault(&wire);
    let Wire { id, method, params, .. } = wire;
    match fault {
        None => Ok(Request { id, method, params }),
        Some(why) => Err(Malformed { id: usable(&id), why, no_json: false }),
    }
}

fn fault(wire: &Wire<'_>) -> Option<String> {
    let within = |text: &str, max: usize| (1..=max).contains(&text.len());
    let optional =
        |text: &Option<Cow<'_, str>>| text.as_ref().is_none_or(|it| within(it, MAX_TRACE));
    if wire.r#type != "req" {
        Some("type must be \"req\"".to_owned())
    } else if !within(&wire.id, MAX_ID) {
        Some(format!("id has 1 to {MAX_ID} bytes"))
    } else if !within(&wire.method, MAX_METHOD) {
        Some(format!("method has 1 to {MAX_METHOD} bytes"))
    } else if !optional(&wire.traceparent) || !optional(&wire.expected_profile_id) {
        Some(format!("traceparent and expectedProfileId have 1 to {MAX_TRACE} bytes"))
    } else {
        None
    }
}

fn malformed(frame: &str, err: &serde_json::Error) -> Malformed {
    let named = serde_json::from_str::<Named<'_>>(frame);
    let no_json = named.is_err() && serde_json::from_str::<&RawValue>(frame).is_err();
    let id = named.ok().and_then(|it| it.id);
    let id = id.and_then(|id| serde_json::from_str::<Cow<'_, str>>(id.get()).ok());
    Malformed { id: usable(&id.unwrap_or_default()), why: short(&err.to_string()), no_json }
}

/// The beginning of what is said of a frame: it may repeat text of the client's.
pub(crate) fn short(why: &str) -> String {
    let end = why.char_indices().nth(MAX_WHY).map(|(at, _)| at);
    end.and_then(|end| why.get(..end)).map_or_else(|| why.to_owned(), |start| format!("{start}..."))
}

/// The id, if an answer can carry it.
fn usable(id: &str) -> String {
    let usable = (1..=MAX_ID).contains(&id.len());
    if usable { id.to_owned() } else { NO_ID.to_owned() }
}

#[derive(Serialize)]
struct Failure<'a> {
    r#type: &'static str,
    id: &'a str,
    ok: bool,
    error: Shape<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shape<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u32>,
}

/// The answer with a result, which is JSON.
pub(crate) fn result(id: &str, result: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(result.len() + id.len() + 48);
    frame.put_slice(b"{\"type\":\"res\",\"id\":");
    frame.put_slice(&text(id));
    frame.put_slice(b",\"ok\":true,\"payload\":");
    frame.put_slice(result);
    frame.put_slice(b"}");
    frame.freeze()
}

/// The answer with a failure, which is cut where it would be long.
pub(crate) fn failure(id: &str, err: &ApiError) -> Bytes {
    let whole = told(id, err, &err.message, err.details.as_deref());
    if whole.len() > MAX_FAILURE { told(id, err, &short(&err.message), None) } else { whole }
}

fn told(id: &str, err: &ApiError, message: &str, details: Option<&serde_json::Value>) -> Bytes {
    let error = Shape {
        code: on_wire(err.code),
        message,
        details,
        retryable: err.retry_after_ms.map(|it| it <= SOON_MS),
        retry_after_ms: err.retry_after_ms.map(|it| it.min(MAX_TIMER_MS)),
    };
    let failure = Failure { r#type: "res", id, ok: false, error };
    serde_json::to_vec(&failure).unwrap_or_default().into()
}

/// The codes that clients of this protocol know: it has no words for the others.
const fn on_wire(code: api::Code) -> &'static str {
    match code {
        api::Code::InvalidRequest | api::Code::NotFound => "INVALID_REQUEST",
        api::Code::Unauthorized | api::Code::Forbidden => "FORBIDDEN",
        api::Code::ResourceExhausted | api::Code::Unavailable => "UNAVAILABLE",
        api::Code::AgentTimeout => "AGENT_TIMEOUT",
        api::Code::NotPaired => "NOT_PAIRED",
    }
}

/// An event in three pieces, so that a large payload is not copied for each connection.
pub(crate) fn event(
    name: &str,
    payload: Bytes,
    seq: Option<u64>,
    version: Option<StateVersion>,
) -> [Bytes; 3] {
    let head = format!("{{\"type\":\"event\",\"event\":\"{name}\",\"payload\":");
    let mut tail = String::new();
    // Writing to a string cannot fail.
    if let Some(seq) = seq {
        write!(tail, ",\"seq\":{seq}").unwrap_or_default();
    }
    if let Some(StateVersion { presence, health }) = version {
        let version = format_args!("{{\"presence\":{presence},\"health\":{health}}}");
        write!(tail, ",\"stateVersion\":{version}").unwrap_or_default();
    }
    tail.push('}');
    [head.into(), payload, tail.into()]
}

/// A JSON string.
fn text(text: &str) -> Vec<u8> {
    // A string always has a JSON form.
    serde_json::to_vec(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_request() {
        type Seen<'a> = (&'a str, &'a str, Option<&'a str>);
        let check = |frame: &str, want: Result<Seen<'_>, (&str, bool)>| {
            let got = parse(frame);
            let got = got.as_ref().map(|it| (&*it.id, &*it.method, it.params.map(RawValue::get)));
            let got = got.map_err(|err| (err.id.as_str(), err.no_json));
            assert_eq!(got, want, "{frame}");
        };
        check(r#"{"type":"req","id":"1","method":"health"}"#, Ok(("1", "health", None)));
        check(
            r#"{"params":{"a":[1, 2]},"type":"req","id":"1:\u0061","method":"x"}"#,
            Ok(("1:a", "x", Some(r#"{"a":[1, 2]}"#))),
        );
        check(r#"{"type":"req","id":"1","method":"x","traceparent":"t"}"#, Ok(("1", "x", None)));
        check(
            r#"{"type":"req","id":"1","method":"x","expectedProfileId":"p"}"#,
            Ok(("1", "x", None)),
        );
        check(r#"{"type":"req","id":"1","method":"x","tenant":"b"}"#, Err(("1", false)));
        check(r#"{"type":"res","id":"1","method":"x"}"#, Err(("1", false)));
        check(r#"{"type":"req","id":"1"}"#, Err(("1", false)));
        check(r#"{"type":"req","id":"1","method":""}"#, Err(("1", false)));
        check(r#"{"type":"req","id":"1","method":1}"#, Err(("1", false)));
        check(r#"{"type":"req","id":"","method":"x"}"#, Err(("invalid", false)));
        check(r#"{"type":"req","id":7,"method":"x"}"#, Err(("invalid", false)));
        check(r#"{"type":"req","method":"x"}"#, Err(("invalid", false)));
        check("[]", Err(("invalid", false)));
        check("1", Err(("invalid", false)));
        check("", Err(("invalid", true)));
        check("{", Err(("invalid", true)));
        check(r#"{"type":"req","id":"1","method":"x"}x"#, Err(("invalid", true)));
        let long = |id: usize, method: usize, trace: usize| {
            format!(
                r#"{{"type":"req","id":"{}","method":"{}","traceparent":"{}"}}"#,
                "i".repeat(id),
                "m".repeat(method),
                "t".repeat(trace)
            )
        };
        parse(&long(MAX_ID, MAX_METHOD, MAX_TRACE)).unwrap();
        assert_eq!(parse(&long(MAX_ID + 1, 1, 1)).unwrap_err().id, "invalid");
        assert_eq!(parse(&long(1, MAX_METHOD + 1, 1)).unwrap_err().id, "i");
        assert_eq!(parse(&long(1, 1, MAX_TRACE + 1)).unwrap_err().id, "i");
    }

    #[test]
    fn what_goes_back() {
        let check = |frame: Bytes, want: &str| {
            let got: serde_json::Value = serde_json::from_slice(&frame).unwrap();
            assert_eq!(got, serde_json::from_str::<serde_json::Value>(want).unwrap());
        };
        check(result("a\"b", b"[1]"), r#"{"type":"res","id":"a\"b","ok":true,"payload":[1]}"#);
        let err = ApiError::invalid("no").with_details(serde_json::json!({"code": "X"}));
        check(
            failure("1", &ApiError { retry_after_ms: Some(5), ..err }),
            r#"{"type":"res","id":"1","ok":false,"error":{"code":"INVALID_REQUEST",
                "message":"no","details":{"code":"X"},"retryable":true,"retryAfterMs":5}}"#,
        );
        let err = ApiError::new(api::Code::ResourceExhausted, "no");
        check(
            failure("1", &ApiError { retry_after_ms: Some(2_600_000_000), ..err }),
            r#"{"type":"res","id":"1","ok":false,"error":{"code":"UNAVAILABLE",
                "message":"no","retryable":false,"retryAfterMs":2147483647}}"#,
        );
        check(
            event("tick", "{}".into(), None, None).concat().into(),
            r#"{"type":"event","event":"tick","payload":{}}"#,
        );
        let version = StateVersion { presence: 2, health: 1 };
        check(
            event("health", "{\"ok\":true}".into(), Some(3), Some(version)).concat().into(),
            r#"{"type":"event","event":"health","payload":{"ok":true},"seq":3,
                "stateVersion":{"presence":2,"health":1}}"#,
        );
    }

    #[test]
    fn what_is_said_of_a_frame_is_short() {
        let frame = format!("{{\"{}\":1}}", "é".repeat(100_000));
        let said = parse(&frame).unwrap_err().to_string();
        assert!(said.contains("unknown field") && said.chars().count() < 2 * MAX_WHY, "{said}");
        let long = "\u{1}".repeat(MAX_FAILURE);
        let check = |err: &ApiError, want: &ApiError| {
            assert_eq!(failure("1", err), failure("1", want));
            assert!(failure("1", err).len() <= MAX_FAILURE);
        };
        let cut = ApiError::invalid(format!("{}...", "\u{1}".repeat(MAX_WHY)));
        check(&ApiError::invalid(&*long), &cut);
        let details = serde_json::json!({ "command": long });
        check(&ApiError::invalid("no").with_details(details), &ApiError::invalid("no"));
    }
}
