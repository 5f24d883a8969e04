//! One backup: header, records and archive sealed and stored as they come, then the manifest, which
//! makes it one.

use std::sync::Arc;

use ::audit::{Act, Ended, Who, WhoKind};
use bytes::Bytes;
use futures_util::StreamExt as _;
use ring::rand::{SecureRandom as _, SystemRandom};
use types::TenantId;

use crate::format::header::Header;
use crate::format::keys::{DataKey, SALT};
use crate::format::manifest::{Archive, AskedBy, Manifest};
use crate::format::seal::Sealer;
use crate::id::BackupId;
use crate::roots::Piece;
use crate::section::Section;
use crate::store::{Key, Store, Upload};
use crate::{Backups, Error, Inner, MAX_BACKUPS, Turn};

impl Backups {
    /// Makes a backup of a tenant, and removes those that are not to be kept: where the tenant asks for it
    /// itself, only of those that it has asked for.
    ///
    /// # Errors
    /// When it cannot be made; nothing of it stays.
    pub async fn create(&self, tenant: &TenantId, by: AskedBy) -> Result<Manifest, Error> {
        let (inner, tenant) = (Arc::clone(&self.0), tenant.clone());
        // A task of its own: whoever hangs up does not stop it half-way.
        let made = self.0.tasks.spawn(async move { create(&inner, &tenant, by).await });
        made.await.map_err(Error::Task)?
    }
}

pub(crate) async fn create(
    inner: &Arc<Inner>,
    tenant: &TenantId,
    by: AskedBy,
) -> Result<Manifest, Error> {
    let made = recorded(inner, tenant, by).await;
    match &made {
        Ok(manifest) => {
            inner.metrics.ended("backup", "ok");
            inner.metrics.made(manifest.sums.sealed.bytes, inner.clock.now());
            crate::schedule::tell(inner, tenant, "backup", Ok(&manifest.backup));
            tracing::info!(%tenant, backup = %manifest.backup, bytes = manifest.sums.sealed.bytes, "backup made");
            if let Err(err) = crate::prune::after(inner, manifest).await {
                let error = types::Chain(&err);
                tracing::warn!(%tenant, error = %error, "old backups are not removed");
            }
        }
        Err(err) => {
            inner.metrics.ended("backup", err.word());
            crate::schedule::tell(inner, tenant, "backup", Err(err));
            // Whoever asked for it tells of it.
            tracing::debug!(%tenant, error = %types::Chain(err), "a backup was not made");
        }
    }
    made
}

/// Makes a backup, with a record where nobody has asked for it: whoever asks is recorded where it asks.
async fn recorded(inner: &Arc<Inner>, tenant: &TenantId, by: AskedBy) -> Result<Manifest, Error> {
    if by != AskedBy::Schedule {
        return make(inner, tenant, by).await;
    }
    let act = Act::new("backup.create", Who::named(WhoKind::Gateway, by.name()));
    let mut intent = inner.audit.intend(act.of_tenant(tenant.as_str())).await?;
    let made = make(inner, tenant, by).await;
    let ended = match &made {
        Ok(manifest) => {
            intent.made(&manifest.backup.to_string(), Some(tenant.as_str()));
            Ended::done()
        }
        Err(err) => Ended::failed(err.word()),
    };
    intent.end(ended).await;
    made
}

