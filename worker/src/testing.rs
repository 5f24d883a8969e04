//! A worker on a directory of its own, and a host whose model says what the test says.

mod left;
mod powers;

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use proto::host::llm_event::Event;
use proto::host::llm_server::{Llm, LlmServer};
use proto::host::{
    EmbedReply, EmbedRequest, Finished, LlmBatch, LlmEvent, LlmRequest, Started, ToolCallDelta,
    Usage, Vector,
};
use proto::worker::worker_client::WorkerClient;
use proto::worker::worker_event::What;
use proto::worker::{
    CallReply, CallRequest, Configuration, EventsRequest, Head, Model, Route, ServePart,
    ServeRequest, StartRequest, WakeRequest, WorkerEvent, call_reply::Outcome,
};
use runtime::pair::Client;
use runtime::pair::{connect, serve};
use runtime::{Tasks, limits};
use sandbox::confine::Confinement;
use sandbox::pairs;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use types::ManualClock;

use crate::Worker;
use crate::service::Core;
pub(crate) use left::left;
pub(crate) use powers::{Alarms, Fetches, Letters, Program, Programs};

/// 2026-11-22T12:00:00Z.
pub(crate) const NOW: u64 = 1_795_348_800_000;

/// What a model's stream gives.
type Given = Result<LlmBatch, Status>;
type Opened = Result<ReceiverStream<Given>, Status>;

pub(crate) type Batches = mpsc::Sender<Given>;

/// A model call that waits for the test.
pub(crate) struct ModelCall {
    pub(crate) request: LlmRequest,
    open: oneshot::Sender<Opened>,
}

impl ModelCall {
    /// Opens the stream; dropping the sender ends it.
    pub(crate) fn open(self) -> Batches {
        let (batches, stream) = mpsc::channel(64);
        assert!(self.open.send(Ok(ReceiverStream::new(stream))).is_ok(), "the worker waits");
        batches
    }

    /// Fails the call before anything is streamed.
    pub(crate) fn refuse(self, status: Status) {
        assert!(self.open.send(Err(status)).is_ok(), "the worker waits");
    }
}

struct Scripted(mpsc::UnboundedSender<ModelCall>);

#[tonic::async_trait]
impl Llm for Scripted {
    type StreamStream = ReceiverStream<Given>;

    async fn stream(
        &self,
        request: Request<LlmRequest>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let (open, opened) = oneshot::channel();
        let call = ModelCall { request: request.into_inner(), open };
        self.0.send(call).map_err(|_closed| Status::unavailable("no test"))?;
        Ok(Response::new(opened.await.map_err(|_dropped| Status::internal("dropped"))??))
    }

    async fn embed(&self, request: Request<EmbedRequest>) -> Result<Response<EmbedReply>, Status> {
        // The length of each text, and a number that tells rounding from truth.
        let vector = |text: &String| Vector {
            values: vec![f32::from(u16::try_from(text.len()).unwrap()), 0.1],
        };
        let EmbedRequest { model, input, .. } = request.into_inner();
        let usage = Usage { input_tokens: 5, ..Usage::default() };
        let (provider, vectors) = ("mock".to_owned(), input.iter().map(vector).collect());
        Ok(Response::new(EmbedReply { provider, model, vectors, usage: Some(usage) }))
    }
}

/// The two ends of a worker.
pub(crate) struct Harness {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) alarms: Alarms,
    pub(crate) client: WorkerClient<Client>,
    pub(crate) calls: mpsc::UnboundedReceiver<ModelCall>,
    pub(crate) programs: Programs,
    pub(crate) fetches: Fetches,
    pub(crate) letters: Letters,
    pub(crate) core: Core,
    pub(crate) root: PathBuf,
    /// Stops everything when dropped, before the directory goes.
    _tasks: StopOnDrop,
    _directory: Option<tempfile::TempDir>,
}

struct StopOnDrop(Tasks);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A whole reply.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) parts: usize,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The events of an event stream; the last must be the end mark.
    pub(crate) fn events(&self) -> Vec<Value> {
        let body = self.body.strip_suffix("data: [DONE]\n\n").expect("the end mark");
        let events = body.split_terminator("\n\n");
        events
            .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
            .collect()
    }
}

impl Harness {
    /// A started worker on an empty directory.
    pub(crate) async fn new() -> Self {
        let mut harness = Self::unstarted().await;
        harness.start().await.unwrap();
        harness
    }

    /// A started worker on `root`.
    pub(crate) async fn on(root: PathBuf) -> Self {
        let mut harness = Self::assemble(root, two_pairs()).await;
        harness.start().await.unwrap();
        harness
    }

