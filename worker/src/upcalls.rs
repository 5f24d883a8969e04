//! What the worker asks of the supervisor, each power its own type.

use proto::host::llm_client::LlmClient;
use proto::host::{LlmBatch, LlmRequest};
use runtime::limits;
use runtime::pair::Client;
use tonic::{Status, Streaming};

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
}
