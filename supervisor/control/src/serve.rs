//! Listening: one task per connection, HTTP/1.1, bounded in number, size and time.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use runtime::Tasks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt as _;

use crate::Control;
use crate::call::Request;
use crate::error::Error;
use crate::gate::{self, Allowed, Gate, Peer, Run, Running};
use crate::routes::rows;
use crate::row::Handler;
use crate::socket;
use crate::told::{self, Asked, Made};

/// Connections of one listener at once: operators and their tools, not tenants' clients.
const MAX_CONNECTIONS: usize = 256;

/// How long the head of a request may take; idle connections end after it as well.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);

/// Bytes that are buffered of a head that is not complete; it is refused when it needs more.
const MAX_HEAD: usize = 32 << 10;

/// The most header lines in one request.
const MAX_HEADERS: usize = 64;

/// How long accepting rests after it failed, for want of descriptors for example.
const REST: Duration = Duration::from_millis(100);

/// Serves operators with keys until `tasks` stops. Requests under way go on in `tasks`.
pub async fn serve_tcp(listener: TcpListener, control: Control, tasks: Tasks) {
    Server::over(router(&control, &tasks), tasks).tcp(listener).await;
}

/// Serves users of this machine whose credentials allow it, until `tasks` stops.
pub async fn serve_unix(listener: UnixListener, control: Control, tasks: Tasks) {
    let server = Server::over(router(&control, &tasks), tasks);
    server.unix(listener, &control.parts().allowed_uids).await;
}

fn router(control: &Control, tasks: &Tasks) -> Router {
    let parts = control.parts();
    let gate = Gate {
        auth: parts.auth.clone(),
        audit: parts.audit.clone(),
        requests: parts.requests.clone(),
        tasks: tasks.clone(),
    };
    let handlers = Handlers { control: control.clone(), tasks: tasks.clone() };
    gate::router(rows(), &gate, &handlers)
}

struct Server {
    router: Router,
    tasks: Tasks,
    places: Arc<Semaphore>,
}

impl Server {
    fn over(router: Router, tasks: Tasks) -> Self {
        Self { router, tasks, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }

    async fn tcp(self, listener: TcpListener) {
        while let Some(place) = self.place().await {
            let accepted = tokio::select! {
                () = self.tasks.stopping() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "no TCP_NODELAY");
                    }
                    self.connection(stream, Peer::Remote(address.ip()), place);
                }
                Err(error) => self.rest(&error).await,
            }
        }
    }

    async fn unix(self, listener: UnixListener, allowed: &[u32]) {
        while let Some(place) = self.place().await {
            let accepted = tokio::select! {
                () = self.tasks.stopping() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    if let Some(uid) = socket::peer(&stream, allowed) {
                        self.connection(stream, Peer::Local { uid }, place);
                    } else {
                        tracing::warn!("a user who may not was turned away at the control socket");
                    }
                }
                Err(error) => self.rest(&error).await,
            }
        }
    }

    /// A place for one more connection; none once the gateway stops.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            () = self.tasks.stopping() => None,
            place = Arc::clone(&self.places).acquire_owned() => place.ok(),
        }
    }

    async fn rest(&self, error: &std::io::Error) {
        tracing::warn!(%error, "the control plane could not accept a connection");
        let stopping = tokio::time::timeout(REST, self.tasks.stopping()).await;
        drop(stopping);
    }

    fn connection<S>(&self, stream: S, peer: Peer, place: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, stopping) = (self.router.clone(), self.tasks.clone());
        drop(self.tasks.spawn(async move {
            connection(stream, peer, router, stopping).await;
            drop(place);
        }));
    }
}

async fn connection<S>(stream: S, peer: Peer, router: Router, tasks: Tasks)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service =
        hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = tasks.stopping() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(?peer, error = %types::Chain(&error), "a control connection broke");
    }
}

/// Runs handlers over the real thing.
#[derive(Clone)]
struct Handlers {
    control: Control,
    tasks: Tasks,
}

impl Run for Handlers {
    fn run(
        &self,
        handler: &dyn Handler,
        Allowed { permit, intent }: Allowed,
        request: axum::extract::Request,
    ) -> Running {
        let (mut head, body) = gate::parts(request);
        // What is streamed ends when the gateway does.
        head.extensions.insert(self.tasks.clone());
        let (made, path) = (Made::default(), head.uri.path().to_owned());
        head.extensions.insert(made.clone());
        let pending = handler.call(Request { control: self.control.clone(), permit, head, body });
        // A task of its own: an operator who hangs up leaves nothing half done, and a panic ends
        // this request alone.
        let records = self.control.parts().records.clone();
        let done = self.tasks.spawn(async move {
            let Some(intent) = intent else { return pending.await };
            let before = told::row(&records, &path).await;
            let replied = pending.await;
            let ended = told::ended(&replied);
            Asked { intent, path, made, before }.end(&records, ended).await;
            replied
        });
        Box::pin(async move { done.await.map_err(Error::Panic)? })
    }
}

#[cfg(test)]
mod tests;
