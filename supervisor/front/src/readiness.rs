//! Whether the gateway takes requests, for load balancers and for people.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

/// What `/ready` says. Clones are handles to the same; a new one says that the gateway starts.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// Requests are taken from now on.
    pub fn set_ready(&self) {
        self.0.store(READY, Ordering::Release);
    }

    /// No new requests should come; those under way are finished.
    pub fn set_draining(&self) {
        self.0.store(DRAINING, Ordering::Release);
    }

    /// Why the gateway takes no requests, or `None` when it does.
    pub fn failing(&self) -> Option<&'static str> {
        match self.0.load(Ordering::Acquire) {
            STARTING => Some("starting"),
            READY => None,
            _ => Some("draining"),
        }
    }
}
