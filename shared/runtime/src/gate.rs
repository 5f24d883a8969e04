//! A gate in front of what must drain: work holds a pass, and closing waits for the passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Set in the count once the gate is closed.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// A gate. Clones share one count.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Passes given out, and [`CLOSED`].
    count: AtomicUsize,
    emptied: Notify,
}

/// The gate is closed: no new work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no new work is accepted")]
pub struct Closed;

/// The right to work behind the gate, given back when dropped.
#[derive(Debug)]
pub struct Pass(Arc<Inner>);

impl Gate {
    /// A pass, unless the gate is closed.
    pub fn enter(&self) -> Result<Pass, Closed> {
        let before = self.0.count.fetch_add(1, Ordering::AcqRel);
        let pass = Pass(Arc::clone(&self.0));
        if before & CLOSED == 0 { Ok(pass) } else { Err(Closed) }
    }

    /// How many passes are out.
    pub fn passes(&self) -> usize {
        self.0.count.load(Ordering::Acquire) & !CLOSED
    }

    /// Gives out no more passes.
    pub fn close(&self) {
        self.0.count.fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Gives out passes again.
    pub fn reopen(&self) {
        self.0.count.fetch_and(!CLOSED, Ordering::AcqRel);
    }

    /// Waits until every pass is back. Dropping the future leaves the gate as it is.
    pub async fn emptied(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            if self.passes() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) & !CLOSED == 1 {
            self.0.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn closing_waits_for_passes() {
        let gate = Gate::default();
        let pass = gate.enter().unwrap();
        gate.close();
        assert_eq!(gate.enter().map(drop), Err(Closed));
        let waiting = gate.emptied();
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(pass);
        waiting.await;
        assert_eq!(gate.passes(), 0);
        gate.reopen();
        drop(gate.enter().unwrap());
    }
}
