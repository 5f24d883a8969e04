//! The `Worker` service: what may be asked when, and who answers it.
//!
//! Before `Start` everything else is refused, a second `Start` is refused, and after `Drain`
//! nothing new is accepted. What an answer says is decided elsewhere.

mod core;
mod drain;
mod held;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::ApiError;
use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};
use proto::worker::call_reply::Outcome;
use proto::worker::worker_server::{Worker as Service, WorkerServer};
use proto::worker::{
    ArchivePart, CallReply, CallRequest, ChannelEvent, Configuration, ConfigureReply, DrainReply,
    DrainRequest, Error as CallError, EventsRequest, ExportRequest, HearReply, ImportReply,
    OutboundRequest, Probe, ServeRequest, StartReply, StartRequest, WakeReply, WakeRequest,
};
use runtime::pair::Client;
use runtime::{Gate, Pass, Tasks, limits};
use sandbox::confine::Confinement;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};
use types::{AgentId, Clock};

use crate::Error;
use crate::archive::{self, Importing, Part};
use crate::channels;
use crate::cron;
use crate::events::EventStream;
use crate::methods::Call;
use crate::openai::{self, Models};
use crate::runs::Runs;
use crate::store;
use crate::tools;

pub(crate) use core::Core;
pub use held::Held;

/// Replies of one call that wait for the supervisor.
const REPLIES: usize = 4;

/// How long a worker without a run waits before it gives memory back.
const QUIET: Duration = Duration::from_secs(1);

