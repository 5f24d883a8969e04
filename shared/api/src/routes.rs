//! The HTTP routes of the gateway that need a token, one row each, beside the method table.

use types::Scope;

/// One route of the gateway.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET` or `POST`; another method on the same path is answered 405.
    pub method: &'static str,
    /// The path; `{id}` stands for one segment or more.
    pub path: &'static str,
    /// The scope without which no caller gets through; `None` where each method of the method
    /// table has its own.
    pub scope: Option<Scope>,
}

/// `POST /v1/chat/completions`.
pub const CHAT_COMPLETIONS: Route =
    Route { method: "POST", path: "/v1/chat/completions", scope: Some(Scope::Write) };
/// `POST /v1/responses`.
pub const RESPONSES: Route =
    Route { method: "POST", path: "/v1/responses", scope: Some(Scope::Write) };
/// `POST /v1/embeddings`.
pub const EMBEDDINGS: Route =
    Route { method: "POST", path: "/v1/embeddings", scope: Some(Scope::Write) };
/// `GET /v1/models`.
pub const MODELS: Route = Route { method: "GET", path: "/v1/models", scope: Some(Scope::Read) };
/// `GET /v1/models/{id}`.
pub const MODEL: Route =
    Route { method: "GET", path: "/v1/models/{*id}", scope: Some(Scope::Read) };
/// `POST /hooks/{name}`: what other programs may start.
pub const HOOK: Route = Route { method: "POST", path: "/hooks/{*id}", scope: Some(Scope::Hooks) };
/// `POST /rpc`: JSON-RPC 2.0 over the method table.
pub const RPC: Route = Route { method: "POST", path: "/rpc", scope: None };

/// Every route that needs a token.
pub const ROUTES: [&Route; 7] =
    [&CHAT_COMPLETIONS, &RESPONSES, &EMBEDDINGS, &MODELS, &MODEL, &RPC, &HOOK];
