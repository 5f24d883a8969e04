//! The end of an answer that nobody reads: a connection over which nothing more can be sent asks
//! for nothing, so the answer's own waits are not looked at.
//!
//! A timer wakes whoever polled it, and what is woken here is no task but the answer itself: an
//! answer needs no task of its own for the sake of a moment that hardly any answer reaches.

use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Wake, Waker};

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep};

use super::{Running, lock};

/// A timer that ends an answer; dropped, it does nothing.
#[derive(Debug)]
pub(super) struct Cut {
    _timer: Pin<Box<Sleep>>,
}

/// Woken by the timer.
struct End(Weak<Mutex<Running>>);

impl Cut {
    /// Ends `running` at `total`.
    pub(super) fn at(total: Instant, running: &Arc<Mutex<Running>>) -> Self {
        let mut timer = Box::pin(tokio::time::sleep_until(total));
        let waker = Waker::from(Arc::new(End(Arc::downgrade(running))));
        // Without a constraint, so that being polled means being set.
        let set = unconstrained(timer.as_mut());
        if std::pin::pin!(set).poll(&mut Context::from_waker(&waker)).is_ready() {
            lock(running).overdue();
        }
        Self { _timer: timer }
    }
}

impl Wake for End {
    fn wake(self: Arc<Self>) {
        if let Some(running) = self.0.upgrade() {
            lock(&running).overdue();
        }
    }
}
