//! JSON-RPC 2.0 envelopes: the supervisor reads id and method and keeps the parameters as bytes.

use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{ApiError, Code};

/// Requests of one batch.
pub const MAX_BATCH: usize = 64;

/// The longest id, in bytes; it comes back in the reply.
pub const MAX_ID: usize = 256;

/// One request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request<'a> {
    /// Must be `2.0`.
    pub jsonrpc: &'a str,
    /// Absent in a notification, which gets no answer.
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    /// A name of the method table.
    pub method: &'a str,
    /// Passed on unread.
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
}

/// One answer.
#[derive(Debug, Serialize)]
pub struct Reply<'a> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RpcError<'a>>,
}

#[derive(Debug, Serialize)]
struct RpcError<'a> {
    code: i32,
    message: &'a str,
    data: &'a ApiError,
}

impl<'a> Reply<'a> {
    /// A result for the request `id`.
    pub const fn ok(id: Option<&'a RawValue>, result: &'a RawValue) -> Self {
        Self { jsonrpc: "2.0", id, result: Some(result), error: None }
    }

    /// A failure for the request `id`; `id` is `None` where it could not be read.
    pub fn err(id: Option<&'a RawValue>, at: At, error: &'a ApiError) -> Self {
        let code = number(at, error.code);
        let error = RpcError { code, message: &error.message, data: error };
        Self { jsonrpc: "2.0", id, result: None, error: Some(error) }
    }
}

/// How far a request came before it failed, which JSON-RPC's numbers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// It is not JSON.
    Parsing,
    /// It is JSON, and not a request.
    Reading,
    /// It names no method of the table.
    Finding,
    /// The method was called.
    Calling,
}

/// JSON-RPC's numbers: those of the specification where one fits, else of the server's range.
const fn number(at: At, code: Code) -> i32 {
    match code {
        Code::InvalidRequest => match at {
            At::Parsing => -32_700,
            At::Reading => -32_600,
            At::Finding => -32_601,
            At::Calling => -32_602,
        },
        Code::Unauthorized | Code::Forbidden | Code::NotPaired => -32_001,
        Code::NotFound => -32_004,
        Code::ResourceExhausted => -32_005,
        Code::AgentTimeout => -32_006,
        Code::Unavailable => -32_000,
    }
}

/// What a body asks for, unread.
#[derive(Debug)]
pub enum Asked<'a> {
    /// One request.
    One(&'a RawValue),
    /// 1 to [`MAX_BATCH`] requests.
    Batch(Vec<&'a RawValue>),
}

/// Reads a body, and of each request only where it ends.
///
/// # Errors
/// When it is not JSON, or a batch of none or too many.
pub fn read(body: &[u8]) -> Result<Asked<'_>, (At, ApiError)> {
    if !body.trim_ascii_start().starts_with(b"[") {
        let request = serde_json::from_slice(body);
        return request
            .map(Asked::One)
            .map_err(|err| (At::Parsing, ApiError::invalid(format!("not JSON: {err}"))));
    }
    match serde_json::from_slice::<Batch<'_>>(body) {
        Ok(batch) if !batch.0.is_empty() => Ok(Asked::Batch(batch.0)),
        Ok(_) => Err((At::Reading, ApiError::invalid("the batch is empty"))),
        Err(err) => {
            // A batch of too many is JSON all the same.
            let at = if err.is_data() { At::Reading } else { At::Parsing };
            Err((at, ApiError::invalid(format!("no batch: {err}"))))
        }
    }
}

/// Reads one request.
///
/// # Errors
/// When it is none, or its id is one that cannot come back.
pub fn parse(request: &RawValue) -> Result<Request<'_>, ApiError> {
    let request: Request<'_> = serde_json::from_str(request.get())
        .map_err(|err| ApiError::invalid(format!("not a JSON-RPC request: {err}")))?;
    if request.jsonrpc != "2.0" {
        return Err(ApiError::invalid("`jsonrpc` must be \"2.0\""));
    }
    let usable =
        |id: &RawValue| id.get().len() <= MAX_ID && !id.get().starts_with(['{', '[', 't', 'f']);
    if request.id.is_some_and(|id| !usable(id)) {
        return Err(ApiError::invalid("`id` must be a string or a number of at most 256 bytes"));
    }
    Ok(request)
}

/// The requests of a batch, unread; the bound holds while they are counted.
struct Batch<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Batch<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Requests).map(Self)
    }
}

struct Requests;

impl<'de> Visitor<'de> for Requests {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "1 to {MAX_BATCH} requests")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut requests = Vec::new();
        while let Some(request) = items.next_element()? {
            if requests.len() == MAX_BATCH {
                return Err(A::Error::custom(format!("it has more than {MAX_BATCH} requests")));
            }
            requests.push(request);
        }
        Ok(requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_request() {
        let check = |text: &str, ok: bool| {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            assert_eq!(parse(raw).is_ok(), ok, "{text}");
        };
        check(r#"{"jsonrpc":"2.0","id":1,"method":"health"}"#, true);
        check(r#"{"jsonrpc":"2.0","id":"a","method":"health","params":{}}"#, true);
        check(r#"{"jsonrpc":"2.0","method":"health"}"#, true);
        check(r#"{"jsonrpc":"1.0","id":1,"method":"health"}"#, false);
        check(r#"{"id":1,"method":"health"}"#, false);
        check(r#"{"jsonrpc":"2.0","id":{},"method":"health"}"#, false);
        check(r#"{"jsonrpc":"2.0","id":[1],"method":"health"}"#, false);
        check(r#"{"jsonrpc":"2.0","id":1,"method":1}"#, false);
        check(r#"{"jsonrpc":"2.0","id":1,"method":"health","tenant":"other"}"#, false);
        check("1", false);
        let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"health"}}"#, "a".repeat(300));
        check(&long, false);
    }

    #[test]
    fn a_batch_is_bounded_while_it_is_counted() {
        let check = |count: usize, ok: bool| {
            let text = format!("[{}]", vec!["1"; count].join(","));
            assert_eq!(serde_json::from_str::<Batch<'_>>(&text).is_ok(), ok, "{count}");
        };
        check(0, true);
        check(64, true);
        check(65, false);
        check(1_000_000, false);
    }
}
