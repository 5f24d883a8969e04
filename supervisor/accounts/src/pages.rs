//! The pages on which visitors chat: what they show, kept and told to those that are open, and how a
//! visitor's message goes where every network's goes.
//!
//! A message is parsed here as far as its id. What a conversation shows is kept here, sealed, and not read
//! from a worker: a page that is opened wakes nobody, and an answer is there although no page was.

mod end;
mod frames;
mod keeper;
mod live;
mod postponed;
mod session;
mod visitor;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use channels::{Called, webchat};
use records::{AccountRow, PageHead, Records, Shown};
use settings::Settings;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use types::{Chain, Clock, TenantId, UnixMillis};

use crate::budget::Budget;
use crate::{Accounts, Error};
use frames::Told;
use live::Live;
use postponed::Postponed;

pub(crate) use keeper::Recording;
pub use session::Visit;
pub use visitor::Words;

/// The network's name.
pub(crate) const WEBCHAT: &str = "webchat";

/// Bytes of one message without its files: a text of the network's longest, which nobody types.
pub(crate) const MAX_MESSAGE: usize = 32 << 10;

/// Files of one message, and bytes of them together: with everything around it, an event is no longer than
/// its worker takes.
pub(crate) const MAX_FILES: usize = 4;
pub(crate) const MAX_FILE_BYTES: usize = 720 << 10;

/// Bytes of a message that comes by a request, with its files.
pub const MAX_REQUEST: usize = MAX_MESSAGE + MAX_FILE_BYTES.div_ceil(3) * 4 + 1024;

/// How long a conversation is shown, and a visitor is the same, since somebody last said something: a month.
pub(crate) const KEEP_MS: u64 = 30 * 24 * 3_600_000;

/// Conversations of one account that are kept, and bytes of them. The one in which nobody has said anything
/// for longest goes first.
const MAX_CONVERSATIONS: usize = 4096;
const MAX_BYTES: usize = 64 << 20;

/// What conversations are sealed as.
const KIND: &str = "webchat-page";

/// What the pages of every account show.
#[derive(Debug)]
pub(crate) struct Pages {
    records: Records,
    settings: Settings,
    clock: Arc<dyn Clock>,
    pub(crate) live: Arc<Live>,
    /// Which conversations there are, by account.
    kept: Mutex<HashMap<String, Index>>,
    /// Messages of each visitor, and of each address, in a minute; pages that are opened of each account.
    visitors: Budget,
    peers: Budget,
    hellos: Budget,
    /// What visitors are to say again.
    postponed: Postponed,
}

/// The conversations of one account.
#[derive(Debug, Default)]
struct Index {
    bytes: usize,
    all: HashMap<String, (UnixMillis, usize)>,
}

/// The page of an account.
#[derive(Debug, Clone)]
pub struct Page(pub(crate) AccountRow);

impl Page {
    /// The origins of sites that may have it in theirs.
    pub fn origins(&self) -> &[String] {
        &self.0.policy.page.origins
    }

    /// Whose it is.
    pub const fn owner(&self) -> Option<&TenantId> {
        self.0.owner.as_ref()
    }
}

impl Accounts {
    /// The page at an address. None for an address that nobody has, and one of an account that is stopped.
    ///
    /// # Errors
    /// When the records fail.
    pub async fn page(&self, path: &str) -> Result<Option<Page>, Error> {
        let found = self.0.records.account_at(&channels::intake::path_digest(path)).await?;
        let is_open = |it: &AccountRow| {
            it.channel == WEBCHAT && it.running && it.shut.is_none() && it.owner.is_some()
        };
        Ok(found.filter(is_open).map(Page))
    }
}

/// What is shown of one conversation since a change.
#[derive(Debug)]
pub(crate) struct Since {
    /// Its latest change.
    pub(crate) rev: u64,
    /// Whether it is another than the one of which that change was.
    pub(crate) anew: bool,
    pub(crate) items: Vec<Utf8Bytes>,
}

impl Pages {
    pub(crate) fn new(records: Records, settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self {
            records,
            settings,
            clock,
            live: Arc::default(),
            kept: Mutex::default(),
            visitors: Budget::default(),
            peers: Budget::default(),
            hellos: Budget::default(),
            postponed: Postponed::default(),
        }
    }

