//! One row of the route table, and how a handler's own types become parsing, reply and document.

use std::marker::PhantomData;
use std::pin::Pin;

use axum::response::Response;
use http::Method;
use types::Role;

use crate::call::{Body, Call, Params, Request};
use crate::document::Operation;
use crate::error::Error;
use crate::reply::Answer;

/// A reply that is on its way.
pub(crate) type Pending = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

/// One route.
pub(crate) struct Row {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// The name of the operation: in the document, in the log, in metrics.
    pub(crate) operation: &'static str,
    /// What it does, in one sentence.
    pub(crate) summary: &'static str,
    pub(crate) endpoint: Endpoint,
    pub(crate) told: Told,
}

/// What of a request goes into the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Before it is carried out and afterwards; what cannot be recorded is not done.
    Act,
    /// That somebody looks, with how often within a minute.
    Look,
    /// Nothing: it changes nothing and shows no tenant's words, or it is one key that somebody types.
    Nothing,
}

/// What answers a route.
pub(crate) enum Endpoint {
    /// Anybody may ask whether the gateway is alive; the answer holds nothing else.
    Open(Probe),
    /// A handler, which gets a permit for this role.
    Guarded(Role, Box<dyn Handler>),
}

/// What an open route asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Whether the process answers.
    Alive,
    /// Whether it takes new work.
    Ready,
}

impl Row {
    /// The same row, whose requests are too many and too small to be recorded each.
    pub(crate) fn untold(self) -> Self {
        Self { told: Told::Nothing, ..self }
    }

    /// The same row, which shows what only those should see who answer for it.
    pub(crate) fn watched(self) -> Self {
        Self { told: Told::Look, ..self }
    }

    /// The least role, or none where no key is needed.
    pub(crate) const fn needs(&self) -> Option<Role> {
        match &self.endpoint {
            Endpoint::Open(_) => None,
            Endpoint::Guarded(role, _) => Some(*role),
        }
    }
}

/// A row whose handler is called with a permit for `needs`.
pub(crate) fn guarded<F, Fut, P, Q, B, R>(
    method: Method,
    path: &'static str,
    needs: Role,
    operation: &'static str,
    summary: &'static str,
    handler: F,
) -> Row
where
    F: Fn(Call<P, Q, B>) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = Result<R, Error>> + Send + 'static,
    P: Params,
    Q: Params,
    B: Body,
    R: Answer,
{
    let handler = Box::new(Typed(handler, PhantomData));
    let told = if method == Method::GET { Told::Nothing } else { Told::Act };
    Row { method, path, operation, summary, endpoint: Endpoint::Guarded(needs, handler), told }
}

/// A row that needs no key.
pub(crate) const fn open(
    path: &'static str,
    operation: &'static str,
    summary: &'static str,
    probe: Probe,
) -> Row {
    Row {
        method: Method::GET,
        path,
        operation,
        summary,
        endpoint: Endpoint::Open(probe),
        told: Told::Nothing,
    }
}

/// A handler whose types are known to itself only.
pub(crate) trait Handler: Send + Sync {
    /// Reads what the handler takes and calls it.
    fn call(&self, request: Request) -> Pending;
    /// Writes down what the handler takes and gives.
    fn describe(&self, operation: &mut Operation);
}

struct Typed<F, T>(F, PhantomData<fn() -> T>);

impl<F, Fut, P, Q, B, R> Handler for Typed<F, (P, Q, B, R)>
where
    F: Fn(Call<P, Q, B>) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = Result<R, Error>> + Send + 'static,
    P: Params,
    Q: Params,
    B: Body,
    R: Answer,
{
    fn call(&self, request: Request) -> Pending {
        let handler = self.0;
        Box::pin(async move { handler(request.read().await?).await?.respond() })
    }

    fn describe(&self, operation: &mut Operation) {
        operation.parameters(P::parameters());
        operation.parameters(Q::parameters());
        B::describe(operation);
        R::describe(operation);
    }
}
