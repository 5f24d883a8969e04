//! What the worker asks of the supervisor, each power its own type.

use proto::host::egress_client::EgressClient;
use proto::host::intent_request::Sink;
use proto::host::llm_client::LlmClient;
use proto::host::outbox_client::OutboxClient;
use proto::host::sandbox_client::SandboxClient;
use proto::host::timers_client::TimersClient;
use proto::host::{
    EmbedReply, EmbedRequest, FetchPart, FetchRequest, IntentRequest, LlmBatch, LlmRequest,
    RunEvent, RunRequest, TimerRequest, WebhookSink,
};
use runtime::limits;
use runtime::pair::Client;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// The id of a call that no client's request has led to: of the form that the supervisor's have, and of
/// no request that it knows, so that what is used counts for no token.
pub(crate) fn own_id() -> String {
    format!("req_{}", uuid::Uuid::new_v4().simple())
}

/// Model calls. Clones share the connection.
#[derive(Debug, Clone)]
pub(crate) struct Llm(LlmClient<Client>);

impl Llm {
    /// Model calls over `client`.
    pub(crate) fn new(client: Client) -> Self {
        let client = LlmClient::new(client)
            .max_decoding_message_size(limits::MAX_MESSAGE)
            .max_encoding_message_size(limits::MAX_MESSAGE);
        Self(client)
    }

    /// Starts a model call. Dropping the stream, or this future, cancels it.
    pub(crate) async fn stream(&self, request: LlmRequest) -> Result<Streaming<LlmBatch>, Status> {
        Ok(self.0.clone().stream(request).await?.into_inner())
    }

    /// Texts as vectors. Dropping this future cancels it.
    pub(crate) async fn embed(&self, request: EmbedRequest) -> Result<EmbedReply, Status> {
        Ok(self.0.clone().embed(request).await?.into_inner())
    }
}

/// The one timer of this worker. Clones share the connection.
#[derive(Debug, Clone)]
pub(crate) struct Timers(TimersClient<Client>);

impl Timers {
    /// The timer over `client`.
    pub(crate) fn new(client: Client) -> Self {
        Self(TimersClient::new(client))
    }

    /// Sets when the supervisor wakes this worker; durable when this returns.
    pub(crate) async fn set(&self, at: Option<u64>) -> Result<(), Status> {
        self.0.clone().set(TimerRequest { at_ms: at.unwrap_or(0) }).await.map(drop)
    }
}

/// What leaves the tenant's own sessions. Clones share the connection.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(OutboxClient<Client>);

impl Outbox {
    /// The box over `client`.
    pub(crate) fn new(client: Client) -> Self {
        Self(OutboxClient::new(client))
    }

    /// Hands over JSON that is to be posted; it is kept when this returns, and once for each id.
    pub(crate) async fn post(&self, id: &str, url: &str, json: String) -> Result<(), Status> {
        let sink = Some(Sink::Webhook(WebhookSink { url: url.to_owned() }));
        let (intent_id, parts) = (id.to_owned(), vec![json.into()]);
        self.0.clone().submit(IntentRequest { intent_id, sink, parts }).await.map(drop)
    }
}

/// Programs in sandboxes. Clones share the connection.
#[derive(Debug, Clone)]
pub(crate) struct Sandbox(SandboxClient<Client>);

impl Sandbox {
    /// Programs over `client`.
    pub(crate) fn new(client: Client) -> Self {
        Self(SandboxClient::new(client))
    }

    /// Starts the program that the first of `requests` is. Dropping what it says ends the program,
    /// and everything that it left behind.
    pub(crate) async fn run(
        &self,
        requests: mpsc::Receiver<RunRequest>,
    ) -> Result<Streaming<RunEvent>, Status> {
        Ok(self.0.clone().run(ReceiverStream::new(requests)).await?.into_inner())
    }
}

/// The one way to the web. Clones share the connection.
#[derive(Debug, Clone)]
pub(crate) struct Egress(EgressClient<Client>);

impl Egress {
    /// The way over `client`.
    pub(crate) fn new(client: Client) -> Self {
        Self(EgressClient::new(client))
    }

    /// Fetches one document. Dropping the stream, or this future, gives it up.
    pub(crate) async fn fetch(
        &self,
        request: FetchRequest,
    ) -> Result<Streaming<FetchPart>, Status> {
        Ok(self.0.clone().fetch(request).await?.into_inner())
    }
}
