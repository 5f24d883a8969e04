//! What a restore needs of tenants beside archives and roots: one that is made with what a backup says it
//! is granted, and a look at what was left undecided.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use egress::Rule;
use records::restores::RestoreRow;
use types::{Limits, LimitsPatch, TenantId, UnixMillis};

use crate::{Error, Tenants, channels, launch, lifecycle, timers};

impl Tenants {
    /// Every tenant, and when it was registered.
    pub fn registered(&self) -> Vec<(TenantId, UnixMillis)> {
        let all = self.0.directory.all();
        all.iter().map(|tenant| (tenant.id.clone(), tenant.row.load().created_at)).collect()
    }

    /// Registers the tenant of a restore with limits and rules that another one had. Rules of another
    /// version are left out. That it is made for the restore is written in the same commit.
    ///
    /// # Errors
    /// When the id is taken, a limit is out of range, or the records fail.
    pub async fn create_for(
        &self,
        step: &RestoreRow,
        limits: &Limits,
        egress: &[String],
    ) -> Result<(), Error> {
        let limits = limits.with(&LimitsPatch::default()).map_err(Error::InvalidLimit)?;
        let id = &step.tenant;
        self.register(id, limits, Some(step)).await?;
        let rules: Vec<Rule> = egress.iter().filter_map(|text| text.parse().ok()).collect();
        self.set_reach(id, &rules).await
    }

    /// The tenant's records were replaced: what is kept of them in memory is read again, and its worker
    /// is told.
    ///
    /// # Errors
    /// When there is no such tenant or the records fail.
    pub async fn reread(&self, id: &TenantId) -> Result<(), Error> {
        timers::reload(&self.0, &*self.find(id)?).await?;
        channels::changed(&self.0, id).await;
        self.configure(id).await
    }

    /// Decides whether a root stays that had taken another's place when the gateway was killed: where a
    /// worker starts on it, it does. False where there is nothing to decide.
    ///
    /// # Errors
    /// When there is no such tenant or its root cannot be looked at.
    pub async fn decide(&self, id: &TenantId) -> Result<bool, Error> {
        let tenant = self.find(id)?;
        let mut control = Arc::clone(&tenant.control).lock_owned().await;
        launch::prepare(&self.0, &tenant).await?;
        if !tenant.unsettled.load(Ordering::Acquire) {
            return Ok(false);
        }
        let _person = tenant.wanted.by_person();
        let (_place, seat) = self.0.starts.enter(&tenant.wanted).await?;
        match launch::launch(&self.0, &tenant, seat).await {
            Ok(worker) if tenant.row.load().suspended => worker.end().await,
            Ok(worker) => {
                lifecycle::forgive(&self.0, &tenant, &mut control);
                tenant.worker.store(Some(worker));
            }
            // Which has put the old one back.
            Err(err) => {
                tracing::warn!(tenant = %id, error = %types::Chain(&err), "the new root is not used");
            }
        }
        Ok(true)
    }
}