    /// Shows an answer: kept first, then told to the pages that are open.
    pub(crate) async fn show(&self, account: &AccountRow, room: &str, frame: Vec<u8>) -> Called {
        let (key, over) = match webchat::answer(&frame) {
            Ok(keys) => keys,
            Err(err) => return Called::Unsent(Chain(&err).to_string()),
        };
        match self.put(account, room, (&key, over.as_deref()), frame).await {
            Ok(()) => Called::Answered { status: 200, retry_after: None, body: key.into_bytes() },
            Err(err) => Called::Unsent(Chain(&err).to_string()),
        }
    }

    /// Keeps what a conversation shows, and tells its pages. The same key again changes nothing.
    pub(crate) async fn put(
        &self,
        account: &AccountRow,
        room: &str,
        (key, over): (&str, Option<&str>),
        frame: Vec<u8>,
    ) -> Result<(), Error> {
        let of = Self::of(account, room)?;
        let sealer = self.settings.sealer(of.tenant).await?;
        let content = sealer.seal(KIND, &name(&of), &frame)?;
        let showing = records::Showing { key, over, at: self.clock.now() };
        match self.records.show_page(of, showing, &Bytes::from(content)).await? {
            Shown::Known(_) => Ok(()),
            Shown::Kept(head, row) => {
                if let Some(item) = frames::item(row.seq, row.rev, &frame) {
                    self.live.tell(&account.id, room, &item);
                }
                self.make_room(of.tenant, &account.id, head).await
            }
        }
    }

    /// What a conversation shows since a change: all of it where there has been no such change.
    pub(crate) async fn since(
        &self,
        account: &AccountRow,
        room: &str,
        after: u64,
    ) -> Result<Since, Error> {
        let of = Self::of(account, room)?;
        let sealer = self.settings.sealer(of.tenant).await?;
        let (rev, rows) = self.records.page_since(of, after).await?;
        let mut items = Vec::with_capacity(rows.len());
        for (row, sealed) in rows {
            let content = sealer.open(KIND, &name(&of), &sealed)?;
            items.extend(frames::item(row.seq, row.rev, &content));
        }
        Ok(Since { rev, anew: after > rev, items })
    }

    /// Shows that an answer is being written, for so long.
    pub(crate) fn typing(&self, account: &str, room: &str, ms: u64) {
        self.live.tell(account, room, &Told::Typing { ms }.frame());
    }

    /// The account's pages are not any more, or are others.
    pub(crate) fn end(&self, account: &str) {
        self.live.end(account);
        self.kept().remove(account);
    }

    fn of<'a>(account: &'a AccountRow, room: &'a str) -> Result<records::Pages<'a>, Error> {
        let tenant = account.owner.as_ref().ok_or(records::Error::NotFound)?;
        Ok(records::Pages { tenant, account: &account.id, room })
    }

    /// Writes down how large a conversation is by now, and forgets others where they are too many, too
    /// large or too old.
    async fn make_room(
        &self,
        tenant: &TenantId,
        account: &str,
        head: PageHead,
    ) -> Result<(), Error> {
        let is_known = self.kept().contains_key(account);
        let heads = if is_known {
            vec![head.clone()]
        } else {
            self.records.page_heads(tenant, account).await?
        };
        let gone = {
            let mut kept = self.kept();
            let index = kept.entry(account.to_owned()).or_default();
            for head in &heads {
                index.put(head);
            }
            index.surplus(&head.name, self.clock.now())
        };
        if !gone.is_empty() {
            self.records.forget_pages(tenant, account, &gone).await?;
        }
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Index>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn put(&mut self, head: &PageHead) {
        let before = self.all.insert(head.name.clone(), (head.at, head.bytes));
        let before = before.map_or(0, |(_, bytes)| bytes);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(head.bytes);
    }

    /// Takes out those that are too old, and the oldest of those that are too many or too large, but never
    /// `present`.
    fn surplus(&mut self, present: &str, now: UnixMillis) -> Vec<String> {
        let mut gone = Vec::new();
        let is_full = |it: &Self| it.all.len() > MAX_CONVERSATIONS || it.bytes > MAX_BYTES;
        loop {
            let others = self.all.iter().filter(|(name, _)| *name != present);
            let oldest = others.min_by_key(|(_, (at, _))| *at);
            let Some((name, (at, bytes))) = oldest.map(|(name, it)| (name.clone(), *it)) else {
                return gone;
            };
            if !is_full(self) && now.saturating_sub(at) <= KEEP_MS {
                return gone;
            }
            self.all.remove(&name);
            self.bytes = self.bytes.saturating_sub(bytes);
            gone.push(name);
        }
    }
}

/// What a conversation's messages are sealed under: they open in no other.
fn name(of: &records::Pages<'_>) -> String {
    format!("{}/{}", of.account, of.room)
}

#[cfg(test)]
mod tests;
