//! The proxy that programs in a sandbox use: HTTP/1.1 on a socket of the sandbox's own network. A
//! request is parsed and written anew, or a tunnel is opened for TLS with the host that it names.
//! One connection is one request; nothing that follows it is looked at.

mod forward;
mod head;
mod hello;
mod tunnel;

use std::convert::Infallible;
use std::io;
use std::net::TcpListener as StdTcpListener;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use runtime::Tasks;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::metrics::Way;
use crate::outlet::{Outlet, UNREADABLE};
use crate::refused::Refused;
use head::Begun;
use tunnel::Tunnel;

/// Connections of one sandbox at once; the next one waits. A package manager opens a dozen.
const CONNECTIONS: usize = 32;

/// How long the head of a request may take to arrive.
const HEAD: Duration = Duration::from_secs(10);

/// Bytes of the head of a request: the longest address, and headers as browsers send them.
const MAX_HEAD: usize = 32 << 10;

/// Headers of a request.
const MAX_HEADERS: usize = 100;

/// How long a host may be silent; as long as people wait for an answer.
const IDLE: Duration = Duration::from_mins(2);

/// How long one connection may last: a large download.
const TOTAL: Duration = Duration::from_hours(1);

/// How long to wait where a connection cannot be accepted for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What is sent back.
type Reply = Response<UnsyncBoxBody<Bytes, Refused>>;

/// Ends the proxy and its connections when it is dropped.
#[derive(Debug)]
pub struct Guard(Tasks);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The proxy of one sandbox.
#[derive(Debug, Clone)]
struct Proxy {
    outlet: Arc<Outlet>,
    tasks: Tasks,
}

/// A tunnel that was agreed on, for when its connection is handed over.
type Agreed = Arc<Mutex<Option<Tunnel>>>;

pub(crate) fn serve(outlet: &Arc<Outlet>, listener: OwnedFd, tasks: &Tasks) -> io::Result<Guard> {
    let listener = StdTcpListener::from(listener);
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let scope = tasks.child();
    let proxy = Proxy { outlet: Arc::clone(outlet), tasks: scope.clone() };
    scope.spawn_until_stopped(async move { proxy.accept(listener).await });
    Ok(Guard(scope))
}

impl Proxy {
    async fn accept(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let tenants = Arc::clone(&self.outlet.connections).acquire_owned().await;
                    let Ok(tenants) = tenants else { return };
                    self.begin(stream, [place, tenants]);
                }
                Err(err) => {
                    tracing::debug!(error = %types::Chain(&err), "no connection of a sandbox");
                    tokio::time::sleep_until(Instant::now() + PAUSE).await;
                }
            }
        }
    }

    fn begin(&self, stream: TcpStream, places: [OwnedSemaphorePermit; 2]) {
        let proxy = self.clone();
        self.tasks.spawn_until_stopped(async move {
            if tokio::time::timeout(TOTAL, proxy.clone().connection(stream)).await.is_err() {
                proxy.outlet.note("a connection of a sandbox", &Refused::Slow);
            }
            drop(places);
        });
    }

    async fn connection(self, stream: TcpStream) {
        let Begun { stream, told_twice } = match head::read(stream).await {
            Ok(begun) => begun,
            Err(err) if err.kind() == io::ErrorKind::TimedOut => {
                return self.outlet.ended(Way::Forward, UNREADABLE, Err(&Refused::Slow));
            }
            Err(err) => {
                return tracing::debug!(error = %types::Chain(&err), "a sandbox said nothing");
            }
        };
        let agreed = Agreed::default();
        let service = service_fn(|request| {
            let (proxy, agreed) = (self.clone(), Arc::clone(&agreed));
            async move { Ok::<_, Infallible>(proxy.answer(request, told_twice, &agreed).await) }
        });
        let served = Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        if let Err(err) = served {
            self.broke(&err);
        }
        let tunnel = agreed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tunnel) = tunnel {
            tunnel.run(&self.outlet).await;
        }
    }

    /// What was no request, or none in time, is told; a program may leave as it likes.
    fn broke(&self, err: &hyper::Error) {
        let refused = if err.is_parse() {
            Refused::Malformed("what was sent is no request of HTTP/1.1")
        } else if err.is_timeout() {
            Refused::Slow
        } else {
            return tracing::debug!(error = %types::Chain(err), "a connection of a sandbox broke");
        };
        self.outlet.ended(Way::Forward, UNREADABLE, Err(&refused));
    }

    async fn answer(&self, request: Request<Incoming>, told_twice: bool, agreed: &Agreed) -> Reply {
        let mut origin = String::from(UNREADABLE);
        let (way, answered) = if told_twice {
            (Way::Forward, Err(Refused::Malformed("the body's length is told twice")))
        } else if request.method() == Method::CONNECT {
            (Way::Tunnel, self.tunnel(request, &mut origin, agreed).await)
        } else {
            (Way::Forward, self.forward(request, &mut origin).await)
        };
        self.outlet.ended(way, &origin, answered.as_ref().map(drop));
        answered.unwrap_or_else(|err| refusal(&err))
    }
}

/// A refusal in words, after which the connection ends.
fn refusal(refused: &Refused) -> Reply {
    let text = format!("egress {}: {}\n", refused.word(), types::Chain(refused));
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let mut reply = Response::new(body.boxed_unsync());
    *reply.status_mut() = refused.status();
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    reply
}

#[cfg(test)]
mod tests;
