//! What operators do to tenants.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use books::{Opening, Used};
use records::TenantRow;
use records::restores::RestoreRow;
use types::{Level, Limits, LimitsPatch, TenantId, UnixMillis, Window};

use crate::tenant::Tenant;
use crate::view::{Counts, State, TenantView};
use crate::{Error, Tenants, launch, lifecycle};

/// Tenants read from the records at once.
const PAGE: usize = 1000;

/// How long a suspended tenant's worker may finish what it has.
const SHORT_DRAIN: Duration = Duration::from_millis(200);

impl Tenants {
    /// Registers a tenant. Its root is made when its worker first starts.
    ///
    /// # Errors
    /// When the id is taken, a limit is out of range, or the records fail.
    pub async fn create(&self, id: &TenantId, patch: &LimitsPatch) -> Result<TenantView, Error> {
        let limits = Limits::default().with(patch).map_err(Error::InvalidLimit)?;
        self.register(id, limits, None).await
    }

    pub(crate) async fn register(
        &self,
        id: &TenantId,
        limits: Limits,
        step: Option<&RestoreRow>,
    ) -> Result<TenantView, Error> {
        // Its records may be gone already: the name is free when the directory has let it go.
        if self.0.directory.find(id).is_some() {
            return Err(Error::Exists);
        }
        let now = self.0.clock.now();
        let records = &self.0.records;
        let row = match step {
            None => records.insert_tenant(id, now, limits).await,
            Some(step) => records.insert_tenant_for(step, now, limits).await,
        };
        let exists = |err: &records::Error| matches!(err, records::Error::Exists);
        let row =
            row.map_err(|err| if exists(&err) { Error::Exists } else { Error::Records(err) })?;
        let tenant = Arc::new(Tenant::new(&self.0, row, now));
        self.0.directory.insert(&[Arc::clone(&tenant)]);
        tracing::info!(tenant = %id, "tenant created");
        Ok(tenant.view(&self.0, now))
    }

    /// Up to `limit` tenants after `after`, in the order of their ids.
    pub fn list(&self, after: Option<&TenantId>, limit: usize) -> Vec<TenantView> {
        let now = self.0.clock.now();
        self.0.directory.page(after, limit).iter().map(|tenant| tenant.view(&self.0, now)).collect()
    }

