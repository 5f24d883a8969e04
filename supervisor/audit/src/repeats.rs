//! What happens very often, refusals before all: a flood costs a table of fixed size and a few records
//! a minute. The first is recorded at once, the same again only counted, and the count recorded when
//! the minute is over.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use trail::{Fields, Verdict, Who, WhoKind};
use types::UnixMillis;

use crate::Repeated;

/// How long the same refusal is only counted, in milliseconds.
pub(crate) const WINDOW: u64 = 60_000;

/// Different refusals in a minute that are told apart. A scan of a whole network has more; it is then
/// told how many, not from where each came.
const MAX_APART: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<Table>);

/// What was done or asked for, how it ended and why.
type Kind = (&'static str, Verdict, &'static str);

#[derive(Debug, Default)]
struct Table {
    seen: HashMap<Repeated, Seen>,
    /// Those that are not told apart, by what was asked for and why it was refused: as many as there
    /// are methods and reasons.
    others: HashMap<Kind, Seen>,
    /// Records that found no place.
    lost: u64,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    until: UnixMillis,
    again: u64,
}

impl Repeats {
    /// Counts an event; gives the record where it is the first of its kind.
    pub(crate) fn see(&self, event: Repeated, now: UnixMillis) -> Option<Fields> {
        let mut table = self.table();
        if let Some(seen) = table.seen.get_mut(&event) {
            seen.again += 1;
            return None;
        }
        if table.seen.len() >= MAX_APART {
            let until = now.saturating_add(WINDOW);
            let key = (event.act, event.verdict, event.why);
            table.others.entry(key).or_insert(Seen { until, again: 0 }).again += 1;
            return None;
        }
        let seen = Seen { until: now.saturating_add(WINDOW), again: 0 };
        let fields = fields(&event, None);
        table.seen.insert(event, seen);
        Some(fields)
    }

    /// Counts a record that found no place.
    pub(crate) fn lose(&self) {
        self.table().lost += 1;
    }

    /// How many records found no place since this was asked.
    pub(crate) fn take_lost(&self) -> u64 {
        std::mem::take(&mut self.table().lost)
    }

    /// The counts whose minute is over; all of them where the gateway ends.
    pub(crate) fn due(&self, now: UnixMillis, all: bool) -> Vec<Fields> {
        let mut table = self.table();
        let over = |seen: &Seen| all || seen.until <= now;
        let mut due = Vec::new();
        table.seen.retain(|event, seen| {
            let over = over(seen);
            if over && seen.again > 0 {
                due.push(fields(event, Some(seen.again)));
            }
            !over
        });
        table.others.retain(|&(act, verdict, why), seen| {
            let over = over(seen);
            if over {
                let who = Who { kind: WhoKind::Unknown, id: None, address: None };
                let event = Repeated { who, act, verdict, why, tenant: None };
                due.push(fields(&event, Some(seen.again)));
            }
            !over
        });
        due
    }

    /// When something is due next; none where nothing is counted.
    pub(crate) fn next_due(&self) -> Option<UnixMillis> {
        let table = self.table();
        table.seen.values().chain(table.others.values()).map(|seen| seen.until).min()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fields(event: &Repeated, count: Option<u64>) -> Fields {
    let mut fields = Fields::of_gateway(&uuid::Uuid::now_v7().to_string(), event.act);
    fields.who = event.who.clone();
    fields.tenant.clone_from(&event.tenant);
    fields.outcome = Some(event.verdict);
    fields.code = Some(event.why.into()).filter(|_| !event.why.is_empty());
    fields.count = count;
    fields
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn refusal(address: u32, act: &'static str) -> Repeated {
        let who = Who::unknown(IpAddr::V4(Ipv4Addr::from_bits(address)));
        Repeated::refused(who, act, "wrong")
    }

    #[test]
    fn the_same_refusal_is_counted_and_told_when_its_minute_is_over() {
        let refusals = Repeats::default();
        assert!(refusals.see(refusal(1, "a"), 10).is_some());
        assert!((0..999).all(|_| refusals.see(refusal(1, "a"), 20).is_none()));
        assert!(refusals.see(refusal(1, "b"), 20).is_some());
        assert!(refusals.due(10 + WINDOW - 1, false).is_empty());
        assert_eq!(refusals.next_due(), Some(10 + WINDOW));
        let due = refusals.due(20 + WINDOW, false);
        assert_eq!(due.iter().map(|it| it.count).collect::<Vec<_>>(), [Some(999)]);
        assert_eq!(refusals.next_due(), None);
        assert!(refusals.see(refusal(1, "a"), 20 + WINDOW).is_some());
    }

    #[test]
    fn a_scan_from_everywhere_costs_a_table_of_fixed_size_and_is_counted_in_full() {
        let refusals = Repeats::default();
        let told = (0..100_000).filter(|&from| refusals.see(refusal(from, "a"), 0).is_some());
        assert_eq!(told.count(), MAX_APART);
        let due = refusals.due(WINDOW, false);
        let counted: Vec<_> = due.iter().map(|it| it.count.unwrap()).collect();
        assert_eq!(counted, [100_000 - u64::try_from(MAX_APART).unwrap()]);
    }
}
