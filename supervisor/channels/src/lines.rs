//! The seams to what has connections, secrets and screens: who makes calls and holds sockets, and who shows
//! how accounts are.

use async_trait::async_trait;
use bytes::Bytes;
use records::{AccountPut, AccountRow, Records, Shut};
use tokio::sync::oneshot;
use types::{Chain, TenantId, UnixMillis};

use crate::adapter::{Call, Outcome};

/// The connections to networks and to pages. Whoever has them puts secrets into what goes out, bounds what
/// comes in, and connects to no address that was not checked.
#[async_trait]
pub trait Lines: Send + Sync + std::fmt::Debug {
    /// Makes a call, with the account's secret in it.
    async fn call(&self, account: &AccountRow, call: Call) -> Called;

    /// Makes a call whose body is this, of this kind, instead of its own.
    async fn upload(&self, account: &AccountRow, call: Call, kind: &str, body: Bytes) -> Called;

    /// A file that the tenant's worker has set aside to be sent, which is so large. As long as it is held, its
    /// tenant has no other.
    ///
    /// # Errors
    /// When it is not there, cannot be had now, or others are held.
    async fn file(&self, tenant: &TenantId, id: &str, size: usize) -> Result<Bytes, NotHad>;

    /// Fetches something of at most so many bytes; one that is longer is one byte too long.
    async fn fetch(&self, account: &AccountRow, call: Call, most: usize) -> Called;

    /// Says a frame over the account's socket; gives what its session says came of it.
    async fn say(&self, account: &AccountRow, key: &str, frame: Vec<u8>) -> Outcome;

    /// Shows a frame on the pages of a conversation, now or when one is opened.
    async fn show(&self, account: &AccountRow, room: &str, frame: Vec<u8>) -> Called;

    /// Opens a socket; where no address is given, at the account's own server.
    ///
    /// # Errors
    /// When there is none, with why.
    async fn open(&self, account: &AccountRow, address: &str) -> Result<Box<dyn Wire>, String>;

    /// A frame with the account's secret where `pointer` leads.
    ///
    /// # Errors
    /// When there is no secret, with why.
    async fn prove(
        &self,
        account: &AccountRow,
        frame: &[u8],
        pointer: &str,
    ) -> Result<Vec<u8>, String>;
}

/// What is to be said over a socket that is held.
#[derive(Debug)]
pub struct Said {
    /// What it is known by.
    pub key: String,
    /// What is said.
    pub frame: Vec<u8>,
    /// Who is told what came of it. Dropped, nobody knows.
    pub told: oneshot::Sender<Outcome>,
}

/// A socket that is open.
#[async_trait]
pub trait Wire: Send + std::fmt::Debug {
    /// The next frame, or the end. May be dropped before it is there, and loses nothing then.
    async fn next(&mut self) -> Heard;

    /// Sends a frame. Whether it arrived is heard by what comes.
    async fn say(&mut self, frame: Vec<u8>);

    /// Ends it.
    async fn end(&mut self, code: u16);
}

/// What comes over a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A frame of text.
    Frame(Vec<u8>),
    /// A sign that it is there.
    Pulse,
    /// It has ended, with this code where the network gave one.
    Ended(Option<u16>),
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// The network has answered.
    Answered {
        /// The status.
        status: u16,
        /// `Retry-After`.
        retry_after: Option<String>,
        /// The body, as far as it was read.
        body: Vec<u8>,
    },
    /// Nothing was sent.
    Unsent(String),
    /// Nobody knows whether it arrived.
    Unknown(String),
}

/// Why a file is not there that a worker has set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotHad {
    /// It never will be.
    Never(String),
    /// It may be later.
    Away(String),
    /// Others are held; ask again in so many milliseconds.
    Busy(u64),
}

/// What is known of an account's health, for whoever shows it.
#[async_trait]
pub trait Watcher: Send + Sync + std::fmt::Debug {
    /// Something came over it.
    fn came(&self, account: &AccountRow);

    /// Something came that cannot be read or kept, ever: it is acknowledged, and lost.
    fn lost(&self, account: &AccountRow, why: &str);

    /// Something was sent over it.
    fn sent(&self, account: &AccountRow);

    /// It is not connected for the moment.
    fn away(&self, account: &AccountRow, why: &str);

    /// Nothing more is sent or asked over it until somebody has looked: the tenant is told.
    async fn shut(&self, account: &AccountRow, why: &str);
}

/// The first time that a network does not know an account any more is the last: others on the same machine
/// pay for whoever goes on.
pub(crate) async fn shut(
    records: &Records,
    watcher: &dyn Watcher,
    now: UnixMillis,
    account: &AccountRow,
    why: &str,
) {
    let row = AccountRow { shut: Some(Shut { at: now, why: why.to_owned() }), ..account.clone() };
    match records.put_account(&row, Some(account)).await {
        Ok(AccountPut::Done) => watcher.shut(&row, why).await,
        // Whoever has changed it meanwhile has looked.
        Ok(AccountPut::Changed | AccountPut::Claimed(_)) => {}
        Err(err) => tracing::error!(error = %Chain(&err), "an account cannot be shut"),
    }
}
