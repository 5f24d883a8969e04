//! How many connections each address holds, so that one of them cannot hold them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bits of an IPv6 address that its holder cannot choose.
const NETWORK: u128 = !0 << 64;

/// The connections of every address that holds any: as many entries as connections, at most.
#[derive(Debug)]
pub(crate) struct Peers {
    open: Mutex<HashMap<IpAddr, usize>>,
    max: usize,
}

/// One connection of an address.
#[derive(Debug)]
pub(crate) struct Held {
    peers: Arc<Peers>,
    peer: IpAddr,
}

impl Peers {
    pub(crate) fn new(max: usize) -> Self {
        Self { open: Mutex::default(), max }
    }

    /// One more connection of this address, unless it has too many.
    pub(crate) fn hold(self: &Arc<Self>, peer: IpAddr) -> Option<Held> {
        let peer = network(peer);
        let mut all = self.all();
        let open = all.entry(peer).or_insert(0);
        if *open >= self.max {
            return None;
        }
        *open += 1;
        drop(all);
        Some(Held { peers: Arc::clone(self), peer })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = self.peers.all();
        if let Some(open) = all.get_mut(&self.peer) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                all.remove(&self.peer);
            }
        }
    }
}

fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(it) => Ipv6Addr::from_bits(it.to_bits() & NETWORK).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_so_many_and_stands_in_nobodys_way() {
        let peers = Arc::new(Peers::new(2));
        let hold = |text: &str| peers.hold(text.parse().unwrap());
        let mine = [hold("192.0.2.1").unwrap(), hold("::ffff:192.0.2.1").unwrap()];
        assert!(hold("192.0.2.1").is_none());
        let other = [hold("2001:db8::1").unwrap(), hold("2001:db8::ffff:1").unwrap()];
        assert!(hold("2001:db8::2").is_none());
        drop((hold("192.0.2.2").unwrap(), hold("2001:db8:0:1::1").unwrap()));
        drop(mine);
        drop(hold("192.0.2.1").unwrap());
        drop(other);
        assert!(peers.all().is_empty());
    }
}
