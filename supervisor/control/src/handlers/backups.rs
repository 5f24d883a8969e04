//! `/v1/tenants/{id}/backups`, `/v1/tenants/{id}/backup-schedule`, `/v1/tenants/{id}/backup-key` and
//! `/v1/backup-schedules`.

use ::backups::{
    AskedBy, BackupId, Backups, Every, Keep, KeyFile, Listed, Manifest, Restore, Standing,
};
use auth::{Grant, TokenSpec};
use control_api::{
    Backup, BackupContents, BackupKey, BackupList, BackupPath, BackupProgress, BackupSchedule,
    BackupSchedules, Deleted, KeepBackups, PrunedBackups, RestoreBackup, RestoredBackup,
    SetBackupSchedule, TenantPath, VerifiedBackup,
};
use types::{Scopes, TenantId};
use zeroize::Zeroizing;

use crate::call::{Call, Nothing};
use crate::error::Error;
use crate::reply::{Found, Made};

/// The label of the token that a tenant restored under another name is made with.
const FIRST: &str = "restored";

pub(crate) async fn list(call: Call<TenantPath>) -> Result<Found<BackupList>, Error> {
    let listed = backups(&call).list(&call.path.id).await?;
    Ok(Found(BackupList { backups: listed.into_iter().map(row).collect() }))
}

pub(crate) async fn create(call: Call<TenantPath>) -> Result<Made<Backup>, Error> {
    let manifest = backups(&call).create(&call.path.id, AskedBy::Operator).await?;
    call.made(&manifest.backup.to_string());
    Ok(Made(shown(manifest)))
}

pub(crate) async fn progress(call: Call<TenantPath>) -> Result<Found<BackupProgress>, Error> {
    call.control.parts().tenants.peek(&call.path.id)?;
    let progress = backups(&call).progress(&call.path.id);
    Ok(Found(BackupProgress {
        act: progress.as_ref().map(|it| it.act.to_owned()),
        since: progress.as_ref().map(|it| it.since.into()),
        bytes: progress.map_or(0, |it| it.bytes),
    }))
}

pub(crate) async fn show(call: Call<BackupPath>) -> Result<Found<Backup>, Error> {
    let backup = named(&call.path)?;
    Ok(Found(shown(backups(&call).show(&backup).await?)))
}

pub(crate) async fn remove(call: Call<BackupPath>) -> Result<Found<Deleted>, Error> {
    let backup = named(&call.path)?;
    backups(&call).remove(&backup).await?;
    Ok(Found(Deleted { id: backup.to_string(), deleted: true }))
}

pub(crate) async fn verify(call: Call<BackupPath>) -> Result<Found<VerifiedBackup>, Error> {
    let backup = named(&call.path)?;
    let who = call.permit.operator().who();
    let drilled = backups(&call).verify(&backup, who).await?;
    let contents = contents(&drilled.manifest);
    Ok(Found(VerifiedBackup { backup: backup.to_string(), verified: true, contents }))
}

pub(crate) async fn restore(
    call: Call<BackupPath, Nothing, RestoreBackup>,
) -> Result<Found<RestoredBackup>, Error> {
    let backup = named(&call.path)?;
    let RestoreBackup { to, force, key, without_tokens } = &call.body;
    let to = to.clone().unwrap_or_else(|| backup.tenant().clone());
    let key = key.as_ref().map(|key| data_key(key, backup.tenant())).transpose()?;
    let restore = Restore {
        backup: backup.clone(),
        to: to.clone(),
        force: *force,
        key,
        tokens: !without_tokens,
        who: call.permit.operator().who(),
    };
    let restored = backups(&call).restore(restore).await?;
    let (tokens, token) = if restored.tokens.is_some() {
        ("restored", None)
    } else if restored.made {
        ("new", Some(first_token(&call, &to).await?))
    } else {
        ("unchanged", None)
    };
    Ok(Found(RestoredBackup {
        tenant: to,
        backup: backup.to_string(),
        made: restored.made,
        tokens: tokens.to_owned(),
        valid_tokens: restored.tokens,
        token,
        contents: contents(&restored.manifest),
    }))
}

async fn first_token<P, Q, B>(call: &Call<P, Q, B>, tenant: &TenantId) -> Result<String, Error> {
    let scopes = Scopes::all_of_tenant();
    let spec = TokenSpec { label: FIRST.to_owned(), scopes, expires_at: None };
    let auth = &call.control.parts().auth;
    let issued = auth.issue(&Grant::Operator(&call.permit), tenant, spec).await?;
    Ok(issued.token.expose().to_owned())
}

