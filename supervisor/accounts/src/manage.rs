//! What is done with an account that is there.

use std::time::Duration;

use channels::{Called, Lines as _};
use records::{AccountPut, AccountRow, Shut};
use types::TenantId;

use crate::add::shown;
use crate::secrets::{ALL, TOKEN};
use crate::view::{Tested, View};
use crate::{Accounts, Error};

/// Why a logged-out account is not connected.
const LOGGED_OUT: &str = "logged out";

/// How long a network may take to hear that it is to call no more.
const FAREWELL: Duration = Duration::from_secs(10);

impl Accounts {
    /// The accounts of a tenant, or those that all tenants share.
    ///
    /// # Errors
    /// When the records fail.
    pub async fn list(&self, owner: Option<&TenantId>) -> Result<Vec<View>, Error> {
        let mut views = Vec::new();
        for row in self.0.records.accounts(owner).await? {
            views.push(self.view(&row).await?);
        }
        Ok(views)
    }

    /// Connects an account, also one that was shut.
    ///
    /// # Errors
    /// When there is none, or it has no credential.
    pub async fn connect(&self, owner: Option<&TenantId>, of: (&str, &str)) -> Result<View, Error> {
        let row = self.named(owner, of).await?;
        if self.0.settings.channel_secret(owner, &row.id, TOKEN).await?.is_none() {
            return Err(Error::LoggedOut);
        }
        self.change(row, |row| (row.running, row.shut) = (true, None)).await
    }

    /// Disconnects an account: nothing comes in over it or goes out.
    ///
    /// # Errors
    /// When there is none.
    pub async fn disconnect(
        &self,
        owner: Option<&TenantId>,
        of: (&str, &str),
    ) -> Result<View, Error> {
        let row = self.named(owner, of).await?;
        self.change(row, |row| row.running = false).await
    }

    /// Disconnects an account and forgets its credentials.
    ///
    /// # Errors
    /// When there is none.
    pub async fn log_out(&self, owner: Option<&TenantId>, of: (&str, &str)) -> Result<View, Error> {
        let row = self.named(owner, of).await?;
        let (id, at) = (row.id.clone(), self.0.clock.now());
        let shut = Shut { at, why: LOGGED_OUT.to_owned() };
        self.call_off(&row).await;
        let view = self.change(row, |row| (row.running, row.shut) = (false, Some(shut))).await?;
        self.0.settings.seal_channel(owner, &id, &[], &ALL).await?;
        Ok(view)
    }

    /// Removes an account with everything that hangs on it: who was let in, codes, requests.
    ///
    /// # Errors
    /// When there is none.
    pub async fn remove(&self, owner: Option<&TenantId>, of: (&str, &str)) -> Result<(), Error> {
        let row = self.named(owner, of).await?;
        self.call_off(&row).await;
        self.0.records.remove_account(&row).await?;
        self.settle(owner, &row.id).await?;
        self.0.settings.seal_channel(owner, &row.id, &[], &ALL).await?;
        self.0.watch.forget(&row.id);
        Ok(())
    }

    /// Tells a network that was told where to call that nobody is called there any more. One that does not
    /// hear it calls in vain.
    async fn call_off(&self, row: &AccountRow) {
        if row.way != "webhook" || self.0.config.public_url.is_none() {
            return;
        }
        let call = channels::adapter(&row.channel).and_then(|it| it.arrive(None));
        let Some(call) = call else { return };
        match tokio::time::timeout(FAREWELL, self.0.lines.call(row, call)).await {
            Ok(Called::Answered { status: 200..=299, .. }) => {}
            missed => tracing::info!(account = %row.id, ?missed, "the network may go on calling"),
        }
    }

    /// Asks the network whether it knows the account.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn test(&self, owner: Option<&TenantId>, of: (&str, &str)) -> Result<Tested, Error> {
        let row = self.named(owner, of).await?;
        let adapter = channels::adapter(&row.channel);
        let adapter = adapter.ok_or_else(|| Error::Channel(row.channel.clone()))?;
        // Also one that was shut: this is how somebody looks.
        let row = AccountRow { shut: None, ..row };
        Ok(match self.probe(adapter, &row).await {
            Ok(Some(named)) => {
                let name = named.name.map(|it| format!(" ({it})")).unwrap_or_default();
                Tested { ok: true, detail: format!("we are {}{name}", named.id) }
            }
            Ok(None) => Tested { ok: true, detail: "there is nobody to ask".to_owned() },
            Err(Error::Probe(why)) => Tested { ok: false, detail: why },
            Err(err) => return Err(err),
        })
    }

    /// An account by its network and name.
    pub(crate) async fn named(
        &self,
        owner: Option<&TenantId>,
        (channel, name): (&str, &str),
    ) -> Result<AccountRow, Error> {
        if channels::adapter(channel).is_none() {
            return Err(Error::Channel(shown(channel)));
        }
        let all = self.0.records.accounts(owner).await?;
        let found = all.into_iter().find(|row| row.channel == channel && row.name == name);
        let (channel, name) = (channel.to_owned(), shown(name));
        found.ok_or(Error::Account { channel, name })
    }

    async fn change(
        &self,
        row: AccountRow,
        change: impl FnOnce(&mut AccountRow),
    ) -> Result<View, Error> {
        let mut new = row.clone();
        change(&mut new);
        match self.0.records.put_account(&new, Some(&row)).await? {
            AccountPut::Done => {}
            AccountPut::Changed => return Err(Error::Changed),
            AccountPut::Claimed(claimed) => return Err(Error::Taken(claimed.name())),
        }
        self.settle(new.owner.as_ref(), &new.id).await?;
        self.view(&new).await
    }
}
