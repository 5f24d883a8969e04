//! The `OpenAI`-compatible surface: the body goes to the tenant's worker as it came, and what the
//! worker answers goes back as it comes.

use auth::Permit;
use axum::body::Body;
use axum::extract::{FromRequestParts as _, Path};
use axum::response::Response;
use proto::worker::{Route, ServeRequest};

use crate::call::{Call, Place};
use crate::reply::Refusal;
use crate::{rates, relay};

/// Which conversation a turn belongs to.
const SESSION_KEY: &str = "x-openclaw-session-key";

/// Which agent takes the turn; the second name is the older one.
const AGENT: [&str; 2] = ["x-openclaw-agent-id", "x-openclaw-agent"];

/// The longest model name in a path, in bytes.
const MAX_MODEL: usize = 512;

/// The provider's model that an agent asks in place of its own.
const BACKEND: &str = "x-openclaw-model";

/// Bytes of a body of embeddings: the texts, and as much again for how JSON writes them.
const MAX_TEXTS: usize = 2 << 20;

/// `POST /v1/chat/completions`.
pub(crate) async fn chat(call: Call, body: Body) -> Response {
    let max = call.front.limits.body_bytes;
    with_body(call, body, Route::ChatCompletions, max).await
}

/// `POST /v1/responses`.
pub(crate) async fn responses(call: Call, body: Body) -> Response {
    let max = call.front.limits.body_bytes;
    with_body(call, body, Route::Responses, max).await
}

/// `POST /v1/embeddings`.
pub(crate) async fn embeddings(call: Call, body: Body) -> Response {
    with_body(call, body, Route::Embeddings, MAX_TEXTS).await
}

/// A request whose body goes to the worker as it came.
async fn with_body(mut call: Call, body: Body, route: Route, max: usize) -> Response {
    let Some(permit) = call.permit.take() else { return Refusal::no_answer().response() };
    let mut place = Place::default();
    let admit = &mut || place.take(&call.front, &permit);
    let (body, share) = match call.body(body, max, admit).await {
        Ok(read) => read,
        Err(response) => return told(&call, &permit, *response),
    };
    let asked = ServeRequest { body, ..of(route) };
    let response = serve(&call, &permit, place, asked).await;
    // The worker has its copy by now, so the body no longer counts.
    drop(share);
    told(&call, &permit, response.unwrap_or_else(|refusal| refusal.response()))
}

/// An answer that says what is left of the caller's limits.
fn told(call: &Call, permit: &Permit, mut response: Response) -> Response {
    rates::tell(&mut response, &call.front.tenants.rates(permit));
    response
}

/// `GET /v1/models`.
pub(crate) async fn models(call: Call, _: Body) -> Response {
    bare(call, of(Route::Models)).await
}

/// `GET /v1/models/{id}`.
pub(crate) async fn model(mut call: Call, _: Body) -> Response {
    match Path::<String>::from_request_parts(&mut call.head, &()).await {
        Ok(Path(model)) if model.len() <= MAX_MODEL => {
            bare(call, ServeRequest { model, ..of(Route::Model) }).await
        }
        Ok(_) | Err(_) => Refusal::bad_path().response(),
    }
}

fn of(route: Route) -> ServeRequest {
    ServeRequest { route: route.into(), ..ServeRequest::default() }
}

/// A request without a body.
async fn bare(mut call: Call, asked: ServeRequest) -> Response {
    let Some(permit) = call.permit.take() else { return Refusal::no_answer().response() };
    let response = serve(&call, &permit, Place::default(), asked).await;
    told(&call, &permit, response.unwrap_or_else(|refusal| refusal.response()))
}

async fn serve(
    call: &Call,
    permit: &Permit,
    mut place: Place,
    asked: ServeRequest,
) -> Result<Response, Refusal> {
    let session_key = call.name(SESSION_KEY)?;
    let (agent, backend_model) = (agent(call)?, call.name(BACKEND)?);
    let request_id = call.identity.id().to_owned();
    place.take(&call.front, permit)?;
    let ticket = place.ticket().ok_or_else(Refusal::no_answer)?;
    let request = ServeRequest { session_key, agent, request_id, backend_model, ..asked };
    relay::answer(&call.front.tenants, &call.identity.seat, ticket, request).await
}

fn agent(call: &Call) -> Result<String, Refusal> {
    let [name, older] = AGENT;
    let agent = call.name(name)?;
    if agent.is_empty() { call.name(older) } else { Ok(agent) }
}
