//! Nothing lost between the gateway and its tenants' workers: what comes is kept before it is
//! acknowledged and until its worker has dealt with it; what workers send is kept until it is where
//! it goes, or is known not to be.
//!
//! Starts no worker, speaks no network and reads nothing of what it keeps: whoever drives it does.

#![cfg_attr(
    test,
    expect(clippy::cognitive_complexity, reason = "every .await and assertion counts as a branch")
)]

mod age;
pub mod inbox;
mod name;
pub mod outbox;
#[cfg(test)]
mod testing;
mod totals;

pub use name::event_id;
pub use totals::{
    MAX_BYTES_OF_ALL, MAX_DEAD_BYTES_OF_ALL, MAX_WAITING_OF_ALL, SHARE, Size, Totals,
};

use std::sync::Arc;

use records::Records;
use settings::Settings;
use types::Clock;

/// Something could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A bound is reached.
    #[error("{what} are at most {max}; try again when some of them are done")]
    Full {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// It is too long, or has too many parts.
    #[error("{what} is at most {max}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// There is no such entry.
    #[error("there is no such delivery")]
    NotFound,
    /// It is not in a state in which that can be done.
    #[error("the delivery is {state}")]
    State {
        /// Its state.
        state: &'static str,
    },
    /// The records failed.
    #[error("the records of deliveries failed")]
    Records(#[source] records::Error),
    /// What is kept could not be sealed or opened.
    #[error("a delivery cannot be sealed or opened")]
    Sealed(#[source] settings::VaultError),
}

impl Error {
    /// Whether the tenant is gone.
    pub const fn is_gone(&self) -> bool {
        use records::Error::NotFound;
        matches!(
            self,
            Self::Records(NotFound) | Self::Sealed(settings::VaultError::Records(NotFound))
        )
    }
}

/// What all boxes share. Clones are the same.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    records: Records,
    settings: Settings,
    clock: Arc<dyn Clock>,
    /// Names this run of the gateway: leases of another one are void.
    boot: String,
    totals: Totals,
}

impl Shared {
    /// Over these records; content is sealed under the keys of `settings`.
    pub fn new(records: Records, settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let boot = name::boot(clock.now());
        Self(Arc::new(Parts { records, settings, clock, boot, totals: Totals::default() }))
    }

    /// Counts over all tenants.
    pub fn totals(&self) -> &Totals {
        &self.0.totals
    }
}
