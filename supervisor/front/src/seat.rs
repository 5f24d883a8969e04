//! Whose a connection is: the caller of its latest request, watched by the connection's own task, so
//! that a token that ends takes the connection with it, whatever the client reads or sends.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use auth::Principal;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tenants::{Load, Tenants};

use crate::reply::Refusal;

/// One connection, as its requests and its task see it.
#[derive(Debug)]
pub(crate) struct Seat {
    /// The address at the far end; what a proxy claims is not believed.
    pub(crate) peer: IpAddr,
    /// Nobody but the connection's own task takes this lock, so it is never waited for.
    caller: Mutex<Option<Caller>>,
    /// How often the caller changed.
    changes: AtomicU64,
    ended: AtomicBool,
}

#[derive(Debug)]
struct Caller {
    principal: Principal,
    counted: Counted,
}

/// A connection among its tenant's.
#[derive(Debug)]
struct Counted(Arc<Load>);

impl Seat {
    pub(crate) fn new(peer: IpAddr) -> Self {
        Self { peer, caller: Mutex::default(), changes: AtomicU64::new(0), ended: false.into() }
    }

    /// Gives the connection to the caller of its next request, unless the caller's tenant has
    /// `max` connections already.
    pub(crate) fn take(
        &self,
        principal: &Principal,
        tenants: &Tenants,
        max: usize,
    ) -> Result<Arc<Load>, Refusal> {
        let mut caller = self.caller();
        if let Some(caller) = caller.as_ref().filter(|it| it.is(principal)) {
            return Ok(Arc::clone(&caller.counted.0));
        }
        // An earlier caller's end must not cut this one's request.
        *caller = None;
        self.changes.fetch_add(1, Ordering::Relaxed);
        let load = tenants.load_of(principal.tenant()).ok_or(tenants::Error::NotFound);
        let load = load.map_err(|err| Refusal::from(&err))?;
        // Who is revoked before the request begins is told so by whoever permits it.
        if !principal.is_revoked() {
            let counted = Counted::new(Arc::clone(&load), max)?;
            *caller = Some(Caller { principal: principal.clone(), counted });
        }
        Ok(load)
    }

    /// The caller's token has ended: every request of the connection sees it when it is polled next.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Resolves after [`Seat::end`]. It wakes nobody: the task that ends the seat is the one that
    /// polls this.
    pub(crate) async fn ended(&self) {
        let look =
            |_: &mut Context<'_>| if self.is_ended() { Poll::Ready(()) } else { Poll::Pending };
        std::future::poll_fn(look).await;
    }

    fn caller(&self) -> MutexGuard<'_, Option<Caller>> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller {
    fn is(&self, other: &Principal) -> bool {
        self.principal.generation() == other.generation()
            && self.principal.token_id() == other.token_id()
    }
}

impl Counted {
    fn new(load: Arc<Load>, max: usize) -> Result<Self, Refusal> {
        let open = load.connections.fetch_add(1, Ordering::Relaxed);
        let counted = Self(load);
        if open < max { Ok(counted) } else { Err(Refusal::too_many_connections(max)) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A future that is polled when it was woken, and not whenever its task is: what many connections
/// wait for has a lock, which none of them should touch for every piece of data.
pub(crate) struct Quiet(FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Quiet {
    pub(crate) fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        let future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(future);
        Self(FuturesUnordered::from_iter([future]))
    }
}

impl Future for Quiet {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_next_unpin(cx).map(|_| ())
    }
}

/// Resolves when the token of the seat's caller ends. To be polled after the connection.
pub(crate) struct Watch {
    seat: Arc<Seat>,
    seen: u64,
    revoked: Option<Quiet>,
}

impl Watch {
    pub(crate) const fn new(seat: Arc<Seat>) -> Self {
        Self { seat, seen: 0, revoked: None }
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let changes = self.seat.changes.load(Ordering::Relaxed);
        if changes != self.seen {
            self.seen = changes;
            let principal = self.seat.caller().as_ref().map(|it| it.principal.clone());
            self.revoked = principal.map(|it| Quiet::new(async move { it.revoked().await }));
        }
        self.revoked.as_mut().map_or(Poll::Pending, |revoked| Pin::new(revoked).poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_holds_so_many_connections_and_gets_them_back() {
        let load = Arc::<Load>::default();
        let take = || Counted::new(Arc::clone(&load), 2);
        let held = (take().unwrap(), take().unwrap());
        assert_eq!(take().unwrap_err(), Refusal::too_many_connections(2));
        drop(held.0);
        let again = take().unwrap();
        assert_eq!(take().unwrap_err().status.as_u16(), 429);
        drop((held.1, again));
        assert_eq!(load.connections.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn what_is_polled_quietly_still_wakes() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let quiet = Quiet::new(async move { receiver.await.unwrap() });
        let ((), sent) = tokio::join!(quiet, async { sender.send(()) });
        sent.unwrap();
    }
}
