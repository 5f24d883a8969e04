//! Bytes of clients that are being read or wait for their answer, bounded: what comes before the
//! handshake by a small constant, what comes after by what its tenant's connections may hold
//! together, and by what all may.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use types::TenantId;

/// Bytes in which room is asked for.
const STEP: usize = 64 << 10;

/// Bytes of a message that need no room: most are shorter.
const FREE: usize = 16 << 10;

/// What may come before the handshake beside its one frame: heads of frames, and a few pings.
const AROUND: usize = 1 << 10;

/// How long a message may take that has taken room: others wait for it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Bytes of long messages of one tenant.
const TENANT: usize = 64 << 20;

/// Bytes of these that no other tenant can take: what people write fits.
const SHARE: usize = 1 << 20;

/// Bytes of long messages of all tenants beside the share of each.
const TOTAL: usize = 512 << 20;

/// Room for long messages.
#[derive(Debug)]
pub(crate) struct Pools {
    total: Arc<Semaphore>,
    /// Of tenants with a connection.
    tenants: Mutex<HashMap<TenantId, Weak<Own>>>,
}

/// What one tenant may have.
#[derive(Debug)]
struct Own {
    all: Arc<Semaphore>,
    share: Arc<Semaphore>,
}

/// Where one connection gets its room.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    own: Arc<Own>,
    total: Arc<Semaphore>,
}

/// The count of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<Mutex<Count>>);

#[derive(Debug)]
struct Count {
    /// Bytes since the last whole message.
    read: usize,
    bound: Bound,
    room: Vec<Permit>,
    /// When the message that is being read took its first room.
    since: Option<Instant>,
}

#[derive(Debug)]
enum Bound {
    /// So many bytes in all.
    Strict(usize),
    /// As many as there is room for.
    Open(Pool),
}

type Permit = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// Room that one message has; whoever drops it gives it back.
#[derive(Debug)]
pub(crate) struct Room {
    _permits: Vec<Permit>,
}

/// Bytes of a client's ping or pong before its payload: two, and the mask.
const CONTROL_HEAD: usize = 6;

/// A stream that is read no faster than there is room.
pub(crate) struct Metered<S> {
    stream: S,
    meter: Meter,
    waiting: Option<Waiting>,
}

type Waiting = Pin<Box<dyn Future<Output = Option<Permit>> + Send>>;

impl Default for Pools {
    fn default() -> Self {
        Self { total: Arc::new(Semaphore::new(TOTAL / STEP)), tenants: Mutex::default() }
    }
}

impl Pools {
    /// Where a tenant's connections get their room.
    pub(crate) fn of(&self, tenant: &TenantId) -> Pool {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tenants.get(tenant).and_then(Weak::upgrade);
        let pool = known.unwrap_or_else(|| {
            tenants.retain(|_, pool| pool.strong_count() > 0);
            let pool = Arc::new(Own::new(TENANT / STEP, SHARE / STEP));
            tenants.insert(tenant.clone(), Arc::downgrade(&pool));
            pool
        });
        Pool { own: pool, total: Arc::clone(&self.total) }
    }
}

impl Pool {
    async fn permit(self) -> Option<Permit> {
        let tenant = Arc::clone(&self.own.all).acquire_owned().await.ok()?;
        let place = tokio::select! {
            biased;
            place = Arc::clone(&self.own.share).acquire_owned() => place,
            place = self.total.acquire_owned() => place,
        };
        Some((tenant, place.ok()?))
    }
}

impl Own {
    fn new(all: usize, share: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), share: Arc::new(Semaphore::new(share)) }
    }
}

impl Meter {
    /// A connection that may send a frame of `max` bytes before [`Meter::open`].
    pub(crate) fn strict(max: usize) -> Self {
        let bound = Bound::Strict(max + AROUND);
        Self(Arc::new(Mutex::new(Count { read: 0, bound, room: Vec::new(), since: None })))
    }

    /// The handshake is over.
    pub(crate) fn open(&self, pool: Pool) {
        let mut count = self.count();
        count.bound = Bound::Open(pool);
        count.read = 0;
    }

    /// A whole message was read: the room that it has.
    pub(crate) fn message(&self) -> Room {
        let mut count = self.count();
        (count.read, count.since) = (0, None);
        Room { _permits: std::mem::take(&mut count.room) }
    }

    /// A ping or pong of so many bytes was read. It may have come between the parts of a message, of
    /// which everything still counts.
    pub(crate) fn control(&self, payload: usize) {
        let mut count = self.count();
        count.read = count.read.saturating_sub(payload + CONTROL_HEAD);
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    /// How many bytes may be read now, or where to get more room.
    fn allowed(&self) -> Result<std::result::Result<usize, Pool>> {
        if self.since.is_some_and(|since| since.elapsed() > PATIENCE) {
            return Err(Error::new(ErrorKind::TimedOut, "a message took too long"));
        }
        match &self.bound {
            Bound::Strict(max) if self.read >= *max => {
                Err(Error::new(ErrorKind::FileTooLarge, "more than a handshake"))
            }
            Bound::Strict(max) => Ok(Ok(max - self.read)),
            Bound::Open(pool) => {
                let room = FREE + self.room.len() * STEP;
                let left = room.saturating_sub(self.read);
                Ok(if left > 0 { Ok(left) } else { Err(pool.clone()) })
            }
        }
    }

    fn add(&mut self, permit: Permit) {
        self.room.push(permit);
        self.since.get_or_insert_with(Instant::now);
    }
}

impl<S> Metered<S> {
    pub(crate) const fn new(stream: S, meter: Meter) -> Self {
        Self { stream, meter, waiting: None }
    }

