//! A connection to a host that counts what passes and ends when nothing does.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::outlet::{Direction, Outlet};

/// What can be spoken over.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A counted connection.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    outlet: Arc<Outlet>,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer runs.
    waiting: bool,
}

impl Line {
    pub(crate) fn new(stream: TcpStream, outlet: &Arc<Outlet>, idle: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(Instant::now() + idle));
        Self { stream, outlet: Arc::clone(outlet), idle, timer, waiting: false }
    }

    fn moved(&mut self, direction: Direction, bytes: usize) -> io::Result<()> {
        self.waiting = false;
        if self.outlet.count(direction, bytes) {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the tenant's bytes of today"))
        }
    }

    /// Resolves when nothing has passed for too long. Time in which nobody reads does not count.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.waiting {
            self.waiting = true;
            self.timer.as_mut().reset(Instant::now() + self.idle);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the host has gone silent"))
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let read = buf.filled().len() - before;
                Poll::Ready(this.moved(Direction::Received, read))
            }
            Poll::Ready(Err(err)) => Poll::Ready(Err(err)),
            Poll::Pending => this.poll_idle(cx).map(Err),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, buf))?;
        Poll::Ready(this.moved(Direction::Sent, written).map(|()| written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
