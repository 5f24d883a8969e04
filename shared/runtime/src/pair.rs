//! gRPC over one inherited Unix socket pair: each end is used once, and nobody reconnects.

use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tonic::body::Body;
use tower::{BoxError, Service};

use crate::limits::Bounds;
use crate::{Tasks, limits};

/// Why a pair cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket could not be handed to the runtime.
    #[error("the inherited socket is not usable")]
    Socket(#[source] std::io::Error),
    /// The HTTP/2 connection failed.
    #[error("the connection over the pair ended with an error")]
    Connection(#[source] hyper::Error),
}

/// The calling end. Clones share the one connection; when it is gone every call fails at once.
#[derive(Debug, Clone)]
pub struct Client(SendRequest<Body>);

impl Client {
    /// Whether the far end is gone.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl Service<http::Request<Body>> for Client {
    type Response = http::Response<Incoming>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        // HTTP/2 wants an authority; the pair has none, so it is a constant that nobody reads.
        let path = request.uri().path_and_query().cloned();
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(http::uri::Scheme::HTTP);
        uri.authority = Some(http::uri::Authority::from_static("pair"));
        uri.path_and_query = path;
        if let Ok(uri) = http::Uri::from_parts(uri) {
            *request.uri_mut() = uri;
        }
        let reply = self.0.send_request(request);
        Box::pin(async move { reply.await.map_err(Into::into) })
    }
}

/// Takes `socket` as the calling end. The connection is driven by a task of `tasks`.
///
/// # Errors
/// When the socket is not usable or the far end does not speak HTTP/2.
pub async fn connect(socket: StdUnixStream, tasks: &Tasks) -> Result<Client, Error> {
    let io = TokioIo::new(UnixStream::from_std(socket).map_err(Error::Socket)?);
    let (sender, connection) = hyper::client::conn::http2::Builder::new(tasks.clone())
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_concurrent_reset_streams(limits::MAX_RESETS)
        .handshake(io)
        .await
        .map_err(Error::Connection)?;
    drop(tasks.spawn(async move {
        if let Err(err) = connection.await {
            tracing::debug!(error = %types::Chain(&err), "the pair's calling end closed");
        }
    }));
    Ok(Client(sender))
}

/// Serves `service` on `socket` until the far end goes away or `tasks` stops. The far end is
/// trusted with the number and the size of its calls.
///
/// # Errors
/// When the socket is not usable or the connection breaks.
pub async fn serve<S, B>(service: S, socket: StdUnixStream, tasks: &Tasks) -> Result<(), Error>
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    serve_within(&limits::OF_SUPERVISOR, service, socket, tasks).await
}

/// As [`serve`], for a far end that may do whatever the protocol does not forbid.
///
/// # Errors
/// When the socket is not usable or the connection breaks.
pub async fn serve_untrusted<S, B>(
    service: S,
    socket: StdUnixStream,
    tasks: &Tasks,
) -> Result<(), Error>
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    serve_within(&limits::OF_WORKER, service, socket, tasks).await
}

async fn serve_within<S, B>(
    bounds: &Bounds,
    service: S,
    socket: StdUnixStream,
    tasks: &Tasks,
) -> Result<(), Error>
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let io = TokioIo::new(UnixStream::from_std(socket).map_err(Error::Socket)?);
    let connection = hyper::server::conn::http2::Builder::new(tasks.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.streams)
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(bounds.resets)
        .max_header_list_size(bounds.headers)
        .max_send_buf_size(bounds.unsent)
        .serve_connection(io, TowerToHyperService::new(service));
    tokio::pin!(connection);
    tokio::select! {
        ended = &mut connection => ended.map_err(Error::Connection),
        () = tasks.stopping() => {
            connection.as_mut().graceful_shutdown();
            connection.await.map_err(Error::Connection)
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::host::llm_client::LlmClient;
    use proto::host::llm_server::{Llm, LlmServer};
    use proto::host::{EmbedReply, EmbedRequest, LlmBatch, LlmRequest};
    use std::time::Duration;
    use tokio_stream::{Stream, StreamExt as _};
    use tonic::{Request, Response, Status};

    use super::*;

    struct Echo;

    #[tonic::async_trait]
    impl Llm for Echo {
        type StreamStream = Pin<Box<dyn Stream<Item = Result<LlmBatch, Status>> + Send>>;

        async fn embed(&self, call: Request<EmbedRequest>) -> Result<Response<EmbedReply>, Status> {
            let model = call.into_inner().model;
            Ok(Response::new(EmbedReply { model, ..EmbedReply::default() }))
        }

        async fn stream(
            &self,
            _: Request<LlmRequest>,
        ) -> Result<Response<Self::StreamStream>, Status> {
            let text = proto::host::llm_event::Event::Text("x".repeat(1024));
            let events = vec![proto::host::LlmEvent { event: Some(text) }];
            let part = move |_| Ok(LlmBatch { events: events.clone() });
            Ok(Response::new(Box::pin(tokio_stream::iter(0..10_000).map(part))))
        }
    }

    fn sockets() -> (StdUnixStream, StdUnixStream) {
        let (near, far) = StdUnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        (near, far)
    }

    async fn client_and_server(tasks: &Tasks) -> (LlmClient<Client>, Tasks) {
        within(&limits::OF_SUPERVISOR, tasks).await
    }

    async fn within(bounds: &'static Bounds, tasks: &Tasks) -> (LlmClient<Client>, Tasks) {
        let (near, far) = sockets();
        let server = tasks.child();
        let scope = server.clone();
        drop(
            tasks.spawn(
                async move { serve_within(bounds, LlmServer::new(Echo), far, &scope).await },
            ),
        );
        (LlmClient::new(connect(near, tasks).await.unwrap()), server)
    }

    #[tokio::test]
    async fn calls_and_streams_cross() {
        let tasks = Tasks::default();
        let (mut client, _) = client_and_server(&tasks).await;
        let call = EmbedRequest { model: "echo".to_owned(), ..EmbedRequest::default() };
        assert_eq!(client.embed(call).await.unwrap().into_inner().model, "echo");
        let stream = client.stream(LlmRequest::default()).await.unwrap().into_inner();
        assert_eq!(stream.filter_map(Result::ok).collect::<Vec<_>>().await.len(), 10_000);
    }

    #[tokio::test]
    async fn the_far_end_going_away_fails_the_next_call() {
        let tasks = Tasks::default();
        let (near, far) = sockets();
        let mut client = LlmClient::new(connect(near, &tasks).await.unwrap());
        drop(far);
        let call =
            tokio::time::timeout(Duration::from_secs(5), client.embed(EmbedRequest::default()));
        call.await.unwrap().unwrap_err();
    }

    #[tokio::test]
    async fn five_hundred_streams_hung_up_at_once_leave_the_connection_alive() {
        hang_up_on(&limits::OF_SUPERVISOR).await;
        hang_up_on(&limits::OF_WORKER).await;
    }

    async fn hang_up_on(bounds: &'static Bounds) {
        let tasks = Tasks::default();
        let (client, _) = within(bounds, &tasks).await;
        for _ in 0..3 {
            let streams: Vec<_> =
                (0..500).map(|_| tasks.spawn(take_one_part(client.clone()))).collect();
            for stream in streams {
                stream.await.unwrap();
            }
        }
        client.clone().embed(EmbedRequest::default()).await.unwrap();
    }

    async fn take_one_part(mut client: LlmClient<Client>) {
        let mut stream = client.stream(LlmRequest::default()).await.unwrap().into_inner();
        stream.next().await.unwrap().unwrap();
    }
}