    /// Says that nothing more comes, and throws away what still does, until the far end has ended
    /// too.
    pub(crate) async fn discard(&mut self) -> Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.stream.shutdown().await?;
        let mut buffer = vec![0; FREE];
        while self.stream.read(&mut buffer).await? > 0 {}
        Ok(())
    }

    /// How many bytes may be read, when there is room for any.
    fn poll_allowed(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        loop {
            let allowed = self.meter.count().allowed()?;
            let pool = match allowed {
                Ok(allowed) => return Poll::Ready(Ok(allowed)),
                Err(pool) => pool,
            };
            let waiting = self.waiting.get_or_insert_with(|| Box::pin(pool.permit()));
            let permit = ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
            // The pools are never closed.
            let permit = permit.ok_or_else(|| Error::from(ErrorKind::BrokenPipe))?;
            self.meter.count().add(permit);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let allowed = ready!(self.poll_allowed(cx))?;
        let most = allowed.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        self.meter.count().read += read;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stranger_sends_a_frame_and_no_more() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut near = Metered::new(near, Meter::strict(1000));
        far.write_all(&[0; 4000]).await.unwrap();
        let mut read = Vec::new();
        let err = near.read_to_end(&mut read).await.unwrap_err();
        assert_eq!((err.kind(), read.len()), (ErrorKind::FileTooLarge, 1000 + AROUND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_message_waits_for_room_and_gives_it_back() {
        let pool = Pool { own: Arc::new(Own::new(2, 0)), total: Arc::new(Semaphore::new(3)) };
        let metered = |meter: &Meter| {
            let (near, far) = tokio::io::duplex(1 << 20);
            meter.open(pool.clone());
            (Metered::new(near, meter.clone()), far)
        };
        let (one, other) = (Meter::strict(1), Meter::strict(1));
        let (mut near, mut far) = metered(&one);
        far.write_all(&vec![0; FREE + 2 * STEP]).await.unwrap();
        near.read_exact(&mut vec![0; FREE + 2 * STEP]).await.unwrap();
        assert_eq!((pool.own.all.available_permits(), pool.total.available_permits()), (0, 1));

        let (mut waits, mut far) = metered(&other);
        far.write_all(&vec![0; FREE + 1]).await.unwrap();
        waits.read_exact(&mut vec![0; FREE]).await.unwrap();
        let mut rest = [0; 1];
        let read = tokio::time::timeout(Duration::from_secs(5), waits.read_exact(&mut rest));
        assert!(read.await.is_err(), "there is no room");
        let room = one.message();
        drop(room);
        waits.read_exact(&mut rest).await.unwrap();
        drop(other.message());
        assert_eq!((pool.own.all.available_permits(), pool.total.available_permits()), (2, 3));
    }

    #[tokio::test]
    async fn a_ping_between_the_parts_of_a_message_takes_back_itself_alone() {
        let pool = Pool { own: Arc::new(Own::new(2, 2)), total: Arc::new(Semaphore::new(2)) };
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let meter = Meter::strict(1);
        meter.open(pool.clone());
        let mut near = Metered::new(near, meter.clone());
        let mut part = vec![0; STEP / 2];
        for left in [1, 1, 0] {
            far.write_all(&part).await.unwrap();
            near.read_exact(&mut part).await.unwrap();
            let mut ping = [0; CONTROL_HEAD + 4];
            far.write_all(&ping).await.unwrap();
            near.read_exact(&mut ping).await.unwrap();
            meter.control(4);
            assert_eq!(pool.own.all.available_permits(), left);
        }
        assert_eq!(meter.count().read, 3 * part.len());
        drop(meter.message());
        assert_eq!(pool.own.all.available_permits(), 2);
    }

    #[tokio::test]
    async fn a_tenant_has_its_share_when_others_have_all_the_rest() {
        let pool = Pool { own: Arc::new(Own::new(3, 1)), total: Arc::new(Semaphore::new(0)) };
        let first = pool.clone().permit().await;
        assert!(first.is_some());
        let mut next = Box::pin(pool.clone().permit());
        assert!(futures_util::poll!(&mut next).is_pending());
        drop(first);
        assert!(next.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_has_room_comes_in_time() {
        let pools = Pools::default();
        let meter = Meter::strict(1);
        meter.open(pools.of(&"a".parse().unwrap()));
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut near = Metered::new(near, meter);
        far.write_all(&vec![0; 2 * FREE]).await.unwrap();
        near.read_exact(&mut vec![0; 2 * FREE]).await.unwrap();
        tokio::time::advance(PATIENCE + Duration::from_secs(1)).await;
        far.write_all(&[0; 1]).await.unwrap();
        let err = near.read_exact(&mut [0; 1]).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::TimedOut);
    }
}