/// The worker's side of pair A. Clones serve the same tenant.
#[derive(Debug, Clone)]
pub struct Worker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    core: Core,
    gate: Gate,
    confinement: Confinement,
    importing: Importing,
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
        let importing = Importing::new(root.clone());
        let core = Core::new(root, host, clock, tasks);
        tasks.spawn_until_stopped(give_back_memory(core.runs.clone()));
        Self(Arc::new(Inner { core, gate: Gate::default(), confinement, importing }))
    }

    /// What its operations use.
    #[cfg(test)]
    pub(crate) fn core(&self) -> Core {
        self.0.core.clone()
    }

    /// The service for `runtime::pair::serve`.
    pub fn into_service(self) -> WorkerServer<Self> {
        WorkerServer::new(self)
            .max_decoding_message_size(limits::MAX_MESSAGE)
            .max_encoding_message_size(limits::MAX_MESSAGE)
    }

    /// A pass, or why there is none in this phase.
    fn enter(&self) -> Result<Pass, Status> {
        if self.0.core.models.get().is_none() {
            return Err(Status::failed_precondition("not started"));
        }
        self.0.gate.enter().map_err(|_closed| Status::unavailable("draining"))
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
    type EventsStream = EventStream;
    type RepliesStream = ReceiverStream<Result<CallReply, Status>>;
    type ExportStream = ReceiverStream<Part>;
    type OutboundStream = channels::Parts;

    async fn start(&self, request: Request<StartRequest>) -> Result<Response<StartReply>, Status> {
        let request = request.into_inner();
        self.0.importing.is_not_expected()?;
        match request.unpack_max {
            0 => self.0.begin(request).await?,
            max => self.0.importing.expect(max)?,
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

    async fn configure(
        &self,
        request: Request<Configuration>,
    ) -> Result<Response<ConfigureReply>, Status> {
        self.0.configure(request.into_inner())?;
        cron::sync(&self.0.core);
        Ok(Response::new(ConfigureReply {}))
    }

    async fn events(
        &self,
        _request: Request<EventsRequest>,
    ) -> Result<Response<EventStream>, Status> {
        let stream = self.0.core.events.stream();
        stream.map(Response::new).ok_or_else(|| Status::failed_precondition("asked for already"))
    }

    async fn call(&self, request: Request<CallRequest>) -> Result<Response<CallReply>, Status> {
        let _pass = self.enter()?;
        let request = request.into_inner();
        let outcome = outcome(&self.0.core, request, None).await;
        Ok(Response::new(CallReply { outcome: Some(outcome), events: 0 }))
    }

    async fn replies(
        &self,
        request: Request<CallRequest>,
    ) -> Result<Response<Self::RepliesStream>, Status> {
        let pass = self.enter()?;
        let (core, request) = (self.0.core.clone(), request.into_inner());
        let (replies, stream) = mpsc::channel(REPLIES);
        let answering = async move {
            let _pass = pass;
            let answer = async {
                let outcome = outcome(&core, request, Some(replies.clone())).await;
                let (outcome, events) = (Some(outcome), core.events.count());
                replies.send(Ok(CallReply { outcome, events })).await
            };
            tokio::select! {
                () = replies.closed() => {}
                sent = answer => drop(sent),
            }
        };
        drop(self.0.core.tasks.spawn(answering));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn wake(&self, request: Request<WakeRequest>) -> Result<Response<WakeReply>, Status> {
        let _pass = self.enter()?;
        cron::woken(&self.0.core, request.into_inner().due_at_ms).await?;
        Ok(Response::new(WakeReply {}))
    }

    async fn serve(&self, request: Request<ServeRequest>) -> Result<Response<Held>, Status> {
        let pass = self.enter()?;
        let reply = openai::serve(&self.0.core, request.into_inner()).await;
        Ok(Response::new(Held::new(reply, pass)))
    }

    async fn export(
        &self,
        _request: Request<ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let pass = self.enter()?;
        archive::export(&self.0.core, pass).map(Response::new)
    }

    async fn import(
        &self,
        request: Request<Streaming<ArchivePart>>,
    ) -> Result<Response<ImportReply>, Status> {
        self.0.importing.import(request.into_inner()).await.map(Response::new)
    }

    async fn hear(&self, request: Request<ChannelEvent>) -> Result<Response<HearReply>, Status> {
        let _pass = self.enter()?;
        channels::hear(&self.0.core, request.into_inner()).await?;
        Ok(Response::new(HearReply {}))
    }

    async fn outbound(
        &self,
        request: Request<OutboundRequest>,
    ) -> Result<Response<Self::OutboundStream>, Status> {
        let _pass = self.enter()?;
        channels::outbound(&self.0.core, request.into_inner()).await.map(Response::new)
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainReply>, Status> {
        Ok(Response::new(self.0.drain(request.into_inner()).await))
    }
}

impl Inner {
    /// Takes the configuration, and what is due from now on.
    async fn begin(&self, request: StartRequest) -> Result<(), Status> {
        let models = Models::new(request.models, request.default_model);
        self.configure(request.configuration.unwrap_or_default())?;
        if self.core.models.set(models).is_err() {
            return Err(Status::failed_precondition("started already"));
        }
        self.make_directories().await;
        if !request.pack_only {
            cron::sync(&self.core);
        }
        Ok(())
    }

    /// Makes what every sandbox of the tenant gets, before the first one may be asked for. A worker
    /// goes on without: on a full disk there is still reading and deleting to do.
    async fn make_directories(&self) {
        let made = self.core.store.job(|root| {
            match mkdirat(root, tools::HOME, Mode::S_IRWXU) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(err) => return Err(Error::io("make the home")(err.into())),
            }
            archive::clean(root).map_err(Error::io("remove what an archive has left"))?;
            let Some(main) = store::agent_folder(root, &AgentId::main())? else { return Ok(()) };
            crate::agent::seed_workspace(&main).map(drop)
        });
        if let Err(err) = made.await {
            tracing::warn!(error = %types::Chain(&err), "the directories of sandboxes are missing");
        }
    }

    fn configure(&self, new: Configuration) -> Result<(), Status> {
        self.core.live.replace(new).map_err(|err| Status::invalid_argument(err.to_string()))
    }
}

/// What a method answers. Intermediate answers go to `interim`, where somebody wants them.
async fn outcome(
    core: &Core,
    request: CallRequest,
    interim: Option<mpsc::Sender<Result<CallReply, Status>>>,
) -> Outcome {
    let CallRequest { method, params, caller, request_id, event_id, settled, redelivered } =
        request;
    let caller = caller.unwrap_or_default();
    let call = Call { core, caller, request_id, interim, event_id, settled, redelivered };
    let answered = api::worker::dispatch(&call, &method, params).await;
    match answered.and_then(sendable) {
        Ok(result) => Outcome::Result(result.into()),
        Err(error) => Outcome::Error(CallError {
            code: error.code.name().to_owned(),
            message: error.message,
            retry_after_ms: error.retry_after_ms.unwrap_or(0),
            details: error.details.map_or_else(Bytes::new, |it| it.to_string().into()),
        }),
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

#[cfg(test)]
mod tests;
