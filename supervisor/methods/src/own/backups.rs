//! A tenant's backups, as it may see and use them itself: its own, in the operator's store, and no other.

use api::tenants::{BackedUp, Backup, BackupParams, Backups, RestoreParams, Restored};
use api::{ApiError, Code};
use audit::{Who, WhoKind};
use backups::{AskedBy, BackupId, Error, Place, Restore};
use types::{Chain, UnixMillis};

use crate::Call;

pub(super) async fn create(call: &Call<'_>, params: &BackupParams) -> Result<BackedUp, ApiError> {
    let BackupParams { bucket, endpoint, region, prefix, .. } = params;
    agreed(call, [bucket, endpoint, region, prefix])?;
    let (backups, tenant) = (&call.parts.backups, call.caller.permit.tenant());
    backups.pace(tenant).map_err(|err| told(&err))?;
    let manifest = backups.create(tenant, AskedBy::Tenant).await.map_err(|err| told(&err))?;
    Ok(BackedUp {
        key: manifest.backup.to_string(),
        tenant_id: tenant.clone(),
        timestamp: time(manifest.created_at),
        size: manifest.sums.sealed.bytes,
    })
}

pub(super) async fn list(call: &Call<'_>, params: &BackupParams) -> Result<Backups, ApiError> {
    let BackupParams { bucket, endpoint, region, prefix, .. } = params;
    agreed(call, [bucket, endpoint, region, prefix])?;
    let tenant = call.caller.permit.tenant();
    let listed = call.parts.backups.list(tenant).await.map_err(|err| told(&err))?;
    // What the tenant's key has not signed it could not restore, and it may be somebody else's.
    let own = listed.into_iter().filter_map(|it| it.manifest);
    let backups = own.map(|manifest| Backup {
        key: manifest.backup.to_string(),
        size: manifest.sums.sealed.bytes,
        last_modified: time(manifest.completed_at),
        tenant_id: manifest.tenant,
        timestamp: time(manifest.created_at),
    });
    Ok(Backups { backups: backups.collect() })
}

pub(super) async fn restore(call: &Call<'_>, params: RestoreParams) -> Result<Restored, ApiError> {
    let RestoreParams { key, bucket, endpoint, region, prefix, create_if_missing, .. } = &params;
    agreed(call, [bucket, endpoint, region, prefix])?;
    if *create_if_missing == Some(true) {
        return Err(ApiError::invalid("createIfMissing: a tenant makes no tenants"));
    }
    let key = key.as_deref().ok_or_else(|| ApiError::invalid("key is required"))?;
    let (backups, tenant) = (&call.parts.backups, call.caller.permit.tenant());
    // Another tenant's is answered as one that is not there.
    let backup: Option<BackupId> = key.parse().ok().filter(|it: &BackupId| it.tenant() == tenant);
    let backup = backup.ok_or_else(|| told(&Error::NotFound))?;
    backups.pace(tenant).map_err(|err| told(&err))?;
    let mut who = Who::named(WhoKind::TenantToken, call.caller.permit.principal().token_id());
    who.address = call.caller.connection.map(|connection| connection.peer());
    let (backup_id, to) = (backup.clone(), tenant.clone());
    let restore = Restore { backup: backup_id, to, force: true, key: None, tokens: true, who };
    backups.restore(restore).await.map_err(|err| told(&err))?;
    Ok(Restored {
        tenant_id: tenant.clone(),
        restored_at: time(call.parts.clock.now()),
        source_key: backup.to_string(),
    })
}

/// Whether what is named of the store, if anything, is what it is. The gateway uses its own store with
/// its own credentials, and goes nowhere that a tenant says.
fn agreed(call: &Call<'_>, named: [&Option<String>; 4]) -> Result<(), ApiError> {
    let Place { bucket, endpoint, region, prefix } = call.parts.backups.place();
    let fields = ["bucket", "endpoint", "region", "prefix"];
    let is = [bucket, endpoint, region, prefix];
    for ((field, named), is) in fields.iter().zip(named).zip(is) {
        if named.is_some() && named != is {
            let why = "is chosen by the gateway's operator; leave it out";
            return Err(ApiError::invalid(format!("{field} {why}")));
        }
    }
    Ok(())
}

/// What a tenant is told.
fn told(err: &Error) -> ApiError {
    tracing::debug!(error = %Chain(err), "a backup was not made or restored");
    let code = match err.http_status() {
        404 => Code::NotFound,
        429 => Code::ResourceExhausted,
        422 => Code::InvalidRequest,
        _ => Code::Unavailable,
    };
    let retry_after = err.retry_after_s().map(|seconds| seconds.saturating_mul(1000));
    let retry_after_ms = retry_after.map(|it| u32::try_from(it).unwrap_or(u32::MAX));
    ApiError { retry_after_ms, ..ApiError::new(code, err.public()) }
}

fn time(at: UnixMillis) -> String {
    let time = i64::try_from(at).ok().and_then(|it| jiff::Timestamp::from_millisecond(it).ok());
    time.unwrap_or(jiff::Timestamp::MAX).to_string()
}
