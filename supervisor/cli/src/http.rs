//! One HTTP request over one fresh connection: no pool, no redirects, no TLS.
//!
//! The connection is driven by whoever waits for the answer, so nothing runs in the background.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::error::Error;
use crate::target::Target;

/// How long connecting may take: the server is on this machine or near it.
const CONNECT: Duration = Duration::from_secs(10);

/// The largest answer that is kept in memory, in bytes: a page of 1000 tenants or log lines.
const MAX_ANSWER: usize = 16 << 20;

type Connection = http1::Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An answer whose head has arrived.
pub(crate) struct Answer {
    head: http::response::Parts,
    body: Incoming,
    driver: Driver,
    target: Target,
}

/// Sends `request` to `target` and waits up to `patience` for the head of the answer.
pub(crate) async fn send(
    target: &Target,
    request: http::request::Builder,
    body: Bytes,
    patience: Duration,
) -> Result<Answer, Error> {
    let host = match target {
        Target::Socket(_) => "localhost",
        Target::Tcp(address) => address,
    };
    let agent = concat!("openclawmu/", env!("CARGO_PKG_VERSION"));
    let request = request
        .header(http::header::HOST, host)
        .header(http::header::USER_AGENT, agent)
        .body(Full::new(body))
        .map_err(Error::Request)?;
    let answer = tokio::time::timeout(patience, exchange(target, request)).await;
    let seconds = patience.as_secs();
    answer.unwrap_or_else(|_| Err(Error::Timeout { target: target.clone(), seconds }))
}

async fn exchange(target: &Target, request: http::Request<Full<Bytes>>) -> Result<Answer, Error> {
    let broken = |source| Error::Connection { target: target.clone(), source };
    let stream = TokioIo::new(connect(target).await?);
    let (mut sender, connection) = http1::handshake(stream).await.map_err(broken)?;
    let mut driver = Driver(Some(Box::pin(connection)));
    let response = driver.run(sender.send_request(request)).await.map_err(broken)?;
    let (head, body) = response.into_parts();
    Ok(Answer { head, body, driver, target: target.clone() })
}

async fn connect(target: &Target) -> Result<Box<dyn Stream>, Error> {
    let unreachable = |source| Error::Unreachable { target: target.clone(), source };
    let connecting = async {
        let stream: Box<dyn Stream> = match target {
            Target::Socket(path) => Box::new(UnixStream::connect(path).await?),
            Target::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        };
        Ok(stream)
    };
    let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut));
    let connected = tokio::time::timeout(CONNECT, connecting).await;
    connected.unwrap_or_else(late).map_err(unreachable)
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// The next part of the body; `None` at its end.
    pub(crate) async fn part(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(frame) = self.driver.run(self.body.frame()).await else { return Ok(None) };
            let broken = |source| Error::Connection { target: self.target.clone(), source };
            if let Ok(data) = frame.map_err(broken)?.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// The rest of the body.
    pub(crate) async fn rest(&mut self) -> Result<Bytes, Error> {
        let mut whole = BytesMut::new();
        while let Some(part) = self.part().await? {
            if whole.len() + part.len() > MAX_ANSWER {
                return Err(Error::TooLarge(self.target.clone()));
            }
            whole.extend_from_slice(&part);
        }
        Ok(whole.freeze())
    }
}

/// A connection, until it ends.
struct Driver(Option<Pin<Box<Connection>>>);

impl Driver {
    /// Waits for `work`, and lets the connection do its part meanwhile. How the connection ends is
    /// seen by the work that needed it.
    async fn run<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| {
            let ended = |connection: &mut Pin<Box<Connection>>| {
                connection.as_mut().poll(context).is_ready()
            };
            if self.0.as_mut().is_some_and(ended) {
                self.0 = None;
            }
            match work.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(done),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}
