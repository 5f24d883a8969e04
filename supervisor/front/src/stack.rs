//! The way of a request, from the outside in, each step with the reason why it stands there.
//!
//! 1. `listener`: connections, heads and their times are bounded before anything is parsed, each
//!    address's connections too (`peers`); who takes nothing of a reply is cut (`outflow`).
//! 2. `edge`: id, headers and figures; outside of the routes, so that 404 and 405 have them too.
//! 3. path and verb: the table below; a wrong one costs neither a token check nor a byte of body.
//! 4. `call`: token, then scope, from the head alone, so that a stranger's body is never kept.
//! 5. `seat`: the connection is the caller's tenant's from here on, and ends with the token.
//! 6. `tenants`: rate and concurrency of the tenant; for a short body after it has come, for a long
//!    one before it takes memory.
//! 7. `body`: bounded in size, time, and sum of its tenant and of all; then the worker.
//! 8. `relay`: what the worker answers, as it comes.

use std::sync::Arc;

use api::routes::{self, Route};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, any, on, post};

use crate::call::{Call, refuse};
use crate::reply::Refusal;
use crate::{Inner, chat, hooks, ingress, openai, probes, rpc, ui};

/// Every route.
pub(crate) fn router(front: &Arc<Inner>) -> Router {
    Router::new()
        .route(routes::CHAT_COMPLETIONS.path, row(&routes::CHAT_COMPLETIONS, openai::chat))
        .route(routes::RESPONSES.path, row(&routes::RESPONSES, openai::responses))
        .route(routes::EMBEDDINGS.path, row(&routes::EMBEDDINGS, openai::embeddings))
        .route(routes::MODELS.path, row(&routes::MODELS, openai::models))
        .route(routes::MODEL.path, row(&routes::MODEL, openai::model))
        .route(routes::HOOK.path, row(&routes::HOOK, hooks::hook))
        .route(routes::RPC.path, row(&routes::RPC, rpc::calls))
        .route(ingress::ROUTE, post(ingress::receive))
        .route(chat::ROOT, any(chat::moved))
        .route(&format!("{}/", chat::ROOT), any(chat::index))
        .route(chat::SAY, post(chat::say))
        .route(chat::FILES, any(chat::file))
        .route("/health", any(probes::live))
        .route("/healthz", any(probes::live))
        .route("/ready", any(probes::ready))
        .route("/readyz", any(probes::ready))
        .route(ui::ROUTE, any(ui::serve))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::clone(front))
}

/// A route of the table: its handler is reached with a known and permitted caller only.
fn row<H, F>(route: &'static Route, handler: H) -> MethodRouter<Arc<Inner>>
where
    H: Fn(Call, Body) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let filter = if route.method == "GET" { MethodFilter::GET } else { MethodFilter::POST };
    on(filter, move |State(front): State<Arc<Inner>>, request: Request| {
        let entered = Call::enter(&front, route, request);
        let handler = handler.clone();
        async move {
            match entered {
                Ok((call, body)) => handler(call, body).await,
                Err(response) => *response,
            }
        }
    })
}

async fn not_found(State(front): State<Arc<Inner>>, request: Request) -> Response {
    refuse(&front, request.into_body(), &Refusal::not_found())
}

async fn wrong_method(State(front): State<Arc<Inner>>, request: Request) -> Response {
    refuse(&front, request.into_body(), &Refusal::wrong_method())
}
