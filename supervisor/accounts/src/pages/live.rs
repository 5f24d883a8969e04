//! The pages that are open, by account and conversation: how many there may be, and what they are told.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Pages of one account that are open at once: a busy site, of which one tenant is to have no more.
pub(crate) const MAX_PAGES: usize = 1024;

/// Of these, those from one address: it leaves as many to others.
pub(crate) const MAX_OF_PEER: usize = 512;

/// Pages of one visitor: tabs and devices.
pub(crate) const MAX_OF_VISITOR: usize = 8;

/// Frames that wait for a page. One that does not take them is cut, and asks again for what it missed.
const MAX_WAITING: usize = 64;

/// Bytes of them: the two longest that there are.
const MAX_WAITING_BYTES: usize = 2 << 20;

/// The bits of an IPv6 address that its holder cannot choose.
const NETWORK: u128 = !0 << 64;

/// Every page that is open.
#[derive(Debug, Default)]
pub(crate) struct Live(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    next: u64,
    accounts: HashMap<String, Rooms>,
}

#[derive(Debug, Default)]
struct Rooms {
    count: usize,
    rooms: HashMap<String, Vec<Page>>,
    peers: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Page {
    number: u64,
    frames: mpsc::Sender<Waiting>,
    space: Arc<Semaphore>,
}

/// A frame that a page has not taken yet, with the space that it takes.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) frame: Utf8Bytes,
    _space: OwnedSemaphorePermit,
}

/// The place of one page. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    live: Arc<Live>,
    account: String,
    room: String,
    peer: IpAddr,
    number: u64,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("too many pages are open: at most {MAX_PAGES} of one account")]
    Account,
    #[error("too many pages are open: at most {MAX_OF_PEER} from one address")]
    Peer,
    #[error("too many pages are open: at most {MAX_OF_VISITOR} of one visitor")]
    Visitor,
}

impl Live {
    /// A place for a page of a conversation, and what it is to be told. Ends when the page does not take it.
    pub(crate) fn enter(
        self: &Arc<Self>,
        account: &str,
        room: &str,
        peer: IpAddr,
    ) -> Result<(Seat, mpsc::Receiver<Waiting>), Full> {
        let peer = network(peer);
        let mut all = self.all();
        let number = all.next;
        let of = all.accounts.entry(account.to_owned()).or_default();
        let mine = of.rooms.get(room).map_or(0, Vec::len);
        if of.count >= MAX_PAGES {
            return Err(Full::Account);
        }
        if of.peers.get(&peer).is_some_and(|it| *it >= MAX_OF_PEER) {
            return Err(Full::Peer);
        }
        if mine >= MAX_OF_VISITOR {
            return Err(Full::Visitor);
        }
        let (frames, told) = mpsc::channel(MAX_WAITING);
        let space = Arc::new(Semaphore::new(MAX_WAITING_BYTES));
        of.count += 1;
        *of.peers.entry(peer).or_insert(0) += 1;
        of.rooms.entry(room.to_owned()).or_default().push(Page { number, frames, space });
        all.next = number.wrapping_add(1);
        drop(all);
        let (account, room) = (account.to_owned(), room.to_owned());
        Ok((Seat { live: Arc::clone(self), account, room, peer, number }, told))
    }

    /// Tells every page of a conversation something.
    pub(crate) fn tell(&self, account: &str, room: &str, frame: &Utf8Bytes) {
        let mut all = self.all();
        let Some(pages) = all.accounts.get_mut(account).and_then(|it| it.rooms.get_mut(room))
        else {
            return;
        };
        // Whose frames are dropped hears the end of them, and leaves its place then.
        for page in pages {
            if !page.tell(frame) {
                page.frames = mpsc::channel(1).0;
            }
        }
    }

