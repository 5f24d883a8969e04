//! One HTTP/1.1 request over one connection, which is used for nothing else and closed afterwards.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use runtime::Tasks;
use tokio::task::AbortHandle;

use crate::line::Io;

/// Bytes of the head of an answer, and of what is read of its body at once.
const MAX_BUFFER: usize = 64 << 10;

/// Headers of an answer.
const MAX_HEADERS: usize = 128;

/// The body of an answer. The connection ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    body: Incoming,
    _drive: Drive,
}

/// What drives a connection.
#[derive(Debug)]
struct Drive(AbortHandle);

impl Drop for Drive {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Sends `request` and waits for the head of the answer.
pub(crate) async fn send<B>(
    line: Box<dyn Io>,
    request: Request<B>,
    tasks: &Tasks,
) -> Result<Response<Held>, hyper::Error>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut builder = Builder::new();
    builder.max_buf_size(MAX_BUFFER).max_headers(MAX_HEADERS);
    let (mut sender, connection) = builder.handshake(TokioIo::new(line)).await?;
    let scope = tasks.clone();
    let driven = tasks.spawn(async move {
        tokio::select! {
            () = scope.stopping() => {}
            ended = connection => if let Err(err) = ended {
                tracing::debug!(error = %types::Chain(&err), "connection to a host ended");
            }
        }
    });
    let drive = Drive(driven.abort_handle());
    let response = sender.send_request(request).await?;
    Ok(response.map(|body| Held { body, _drive: drive }))
}
