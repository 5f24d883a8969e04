//! Connections: accepted up to a bound, each with its times, and drained when the gateway stops.
//!
//! HTTP/1.1 only: every client of this surface speaks it, and what slow or hostile clients may do
//! is bounded by fewer settings than HTTP/2 has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use runtime::Tasks;
use tokio::net::{TcpListener, TcpStream};

use crate::edge::Edge;
use crate::outflow::Outflow;
use crate::peers::Held;
use crate::seat::{Quiet, Seat, Watch};
use crate::{Inner, stack};

/// How long nothing is accepted after the system refused to: it has no descriptors left, and would
/// refuse again at once.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a client whose token has ended may take to read why.
const LAST_WORD: Duration = Duration::from_secs(2);

/// The smallest bound on a head that hyper takes.
const MIN_HEADER_BYTES: usize = 8 << 10;

/// What a connection is told that is one too many.
const TURNED_AWAY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Serves `listener` until `tasks` stops, then drains.
pub(crate) async fn serve(front: &Arc<Inner>, listener: TcpListener, tasks: &Tasks) {
    let router = stack::router(front);
    let connections = tasks.child();
    loop {
        let accepted = tokio::select! {
            biased;
            () = tasks.stopping() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                take(front, &router, (stream, peer), &connections);
            }
            Err(err) => {
                tracing::warn!(error = %types::Chain(&err), "no connection can be accepted");
                pause().await;
            }
        }
    }
    front.readiness.set_draining();
    drop(listener);
    // A moment more than each connection takes at most, so that none is cut from outside.
    if !connections.shut_down(front.limits.drain + PAUSE).await {
        tracing::warn!("connections were left at the end of the drain");
    }
    front.discards.stop();
}

#[expect(clippy::disallowed_methods, reason = "the system says neither when nor why to try again")]
async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

fn take(
    front: &Arc<Inner>,
    router: &Router,
    (stream, peer): (TcpStream, SocketAddr),
    connections: &Tasks,
) {
    let seat = Arc::new(Seat::new(peer.ip()));
    let Some(open) = Open::new(front, &seat).map(Arc::new) else {
        front.metrics.turned_away.inc();
        if let Err(err) = stream.try_write(TURNED_AWAY) {
            tracing::debug!(error = %types::Chain(&err), "a connection was turned away in silence");
        }
        return;
    };
    if let Err(err) = stream.set_nodelay(true) {
        tracing::debug!(error = %types::Chain(&err), "no TCP_NODELAY");
    }
    let (front, router) = (Arc::clone(front), router.clone());
    let edge = Edge { front, router, seat, open: Arc::clone(&open), tasks: connections.clone() };
    let scope = connections.clone();
    drop(connections.spawn(async move {
        drive(edge, stream, peer, scope).await;
        drop(open);
    }));
}

/// One connection, in the figures while it lives.
#[derive(Debug)]
pub(crate) struct Open {
    front: Arc<Inner>,
    _held: Held,
}

impl Open {
    /// None where there are too many, of all or of this one's address.
    fn new(front: &Arc<Inner>, seat: &Seat) -> Option<Self> {
        let connections = &front.metrics.connections;
        let open = usize::try_from(connections.get()).unwrap_or(0);
        if open >= front.limits.connections {
            return None;
        }
        let held = front.peers.hold(seat.peer)?;
        connections.inc();
        Some(Self { front: Arc::clone(front), _held: held })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.front.metrics.connections.dec();
    }
}

async fn drive(edge: Edge, stream: TcpStream, peer: SocketAddr, scope: Tasks) {
    let limits = &edge.front.limits;
    let (drain, header_bytes) = (limits.drain, limits.header_bytes.max(MIN_HEADER_BYTES));
    let seat = Arc::clone(&edge.seat);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    builder.max_header_size(header_bytes).max_buf_size(header_bytes);
    let stream = TokioIo::new(Outflow::new(stream, limits.write_timeout));
    let connection = builder.serve_connection(stream, edge).with_upgrades();
    tokio::pin!(connection);
    // The connection comes first: a request must have said whose it is before that is watched.
    let mut watch = Watch::new(Arc::clone(&seat));
    let stopping = tokio::select! {
        biased;
        ended = &mut connection => return report(peer, ended),
        () = Quiet::new(async move { scope.stopping().await }) => true,
        () = &mut watch => false,
    };
    connection.as_mut().graceful_shutdown();
    if stopping {
        tokio::select! {
            biased;
            ended = tokio::time::timeout(drain, &mut connection) => match ended {
                Ok(ended) => return report(peer, ended),
                Err(_elapsed) => {
                    tracing::info!(%peer, "a connection outlasted the drain and was cut");
                    return;
                }
            },
            () = &mut watch => {}
        }
    }
    seat.end();
    match tokio::time::timeout(LAST_WORD, connection).await {
        Ok(ended) => report(peer, ended),
        Err(_elapsed) => tracing::debug!(%peer, "a connection outlasted its token and was cut"),
    }
}

fn report(peer: SocketAddr, ended: hyper::Result<()>) {
    if let Err(err) = ended {
        tracing::debug!(%peer, error = %types::Chain(&err), "connection ended");
    }
}