    /// Ends every page of an account.
    pub(crate) fn end(&self, account: &str) {
        let mut all = self.all();
        let pages = all.accounts.get_mut(account).map(|it| it.rooms.values_mut().flatten());
        for page in pages.into_iter().flatten() {
            page.frames = mpsc::channel(1).0;
        }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    /// Whether there was space for it.
    fn tell(&self, frame: &Utf8Bytes) -> bool {
        let bytes = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let space = Arc::clone(&self.space).try_acquire_many_owned(bytes);
        let waiting = space.map(|it| Waiting { frame: frame.clone(), _space: it });
        waiting.is_ok_and(|it| self.frames.try_send(it).is_ok())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.live.all();
        let Some(of) = all.accounts.get_mut(&self.account) else { return };
        of.count = of.count.saturating_sub(1);
        if let Some(open) = of.peers.get_mut(&self.peer) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                of.peers.remove(&self.peer);
            }
        }
        if let Some(pages) = of.rooms.get_mut(&self.room) {
            pages.retain(|it| it.number != self.number);
            if pages.is_empty() {
                of.rooms.remove(&self.room);
            }
        }
        if of.count == 0 {
            all.accounts.remove(&self.account);
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

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_page_hears_its_conversation_and_no_other() {
        let live = Arc::<Live>::default();
        let home = peer("192.0.2.1");
        let (_one, mut told) = live.enter("cha_1", "v1", home).unwrap();
        let (_two, mut also) = live.enter("cha_1", "v1", home).unwrap();
        let (_other, mut other) = live.enter("cha_1", "v2", home).unwrap();
        let (_elsewhere, mut elsewhere) = live.enter("cha_2", "v1", home).unwrap();
        live.tell("cha_1", "v1", &Utf8Bytes::from_static("hello"));
        assert_eq!(told.try_recv().unwrap().frame, "hello");
        assert_eq!(also.try_recv().unwrap().frame, "hello");
        other.try_recv().unwrap_err();
        elsewhere.try_recv().unwrap_err();
        live.end("cha_1");
        let ended = mpsc::error::TryRecvError::Disconnected;
        assert_eq!((told.try_recv().unwrap_err(), other.try_recv().unwrap_err()), (ended, ended));
        assert_eq!(elsewhere.try_recv().unwrap_err(), mpsc::error::TryRecvError::Empty);
    }

    #[test]
    fn who_takes_nothing_is_cut_and_holds_up_nobody() {
        let live = Arc::<Live>::default();
        let (seat, mut lazy) = live.enter("cha_1", "v1", peer("192.0.2.1")).unwrap();
        let (here, mut other) = live.enter("cha_1", "v1", peer("192.0.2.1")).unwrap();
        for _ in 0..=MAX_WAITING {
            live.tell("cha_1", "v1", &Utf8Bytes::from_static("x"));
            other.try_recv().unwrap();
        }
        let taken = std::iter::from_fn(|| lazy.try_recv().ok()).count();
        assert_eq!(taken, MAX_WAITING);
        assert_eq!(lazy.try_recv().unwrap_err(), mpsc::error::TryRecvError::Disconnected);
        assert_eq!(live.all().accounts["cha_1"].count, 2, "it leaves its place when it hears it");
        drop((seat, here));
        assert!(live.all().accounts.is_empty());
    }

    #[test]
    fn what_waits_for_a_page_has_a_bound_in_bytes_too() {
        let live = Arc::<Live>::default();
        let (_seat, mut told) = live.enter("cha_1", "v1", peer("192.0.2.1")).unwrap();
        let half = Utf8Bytes::from("x".repeat(MAX_WAITING_BYTES / 2));
        for _ in 0..3 {
            live.tell("cha_1", "v1", &half);
            assert_eq!(told.try_recv().unwrap().frame.len(), half.len(), "it is taken");
        }
        for _ in 0..3 {
            live.tell("cha_1", "v1", &half);
        }
        let taken = std::iter::from_fn(|| told.try_recv().ok()).count();
        assert_eq!(taken, 2, "and then its frames end");
        assert_eq!(told.try_recv().unwrap_err(), mpsc::error::TryRecvError::Disconnected);
    }

    #[test]
    fn there_are_so_many_places_and_no_more() {
        let live = Arc::<Live>::default();
        let enter = |room: &str, from: &str| live.enter("cha_1", room, peer(from));
        let mine: Vec<_> =
            (0..MAX_OF_VISITOR).map(|_| enter("v", "2001:db8::1").unwrap()).collect();
        assert_eq!(enter("v", "2001:db8::1").unwrap_err(), Full::Visitor);
        let rest: Vec<_> = (MAX_OF_VISITOR..MAX_OF_PEER)
            .map(|n| enter(&format!("v{n}"), "2001:db8::2").unwrap())
            .collect();
        assert_eq!(enter("w", "2001:db8::3").unwrap_err(), Full::Peer);
        let others: Vec<_> = (MAX_OF_PEER..MAX_PAGES)
            .map(|n| enter(&format!("v{n}"), "192.0.2.1").unwrap())
            .collect();
        assert_eq!(enter("w", "192.0.2.2").unwrap_err(), Full::Account);
        live.enter("cha_2", "w", peer("192.0.2.2")).unwrap();
        drop((mine, rest, others));
        enter("v", "2001:db8::1").unwrap();
    }
}
