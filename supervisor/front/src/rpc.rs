//! `POST /rpc`: JSON-RPC 2.0 over the method table, single or in batches. Ids and method names are
//! read; parameters and results are passed on.

use api::rpc::{Asked, At, Reply, Request, parse};
use api::{ApiError, Code};
use auth::Denied;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use methods::Caller;
use serde_json::value::RawValue;

use crate::body::Share;
use crate::call::Call;
use crate::reply::JSON;

/// Bytes of one body; methods take settings and names, not files.
const MAX_BODY: usize = 4 << 20;

/// Bytes of all answers to one batch. What a method gives fits alone, so a client that is told that
/// there is no room asks again in smaller batches.
const MAX_ANSWERS: usize = 4 << 20;

/// Handles one body. Without a request that wants an answer there is none.
pub(crate) async fn calls(call: Call, body: Body) -> Response {
    // Each method is admitted for itself, so the body takes no place of its own.
    let (body, mut share) = match call.body(body, MAX_BODY, &mut || Ok(())).await {
        Ok(read) => read,
        Err(response) => return *response,
    };
    let answered = match answer(&call, &body, &mut share).await {
        Some(answer) => share.reply(answer).map(Some),
        None => Ok(None),
    };
    match answered {
        Ok(Some(body)) => {
            let mut response = Response::new(body);
            response.headers_mut().insert(CONTENT_TYPE, JSON);
            response
        }
        Ok(None) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Err(refusal) => refusal.response(),
    }
}

async fn answer(call: &Call, body: &[u8], share: &mut Share) -> Option<Vec<u8>> {
    let batch = match api::rpc::read(body) {
        Ok(Asked::One(request)) => return one(call, request).await,
        Ok(Asked::Batch(batch)) => batch,
        Err((at, err)) => return Some(refused(None, at, &err)),
    };
    let mut answers = Answers::default();
    for request in batch {
        if answers.full {
            answers.refuse(request);
        } else if let Some(answer) = one(call, request).await {
            answers.push(request, &answer, share);
        }
    }
    answers.join()
}

/// The answers to a batch, up to [`MAX_ANSWERS`] bytes.
#[derive(Default)]
struct Answers {
    bytes: Vec<u8>,
    full: bool,
}

impl Answers {
    /// Takes an answer, or says in its place that there is no room for it.
    fn push(&mut self, request: &RawValue, answer: &[u8], share: &mut Share) {
        let fits = self.bytes.len() + answer.len() <= MAX_ANSWERS;
        if fits && share.grow(answer.len()).is_ok() {
            self.add(answer);
        } else {
            self.full = true;
            self.refuse(request);
        }
    }

    /// The answer to a request that comes when there is no room for more; a notification has none.
    fn refuse(&mut self, request: &RawValue) {
        match parse(request) {
            Ok(Request { id: None, .. }) => {}
            Ok(request) => {
                let message = "the answers to this batch are too large together";
                let full = ApiError::new(Code::ResourceExhausted, message);
                self.add(&refused(request.id, At::Calling, &full));
            }
            Err(err) => self.add(&refused(None, At::Reading, &err)),
        }
    }

    fn add(&mut self, answer: &[u8]) {
        self.bytes.push(if self.bytes.is_empty() { b'[' } else { b',' });
        self.bytes.extend_from_slice(answer);
    }

    fn join(mut self) -> Option<Vec<u8>> {
        if self.bytes.is_empty() {
            return None;
        }
        self.bytes.push(b']');
        Some(self.bytes)
    }
}

/// The answer to one request; a notification has none.
async fn one(call: &Call, request: &RawValue) -> Option<Vec<u8>> {
    let request = match parse(request) {
        Ok(request) => request,
        Err(err) => return Some(refused(None, At::Reading, &err)),
    };
    let method = api::method(request.method);
    let outcome = match method {
        Some(method) => run(call, method, &request).await,
        None => Err(ApiError::invalid("there is no such method")),
    };
    request.id?;
    let at = if method.is_some() { At::Calling } else { At::Finding };
    Some(match outcome {
        Ok(result) => match serde_json::from_slice::<&RawValue>(&result) {
            Ok(result) => encode(&Reply::ok(request.id, result)),
            Err(_not_json) => {
                refused(request.id, at, &ApiError::unavailable("the method gave no JSON"))
            }
        },
        Err(err) => refused(request.id, at, &err),
    })
}

async fn run(
    call: &Call,
    method: &'static api::Method,
    request: &Request<'_>,
) -> Result<Bytes, ApiError> {
    let permit = call.permit(method).map_err(denied)?;
    let params = request.params.map_or("", RawValue::get);
    let caller =
        Caller { permit: &permit, connection: None, client: "rpc", request_id: call.identity.id() };
    let params = Bytes::copy_from_slice(params.as_bytes());
    let done = call.front.methods.call(caller, method, params, None);
    tokio::select! {
        biased;
        () = call.identity.seat.ended() => Err(denied(Denied::Ended)),
        done = done => done,
    }
}

fn denied(reason: Denied) -> ApiError {
    ApiError::new(Code::Unauthorized, reason.to_string())
}

fn refused(id: Option<&RawValue>, at: At, err: &ApiError) -> Vec<u8> {
    encode(&Reply::err(id, at, err))
}

fn encode(reply: &Reply<'_>) -> Vec<u8> {
    serde_json::to_vec(reply).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::body::Budget;

    #[test]
    fn the_answers_to_a_batch_are_bounded_together() {
        let budget = Budget::new(64 << 20, 64 << 20);
        let request = |id: usize| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"health"}}"#);
            RawValue::from_string(text).unwrap()
        };
        let large = format!("\"{}\"", "x".repeat(1 << 20));
        let (mut answers, mut share) = (Answers::default(), budget.share(Arc::default()));
        for id in 0..3 {
            answers.push(&request(id), large.as_bytes(), &mut share);
            assert!(!answers.full);
        }
        for id in 3..64 {
            answers.push(&request(id), large.as_bytes(), &mut share);
            assert!(answers.full);
        }
        let note = r#"{"jsonrpc":"2.0","method":"health"}"#.to_owned();
        answers.refuse(&RawValue::from_string(note).unwrap());
        let joined = answers.join().unwrap();
        assert!(joined.len() < MAX_ANSWERS);
        let joined: Vec<serde_json::Value> = serde_json::from_slice(&joined).unwrap();
        assert_eq!(joined.len(), 64);
        for (id, answer) in joined.iter().enumerate().skip(3) {
            assert_eq!(answer["id"], id);
            assert!(answer["error"]["message"].as_str().unwrap().contains("too large"));
        }

        let small = Budget::new(3 << 20, 3 << 20);
        let (mut answers, mut share) = (Answers::default(), small.share(Arc::default()));
        for id in 0..3 {
            answers.push(&request(id), large.as_bytes(), &mut share);
        }
        assert!(answers.full, "the gateway has no room for the third");
    }
}
