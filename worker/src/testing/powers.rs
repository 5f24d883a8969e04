//! The powers of the host that tools use: programs and documents do what the test says.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proto::host::egress_server::{Egress, EgressServer};
use proto::host::outbox_server::{Outbox, OutboxServer};
use proto::host::run_event::What;
use proto::host::run_request::What as Asked;
use proto::host::sandbox_server::{Sandbox, SandboxServer};
use proto::host::timers_server::{Timers, TimersServer};
use proto::host::{
    Command, Ended, FetchHead, FetchPart, FetchRequest, IntentReply, IntentRequest, RunEvent,
    RunRequest, Running, ShowReply, ShowRequest, TimerReply, TimerRequest, Waiting, WaitingReply,
    WaitingRequest,
};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

/// The programs that the worker starts.
pub(crate) type Programs = mpsc::UnboundedReceiver<Program>;
/// The documents that the worker fetches.
pub(crate) type Fetches = mpsc::UnboundedReceiver<Fetch>;

/// A program that does what the test says; it ends when dropped.
pub(crate) struct Program {
    pub(crate) command: Command,
    input: Streaming<RunRequest>,
    said: mpsc::Sender<Result<RunEvent, Status>>,
}

impl Program {
    pub(crate) async fn say(&self, what: What) {
        self.said.send(Ok(RunEvent { what: Some(what) })).await.expect("the worker listens");
    }

    pub(crate) async fn wait_for_approval(&self, id: &str) {
        let (approval_id, expires_at_ms) = (id.to_owned(), 0);
        self.say(What::Waiting(Waiting { approval_id, expires_at_ms })).await;
    }

    pub(crate) async fn run(&self) {
        self.say(What::Running(Running { id: 1 })).await;
    }

    pub(crate) async fn print(&self, text: &str) {
        self.say(What::Stdout(text.as_bytes().to_vec().into())).await;
    }

    pub(crate) async fn end(self, reason: &str, code: i32) {
        let reason = reason.to_owned();
        self.say(What::Ended(Ended { reason, code, wall_ms: 7, ..Ended::default() })).await;
    }

    pub(crate) async fn refuse(self, status: Status) {
        self.said.send(Err(status)).await.expect("the worker listens");
    }

    /// What the worker sends next.
    pub(crate) async fn asked(&mut self) -> Asked {
        self.input.next().await.expect("the worker sends").unwrap().what.unwrap()
    }

    /// Resolves when the worker has given the call up.
    pub(crate) async fn is_given_up(&self) {
        self.said.closed().await;
    }
}

/// A fetch that waits for the test.
pub(crate) struct Fetch {
    pub(crate) request: FetchRequest,
    said: mpsc::Sender<Result<FetchPart, Status>>,
}

impl Fetch {
    /// Answers with a document, in two parts.
    pub(crate) async fn answer(self, status: u32, content_type: &str, body: &[u8]) {
        let (url, content_type) = (self.request.url.clone(), content_type.to_owned());
        let head = Some(FetchHead { status, url, content_type, redirects: 0 });
        let (first, second) = body.split_at(body.len() / 2);
        for (head, data) in [(head, first), (None, second)] {
            let data = data.to_vec().into();
            let part = FetchPart { head, data, truncated: false };
            self.said.send(Ok(part)).await.expect("the worker listens");
        }
    }

    pub(crate) async fn refuse(self, status: Status) {
        self.said.send(Err(status)).await.expect("the worker listens");
    }
}

/// The times that the worker asked to be woken at, oldest first; 0 for none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alarms(Arc<std::sync::Mutex<Vec<u64>>>, Arc<AtomicBool>);

impl Alarms {
    pub(crate) fn last(&self) -> Option<u64> {
        self.0.lock().unwrap().last().copied()
    }

    /// Takes no times from now on, or takes them again.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.1.store(refuses, Ordering::Release);
    }
}

#[tonic::async_trait]
impl Timers for Alarms {
    async fn set(&self, request: Request<TimerRequest>) -> Result<Response<TimerReply>, Status> {
        if self.1.load(Ordering::Acquire) {
            return Err(Status::unavailable("the timer could not be written"));
        }
        self.0.lock().unwrap().push(request.into_inner().at_ms);
        Ok(Response::new(TimerReply {}))
    }
}

/// The outbox: what is posted to an address with a user's name in it is refused for good.
#[derive(Debug, Clone, Default)]
pub(crate) struct Letters(
    Arc<std::sync::Mutex<Vec<Said>>>,
    Arc<AtomicBool>,
    Arc<std::sync::Mutex<Vec<Said>>>,
    Arc<std::sync::Mutex<HashMap<String, String>>>,
    Arc<AtomicBool>,
);

