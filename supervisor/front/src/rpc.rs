//! `POST /rpc`: JSON-RPC 2.0 over the method table, single or in batches. Ids and method names are
//! read; parameters and results are passed on.

use api::rpc::{Reply, Request};
use api::{ApiError, Code, ServedBy};
use auth::Denied;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use proto::worker::call_reply::Outcome;
use proto::worker::{CallReply, CallRequest};
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::call::Call;
use crate::reply::JSON;

/// Requests of one batch.
const MAX_BATCH: usize = 64;

/// Bytes of one body; methods take settings and names, not files.
const MAX_BODY: usize = 4 << 20;

/// The longest id, in bytes; it comes back in the reply.
const MAX_ID: usize = 256;

/// Handles one body. Without a request that wants an answer there is none.
pub(crate) async fn calls(call: Call, body: Body) -> Response {
    let (body, share) = match call.body(body, MAX_BODY).await {
        Ok(read) => read,
        Err(response) => return *response,
    };
    let answer = answer(&call, &body).await;
    drop(share);
    let mut response = Response::new(Body::empty());
    match answer {
        Some(answer) => {
            *response.body_mut() = Body::from(answer);
            response.headers_mut().insert(CONTENT_TYPE, JSON);
        }
        None => *response.status_mut() = StatusCode::NO_CONTENT,
    }
    response
}

async fn answer(call: &Call, body: &[u8]) -> Option<Vec<u8>> {
    if !body.trim_ascii_start().starts_with(b"[") {
        return match serde_json::from_slice::<&RawValue>(body) {
            Ok(request) => one(call, request).await,
            Err(err) => Some(refused(None, &ApiError::invalid(format!("not JSON: {err}")))),
        };
    }
    let batch = match serde_json::from_slice::<Batch<'_>>(body) {
        Ok(batch) if !batch.0.is_empty() => batch.0,
        Ok(_) => return Some(refused(None, &ApiError::invalid("the batch is empty"))),
        Err(err) => return Some(refused(None, &ApiError::invalid(format!("no batch: {err}")))),
    };
    let mut answers = Vec::new();
    for request in batch {
        if let Some(answer) = one(call, request).await {
            answers.push(if answers.is_empty() { b'[' } else { b',' });
            answers.extend_from_slice(&answer);
        }
    }
    if answers.is_empty() {
        return None;
    }
    answers.push(b']');
    Some(answers)
}

/// The answer to one request; a notification has none.
async fn one(call: &Call, request: &RawValue) -> Option<Vec<u8>> {
    let request = match parse(request) {
        Ok(request) => request,
        Err(err) => return Some(refused(None, &err)),
    };
    let outcome = run(call, &request).await;
    request.id?;
    Some(match outcome {
        Ok(result) => match serde_json::from_slice::<&RawValue>(&result) {
            Ok(result) => encode(&Reply::ok(request.id, result)),
            Err(_not_json) => {
                refused(request.id, &ApiError::unavailable("the method gave no JSON"))
            }
        },
        Err(err) => refused(request.id, &err),
    })
}

fn parse(request: &RawValue) -> Result<Request<'_>, ApiError> {
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

async fn run(call: &Call, request: &Request<'_>) -> Result<Bytes, ApiError> {
    let Some(method) = api::method(request.method) else {
        return Err(ApiError::invalid("there is no such method"));
    };
    let permit = call.permit(method).map_err(denied)?;
    let params = request.params.map_or("", RawValue::get);
    let done = async {
        match method.served_by {
            ServedBy::Supervisor => {
                let own = call.front.tenants.own(&permit, method.name, params.as_bytes());
                own.await.map(Bytes::from)
            }
            ServedBy::Worker => {
                let params = Bytes::copy_from_slice(params.as_bytes());
                let request = CallRequest { method: method.name.to_owned(), params };
                let reply = call.front.tenants.call(&permit, request).await;
                reply.map_err(|err| failed(&err)).and_then(outcome)
            }
        }
    };
    tokio::select! {
        biased;
        done = done => done,
        () = call.principal.revoked() => Err(denied(Denied::Ended)),
    }
}

fn outcome(reply: CallReply) -> Result<Bytes, ApiError> {
    match reply.outcome {
        Some(Outcome::Result(result)) => Ok(result),
        Some(Outcome::Error(error)) => Err(ApiError {
            code: Code::from_name(&error.code),
            message: error.message,
            retry_after_ms: (error.retry_after_ms > 0).then_some(error.retry_after_ms),
        }),
        None => Err(ApiError::unavailable("the tenant's worker gave no answer")),
    }
}

fn denied(reason: Denied) -> ApiError {
    ApiError::new(Code::Unauthorized, reason.to_string())
}

fn failed(err: &tenants::Error) -> ApiError {
    tracing::debug!(error = %types::Chain(err), "a method was not answered");
    let code = match err.http_status() {
        403 => Code::Unauthorized,
        404 => Code::NotFound,
        429 => Code::ResourceExhausted,
        504 => Code::AgentTimeout,
        _ => Code::Unavailable,
    };
    let retry_after = err.retry_after_s().map(|seconds| seconds.saturating_mul(1000));
    let retry_after_ms = retry_after.map(|it| u32::try_from(it).unwrap_or(u32::MAX));
    ApiError { retry_after_ms, ..ApiError::new(code, err.public()) }
}

fn refused(id: Option<&RawValue>, err: &ApiError) -> Vec<u8> {
    encode(&Reply::err(id, err))
}

fn encode(reply: &Reply<'_>) -> Vec<u8> {
    serde_json::to_vec(reply).unwrap_or_default()
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