async fn make(inner: &Arc<Inner>, tenant: &TenantId, by: AskedBy) -> Result<Manifest, Error> {
    let store = inner.store()?;
    if !inner.roots.exists(tenant) {
        return Err(Error::NoTenant);
    }
    let turn = inner.turn(tenant, "backup").await?;
    crate::prune::room(inner, (tenant, by), MAX_BACKUPS).await?;
    let key = inner.key(tenant).await?;
    let now = inner.clock.now();
    let backup = BackupId::new(tenant, now).map_err(Error::Random)?;
    let mut salt = [0; SALT];
    SystemRandom::new().fill(&mut salt).map_err(Error::Random)?;
    let header = Header::new(&backup, now, (&key, &salt))?;
    let upload = store.begin(&Key::data(&backup)).await?;
    let mut writing = Writing { turn: &turn, by, upload, key: &key };
    let manifest = match writing.all(inner, &header).await {
        Ok(manifest) => manifest,
        Err(err) => {
            give_up(&*store, writing.upload, &backup).await;
            return Err(err);
        }
    };
    let finished = async {
        writing.upload.finish().await?;
        let manifest = Manifest { completed_at: inner.clock.now(), ..manifest };
        let mut upload = store.begin(&Key::manifest(&backup)).await?;
        upload.write(manifest.bytes(&key)?.into()).await?;
        upload.finish().await?;
        Ok(manifest)
    };
    match finished.await {
        Ok(manifest) => Ok(manifest),
        Err(err) => {
            forget(&*store, &backup).await;
            Err(err)
        }
    }
}

/// Ends an upload of which nothing is to stay.
async fn give_up(store: &dyn Store, upload: Box<dyn Upload>, backup: &BackupId) {
    if let Err(err) = upload.abort().await {
        // The next start finds it.
        tracing::warn!(%backup, error = %types::Chain(&err), "an upload is left over");
    }
    forget(store, backup).await;
}

/// Removes what there is of a backup: its manifest first, so that it is none from then on.
async fn forget(store: &dyn Store, backup: &BackupId) {
    for key in [Key::manifest(backup), Key::data(backup)] {
        if let Err(err) = store.remove(&key).await {
            tracing::warn!(%backup, error = %types::Chain(&err), "an object is left over");
        }
    }
}

/// A backup on its way into the store.
struct Writing<'a> {
    turn: &'a Turn,
    by: AskedBy,
    upload: Box<dyn Upload>,
    key: &'a DataKey,
}

impl Writing<'_> {
    async fn all(&mut self, inner: &Inner, header: &Header) -> Result<Manifest, Error> {
        let tenant = &header.tenant;
        let (mut sealer, first) = Sealer::new(header, self.key)?;
        self.upload.write(first).await?;
        let section = section(inner, tenant).await?;
        let mut out: Vec<Bytes> = Vec::new();
        for line in section.lines(tenant) {
            sealer.push(&line?, &mut out)?;
            self.store(&mut out).await?;
        }
        let records = section.len();
        drop(section);
        let mut archive = inner.roots.export(tenant).await?;
        let mut bytes = 0_u64;
        let mut contents: Option<Archive> = None;
        while let Some(piece) = archive.next().await {
            match piece? {
                Piece::Bytes(piece) => {
                    self.turn.running.moved(piece.len());
                    bytes = bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                    sealer.push(&piece, &mut out)?;
                    self.store(&mut out).await?;
                }
                Piece::End(it) => contents = Some(it),
            }
        }
        // One that ends without saying what was in it is not whole.
        let contents = contents.ok_or_else(|| Error::Archive("it is not whole".to_owned()))?;
        let (last, sums) = sealer.finish()?;
        self.upload.write(last).await?;
        let archive = Archive { bytes, ..contents };
        Ok(Manifest { records, archive, ..Manifest::new(header, self.by, sums) })
    }

    async fn store(&mut self, out: &mut Vec<Bytes>) -> Result<(), Error> {
        for chunk in out.drain(..) {
            self.upload.write(chunk).await?;
        }
        Ok(())
    }
}

/// The supervisor's records of a tenant.
async fn section(inner: &Inner, tenant: &TenantId) -> Result<Section, Error> {
    let rows = inner.records.portable(tenant).await.map_err(|err| {
        let gone = matches!(err, records::Error::NotFound);
        if gone { Error::NoTenant } else { Error::Records(err) }
    })?;
    let secrets = inner.settings.open_secrets(tenant).await.map_err(Error::Settings)?;
    Ok(Section { rows, secrets })
}
