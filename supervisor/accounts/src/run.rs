//! The tasks of accounts: who asks, and who holds a socket. Each account has a scope of its own, which ends when anything of the account changes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use channels::{Adapter, Called, Holder, Lines as _, Poller, Watcher as _};
use futures_util::future::join_all;
use records::AccountRow;
use ring::rand::{SecureRandom as _, SystemRandom};
use runtime::Tasks;
use tokio::time::Instant;
use types::TenantId;

use crate::{Accounts, Error};

/// How long what an account has under way may take to end: a question that is being worked through.
const ENDING: Duration = Duration::from_secs(5);

/// How long one waits before a network is told again where events are to come.
const AGAIN: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

/// And in the end.
const LONGEST: Duration = Duration::from_mins(5);

/// The tasks of each account that runs, by its id: as many as there are accounts.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<HashMap<String, Tasks>>);

impl Running {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Tasks>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has an account's tasks end by themselves: whoever asks may be one of them.
    pub(crate) fn stop(&self, id: &str) {
        if let Some(tasks) = self.all().get(id) {
            tasks.stop();
        }
    }
}

impl Accounts {
    /// Connects whatever is to be connected, and claims again what is claimed: what holds a claim may have
    /// been written without it.
    pub(crate) async fn begin(&self) -> Result<(), Error> {
        let all = self.0.records.all_accounts().await?;
        let mut owners: Vec<&TenantId> = all.iter().filter_map(|it| it.owner.as_ref()).collect();
        owners.dedup();
        for owner in owners {
            self.0.records.claim_again(owner, self.0.clock.now()).await?;
        }
        for row in &all {
            self.settle(row.owner.as_ref(), &row.id).await?;
        }
        Ok(())
    }

    /// A tenant's accounts are others now.
    pub(crate) async fn again(&self, tenant: &TenantId) -> Result<(), Error> {
        self.0.records.claim_again(tenant, self.0.clock.now()).await?;
        for row in self.0.records.accounts(Some(tenant)).await? {
            self.settle(Some(tenant), &row.id).await?;
        }
        Ok(())
    }

    /// Ends what runs for a tenant.
    pub(crate) async fn disconnect_all(&self, tenant: &TenantId) {
        let rows = match self.0.records.accounts(Some(tenant)).await {
            Ok(rows) => rows,
            Err(err) => {
                let error = types::Chain(&err);
                return tracing::error!(%tenant, %error, "accounts go on without their tenant");
            }
        };
        let _settling = self.0.settling.lock().await;
        join_all(rows.iter().map(|row| self.end(&row.id))).await;
    }

    /// Makes of an account what it is to be: connected or not, by what its record says now.
    pub(crate) async fn settle(&self, owner: Option<&TenantId>, id: &str) -> Result<(), Error> {
        let _settling = self.0.settling.lock().await;
        self.end(id).await;
        let row = self.0.records.account(owner, id).await?;
        let row = row.filter(|row| row.running && row.shut.is_none());
        let Some(row) = row else { return Ok(()) };
        let Some(adapter) = channels::adapter(&row.channel) else { return Ok(()) };
        let tasks = self.0.tasks.child();
        let mut chance = [0; 2];
        SystemRandom::new().fill(&mut chance).map_err(|_none| Error::Random)?;
        let (this, scope) = (self.clone(), tasks.clone());
        let account = row.clone();
        drop(tasks.spawn(async move {
            this.run(adapter, account, u16::from_be_bytes(chance), scope).await;
        }));
        self.0.running.all().insert(row.id, tasks);
        Ok(())
    }

    /// Ends what runs of an account.
    async fn end(&self, id: &str) {
        self.0.pages.end(id);
        let tasks = self.0.running.all().remove(id);
        if let Some(tasks) = tasks
            && !tasks.shut_down(ENDING).await
        {
            tracing::warn!(account = id, "an account's tasks did not end in time");
        }
    }

    /// Whether anything runs of an account.
    pub(crate) fn runs(&self, id: &str) -> bool {
        self.0.running.all().get(id).is_some_and(|tasks| !tasks.is_stopping())
    }

    async fn run(&self, adapter: &'static dyn Adapter, row: AccountRow, chance: u16, tasks: Tasks) {
        let inner = &self.0;
        if !self.told(adapter, &row, &tasks).await {
            return;
        }
        let (inbound, records) = (inner.inbound.clone(), inner.records.clone());
        match row.way.as_str() {
            "poll" => Poller::new(adapter, row, inbound, records, chance).run(tasks).await,
            "socket" => {
                let (id, mouth) = (row.id.clone(), inner.lines.mouth(&row.id));
                let holder = Holder::new(adapter, row, inbound, records, chance).saying(mouth);
                holder.run(tasks).await;
                inner.lines.close(&id);
            }
            // The network calls, or people's browsers do.
            _ => {}
        }
    }

    /// Tells the network that it is asked, and is to call nobody. False where the account ends before it
    /// is told.
    async fn told(&self, adapter: &dyn Adapter, row: &AccountRow, tasks: &Tasks) -> bool {
        if row.way != "poll" {
            // Where it is to call is said when the account is made: only then is the address known.
            return true;
        }
        let mut waits = AGAIN.into_iter();
        loop {
            let Some(call) = adapter.arrive(None) else { return true };
            let called = tokio::select! {
                () = tasks.stopping() => return false,
                called = self.0.lines.call(row, call) => called,
            };
            let why = match called {
                // Who refuses is asked in the ordinary way, and says why.
                Called::Answered { status, .. } if status < 500 && status != 429 => return true,
                Called::Answered { status, .. } => format!("answered {status}"),
                Called::Unsent(why) | Called::Unknown(why) => why,
            };
            self.0.watch.away(row, &why);
            let until = Instant::now() + waits.next().unwrap_or(LONGEST);
            tokio::select! {
                () = tasks.stopping() => return false,
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }
}