    pub(crate) async fn unstarted() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        Self { _directory: Some(directory), ..Self::assemble(root, two_pairs()).await }
    }

    /// A worker on `root` over the pairs A and B.
    pub(crate) async fn assemble(root: PathBuf, pairs: [(UnixStream, UnixStream); 2]) -> Self {
        let tasks = Tasks::default();
        let (asked, calls) = mpsc::unbounded_channel();
        let [(near_a, far_a), (near_b, far_b)] = pairs;
        let (server, scope) = (LlmServer::new(Scripted(asked)), tasks.clone());
        let server = server.max_decoding_message_size(limits::MAX_MESSAGE);
        let alarms = Alarms::default();
        let (powers, (programs, fetches, letters)) = powers::add(Routes::new(server), &alarms);
        drop(tasks.spawn(async move { serve(powers, far_b, &scope).await }));
        let host = connect(near_b, &tasks).await.unwrap();
        let confinement =
            Confinement { landlock_abi: 7, probes: vec![("execve", true)], degraded: Vec::new() };
        let clock = Arc::new(ManualClock::at(NOW));
        let worker =
            Worker::new(root.clone(), host, confinement, Arc::<ManualClock>::clone(&clock), &tasks);
        let (scope, core) = (tasks.clone(), worker.core());
        drop(tasks.spawn(async move { serve(worker.into_service(), far_a, &scope).await }));
        let client = WorkerClient::new(connect(near_a, &tasks).await.unwrap())
            .max_decoding_message_size(limits::MAX_RESULT + limits::MAX_AROUND)
            .max_encoding_message_size(limits::MAX_MESSAGE);
        Self {
            clock,
            alarms,
            client,
            calls,
            programs,
            fetches,
            letters,
            core,
            root,
            _tasks: StopOnDrop(tasks),
            _directory: None,
        }
    }

    pub(crate) async fn start(&mut self) -> Result<(), Status> {
        let models = ["demo", "gpt-x"];
        let model = |name: &str| Model { provider: "mock".to_owned(), name: name.to_owned() };
        let models = models.into_iter().map(model).collect();
        let default_model = "mock/demo".to_owned();
        let request = StartRequest { models, default_model, ..StartRequest::default() };
        self.client.start(request).await.map(drop)
    }

    /// Lets time pass and rings the timer, as the supervisor does.
    pub(crate) async fn wake(&self, after_ms: u64) {
        self.clock.advance(after_ms);
        let due_at_ms = self.alarms.last().unwrap_or(0);
        self.ring(due_at_ms).await.unwrap();
    }

    /// Wakes the worker for this time.
    pub(crate) async fn ring(&self, due_at_ms: u64) -> Result<(), Status> {
        self.client.clone().wake(WakeRequest { due_at_ms }).await.map(drop)
    }

    /// Everything that happens from now on, or happened before; to be asked for once.
    pub(crate) async fn events(&self) -> Happenings {
        Happenings(self.told().await)
    }

    /// Sends a chat completion with a session key.
    pub(crate) fn send(
        &self,
        session_key: &str,
        body: &Value,
    ) -> impl Future<Output = Streaming<ServePart>> + use<> {
        let served = self.serve(ServeRequest {
            route: Route::ChatCompletions.into(),
            body: body.to_string().into(),
            session_key: session_key.to_owned(),
            request_id: "req".to_owned(),
            ..ServeRequest::default()
        });
        async { served.await.unwrap() }
    }

    pub(crate) fn serve(
        &self,
        request: ServeRequest,
    ) -> impl Future<Output = Result<Streaming<ServePart>, Status>> + use<> {
        let mut client = self.client.clone();
        async move { Ok(client.serve(request).await?.into_inner()) }
    }

    /// Sends a chat completion and lets the model answer it with `batches`.
    pub(crate) async fn ask(
        &mut self,
        session_key: &str,
        body: &Value,
        batches: Vec<Vec<Event>>,
    ) -> (Answer, LlmRequest) {
        let sent = self.send(session_key, body);
        let model = async {
            let call = self.calls.recv().await.unwrap();
            let request = call.request.clone();
            let reply = call.open();
            for events in batches {
                reply.send(Ok(batch(events))).await.unwrap();
            }
            request
        };
        tokio::join!(async { read(sent.await).await }, model)
    }

    /// Sends a chat completion and gives the open reply beside the open model call.
    pub(crate) async fn open(
        &mut self,
        session_key: &str,
        body: &Value,
    ) -> (Streaming<ServePart>, Batches) {
        let sent = self.send(session_key, body);
        let model = async { self.calls.recv().await.unwrap().open() };
        tokio::join!(sent, model)
    }

    /// Sends a chat completion that must be answered without a model.
    pub(crate) async fn refused(&self, session_key: &str, body: &Value) -> Answer {
        read(self.send(session_key, body).await).await
    }

    /// Calls a method.
    pub(crate) async fn call(&self, method: &str, params: &Value) -> Result<Value, String> {
        self.deliver("", method, params).await
    }

    /// Calls a method, as an event that comes again where it has a name.
    pub(crate) async fn deliver(
        &self,
        event: &str,
        method: &str,
        params: &Value,
    ) -> Result<Value, String> {
        let (method, params) = (method.to_owned(), params.to_string().into());
        let (event_id, redelivered) = (event.to_owned(), !event.is_empty());
        let request =
            CallRequest { method, params, event_id, redelivered, ..CallRequest::default() };
        let reply = self.client.clone().call(request).await.unwrap().into_inner();
        match reply.outcome.unwrap() {
            Outcome::Result(result) => Ok(serde_json::from_slice(&result).unwrap()),
            Outcome::Error(error) => Err(format!("{}: {}", error.code, error.message)),
            Outcome::Interim(_) => panic!("an answer before the last one"),
        }
    }

    /// Gives the worker other settings.
    pub(crate) async fn configure(&self, settings: &Value) {
        let settings = settings.to_string().into();
        let configuration = Configuration { settings, ..Configuration::default() };
        self.client.clone().configure(configuration).await.unwrap();
    }

    /// The events, which can be asked for once.
    pub(crate) async fn told(&self) -> Streaming<WorkerEvent> {
        self.client.clone().events(EventsRequest {}).await.unwrap().into_inner()
    }

    /// Calls a method that answers more than once.
    pub(crate) async fn replies(&self, method: &str, params: &Value) -> Streaming<CallReply> {
        let (method, params) = (method.to_owned(), params.to_string().into());
        let request = CallRequest { method, params, ..CallRequest::default() };
        self.client.clone().replies(request).await.unwrap().into_inner()
    }

    /// The only transcript of `main`, line by line.
    pub(crate) fn transcript(&self) -> Vec<Value> {
        let folder = self.root.join("agents/main/sessions");
        let mut paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let path = paths.find(|path| path.extension() == Some("jsonl".as_ref())).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The events of a worker.
pub(crate) struct Happenings(Streaming<WorkerEvent>);

impl Happenings {
    /// The next event `name` that `is` the one, however many others come before it.
    pub(crate) async fn next(&mut self, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        let patience = std::time::Duration::from_secs(20);
        let found = async {
            loop {
                let event = self.0.next().await.expect("the worker lives").unwrap();
                let Some(What::Event(event)) = event.what else { continue };
                let payload: Value = serde_json::from_slice(&event.payload).unwrap();
                if event.name == name && is(&payload) {
                    return payload;
                }
            }
        };
        tokio::time::timeout(patience, found).await.expect("the event comes")
    }
}

/// Reads a reply to its end.
pub(crate) async fn read(mut stream: Streaming<ServePart>) -> Answer {
    let mut answer = Answer { head: Head::default(), parts: 0, body: String::new() };
    while let Some(part) = stream.next().await {
        let part = part.unwrap();
        assert_eq!(part.head.is_some(), answer.parts == 0, "the head is in the first part only");
        answer.head = part.head.unwrap_or(answer.head);
        answer.body.push_str(std::str::from_utf8(&part.data).unwrap());
        answer.parts += 1;
    }
    answer
}

pub(crate) fn batch(events: Vec<Event>) -> LlmBatch {
    LlmBatch { events: events.into_iter().map(|event| LlmEvent { event: Some(event) }).collect() }
}

pub(crate) fn started() -> Event {
    Event::Started(Started { provider: "mock".to_owned(), model: "demo".to_owned() })
}

pub(crate) fn text(text: &str) -> Event {
    Event::Text(text.to_owned())
}

pub(crate) fn tool_call(index: u32, id: &str, name: &str, arguments: &str) -> Event {
    let (id, name, arguments) = (id.to_owned(), name.to_owned(), arguments.to_owned());
    Event::ToolCall(ToolCallDelta { index, id, name, arguments })
}

pub(crate) fn finished(reason: &str) -> Event {
    let usage = Usage { input_tokens: 7, output_tokens: 3, cached_tokens: 2, reasoning_tokens: 1 };
    Event::Finished(Finished { reason: reason.to_owned(), usage: Some(usage) })
}

/// The pairs A and B, as the supervisor makes them.
pub(crate) fn two_pairs() -> [(UnixStream, UnixStream); 2] {
    [pairs::pair().unwrap(), pairs::pair().unwrap()]
}
