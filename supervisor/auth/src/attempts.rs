//! Wrong tokens, by address: a few are free, then each one shuts its address out for twice as long.
//!
//! Only wrong tokens come here, so a right one is never shut out. The table is of fixed size and
//! where an address lands in it cannot be foreseen, so a flood of addresses costs no memory and
//! cannot be aimed at one of them.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use types::UnixMillis;

use crate::Unauthenticated;

/// Wrong tokens that cost nothing: people mistype.
const FREE: u32 = 5;

/// The first lock-out, and the longest, in milliseconds.
const FIRST: u64 = 1000;
const LONGEST: u64 = 15 * 60 * 1000;

/// After this long without a wrong token, an address starts anew.
const FORGOTTEN: u64 = 60 * 60 * 1000;

/// Groups of addresses, each with its own lock.
const GROUPS: usize = 1024;

/// Addresses that one group remembers; the one that was quiet for longest makes way.
const WAYS: usize = 4;

#[derive(Debug)]
pub(crate) struct Attempts {
    hash: RandomState,
    groups: Box<[Mutex<[Attempt; WAYS]>]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Attempt {
    /// The address, mapped to IPv6 and cut to the part that one customer of a network holds.
    address: u128,
    wrong: u32,
    last: UnixMillis,
    locked_until: UnixMillis,
}

impl Default for Attempts {
    fn default() -> Self {
        let groups = (0..GROUPS).map(|_| Mutex::default()).collect();
        Self { hash: RandomState::new(), groups }
    }
}

impl Attempts {
    /// Counts a wrong token and says what its sender is told.
    pub(crate) fn wrong(&self, from: IpAddr, now: UnixMillis) -> Unauthenticated {
        let address = network(from);
        let hash = usize::try_from(self.hash.hash_one(address) >> 32).unwrap_or(0);
        let Some(group) = self.groups.get(hash % GROUPS) else { return Unauthenticated::Wrong };
        let mut group = group.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = group.iter().position(|attempt| attempt.address == address);
        let quietest = || group.iter().enumerate().min_by_key(|(_, attempt)| attempt.last);
        let slot = slot.or_else(|| quietest().map(|(slot, _)| slot)).unwrap_or(0);
        let Some(attempt) = group.get_mut(slot) else { return Unauthenticated::Wrong };
        attempt.count(address, now)
    }
}

impl Attempt {
    fn count(&mut self, address: u128, now: UnixMillis) -> Unauthenticated {
        if self.address != address || now.saturating_sub(self.last) > FORGOTTEN {
            *self = Self { address, ..Self::default() };
        }
        if self.locked_until > now {
            let retry_after_s = (self.locked_until - now).div_ceil(1000);
            return Unauthenticated::LockedOut { retry_after_s };
        }
        self.wrong = self.wrong.saturating_add(1);
        self.last = now;
        if let Some(doublings) = self.wrong.checked_sub(FREE) {
            let doubled = FIRST.saturating_mul(2_u64.saturating_pow(doublings));
            self.locked_until = now.saturating_add(doubled.min(LONGEST));
        }
        Unauthenticated::Wrong
    }
}

/// IPv4 addresses as they are, also in their IPv6 dress; of IPv6 ones the first 64 bits, because
/// one customer has as many addresses below them as it likes.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => Ipv6Addr::to_bits(address) & !u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(retry_after_s: u64) -> Unauthenticated {
        Unauthenticated::LockedOut { retry_after_s }
    }

    #[test]
    fn wrong_tokens_cost_twice_as_much_each_time() {
        let attempts = Attempts::default();
        let from: IpAddr = "192.0.2.1".parse().unwrap();
        let mut now = 1_000_000;
        for _ in 0..FREE {
            assert_eq!(attempts.wrong(from, now), Unauthenticated::Wrong);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            assert_eq!(attempts.wrong(from, now), locked(seconds));
            assert_eq!(attempts.wrong(from, now + 1), locked(seconds));
            now += seconds * 1000;
            assert_eq!(attempts.wrong(from, now), Unauthenticated::Wrong);
        }
        now += FORGOTTEN + 1;
        for _ in 0..FREE {
            assert_eq!(attempts.wrong(from, now), Unauthenticated::Wrong);
        }
        assert_eq!(attempts.wrong(from, now), locked(1));
    }

    #[test]
    fn an_address_is_a_customer() {
        let check = |one: &str, other: &str, same: bool| {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(network(one) == network(other), same, "{one} {other}");
        };
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true);
        check("2001:db8:0:1::1", "2001:db8:0:2::1", false);
    }

    #[test]
    fn a_flood_of_addresses_stays_within_the_table() {
        let attempts = Attempts::default();
        for low in 0..50_000_u32 {
            assert_eq!(attempts.wrong(IpAddr::V4(low.into()), 1), Unauthenticated::Wrong);
        }
        let kept = attempts.groups.iter().map(|group| group.lock().unwrap().len()).sum::<usize>();
        assert_eq!(kept, GROUPS * WAYS);
    }
}
