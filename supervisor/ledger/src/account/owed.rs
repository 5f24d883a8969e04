//! What was used without a hold and is not written down yet, summed up by day and token.

use std::collections::HashMap;
use std::sync::Arc;

use types::{TenantId, UnixMillis};

use crate::{Amount, Day, Entry, Kind};

/// Sums that are kept while nothing can be written. What is beyond is summed up with the latest of its
/// tenant's: no figure is lost, but which token's it was.
const MAX_SUMS: usize = 1024;

/// Sums of the current day, by token, and of earlier days.
#[derive(Debug)]
pub(crate) struct Owed {
    day: Day,
    sums: HashMap<Option<Arc<str>>, (Amount, Amount)>,
    earlier: Vec<Use>,
}

/// One sum.
#[derive(Debug)]
pub(crate) struct Use {
    day: Day,
    token: Option<Arc<str>>,
    used: Amount,
    unbilled: Amount,
}

impl Owed {
    pub(crate) fn new(day: Day) -> Self {
        Self { day, sums: HashMap::new(), earlier: Vec::new() }
    }

    #[expect(clippy::ref_option, reason = "the key of the map")]
    pub(crate) fn add(
        &mut self,
        day: Day,
        token: &Option<Arc<str>>,
        used: &Amount,
        unbilled: &Amount,
    ) {
        if used.is_zero() && unbilled.is_zero() {
            return;
        }
        if day > self.day {
            self.turn();
            self.day = day;
        }
        let full = self.sums.len() >= MAX_SUMS;
        let sum = match self.sums.get_mut(token) {
            Some(sum) => sum,
            None => self.sums.entry(token.clone().filter(|_| !full)).or_default(),
        };
        sum.0.add(used);
        sum.1.add(unbilled);
    }

    /// Everything, oldest first.
    pub(crate) fn take(&mut self) -> Vec<Use> {
        self.turn();
        std::mem::take(&mut self.earlier)
    }

    /// The sums of the current day become those of a day.
    fn turn(&mut self) {
        for (token, (used, unbilled)) in self.sums.drain() {
            let full = self.earlier.len() >= MAX_SUMS;
            match self.earlier.last_mut().filter(|_| full) {
                Some(last) => {
                    (last.day, last.token) = (self.day, None);
                    last.used.add(&used);
                    last.unbilled.add(&unbilled);
                }
                None => self.earlier.push(Use { day: self.day, token, used, unbilled }),
            }
        }
    }
}

impl Use {
    /// As a line of the books.
    pub(crate) fn entry(self, id: u64, now: UnixMillis, tenant: &TenantId) -> Entry {
        let Self { day, token, used: amount, unbilled } = self;
        Entry { day, token, amount, unbilled, ..Entry::new(Kind::Use, id, now, tenant.clone()) }
    }
}
