//! The end of a tenant: worker, files, records and tokens; then the certificate, which the audit trail
//! refers to; its name last. Whatever step a crash interrupts, the next start goes on from the mark.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use audit::{Act, Digest, Ended, Who};
use auth::Auth;
use records::Removed;
use tokio::sync::{MutexGuard, oneshot};
use tokio::time::Instant;
use types::{Chain, TenantId, UnixMillis};

use crate::lifecycle::Control;
use crate::tenant::Tenant;
use crate::{Error, Tenants, channels, launch, lifecycle};

/// How long a deleted tenant's worker may finish what it has.
const DRAIN: Duration = Duration::from_millis(200);

/// How long a tenant that has deleted itself may take to hear of it.
const LAST_WORD: Duration = Duration::from_millis(500);

/// What of a tenant is gone.
#[derive(Debug, Clone)]
pub struct Erased {
    /// Its name.
    pub tenant: TenantId,
    /// Its number.
    pub index: u32,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub begun_at: UnixMillis,
    /// What was in the records.
    pub removed: Removed,
}

/// A certificate that is kept.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Every byte of it.
    pub text: String,
    /// Its file, below the state directory.
    pub file: String,
}

/// A certificate that is on its way.
pub type Certifying<'a> =
    Pin<Box<dyn Future<Output = Result<Certificate, std::io::Error>> + Send + 'a>>;

/// Whoever makes, signs and keeps certificates. Asked twice for the same tenant, it gives the first one.
pub trait Notary: std::fmt::Debug + Send + Sync {
    /// Certifies that it is gone.
    fn certify<'a>(&'a self, erased: &'a Erased) -> Certifying<'a>;
}

/// Ends what the tenant has under way, and gives what keeps it so.
async fn silenced(tenant: &Tenant) -> (MutexGuard<'_, ()>, MutexGuard<'_, Control>) {
    // What is beside its root goes first, and comes to its end by that.
    tenant.ended.cancel();
    let staging = tenant.staging.lock().await;
    let control = tenant.control.lock().await;
    tenant.programs.close().await;
    lifecycle::drain(tenant, DRAIN).await;
    // Nothing of it arrives anywhere once it is gone; what is under way has a deadline.
    tenant.sending.close();
    tenant.sending.emptied().await;
    (staging, control)
}

impl Tenants {
    /// Ends the tenant: worker, files, records and tokens, asked for by `by`. Its name is taken until all
    /// are gone, so that what ends the old tenant's tokens meets no new tenant's. What failed half-way is
    /// gone on with when it is asked for again, or by the next start.
    ///
    /// # Errors
    /// When there is no such tenant, its root cannot be removed, the records fail, or the end cannot be
    /// certified and recorded.
    pub async fn delete(&self, id: &TenantId, auth: &Auth, by: &str) -> Result<Certificate, Error> {
        let tenant = self.0.directory.find(id).ok_or(Error::NotFound)?;
        let (tenants, auth, by) = (self.clone(), auth.clone(), by.to_owned());
        // A task of its own: an operator who hangs up must not leave tokens without a tenant.
        let deletion =
            self.0.tasks.spawn(async move { tenants.end(&tenant, &auth, &by, async || ()).await });
        deletion.await.map_err(Error::Task)?
    }

    /// Ends the tenant as [`Tenants::delete`] does, at its own wish: its tokens, and with them its
    /// connections, end a moment after this returns, so that whoever asked for it hears of it.
    ///
    /// # Errors
    /// As [`Tenants::delete`].
    pub async fn delete_itself(&self, id: &TenantId, auth: &Auth, by: &str) -> Result<(), Error> {
        let tenant = self.find(id)?;
        let (tenants, auth, by) = (self.clone(), auth.clone(), by.to_owned());
        let (gone, heard) = oneshot::channel();
        let deletion = self.0.tasks.spawn(async move {
            let last_word = async || {
                // The asker's connection is not ours to watch; whoever has gone needs no time.
                if gone.send(()).is_ok() {
                    tokio::time::sleep_until(Instant::now() + LAST_WORD).await;
                }
            };
            tenants.end(&tenant, &auth, &by, last_word).await
        });
        match heard.await {
            Ok(()) => Ok(()),
            // It ended before its records were gone.
            Err(_gone) => deletion.await.map_err(Error::Task)?.map(drop),
        }
    }

    /// Goes on with every erasure that the end of an earlier process interrupted. One that fails stays
    /// marked, unseen and unserved.
    pub async fn finish_erasures(&self, auth: &Auth) {
        for tenant in self.0.directory.all() {
            let Some(mark) = tenant.row.load().erasing.clone() else { continue };
            tracing::info!(tenant = %tenant.id, "going on with the deletion of a tenant");
            if let Err(err) = self.end(&tenant, auth, &mark.by, async || ()).await {
                tracing::error!(tenant = %tenant.id, error = %Chain(&err), "a tenant is half deleted");
            }
        }
    }

    async fn end(
        &self,
        tenant: &Arc<Tenant>,
        auth: &Auth,
        by: &str,
        last_word: impl AsyncFnOnce() + Send,
    ) -> Result<Certificate, Error> {
        let inner = &self.0;
        let row = inner.records.begin_erasure(&tenant.id, by, inner.clock.now()).await;
        // Where it is not there any more, whoever was faster has ended it.
        let row = row.map_err(|err| {
            if matches!(err, records::Error::NotFound) {
                Error::NotFound
            } else {
                Error::Records(err)
            }
        })?;
        let index = row.index;
        let mark = row.erasing.clone().ok_or(Error::NotFound)?;
        tenant.row.store(Arc::new(row));
        tenant.wanted.call_off();
        channels::ended(inner, &tenant.id).await;
        let (_staging, control) = silenced(tenant).await;
        let (launcher, name) = (inner.launcher.clone(), tenant.id.clone());
        launch::blocking(move || launcher.erase(&name, index)).await.map_err(Error::Launcher)?;
        let removed = inner.records.erase(&tenant.id).await.map_err(Error::Records)?;
        inner.records.rewrite().await.map_err(Error::Records)?;
        let erased = Erased {
            tenant: tenant.id.clone(),
            index,
            by: mark.by.clone(),
            begun_at: mark.at,
            removed,
        };
        let certificate = inner.notary.certify(&erased).await.map_err(Error::Certificate)?;
        let act = Act::new("tenant.erased", Who::GATEWAY)
            .of_tenant(tenant.id.as_str())
            .on(&certificate.file)
            .changes(None, Some(Digest::of(certificate.text.as_bytes())));
        inner.audit.record(act, Ended::done()).await.map_err(Error::Unrecorded)?;
        last_word().await;
        auth.forget(&tenant.id).await;
        inner.records.delete_tenant(&tenant.id).await.map_err(Error::Records)?;
        inner.directory.remove(&tenant.id);
        drop(control);
        tracing::info!(tenant = %tenant.id, "tenant deleted");
        Ok(certificate)
    }
}
