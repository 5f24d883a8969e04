//! How accounts are: kept in memory, as of the start of the gateway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use channels::Watcher;
use records::AccountRow;
use tenants::Tenants;
use types::{Clock, UnixMillis};

use crate::run::Running;

/// Characters of a reason that are kept.
const MAX_WHY: usize = 300;

/// How an account is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// When something last came over it, in milliseconds since the epoch.
    pub last_inbound_at: Option<UnixMillis>,
    /// When something was last sent over it.
    pub last_outbound_at: Option<UnixMillis>,
    /// Events that were lost because they could not be read or kept, ever.
    pub lost: u64,
    /// What last went wrong, and when; none since something went well.
    pub last_error: Option<(UnixMillis, String)>,
}

/// Is told how accounts are.
#[derive(Debug)]
pub(crate) struct Watch {
    tenants: Tenants,
    clock: Arc<dyn Clock>,
    running: Arc<Running>,
    all: Mutex<HashMap<String, Health>>,
}

impl Watch {
    pub(crate) fn new(tenants: Tenants, clock: Arc<dyn Clock>, running: Arc<Running>) -> Self {
        Self { tenants, clock, running, all: Mutex::default() }
    }

    /// How an account is, as far as anything has happened.
    pub(crate) fn of(&self, account: &str) -> Health {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(account).cloned().unwrap_or_default()
    }

    /// The account is no more.
    pub(crate) fn forget(&self, account: &str) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
    }

    fn change(&self, account: &AccountRow, change: impl FnOnce(&mut Health, UnixMillis)) {
        let now = self.clock.now();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // As many as there are accounts, each of which is in the records.
        change(all.entry(account.id.clone()).or_default(), now);
    }

    fn note(&self, account: &AccountRow, what: &str) {
        let AccountRow { channel, name, .. } = account;
        if let Some(owner) = &account.owner {
            self.tenants.note(owner, &format!("channel {channel}/{name}: {what}"));
        }
    }
}

fn short(why: &str) -> String {
    why.chars().filter(|it| !it.is_control()).take(MAX_WHY).collect()
}

#[async_trait]
impl Watcher for Watch {
    fn came(&self, account: &AccountRow) {
        self.change(account, |health, now| {
            health.last_inbound_at = Some(now);
            health.last_error = None;
        });
    }

    fn lost(&self, account: &AccountRow, why: &str) {
        let why = short(why);
        self.note(account, &format!("something came that is lost: {why}"));
        self.change(account, |health, now| {
            health.lost = health.lost.saturating_add(1);
            health.last_error = Some((now, why));
        });
    }

    fn sent(&self, account: &AccountRow) {
        self.change(account, |health, now| {
            health.last_outbound_at = Some(now);
            health.last_error = None;
        });
    }

    fn away(&self, account: &AccountRow, why: &str) {
        let why = short(why);
        tracing::debug!(account = account.id, channel = account.channel, why, "not connected");
        self.change(account, |health, now| health.last_error = Some((now, why)));
    }

    async fn shut(&self, account: &AccountRow, why: &str) {
        let why = short(why);
        tracing::info!(account = account.id, channel = account.channel, "an account is shut");
        self.note(account, &format!("nothing is sent or asked any more: {why}"));
        // A socket that is held, or a question that waits, would be asked anew.
        self.running.stop(&account.id);
        self.change(account, |health, now| health.last_error = Some((now, why)));
    }
}
