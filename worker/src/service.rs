//! The `Worker` service: what may be asked when, and who answers it.
//!
//! Before `Start` everything else is refused, a second `Start` is refused, and after `Drain`
//! nothing new is accepted. What an answer says is decided elsewhere.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use api::ApiError;
use bytes::Bytes;
use proto::worker::call_reply::Outcome;
use proto::worker::worker_server::{Worker as Service, WorkerServer};
use proto::worker::{
    CallReply, CallRequest, DrainReply, DrainRequest, Error as CallError, Probe, ServePart,
    ServeRequest, StartReply, StartRequest,
};
use runtime::pair::Client;
use runtime::{Gate, Pass, Tasks, limits};
use sandbox::confine::Confinement;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, async_trait};
use types::{Clock, UnixMillis};

use crate::methods::Call;
use crate::openai::{self, Models, Reply};
use crate::runs::Runs;
use crate::store::Store;
use crate::upcalls::Llm;

/// How long runs that a drain has stopped may take to store what they have.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// How long a worker without a run waits before it gives memory back.
const QUIET: Duration = Duration::from_secs(1);

/// What every operation may use. Clones are handles to the same things.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) llm: Llm,
    pub(crate) runs: Runs,
    pub(crate) tasks: Tasks,
    pub(crate) started_at: UnixMillis,
}

/// The worker's side of pair A. Clones serve the same tenant.
#[derive(Debug, Clone)]
pub struct Worker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    core: Core,
    gate: Gate,
    confinement: Confinement,
    /// Set by `Start`.
    models: OnceLock<Models>,
}

impl Worker {
    /// A worker on the tenant's root. `host` is pair B; turns are tasks of `tasks`.
    pub fn new(
        root: PathBuf,
        host: Client,
        confinement: Confinement,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
    ) -> Self {
        let started_at = clock.now();
        let store = Store::new(root, clock);
        let (llm, runs, tasks) = (Llm::new(host), Runs::default(), tasks.clone());
        tasks.spawn_until_stopped(give_back_memory(runs.clone()));
        let core = Core { store, llm, runs, tasks, started_at };
        let (gate, models) = (Gate::default(), OnceLock::new());
        Self(Arc::new(Inner { core, gate, confinement, models }))
    }

    /// The service for `runtime::pair::serve`.
    pub fn into_service(self) -> WorkerServer<Self> {
        WorkerServer::new(self)
            .max_decoding_message_size(limits::MAX_MESSAGE)
            .max_encoding_message_size(limits::MAX_MESSAGE)
    }

    /// The configuration and a pass, or why there is none in this phase.
    fn enter(&self) -> Result<(&Models, Pass), Status> {
        let models = self.0.models.get();
        let models = models.ok_or_else(|| Status::failed_precondition("not started"))?;
        let pass = self.0.gate.enter().map_err(|_closed| Status::unavailable("draining"))?;
        Ok((models, pass))
    }
}

/// Gives memory back once the worker has been quiet for a moment, and not between two requests.
async fn give_back_memory(runs: Runs) {
    loop {
        runs.idle().await;
        #[expect(clippy::disallowed_methods, reason = "quiet is time without work")]
        tokio::time::sleep(QUIET).await;
        if runs.count() == 0 {
            sandbox::memory::trim();
        }
    }
}

#[async_trait]
impl Service for Worker {
    type ServeStream = Held;

    async fn start(&self, request: Request<StartRequest>) -> Result<Response<StartReply>, Status> {
        let StartRequest { models, default_model } = request.into_inner();
        let models = Models::new(models, default_model);
        if self.0.models.set(models).is_err() {
            return Err(Status::failed_precondition("started already"));
        }
        let Confinement { landlock_abi, probes, .. } = &self.0.confinement;
        let probe =
            |(name, refused): &(&str, bool)| Probe { name: (*name).to_owned(), refused: *refused };
        Ok(Response::new(StartReply {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            landlock_abi: *landlock_abi,
            probes: probes.iter().map(probe).collect(),
        }))
    }

    async fn call(&self, request: Request<CallRequest>) -> Result<Response<CallReply>, Status> {
        let (_, _pass) = self.enter()?;
        let CallRequest { method, params } = request.into_inner();
        let called = api::worker::dispatch(&Call(&self.0.core), &method, &params).await;
        let outcome = match called.and_then(sendable) {
            Ok(result) => Outcome::Result(result.into()),
            Err(error) => Outcome::Error(CallError {
                code: error.code.name().to_owned(),
                message: error.message,
                retry_after_ms: error.retry_after_ms.unwrap_or(0),
            }),
        };
        Ok(Response::new(CallReply { outcome: Some(outcome) }))
    }

    async fn serve(&self, request: Request<ServeRequest>) -> Result<Response<Held>, Status> {
        let (models, pass) = self.enter()?;
        let reply = openai::serve(&self.0.core, models, request.into_inner()).await;
        Ok(Response::new(Held { reply, rest: Bytes::new(), _pass: pass }))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainReply>, Status> {
        let deadline = Duration::from_millis(request.into_inner().deadline_ms.into());
        self.0.gate.close();
        let emptied = tokio::time::timeout(deadline, self.0.gate.emptied()).await;
        let mut cancelled = 0;
        if emptied.is_err() {
            cancelled = self.0.core.runs.count();
            self.0.core.runs.stop_all();
            let stopped = tokio::time::timeout(STOP_GRACE, self.0.gate.emptied()).await;
            if stopped.is_err() {
                tracing::warn!(left = self.0.gate.passes(), "runs did not end when stopped");
            }
        }
        Ok(Response::new(DrainReply { cancelled }))
    }
}

/// A result, unless it is longer than the supervisor takes.
fn sendable(result: Vec<u8>) -> Result<Vec<u8>, ApiError> {
    if result.len() <= limits::MAX_RESULT {
        return Ok(result);
    }
    let message = "the result is longer than 4 MiB; ask for less of it";
    Err(ApiError::new(api::Code::ResourceExhausted, message))
}

/// A reply that keeps the gate open until it is read or dropped.
#[derive(Debug)]
pub struct Held {
    reply: Reply,
    /// What the last part had beyond its bound.
    rest: Bytes,
    _pass: Pass,
}

impl Held {
    /// Cuts `part` at the bound and keeps the rest for the next one.
    fn cut(&mut self, mut part: ServePart) -> ServePart {
        if part.data.len() > limits::MAX_PART {
            self.rest = part.data.split_off(limits::MAX_PART);
        }
        part
    }
}

impl Stream for Held {
    type Item = Result<ServePart, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.rest.is_empty() {
            let data = std::mem::take(&mut self.rest);
            let part = self.cut(ServePart { head: None, data });
            return Poll::Ready(Some(Ok(part)));
        }
        let part = ready!(Pin::new(&mut self.reply).poll_next(cx));
        Poll::Ready(part.map(|part| part.map(|part| self.cut(part))))
    }
}

#[cfg(test)]
mod tests;