pub(crate) async fn prune(call: Call<TenantPath>) -> Result<Found<PrunedBackups>, Error> {
    let removed = backups(&call).prune(&call.path.id).await?;
    Ok(Found(PrunedBackups { removed: removed.iter().map(ToString::to_string).collect() }))
}

pub(crate) async fn schedule(call: Call<TenantPath>) -> Result<Found<BackupSchedule>, Error> {
    let standing = backups(&call).schedule(&call.path.id).await?;
    Ok(Found(stands(call.path.id, standing)))
}

pub(crate) async fn schedules(call: Call) -> Result<Found<BackupSchedules>, Error> {
    let all = backups(&call).schedules().await?;
    let schedules = all.into_iter().map(|(tenant, standing)| stands(tenant, standing)).collect();
    Ok(Found(BackupSchedules { schedules }))
}

pub(crate) async fn set_schedule(
    call: Call<TenantPath, Nothing, SetBackupSchedule>,
) -> Result<Found<BackupSchedule>, Error> {
    const WHAT: &str = "off, or a number with m, h or d, from 1m to 366d";
    let every = match call.body.every.as_deref() {
        None => None,
        Some("off") => Some(0),
        Some(text) => {
            let every: Result<Every, _> = text.parse();
            Some(every.map_err(|_no| Error::Value { field: "every", what: WHAT })?.millis())
        }
    };
    let keep = call.body.keep.map(|it| Keep {
        newest: it.newest,
        days: it.days,
        weeks: it.weeks,
        months: it.months,
    });
    let standing = backups(&call).set_schedule(&call.path.id, every, keep).await?;
    Ok(Found(stands(call.path.id, standing)))
}

pub(crate) async fn key(call: Call<TenantPath>) -> Result<Found<BackupKey>, Error> {
    let file = backups(&call).export_key(&call.path.id).await?;
    Ok(Found(BackupKey {
        format: file.format,
        tenant: file.tenant,
        key_id: file.key_id,
        key: String::clone(&file.key).into(),
    }))
}

fn data_key(key: &BackupKey, tenant: &TenantId) -> Result<::backups::format::keys::DataKey, Error> {
    let file = KeyFile {
        format: key.format,
        tenant: key.tenant.clone(),
        key_id: key.key_id.clone(),
        key: Zeroizing::new(key.key.expose().to_owned()),
    };
    Ok(::backups::read_key(&file, tenant)?)
}

/// The backup that a path names; one of another tenant is none.
fn named(path: &BackupPath) -> Result<BackupId, Error> {
    let backup: Result<BackupId, _> = path.backup_id.parse();
    let own = backup.ok().filter(|backup| backup.tenant() == &path.id);
    own.ok_or(Error::Backups(::backups::Error::NotFound))
}

fn contents(manifest: &Manifest) -> BackupContents {
    let archive = &manifest.archive;
    BackupContents {
        records: manifest.records,
        files: archive.files,
        directories: archive.directories,
        links: archive.links,
        file_bytes: archive.file_bytes,
        archive_bytes: archive.bytes,
        left_out: archive.left_out,
        changed: archive.changed,
        sha256: manifest.sums.sealed.sha256.clone(),
    }
}

fn shown(manifest: Manifest) -> Backup {
    Backup {
        id: manifest.backup.to_string(),
        tenant: manifest.tenant.clone(),
        created_at: manifest.created_at.into(),
        completed_at: Some(manifest.completed_at.into()),
        size: manifest.sums.sealed.bytes,
        verified: true,
        contents: Some(contents(&manifest)),
        key_id: Some(manifest.key_id),
        gateway: Some(manifest.gateway),
        asked_by: Some(manifest.asked_by.name().to_owned()),
    }
}

fn row(listed: Listed) -> Backup {
    match listed.manifest {
        Some(manifest) => shown(manifest),
        None => Backup {
            id: listed.backup.to_string(),
            tenant: listed.backup.tenant().clone(),
            created_at: listed.modified_at.into(),
            completed_at: None,
            size: listed.size,
            verified: false,
            key_id: None,
            gateway: None,
            asked_by: None,
            contents: None,
        },
    }
}

fn stands(tenant: TenantId, standing: Standing) -> BackupSchedule {
    let Keep { newest, days, weeks, months } = standing.plan.keep;
    BackupSchedule {
        tenant,
        every_seconds: standing.plan.every_ms.map(|it| it / 1000),
        keep: KeepBackups { newest, days, weeks, months },
        last_at: (standing.last_begun > 0).then(|| standing.last_begun.into()),
        next_at: standing.next.map(Into::into),
        failures: standing.failures,
        last_failure: standing.last_failure,
    }
}

fn backups<P, Q, B>(call: &Call<P, Q, B>) -> &Backups {
    &call.control.parts().backups
}
