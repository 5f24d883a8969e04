//! Model calls as they come from a worker that may have been taken over: bounded before anything
//! of their size is kept. A message's length is known from its first five bytes; what does not fit
//! is refused rather than kept waiting, because a call that waits with half a message would fill
//! the connection's window and stop the calls that have their room.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body as HttpBody;
use proto::host::llm_server::LlmServer;
use runtime::limits::MAX_MESSAGE;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tower::{BoxError, Service};

use crate::{Llm, failure};

mod shape;

/// Bytes of messages of one worker that are read, or whose calls have no answer yet: three of the
/// longest. Decoded and translated, each takes a few times as much.
const BUDGET: usize = 64 << 20;

/// Calls of one worker for vectors that are under way or whose answer has not been taken: an answer
/// is whole in memory until it is.
const EMBEDS: usize = 4;

/// What stands before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The path of the one call whose texts are not messages.
const EMBED: &str = "/openclawmu.host.v1.Llm/Embed";

/// The power to call models, as it is served on one worker's pair.
#[derive(Debug, Clone)]
pub struct Intake {
    llm: LlmServer<Llm>,
    budget: Arc<Semaphore>,
    embeds: Arc<Semaphore>,
}

/// Room for one message; given back when nothing refers to the request any more.
#[derive(Debug, Clone)]
struct Room {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Intake {
    pub(crate) fn new(llm: Llm) -> Self {
        let llm = LlmServer::new(llm)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let (budget, embeds) = (Semaphore::new(BUDGET), Semaphore::new(EMBEDS));
        Self { llm, budget: Arc::new(budget), embeds: Arc::new(embeds) }
    }

    /// The one message of a call, and the room that it takes.
    async fn read<B>(&self, body: B) -> Result<(Bytes, Room), Status>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let mut body = pin!(body);
        let mut message = BytesMut::new();
        let mut known: Option<(usize, Room)> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|err| Status::from_error(err.into()))?;
            // Trailers say nothing that is of use here.
            let Ok(data) = frame.into_data() else { continue };
            message.extend_from_slice(&data);
            if known.is_none() {
                known = self.room(&message)?;
                if let Some((length, _)) = &known {
                    message.reserve(length.saturating_sub(message.len()));
                }
            }
            if known.as_ref().is_some_and(|(length, _)| message.len() > *length) {
                return Err(Status::invalid_argument("a call is one message"));
            }
        }
        match known {
            Some((length, room)) if message.len() == length => Ok((message.freeze(), room)),
            _ => Err(Status::invalid_argument("the message is not complete")),
        }
    }

    /// The length with its prefix and the room, once as much has arrived as says so.
    fn room(&self, begun: &[u8]) -> Result<Option<(usize, Room)>, Status> {
        let Some([_compressed, length @ ..]) = begun.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length);
        let bytes = usize::try_from(length).unwrap_or(usize::MAX);
        if bytes > MAX_MESSAGE {
            return Err(Status::out_of_range("the message is too long"));
        }
        match Arc::clone(&self.budget).try_acquire_many_owned(length) {
            Ok(permit) => Ok(Some((bytes + PREFIX, Room { _permit: Arc::new(permit) }))),
            Err(_full) => {
                Err(failure::busy("too many large requests of this tenant are under way"))
            }
        }
    }
}

impl<B> Service<http::Request<B>> for Intake
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let mut intake = self.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let (message, room) = match intake.read(body).await {
                Ok(read) => read,
                Err(status) => return Ok(status.into_http()),
            };
            let embeds = head.uri.path() == EMBED;
            let nested = if embeds { shape::OF_EMBED } else { shape::OF_STREAM };
            if let Err(refused) = shape::check(message.get(PREFIX..).unwrap_or_default(), nested) {
                return Ok(Status::invalid_argument(refused.to_string()).into_http());
            }
            // The request owns its extensions, so the room is given back when the request ends.
            head.extensions.insert(room);
            let request = http::Request::from_parts(head, Full::new(message));
            if !embeds {
                return intake.llm.call(request).await;
            }
            let turn = Arc::clone(&intake.embeds).acquire_owned().await;
            let response = intake.llm.call(request).await?;
            // The turn is over when the answer's body is: sent to its end, or given up.
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _turn = &turn;
                    frame
                }))
            }))
        })
    }
}

#[cfg(test)]
mod tests;
