//! HTTP/1.1 to one provider: connections that are kept, and requests that need a hold.
//!
//! A connection is driven by whoever waits for its answer and has no task of its own, so an answer
//! costs no hop between threads, and dropping an answer closes its connection at once.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::HeaderMap;
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use ledger::Hold;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::Service as _;

use crate::failure::{Failure, Wait};

/// Connections kept to one provider while nobody uses them: more than a busy gateway has requests
/// under way on two cores, and a bound on descriptors.
const MAX_IDLE: usize = 256;

/// Bytes of an answer that are read, translated and sent on at once: enough to share the cost of a
/// message among many chunks, little enough that the first does not wait for the last. Also the
/// longest head of an answer.
const MAX_BUFFER: usize = 32 << 10;

/// How long a connection is kept unused; below the minute after which most servers close.
const IDLE_FOR: Duration = Duration::from_secs(50);

/// How long the end of an answer is awaited so that its connection can be used again.
const END_WAIT: Duration = Duration::from_secs(1);

type Io = MaybeHttpsStream<TokioIo<TcpStream>>;

/// One provider's address, the headers that go there, and the connections that lead there.
#[derive(Debug)]
pub(crate) struct Client {
    connector: HttpsConnector<HttpConnector>,
    origin: Uri,
    path: Uri,
    headers: HeaderMap,
    connect: Duration,
    idle: Mutex<Vec<(Link, Instant)>>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Connection<Io, Full<Bytes>>>>,
    closed: bool,
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: http::response::Parts,
    body: Incoming,
    link: Link,
}

impl Client {
    /// A client of `origin`, which is connected to when the first request is sent.
    pub(crate) fn new(
        connector: HttpsConnector<HttpConnector>,
        origin: Uri,
        path: Uri,
        headers: HeaderMap,
        connect: Duration,
    ) -> Self {
        Self { connector, origin, path, headers, connect, idle: Mutex::default() }
    }

    /// Sends `body`. Nothing is sent that is not covered by a hold. `again` is set where it had to be
    /// sent a second time and the provider may have worked on the first.
    pub(crate) async fn send(
        &self,
        _covered: &Hold,
        body: Bytes,
        again: &mut bool,
    ) -> Result<Answer, Failure> {
        while let Some(mut link) = self.take() {
            if !link.is_usable().await {
                continue;
            }
            // The server may close a kept connection at the moment in which it is used again; that
            // says nothing about the server, so it does not count as an attempt.
            match link.exchange(self.request(body.clone())).await {
                Ok(response) => return Ok(Answer::new(response, link)),
                Err(err) => {
                    tracing::debug!(error = %types::Chain(&err), "kept connection broke");
                    *again = !err.is_canceled();
                }
            }
            break;
        }
        let mut link = self.open().await?;
        let response = link.exchange(self.request(body)).await.map_err(Failure::Cut)?;
        Ok(Answer::new(response, link))
    }

    /// Asks for what costs nothing: a `GET` of the client's path.
    pub(crate) async fn get(&self) -> Result<Answer, Failure> {
        let mut request = self.request(Bytes::new());
        *request.method_mut() = Method::GET;
        let mut link = self.open().await?;
        let response = link.exchange(request).await.map_err(Failure::Cut)?;
        Ok(Answer::new(response, link))
    }

    async fn open(&self) -> Result<Link, Failure> {
        let mut connector = self.connector.clone();
        let opened = async {
            let io = connector.call(self.origin.clone()).await.map_err(Failure::Connect)?;
            Builder::new().max_buf_size(MAX_BUFFER).handshake(io).await.map_err(Failure::Cut)
        };
        match tokio::time::timeout(self.connect, opened).await {
            Ok(opened) => {
                let (sender, connection) = opened?;
                Ok(Link { sender, connection: Box::pin(connection), closed: false })
            }
            Err(_elapsed) => Err(Failure::Slow(Wait::Connect)),
        }
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    fn take(&self) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let (link, since) = idle.pop()?;
        if since.elapsed() > IDLE_FOR {
            // The last one is the freshest: all others are older still.
            idle.clear();
            return None;
        }
        Some(link)
    }

    fn keep(&self, link: Link) {
        if link.closed || link.sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push((link, Instant::now()));
        }
    }

    /// All of an answer, or `None` where it has more than `max` bytes; its connection is kept.
    pub(crate) async fn read_whole(
        &self,
        mut answer: Answer,
        max: usize,
    ) -> Result<Option<Bytes>, hyper::Error> {
        let mut read = BytesMut::new();
        while let Some(data) = std::future::poll_fn(|cx| answer.poll_data(cx)).await {
            read.extend_from_slice(&data?);
            if read.len() > max {
                return Ok(None);
            }
        }
        self.keep(answer.link);
        Ok(Some(read.freeze()))
    }

    /// Waits a little for the end of an answer that is read in full, and keeps its connection.
    pub(crate) async fn reclaim(&self, mut answer: Answer) {
        let ended = std::future::poll_fn(|cx| answer.poll_data(cx));
        if let Ok(None) = tokio::time::timeout(END_WAIT, ended).await {
            self.keep(answer.link);
        }
    }

    /// Keeps the connection of an answer that is read in full, or gives back the answer where its
    /// end has not arrived yet.
    pub(crate) fn reclaim_now(&self, mut answer: Answer, cx: &mut Context<'_>) -> Option<Answer> {
        match answer.poll_data(cx) {
            Poll::Ready(None) => self.keep(answer.link),
            Poll::Ready(Some(_)) => {}
            Poll::Pending => return Some(answer),
        }
        None
    }
}

impl Link {
    /// Whether the far end has left a kept connection open.
    async fn is_usable(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(!self.closed && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(()))))
        })
        .await
    }

    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let reply = self.sender.send_request(request);
        tokio::pin!(reply);
        std::future::poll_fn(|cx| {
            self.drive(cx);
            reply.as_mut().poll(cx)
        })
        .await
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.closed
            && let Poll::Ready(ended) = self.connection.as_mut().poll(cx)
        {
            self.closed = true;
            if let Err(err) = ended {
                tracing::debug!(error = %types::Chain(&err), "connection to a provider ended");
            }
        }
    }
}

impl Answer {
    fn new(response: Response<Incoming>, link: Link) -> Self {
        let (head, body) = response.into_parts();
        Self { head, body, link }
    }

    /// The next bytes of the body; `None` at its end.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        loop {
            // What the connection has read already comes first; then it may read on.
            let mut polled = Pin::new(&mut self.body).poll_frame(cx);
            if polled.is_pending() {
                self.link.drive(cx);
                polled = Pin::new(&mut self.body).poll_frame(cx);
            }
            match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(err))) => return Poll::Ready(Some(Err(err))),
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers say nothing that is of use here.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }

    /// The first `max` bytes of the body.
    pub(crate) async fn read_up_to(mut self, max: usize) -> Result<Bytes, hyper::Error> {
        let mut read = BytesMut::new();
        while let Some(data) = std::future::poll_fn(|cx| self.poll_data(cx)).await {
            let data = data?;
            let room = max - read.len();
            read.extend_from_slice(data.get(..room).unwrap_or(&data));
            if read.len() == max {
                break;
            }
        }
        Ok(read.freeze())
    }
}
