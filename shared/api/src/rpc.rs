//! JSON-RPC 2.0 envelopes: the supervisor reads id and method and keeps the parameters as bytes.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{ApiError, Code};

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
