//! The OpenAI-compatible surface: one request in, parts of one reply out.
//!
//! Streaming from the host is the only way a reply is made; a reply without stream is its fold.

mod chat;
mod embeddings;
mod encode;
mod error;
mod fold;
mod models;
mod reply;
mod request;
mod responses;
mod target;

use proto::worker::{Route, ServeRequest};

pub(crate) use error::Fault;
pub(crate) use fold::{Before, Call, Fold, GAP};
pub(crate) use models::{Models, known_agent};
pub(crate) use reply::{Reply, head, whole};

use crate::service::Core;

/// Answers one request. A failure before the first byte is a reply as well.
pub(crate) async fn serve(core: &Core, request: ServeRequest) -> Reply {
    let models = core.models();
    let reply = match request.route() {
        Route::ChatCompletions => chat::serve(core, models, request).await,
        Route::Models => models::list(core, models).await,
        Route::Model => models::get(core, models, &request.model).await,
        Route::Responses => responses::serve(core, models, request).await,
        Route::Embeddings => embeddings::serve(core, models, request).await,
        Route::Hook => return crate::hooks::serve(core, request).await,
        Route::Unspecified => Err(Fault::invalid(None, "Unknown route.")),
    };
    reply.unwrap_or_else(|fault| Reply::Whole(Some(fault.part())))
}

#[cfg(test)]
mod tests;
