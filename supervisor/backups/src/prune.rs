//! What goes out of the store: backups that are not to be kept, and what killed gateways have left. Each
//! that goes is in the audit trail. Which are kept is `retention`'s.
//!
//! A tenant's own backups are counted by themselves: what it asks for removes nothing that its operator
//! keeps, and the operator's rule does not touch them.

use std::collections::BTreeSet;

use ::audit::{Act, Ended, Who, WhoKind};
use types::{TenantId, UnixMillis};

use crate::format::manifest::{AskedBy, Manifest};
use crate::id::BackupId;
use crate::store::{self, Key, Store};
use crate::{Error, Inner, Keep, catalogue};

/// Backups kept of those that a tenant has asked for itself, the newest: as many as it may ask for
/// within an hour, so that none goes before the tenant could have looked at it.
pub const KEPT_OF_TENANT: u32 = 6;

/// Who removes what is not to be kept, in the audit trail.
const RETENTION: &str = "retention";

/// The good backups. What nobody vouches for is left alone and counted nowhere: it may be another
/// installation's.
async fn good(inner: &Inner, tenant: &TenantId) -> Result<Vec<Manifest>, Error> {
    let listed = catalogue::list(inner, tenant).await?;
    Ok(listed.into_iter().filter_map(|it| it.manifest).collect())
}

fn is_own(manifest: &Manifest) -> bool {
    manifest.asked_by == AskedBy::Tenant
}

/// Those that are not to be kept: of the tenant's own, and, where `keep` is given, of all others.
fn doomed(good: &[Manifest], keep: Option<Keep>, now: UnixMillis) -> Vec<BackupId> {
    let own = Keep { newest: KEPT_OF_TENANT, ..Keep::default() };
    let mut all = Vec::new();
    for (keep, owns) in [(Some(own), true), (keep, false)] {
        let Some(keep) = keep else { continue };
        let of_them = || good.iter().filter(|it| is_own(it) == owns);
        let times: BTreeSet<_> = keep.doomed(of_them().map(|it| it.created_at).collect(), now);
        let gone = of_them().filter(|it| times.contains(&it.created_at));
        all.extend(gone.map(|it| it.backup.clone()));
    }
    all
}

/// Removes what is not to be kept; gives what was removed. Where one cannot be removed the others are
/// all the same.
pub(crate) async fn prune(inner: &Inner, tenant: &TenantId) -> Result<Vec<BackupId>, Error> {
    let keep = crate::plan::of(inner, tenant).await?.keep;
    let good = good(inner, tenant).await?;
    remove_all(inner, doomed(&good, Some(keep), inner.clock.now())).await
}

/// The same once `made` is there, which stays in any case. Where the tenant has asked for it, only
/// others that it has asked for go.
pub(crate) async fn after(inner: &Inner, made: &Manifest) -> Result<(), Error> {
    let keep = crate::plan::of(inner, &made.tenant).await?.keep;
    let keep = Some(keep).filter(|_| !is_own(made));
    let good = good(inner, &made.tenant).await?;
    let mut doomed = doomed(&good, keep, inner.clock.now());
    doomed.retain(|it| it != &made.backup);
    remove_all(inner, doomed).await.map(drop)
}

/// Whether there is room for one more of the operator's, who may have `max`, after what is not to be kept has gone. The
/// tenant's own need none: the oldest of them goes.
pub(crate) async fn room(
    inner: &Inner,
    (tenant, by): (&TenantId, AskedBy),
    max: usize,
) -> Result<(), Error> {
    if by == AskedBy::Tenant {
        return Ok(());
    }
    match catalogue::objects(&*inner.store()?, tenant).await {
        Ok(all) if all.values().filter(|it| it.manifest.is_some()).count() < max => {
            return Ok(());
        }
        Ok(_) => {}
        // What others have put there makes no backup impossible.
        Err(Error::Store(store::Error::TooMany)) => {
            tracing::warn!(%tenant, "more is in the store than is listed; nothing is counted");
            return Ok(());
        }
        Err(err) => return Err(err),
    }
    let mut good = good(inner, tenant).await?;
    good.retain(|it| !is_own(it));
    if good.len() >= max {
        let keep = crate::plan::of(inner, tenant).await?.keep;
        let removed = remove_all(inner, doomed(&good, Some(keep), inner.clock.now())).await?;
        good.retain(|it| !removed.contains(&it.backup));
    }
    if good.len() >= max { Err(Error::TooMany { max }) } else { Ok(()) }
}

/// Removes these; gives what was removed, or the first failure where that was nothing.
async fn remove_all(inner: &Inner, doomed: Vec<BackupId>) -> Result<Vec<BackupId>, Error> {
    let store = inner.store()?;
    let (mut removed, mut failure) = (Vec::new(), None);
    for backup in doomed {
        match retire(inner, &*store, &backup).await {
            Ok(()) => removed.push(backup),
            Err(err) => {
                tracing::warn!(%backup, error = %types::Chain(&err), "an old backup stays");
                failure = failure.or(Some(err));
            }
        }
    }
    if let Some(first) = removed.first() {
        let tenant = first.tenant();
        tracing::info!(%tenant, removed = removed.len(), "old backups removed");
    }
    match failure {
        Some(err) if removed.is_empty() => Err(err),
        _ => Ok(removed),
    }
}

/// Removes one backup, with a record of it: its manifest first, so that it is none from then on.
async fn retire(inner: &Inner, store: &dyn Store, backup: &BackupId) -> Result<(), Error> {
    let intent = inner.audit.intend(act("backup.retire", backup)).await?;
    let removed = async {
        store.remove(&Key::manifest(backup)).await?;
        store.remove(&Key::data(backup)).await
    };
    let removed = removed.await.map_err(Error::Store);
    intent
        .end(removed.as_ref().map_or_else(|err| Ended::failed(err.word()), |()| Ended::done()))
        .await;
    removed
}

fn act(name: &str, backup: &BackupId) -> Act {
    let who = Who::named(WhoKind::Gateway, RETENTION);
    Act::new(name, who).of_tenant(backup.tenant().as_str()).on(&backup.to_string())
}

/// How old what is left over must be while its tenant has nothing under way, in milliseconds: the
/// clock of a store may differ.
const LEFT_OVER: u64 = 24 * 60 * 60 * 1000;

/// Removes what gateways that were killed or stores that went away have left: uploads, and objects
/// without a manifest, of before this one started or of a day ago. Of what the store does not say when
/// it was written nothing is removed.
pub(crate) async fn sweep(inner: &Inner, tenant: &TenantId) -> Result<(), Error> {
    let store = inner.store()?;
    let is_running = || inner.running().contains_key(tenant);
    let before = if is_running() {
        inner.started_at
    } else {
        inner.started_at.max(inner.clock.now().saturating_sub(LEFT_OVER))
    };
    store.sweep(&Key::prefix(tenant), before).await?;
    for (backup, objects) in catalogue::objects(&*store, tenant).await? {
        let is_old = |it: store::Entry| (1..before).contains(&it.modified_at);
        let left = objects.manifest.is_none() && objects.data.is_some_and(is_old);
        if left && !is_running() {
            tracing::info!(%backup, "a backup that was not finished is removed");
            let intent = inner.audit.intend(act("backup.sweep", &backup)).await?;
            let gone = store.remove(&Key::data(&backup)).await;
            if let Err(err) = &gone {
                tracing::warn!(%backup, error = %types::Chain(err), "an object is left over");
            }
            intent.end(gone.map_or_else(|_| Ended::failed("store"), |()| Ended::done())).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
