//! The whole installation: where every account writes to, and the limits that all tenants share.
//! Where there are none, no lock is shared either.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use types::{Level, Quota, UnixMillis, Window};

use crate::pot::{Limit, Pot};
use crate::window::Stamp;
use crate::{Amount, Journal, Standing, Warning};

/// Warnings that wait to be taken; there are three marks for each limit in each window.
pub(crate) const MAX_WARNINGS: usize = 256;

/// The ledger of an installation. Its accounts are made with [`crate::Account::new`].
#[derive(Debug)]
pub struct Ledger {
    journal: Arc<dyn Journal>,
    /// None where the operator has no quota of the installation.
    house: Option<Mutex<House>>,
}

#[derive(Debug)]
pub(crate) struct House {
    now: UnixMillis,
    stamp: Stamp,
    pub(crate) pot: Pot,
    pub(crate) warnings: Vec<Warning>,
}

impl Ledger {
    /// A ledger that writes to `journal` and has `quotas` for all tenants together.
    pub fn new(journal: Arc<dyn Journal>, quotas: &[Quota], now: UnixMillis) -> Self {
        let house = (!quotas.is_empty()).then(|| {
            let stamp = Stamp::at(now);
            let mut pot = Pot::new(Level::Installation, None, stamp);
            pot.limit(quotas.iter().map(Limit::of));
            Mutex::new(House { now, stamp, pot, warnings: Vec::new() })
        });
        Self { journal, house }
    }

    /// Where holds and uses are written down.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// Adds what all tenants used earlier in the window that holds `now`, those that are gone included.
    pub fn carry(&self, window: Window, used: &Amount) {
        if let Some(mut house) = self.house() {
            house.pot.carry(window, used);
        }
    }

    /// How the limits of the installation stand.
    pub fn standings(&self, now: UnixMillis) -> Vec<Standing> {
        let Some(mut house) = self.house() else { return Vec::new() };
        let now = house.turn(now);
        house.pot.standings(now).collect()
    }

    /// The warnings of the installation since the last time.
    pub fn take_warnings(&self) -> Vec<Warning> {
        self.house().map(|mut house| std::mem::take(&mut house.warnings)).unwrap_or_default()
    }

    pub(crate) fn house(&self) -> Option<MutexGuard<'_, House>> {
        // No operation on the counters can stop half-way, so those of a panicked thread are sound.
        self.house.as_ref().map(|house| house.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl House {
    /// Starts the windows that `now` has entered, and says what time it is for all.
    pub(crate) fn turn(&mut self, now: UnixMillis) -> UnixMillis {
        self.now = self.now.max(now);
        self.stamp = self.stamp.next(self.now);
        self.pot.turn(&self.stamp);
        self.now
    }
}
