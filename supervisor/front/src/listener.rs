//! Connections: accepted up to a bound, each with its times, and drained when the gateway stops.
//!
//! HTTP/1.1 only: every client of this surface speaks it, and what slow or hostile clients may do
//! is bounded by fewer settings than HTTP/2 has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use runtime::Tasks;
use tokio::net::{TcpListener, TcpStream};

use crate::edge::Edge;
use crate::{Inner, stack};

/// How long nothing is accepted after the system refused to: it has no descriptors left, and would
/// refuse again at once.
const PAUSE: Duration = Duration::from_millis(50);

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
                let edge =
                    Edge { front: Arc::clone(front), router: router.clone(), peer: peer.ip() };
                take(edge, stream, peer, &connections);
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

fn take(edge: Edge, stream: TcpStream, peer: SocketAddr, connections: &Tasks) {
    let metrics = &edge.front.metrics;
    let open = usize::try_from(metrics.connections.get()).unwrap_or(0);
    if open >= edge.front.limits.connections {
        metrics.turned_away.inc();
        if let Err(err) = stream.try_write(TURNED_AWAY) {
            tracing::debug!(error = %types::Chain(&err), "a connection was turned away in silence");
        }
        return;
    }
    if let Err(err) = stream.set_nodelay(true) {
        tracing::debug!(error = %types::Chain(&err), "no TCP_NODELAY");
    }
    let open = Open(Arc::clone(&edge.front));
    open.0.metrics.connections.inc();
    let scope = connections.clone();
    drop(connections.spawn(async move {
        drive(edge, stream, peer, &scope).await;
        drop(open);
    }));
}

/// One connection, in the figures while it lives.
struct Open(Arc<Inner>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}

async fn drive(edge: Edge, stream: TcpStream, peer: SocketAddr, scope: &Tasks) {
    let limits = edge.front.limits.clone();
    let header_bytes = limits.header_bytes.max(MIN_HEADER_BYTES);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(header_bytes)
        .max_buf_size(header_bytes)
        .serve_connection(TokioIo::new(stream), edge);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = scope.stopping() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(limits.drain, connection).await {
                Ok(ended) => ended,
                Err(_elapsed) => {
                    tracing::info!(%peer, "a connection outlasted the drain and was cut");
                    Ok(())
                }
            }
        }
    };
    if let Err(err) = ended {
        tracing::debug!(%peer, error = %types::Chain(&err), "connection ended");
    }
}
