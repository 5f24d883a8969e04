//! The `OpenAI`-compatible surface: the body goes to the tenant's worker as it came, and what the
//! worker answers goes back as it comes.

use axum::body::Body;
use axum::extract::{FromRequestParts as _, Path};
use axum::response::Response;
use bytes::Bytes;
use proto::worker::{Route, ServeRequest};

use crate::call::Call;
use crate::relay;
use crate::reply::Refusal;

/// Which conversation a turn belongs to.
const SESSION_KEY: &str = "x-openclaw-session-key";

/// Which agent takes the turn; the second name is the older one.
const AGENT: [&str; 2] = ["x-openclaw-agent-id", "x-openclaw-agent"];

/// The longest model name in a path, in bytes.
const MAX_MODEL: usize = 512;

/// `POST /v1/chat/completions`.
pub(crate) async fn chat(call: Call, body: Body) -> Response {
    let (body, share) = match call.body(body, call.front.limits.body_bytes).await {
        Ok(read) => read,
        Err(response) => return *response,
    };
    let response = serve(call, Route::ChatCompletions, body, String::new()).await;
    // The worker has its copy by now, so the body no longer counts.
    drop(share);
    response
}

/// `GET /v1/models`.
pub(crate) async fn models(call: Call, _: Body) -> Response {
    serve(call, Route::Models, Bytes::new(), String::new()).await
}

/// `GET /v1/models/{id}`.
pub(crate) async fn model(mut call: Call, _: Body) -> Response {
    match Path::<String>::from_request_parts(&mut call.head, &()).await {
        Ok(Path(model)) if model.len() <= MAX_MODEL => {
            serve(call, Route::Model, Bytes::new(), model).await
        }
        Ok(_) | Err(_) => Refusal::bad_path().response(),
    }
}

async fn serve(mut call: Call, route: Route, body: Bytes, model: String) -> Response {
    let Some(permit) = call.permit.take() else { return Refusal::no_answer().response() };
    let names = call.name(SESSION_KEY).and_then(|key| Ok((key, agent(&call)?)));
    let (session_key, agent) = match names {
        Ok(names) => names,
        Err(refusal) => return refusal.response(),
    };
    let request = ServeRequest {
        route: route.into(),
        body,
        session_key,
        agent,
        model,
        request_id: call.identity.id().to_owned(),
    };
    relay::answer(&call.front.tenants, permit, request).await
}

fn agent(call: &Call) -> Result<String, Refusal> {
    let [name, older] = AGENT;
    let agent = call.name(name)?;
    if agent.is_empty() { call.name(older) } else { Ok(agent) }
}