    /// One tenant as it is known without asking anybody.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn peek(&self, id: &TenantId) -> Result<TenantView, Error> {
        Ok(self.find(id)?.view(&self.0, self.0.clock.now()))
    }

    /// One tenant, with the memory of its worker.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub async fn show(&self, id: &TenantId) -> Result<TenantView, Error> {
        let tenant = self.find(id)?;
        let mut view = tenant.view(&self.0, self.0.clock.now());
        let number = tenant.worker.load().as_ref().map(|worker| worker.id);
        if let (Some(worker), Some(number)) = (view.worker.as_mut(), number) {
            let launcher = self.0.launcher.clone();
            match launch::blocking(move || launcher.usage(number)).await {
                Ok(usage) => worker.pss_bytes = usage.pss_bytes,
                Err(err) => tracing::debug!(tenant = %id, error = %types::Chain(&err), "no usage"),
            }
        }
        Ok(view)
    }

    /// Changes limits: those of the ledger at once, those of the process at its next start.
    ///
    /// # Errors
    /// When there is no such tenant, a limit is out of range, or the records fail.
    pub async fn patch(&self, id: &TenantId, patch: &LimitsPatch) -> Result<TenantView, Error> {
        let tenant = self.find(id)?;
        let limits = tenant.row.load().limits.with(patch).map_err(Error::InvalidLimit)?;
        self.update(&tenant, move |row| row.limits.clone_from(&limits)).await?;
        tenant.account.set_limits(&tenant.row.load().limits);
        Ok(tenant.view(&self.0, self.0.clock.now()))
    }

    /// Refuses the tenant's requests from now on and ends its worker.
    ///
    /// # Errors
    /// When there is no such tenant or the records fail.
    pub async fn suspend(&self, id: &TenantId) -> Result<(), Error> {
        let tenant = self.find(id)?;
        self.update(&tenant, |row| row.suspended = true).await?;
        tenant.wanted.call_off();
        let control = tenant.control.lock().await;
        // Whoever resumed it meanwhile was later.
        if tenant.row.load().suspended {
            tenant.programs.close().await;
            lifecycle::drain(&tenant, SHORT_DRAIN).await;
        }
        drop(control);
        tracing::info!(tenant = %id, "tenant suspended");
        Ok(())
    }

    /// Accepts the tenant's requests again, and forgets its crashes.
    ///
    /// # Errors
    /// When there is no such tenant or the records fail.
    pub async fn resume(&self, id: &TenantId) -> Result<(), Error> {
        let tenant = self.find(id)?;
        self.update(&tenant, |row| row.suspended = false).await?;
        let mut control = tenant.control.lock().await;
        // Whoever suspended it meanwhile was later.
        if !tenant.row.load().suspended {
            tenant.programs.open();
        }
        lifecycle::forgive(&self.0, &tenant, &mut control);
        drop(control);
        tracing::info!(tenant = %id, "tenant resumed");
        Ok(())
    }

    /// Replaces the tenant's worker: what is under way may finish until the deadline, what arrives
    /// meanwhile waits for the new worker. With `if_running`, a tenant that has none gets none.
    ///
    /// # Errors
    /// When there is no such tenant, it is suspended, or the new worker does not start.
    pub async fn restart(
        &self,
        id: &TenantId,
        deadline: Duration,
        if_running: bool,
    ) -> Result<(), Error> {
        let tenant = self.find(id)?;
        let inner = Arc::clone(&self.0);
        // A task of its own: an operator who hangs up must not leave the tenant half restarted.
        let restart = self.0.tasks.spawn(async move {
            let mut control = Arc::clone(&tenant.control).lock_owned().await;
            if if_running && tenant.worker.load().as_ref().is_none_or(|it| it.is_gone()) {
                return Ok(());
            }
            lifecycle::drain(&tenant, deadline).await;
            lifecycle::forgive(&inner, &tenant, &mut control);
            lifecycle::start(&inner, &tenant, &mut control).await.map(drop)
        });
        restart.await.map_err(Error::Task)??;
        tracing::info!(tenant = %id, "tenant restarted");
        Ok(())
    }

    /// The last lines that the tenant's workers wrote, oldest first.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn logs(&self, id: &TenantId, lines: usize) -> Result<Vec<String>, Error> {
        Ok(self.find(id)?.log.tail(lines))
    }

    /// Every line of the tenant's workers that is kept, oldest first, and the bytes of all that
    /// ever came since the gateway started, each with its line end.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn whole_log(&self, id: &TenantId) -> Result<(Vec<String>, u64), Error> {
        Ok(self.find(id)?.log.whole())
    }

    /// How many tenants there are, by state.
    pub fn counts(&self) -> Counts {
        let now = self.0.clock.now();
        let mut counts = Counts::default();
        for tenant in self.0.directory.all() {
            counts.registered += 1;
            match tenant.state(now) {
                State::Ready | State::Draining => counts.ready += 1,
                State::Parked => counts.parked += 1,
                State::Suspended => counts.suspended += 1,
                State::Stopped | State::Starting => {}
            }
        }
        counts
    }

    pub(crate) async fn update(
        &self,
        tenant: &Tenant,
        change: impl FnMut(&mut TenantRow) + Send,
    ) -> Result<(), Error> {
        let row = self.0.records.update_tenant(&tenant.id, change).await;
        tenant.row.store(Arc::new(row.map_err(Error::Records)?));
        Ok(())
    }

    /// Fills the directory from the records.
    pub(crate) async fn load(&self) -> Result<(), Error> {
        let now = self.0.clock.now();
        let mut after: Option<TenantId> = None;
        loop {
            let rows = self.0.records.tenants(after.as_ref(), PAGE).await;
            let rows = rows.map_err(Error::Records)?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.id.clone());
            let mut tenants = Vec::with_capacity(rows.len());
            for row in rows {
                let tenant = Tenant::new(&self.0, row, now);
                carry(&tenant, &self.0.books.opening(&tenant.id), now);
                tenants.push(Arc::new(tenant));
            }
            self.0.directory.insert(&tenants);
        }
    }
}

/// Begins where the books are: what was used earlier in the windows that are open now.
fn carry(tenant: &Tenant, opening: &Opening, now: UnixMillis) {
    let windows = [
        (Window::Minute, &opening.minute),
        (Window::Hour, &opening.hour),
        (Window::Day, &opening.day),
        (Window::Month, &opening.month),
    ];
    for (window, Used { total, by_token, by_agent, by_session }) in windows {
        tenant.account.carry((Level::Tenant, None), window, total, now);
        let names =
            [(Level::Token, by_token), (Level::Agent, by_agent), (Level::Session, by_session)];
        for (level, names) in names {
            for (name, used) in names.iter().filter(|(name, _)| !name.is_empty()) {
                tenant.account.carry((level, Some(&name.as_ref().into())), window, used, now);
            }
        }
    }
}

/// How long a worker is believed to be at work of which nothing is heard: as long as the longest run.
const MAX_BACKGROUND_MS: u64 = 48 * 60 * 60 * 1000;

/// When the tenant last had a request or its worker's runs changed, if its worker is not at work.
pub(crate) fn idle_since(tenant: &Tenant, now: UnixMillis) -> Option<UnixMillis> {
    let worker = tenant.worker.load_full()?;
    let last_used = tenant.last_used.load(Ordering::Relaxed);
    let since = last_used.max(worker.started_at);
    let at_work = worker.background.load(Ordering::Relaxed) > 0
        && now.saturating_sub(since) < MAX_BACKGROUND_MS;
    (worker.passes() == 0 && !at_work).then_some(since)
}
