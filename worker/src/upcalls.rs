//! What the worker asks of the supervisor, each power its own type.

use proto::host::attachments_client::AttachmentsClient;
use proto::host::egress_client::EgressClient;
use proto::host::intent_request::Sink;
use proto::host::llm_client::LlmClient;
use proto::host::outbox_client::OutboxClient;
use proto::host::sandbox_client::SandboxClient;
use proto::host::timers_client::TimersClient;
use proto::host::{
    AttachmentPart, AttachmentRequest, ChannelSink, EmbedReply, EmbedRequest, FetchPart,
    FetchRequest, IntentRequest, LlmBatch, LlmRequest, RunEvent, RunRequest, ShowRequest,
    TimerRequest, WaitingRequest, WebhookSink,
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
        let over = String::new();
        self.0.clone().submit(IntentRequest { intent_id, sink, parts, over }).await.map(drop)
    }

    /// Hands over messages of a chat network, in their order; they are kept when this returns, and once
    /// for each id. The first takes the place of the first of `over`, where that is there.
    pub(crate) async fn say(
        &self,
        id: &str,
        handle: &str,
        parts: Vec<Vec<u8>>,
        over: Option<&str>,
    ) -> Result<(), Status> {
        let sink = Some(Sink::Channel(ChannelSink { handle: handle.to_owned() }));
        let parts = parts.into_iter().map(Into::into).collect();
        let (intent_id, over) = (id.to_owned(), over.unwrap_or_default().to_owned());
        self.0.clone().submit(IntentRequest { intent_id, sink, parts, over }).await.map(drop)
    }

    /// The intents that are still to be sent.
    pub(crate) async fn waiting(&self) -> Result<Vec<String>, Status> {
        Ok(self.0.clone().waiting(WaitingRequest {}).await?.into_inner().intent_ids)
    }

    /// Puts `part` in the place of the first part of `id`, or shows that something is being written. It may
    /// be lost.
    pub(crate) async fn show(
        &self,
        handle: &str,
        part: Option<(&str, Vec<u8>)>,
    ) -> Result<bool, Status> {
        let (id, part) = part.unwrap_or_default();
        let channel = Some(ChannelSink { handle: handle.to_owned() });
        let request = ShowRequest { channel, intent_id: id.to_owned(), part: part.into() };
        Ok(self.0.clone().show(request).await?.into_inner().is_shown)
    }
}

/// What came with messages of chat networks. Clones share the connection.
#[derive(Debug, Clone)]
pub(crate) struct Attachments(AttachmentsClient<Client>);

impl Attachments {
    /// What came with messages, over `client`.
    pub(crate) fn new(client: Client) -> Self {
        Self(AttachmentsClient::new(client).max_decoding_message_size(limits::MAX_MESSAGE))
    }

    /// Fetches one of at most so many bytes.
    pub(crate) async fn fetch(
        &self,
        handle: &str,
        reference: &str,
        most: u64,
    ) -> Result<Vec<u8>, Status> {
        let (handle, reference) = (handle.to_owned(), reference.to_owned());
        let request = AttachmentRequest { handle, reference };
        let mut parts = self.0.clone().fetch(request).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(AttachmentPart { data }) = parts.message().await? {
            bytes.extend_from_slice(&data);
            if u64::try_from(bytes.len()).is_ok_and(|len| len > most) {
                return Err(Status::resource_exhausted(format!("it has more than {most} bytes")));
            }
        }
        Ok(bytes)
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