/// What was said over networks: id, handle, and each part.
pub(crate) type Said = (String, String, Vec<String>);

impl Letters {
    pub(crate) fn said(&self) -> Vec<Said> {
        self.0.lock().unwrap().clone()
    }

    /// What an intent takes the place of.
    pub(crate) fn over(&self, id: &str) -> Option<String> {
        self.3.lock().unwrap().get(id).cloned()
    }

    /// Everything that was said is where it goes, and nothing waits any more.
    pub(crate) fn bring(&self) {
        self.4.store(true, Ordering::Release);
    }

    /// What was shown and not kept.
    pub(crate) fn shown(&self) -> Vec<Said> {
        self.2.lock().unwrap().clone()
    }

    /// Keeps nothing from now on, or keeps it again.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.1.store(refuses, Ordering::Release);
    }
}

#[tonic::async_trait]
impl Outbox for Letters {
    async fn submit(
        &self,
        request: Request<IntentRequest>,
    ) -> Result<Response<IntentReply>, Status> {
        use proto::host::intent_request::Sink;
        if self.1.load(Ordering::Acquire) {
            return Err(Status::unavailable("it could not be kept"));
        }
        let IntentRequest { intent_id, sink, parts, over } = request.into_inner();
        let text = |part: &bytes::Bytes| String::from_utf8_lossy(part).into_owned();
        match sink {
            Some(Sink::Webhook(webhook)) if webhook.url.contains('@') => {
                return Err(Status::invalid_argument("url has a user's name in it"));
            }
            Some(Sink::Webhook(_)) => {}
            Some(Sink::Channel(channel)) => {
                let parts = parts.iter().map(text).collect();
                self.3.lock().unwrap().insert(intent_id.clone(), over);
                let mut said = self.0.lock().unwrap();
                if said.iter().all(|(id, ..)| *id != intent_id) {
                    said.push((intent_id, channel.handle, parts));
                }
            }
            None => return Err(Status::invalid_argument("sink is missing")),
        }
        Ok(Response::new(IntentReply { state: "ready".to_owned() }))
    }

    async fn waiting(
        &self,
        _request: Request<WaitingRequest>,
    ) -> Result<Response<WaitingReply>, Status> {
        let is_brought = self.4.load(Ordering::Acquire);
        let said = if is_brought { Vec::new() } else { self.said() };
        Ok(Response::new(WaitingReply { intent_ids: said.into_iter().map(|it| it.0).collect() }))
    }

    async fn show(&self, request: Request<ShowRequest>) -> Result<Response<ShowReply>, Status> {
        let ShowRequest { channel, intent_id, part } = request.into_inner();
        let handle = channel.expect("a conversation").handle;
        let part = String::from_utf8_lossy(&part).into_owned();
        self.2.lock().unwrap().push((intent_id, handle, vec![part]));
        Ok(Response::new(ShowReply { is_shown: true }))
    }
}

struct Powers<T>(mpsc::UnboundedSender<T>);

#[tonic::async_trait]
impl Sandbox for Powers<Program> {
    type RunStream = ReceiverStream<Result<RunEvent, Status>>;

    async fn run(
        &self,
        request: Request<Streaming<RunRequest>>,
    ) -> Result<Response<Self::RunStream>, Status> {
        let mut input = request.into_inner();
        let first = input.next().await.expect("a command").unwrap().what;
        let Some(Asked::Command(command)) = first else { panic!("the first is the command") };
        let (said, events) = mpsc::channel(8);
        let given = self.0.send(Program { command, input, said });
        given.map_err(|_closed| Status::unavailable("no test"))?;
        Ok(Response::new(ReceiverStream::new(events)))
    }
}

#[tonic::async_trait]
impl Egress for Powers<Fetch> {
    type FetchStream = ReceiverStream<Result<FetchPart, Status>>;

    async fn fetch(
        &self,
        request: Request<FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        let (said, parts) = mpsc::channel(8);
        let given = self.0.send(Fetch { request: request.into_inner(), said });
        given.map_err(|_closed| Status::unavailable("no test"))?;
        Ok(Response::new(ReceiverStream::new(parts)))
    }
}

/// Adds the powers to what the host serves.
pub(super) fn add(routes: Routes, alarms: &Alarms) -> (Routes, (Programs, Fetches, Letters)) {
    let letters = Letters::default();
    let (started, programs) = mpsc::unbounded_channel();
    let (asked, fetches) = mpsc::unbounded_channel();
    let routes = routes
        .add_service(TimersServer::new(alarms.clone()))
        .add_service(SandboxServer::new(Powers(started)))
        .add_service(EgressServer::new(Powers(asked)))
        .add_service(OutboxServer::new(letters.clone()));
    (routes, (programs, fetches, letters))
}
