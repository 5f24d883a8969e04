//! The `Worker` service: what may be asked when, and who answers it.
//!
//! Before `Start` everything else is refused, a second `Start` is refused, and after `Drain`
//! nothing new is accepted. What an answer says is decided elsewhere.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use api::ApiError;
use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};
use proto::worker::call_reply::Outcome;
use proto::worker::worker_server::{Worker as Service, WorkerServer};
use proto::worker::{
    CallReply, CallRequest, Configuration, ConfigureReply, DrainReply, DrainRequest,
    Error as CallError, EventsRequest, Probe, ServePart, ServeRequest, StartReply, StartRequest,
    WakeReply, WakeRequest,
};
use runtime::pair::Client;
use runtime::{Gate, Pass, Tasks, limits};
use sandbox::confine::Confinement;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};
use types::{AgentId, Clock, UnixMillis};

use crate::Error;
use crate::agent::Desk;
use crate::cron::{self, Cron};
use crate::events::{EventStream, Events};
use crate::heartbeat::Pulse;
use crate::memory::Memory;
use crate::methods::Call;
use crate::openai::{self, Models, Reply};
use crate::runs::Runs;
use crate::settings::Live;
use crate::skills::Cache;
use crate::store::{self, Store};
use crate::tools::{self, Programs, Spawns};
use crate::upcalls::{Egress, Llm, Sandbox, Timers};

/// How long runs that a drain has stopped may take to store what they have.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Replies of one call that wait for the supervisor.
const REPLIES: usize = 4;

/// How long a worker without a run waits before it gives memory back.
const QUIET: Duration = Duration::from_secs(1);

/// What every operation may use. Clones are handles to the same things.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) llm: Llm,
    pub(crate) sandbox: Sandbox,
    pub(crate) egress: Egress,
    pub(crate) programs: Programs,
    pub(crate) memory: Memory,
    pub(crate) runs: Runs,
    pub(crate) tasks: Tasks,
    pub(crate) events: Events,
    pub(crate) live: Live,
    pub(crate) skills: Cache,
    pub(crate) desk: Desk,
    pub(crate) cron: Arc<Cron>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) spawns: Spawns,
    /// Held by whoever remembers an idempotency key of a hook.
    pub(crate) hook_keys: Arc<tokio::sync::Mutex<()>>,
    /// Set by `Start`.
    models: Arc<OnceLock<Models>>,
    pub(crate) started_at: UnixMillis,
}

impl Core {
    /// The models that this tenant may use; none before `Start`.
    pub(crate) fn models(&self) -> &Models {
        static NONE: LazyLock<Models> = LazyLock::new(Models::default);
        self.models.get().unwrap_or(&NONE)
    }
}

/// The worker's side of pair A. Clones serve the same tenant.
#[derive(Debug, Clone)]
pub struct Worker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    core: Core,
    gate: Gate,
    confinement: Confinement,
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
        let live = Live::default();
        let store = Store::new(root, clock, live.clone());
        let cron = Arc::new(Cron::new(Timers::new(host.clone())));
        let (sandbox, egress) = (Sandbox::new(host.clone()), Egress::new(host.clone()));
        let (llm, runs, tasks) = (Llm::new(host), Runs::default(), tasks.clone());
        tasks.spawn_until_stopped(give_back_memory(runs.clone()));
        let events = Events::default();
        let models = Arc::default();
        let core = Core {
            store,
            llm,
            sandbox,
            egress,
            programs: Programs::default(),
            memory: Memory::default(),
            runs,
            tasks,
            events,
            live,
            skills: Cache::default(),
            desk: Desk::default(),
            cron,
            pulse: Arc::default(),
            spawns: Spawns::default(),
            hook_keys: Arc::default(),
            models,
            started_at,
        };
        Self(Arc::new(Inner { core, gate: Gate::default(), confinement }))
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

    async fn start(&self, request: Request<StartRequest>) -> Result<Response<StartReply>, Status> {
        let StartRequest { models, default_model, configuration } = request.into_inner();
        let models = Models::new(models, default_model);
        self.0.configure(configuration.unwrap_or_default())?;
        if self.0.core.models.set(models).is_err() {
            return Err(Status::failed_precondition("started already"));
        }
        self.0.make_directories().await;
        cron::sync(&self.0.core);
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
        Ok(Response::new(CallReply { outcome: Some(outcome) }))
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
                replies.send(Ok(CallReply { outcome: Some(outcome) })).await
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
        Ok(Response::new(Held { reply, rest: Bytes::new(), _pass: pass }))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainReply>, Status> {
        let deadline = Duration::from_millis(request.into_inner().deadline_ms.into());
        self.0.gate.close();
        self.0.core.cron.close();
        let emptied = tokio::time::timeout(deadline, self.0.emptied()).await;
        let mut cancelled = 0;
        if emptied.is_err() {
            cancelled = self.0.core.runs.count();
            self.0.core.runs.stop_all();
            let stopped = tokio::time::timeout(STOP_GRACE, self.0.emptied()).await;
            if stopped.is_err() {
                tracing::warn!(left = self.0.gate.passes(), "runs did not end when stopped");
            }
        }
        Ok(Response::new(DrainReply { cancelled }))
    }
}

impl Inner {
    /// Makes what every sandbox of the tenant gets, before the first one may be asked for. A worker
    /// goes on without: on a full disk there is still reading and deleting to do.
    async fn make_directories(&self) {
        let made = self.core.store.job(|root| {
            match mkdirat(root, tools::HOME, Mode::S_IRWXU) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(err) => return Err(Error::io("make the home")(err.into())),
            }
            let Some(main) = store::agent_folder(root, &AgentId::main())? else { return Ok(()) };
            crate::agent::seed_workspace(&main).map(drop)
        });
        if let Err(err) = made.await {
            tracing::warn!(error = %types::Chain(&err), "the directories of sandboxes are missing");
        }
    }

    /// Waits until nobody waits for an answer, and no run goes on in the background.
    async fn emptied(&self) {
        self.gate.emptied().await;
        self.core.runs.emptied().await;
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
    let CallRequest { method, params, caller, request_id } = request;
    let caller = caller.unwrap_or_default();
    let call = Call { core, caller, request_id, interim };
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
