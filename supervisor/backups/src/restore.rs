//! A backup put in a tenant's place: read and unpacked beside it first, and only when all of it was found
//! to be right, records and root are replaced as one. What is half done is undone.
//!
//! A step that is begun is in the records. A gateway that was killed undoes it when it starts, unless
//! the new root is in place already: then whether a worker starts on it decides, for root and records.

use std::sync::Arc;

use ::audit::{Act, Ended, Who};
use records::portable::{Granted, Portable};
use records::restores::{Phase, Replacement, RestoreRow};
use types::{TenantId, UnixMillis};

use crate::format::Broken;
use crate::format::keys::DataKey;
use crate::format::manifest::{Archive, Manifest};
use crate::id::BackupId;
use crate::reader::{self, Reader};
use crate::roots::{Incoming, Staged};
use crate::section::Section;
use crate::{Backups, Error, Inner, Turn};

/// What is to be restored, and where to.
#[derive(Debug)]
pub struct Restore {
    /// Which backup.
    pub backup: BackupId,
    /// Into which tenant.
    pub to: TenantId,
    /// Whether a tenant that is there is replaced.
    pub force: bool,
    /// The key that was exported where the backup was made; the tenant's own where there is none.
    pub key: Option<DataKey>,
    /// Whether tokens, devices and nodes come along where that is possible at all.
    pub tokens: bool,
    /// Who asks for it.
    pub who: Who,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// Into which tenant.
    pub tenant: TenantId,
    /// What is in it.
    pub manifest: Manifest,
    /// Whether the tenant was made for it.
    pub made: bool,
    /// How many tokens of the backup are good from now on, those of devices included; none where none
    /// came along. They do only into a tenant of the same name that is new here.
    pub tokens: Option<u64>,
}

impl Backups {
    /// Puts a backup in a tenant's place, or makes a tenant of it.
    ///
    /// # Errors
    /// When it cannot be; everything is as it was then.
    pub async fn restore(&self, restore: Restore) -> Result<Restored, Error> {
        let inner = Arc::clone(&self.0);
        // A task of its own: whoever hangs up must not leave it half done.
        let restored = self.0.tasks.spawn(async move {
            let (tenant, backup) = (restore.to.clone(), restore.backup.clone());
            let restored = inner.restore(restore).await;
            let outcome = restored.as_ref().map(|_| &backup);
            inner.metrics.ended("restore", outcome.map_or_else(Error::word, |_| "ok"));
            crate::schedule::tell(&inner, &tenant, "restore", outcome);
            match &restored {
                Ok(_) => tracing::info!(%tenant, %backup, "backup restored"),
                Err(err) => {
                    // Whoever asked for it tells of it.
                    tracing::debug!(%tenant, %backup, error = %types::Chain(err), "not restored");
                }
            }
            restored
        });
        restored.await.map_err(Error::Task)?
    }
}

impl Inner {
    /// Restores, with a record of which backup, into which tenant and how, before anything is done.
    async fn restore(self: &Arc<Self>, asked: Restore) -> Result<Restored, Error> {
        let made = !self.roots.exists(&asked.to);
        if !made && !asked.force {
            return Err(Error::Exists(asked.to));
        }
        let turn = self.turn(&asked.to, "restore").await?;
        let how = if made { "as a new tenant" } else { "in place of the tenant" };
        let key = if asked.key.is_some() { ", with an exported key" } else { "" };
        let tokens = if asked.tokens { "" } else { ", without tokens" };
        let act = Act::new("backup.restore", asked.who.clone()).of_tenant(asked.to.as_str());
        let act = act.on(&format!("{} {how}{key}{tokens}", asked.backup));
        let intent = self.audit.intend(act).await?;
        let restored = self.replace(asked, &turn, made).await;
        let ended = |err: &Error| Ended::failed(err.word());
        intent.end(restored.as_ref().map_or_else(ended, |_| Ended::done())).await;
        restored
    }

    async fn replace(
        self: &Arc<Self>,
        asked: Restore,
        turn: &Turn,
        made: bool,
    ) -> Result<Restored, Error> {
        let Restore { backup, to, key, tokens, .. } = asked;
        let store = self.store()?;
        let key = match key {
            Some(key) => Arc::new(key),
            None => self.key(backup.tenant()).await?,
        };
        let manifest = reader::manifest(&*store, &backup, &key).await?;
        let mut reader = Reader::new((store, self.tasks.clone()), manifest.clone(), key);
        let section = reader.section().await?;
        let same = backup.tenant() == &to && (tokens || !made);
        let good = (made && same).then(|| good_tokens(&section, self.clock.now()));
        let step = RestoreRow {
            tenant: to.clone(),
            backup: backup.to_string(),
            made,
            phase: Phase::Begun,
            started_at: self.clock.now(),
        };
        self.begin(&step, &section).await?;
        let done = async {
            let staged = self.stage(turn, reader.archive(), &manifest).await?;
            let with = self.replacement(&to, section, same).await?;
            self.records.switch_restore(&to, with).await.map_err(Error::Records)?;
            // Whoever commits it finishes it in the records.
            staged.commit().await.map_err(unproven)
        };
        if let Err(err) = done.await {
            self.undo(&to, made).await;
            return Err(err);
        }
        self.read_again(&to).await;
        Ok(Restored { tenant: to, manifest, made, tokens: good })
    }

    /// Writes down that a restore begins: of a tenant that is made for it in the same commit that makes
    /// it, so that no kill leaves an empty one.
    async fn begin(&self, step: &RestoreRow, section: &Section) -> Result<(), Error> {
        if !step.made {
            return self.records.begin_restore(step).await.map_err(Error::Records);
        }
        let Err(err) = self.roots.make(step, granted(section)?).await else { return Ok(()) };
        // One that somebody else has made meanwhile is theirs.
        if !matches!(err, Error::Tenants(tenants::Error::Exists)) && self.roots.exists(&step.tenant)
        {
            self.undo(&step.tenant, true).await;
        }
        Err(err)
    }

    /// It is restored all the same: what is not read again now is when the gateway starts anew.
    async fn read_again(&self, tenant: &TenantId) {
        if let Err(err) = self.roots.refresh(tenant).await {
            tracing::error!(%tenant, error = %types::Chain(&err), "a restore is not read yet");
        }
    }

    /// Unpacks the archive beside the tenant's root, and compares what was unpacked.
    async fn stage(
        &self,
        turn: &Turn,
        archive: Incoming,
        manifest: &Manifest,
    ) -> Result<Box<dyn Staged>, Error> {
        let running = Arc::clone(&turn.running);
        let counted = futures_util::StreamExt::inspect(archive, move |piece| {
            let bytes = piece.as_ref().map_or(0, bytes::Bytes::len);
            running.moved(bytes);
        });
        let staged = self.roots.stage(&turn.tenant, Box::pin(counted)).await?;
        if let Err(err) = agree(staged.contents(), &manifest.archive) {
            staged.discard().await?;
            return Err(err.into());
        }
        Ok(staged)
    }

    /// The records as they are to be. Tokens, devices and nodes hold for one name and do not come to
    /// another; what a tenant that is there may do stays as it is, which the records see to.
    async fn replacement(
        &self,
        to: &TenantId,
        section: Section,
        same: bool,
    ) -> Result<Replacement, Error> {
        let rows = section.rows.into_iter().filter(|row| same || !row.is_of_name()).collect();
        let sealed = self.settings.seal_secrets(to, section.secrets).await;
        Ok(Replacement { rows, sealed: sealed.map_err(Error::Settings)? })
    }

    async fn undo(&self, tenant: &TenantId, made: bool) {
        let undone = if made {
            self.roots.unmake(tenant).await
        } else if !matches!(self.roots.is_unsettled(tenant).await, Ok(false)) {
            // Records and root stay together: which ones is decided when the tenant starts.
            tracing::warn!(%tenant, "a restore is decided when the tenant starts");
            Ok(())
        } else {
            let undone = self.records.undo_restore(tenant).await.map_err(Error::Records);
            match undone {
                Ok(()) => self.roots.refresh(tenant).await,
                Err(err) => Err(err),
            }
        };
        if let Err(err) = undone {
            // The next start undoes it.
            tracing::error!(%tenant, error = %types::Chain(&err), "a restore is not undone yet");
        }
    }

    /// Tries a backup out and leaves nothing of it.
    pub(crate) async fn try_out(
        self: &Arc<Self>,
        backup: &BackupId,
    ) -> Result<(Manifest, Archive), Error> {
        let store = self.store()?;
        let tenant = backup.tenant();
        if !self.roots.exists(tenant) {
            return Err(Error::NoTenant);
        }
        let turn = self.turn(tenant, "verify").await?;
        let key = self.key(tenant).await?;
        let manifest = reader::manifest(&*store, backup, &key).await?;
        let mut reader = Reader::new((store, self.tasks.clone()), manifest.clone(), key);
        drop(reader.section().await?);
        let staged = self.stage(&turn, reader.archive(), &manifest).await?;
        let found = staged.contents().clone();
        staged.discard().await?;
        Ok((manifest, found))
    }
}

/// How many tokens of a backup are good: what was revoked before it is not in it.
fn good_tokens(section: &Section, now: UnixMillis) -> u64 {
    let is_good = |row: &&Portable| {
        let Portable::Token(token) = row else { return false };
        token.expires_at.is_none_or(|at| at > now)
    };
    u64::try_from(section.rows.iter().filter(is_good).count()).unwrap_or(u64::MAX)
}

fn unproven(err: Error) -> Error {
    if let Error::Tenants(err) = err { Error::Unproven(err) } else { err }
}

fn granted(section: &Section) -> Result<&Granted, Error> {
    let granted = section
        .rows
        .iter()
        .find_map(|row| if let Portable::Granted(granted) = row { Some(granted) } else { None });
    Ok(granted.ok_or(Broken::Records("what the tenant is granted is missing"))?)
}

/// Whether a worker has unpacked what another has packed.
fn agree(found: &Archive, said: &Archive) -> Result<(), Broken> {
    let differs = |what| Err(Broken::Differs(what));
    if found.files != said.files {
        return differs("the number of files");
    }
    if (found.directories, found.links) != (said.directories, said.links) {
        return differs("the number of directories or links");
    }
    if found.file_bytes != said.file_bytes {
        return differs("the bytes of the files");
    }
    if found.index == said.index { Ok(()) } else { differs("the index") }
}

/// Undoes what was under way when the gateway was killed, with a record of it. One tenant's trouble is not
/// that of others: where something cannot be undone, its row stays, and the next start tries again.
pub(crate) async fn recover(inner: &Inner) -> Result<(), Error> {
    for row in inner.records.restores().await.map_err(Error::Records)? {
        let (tenant, recovered) = (&row.tenant, recover_one(inner, &row).await);
        let what = match &recovered {
            Ok(what) => *what,
            Err(err) => {
                let error = types::Chain(err);
                tracing::error!(%tenant, backup = row.backup, %error, "a restore is not undone yet");
                "not undone yet"
            }
        };
        let act = Act::new("backup.recover", Who::GATEWAY).of_tenant(tenant.as_str());
        let ended = |err: &Error| Ended::failed(err.word());
        let ended = recovered.as_ref().map_or_else(ended, |_| Ended::done());
        inner.audit.note(act.on(&format!("{} {what}", row.backup)), ended);
    }
    Ok(())
}

/// What has become of it.
async fn recover_one(inner: &Inner, row: &RestoreRow) -> Result<&'static str, Error> {
    let tenant = &row.tenant;
    if row.made {
        tracing::warn!(%tenant, backup = row.backup, "a tenant that was half restored is removed");
        if inner.roots.exists(tenant) {
            inner.roots.unmake(tenant).await?;
        }
        inner.records.finish_restore(tenant).await.map_err(Error::Records)?;
        Ok("undone, and its tenant removed")
    } else if inner.roots.is_unsettled(tenant).await? {
        tracing::warn!(%tenant, backup = row.backup, "a restore is decided when the tenant starts");
        Ok("decided by the start of its tenant")
    } else if row.phase == Phase::Decided {
        tracing::info!(%tenant, backup = row.backup, "a restore is finished");
        inner.records.finish_restore(tenant).await.map_err(Error::Records)?;
        Ok("finished")
    } else {
        tracing::warn!(%tenant, backup = row.backup, "a restore that was under way is undone");
        inner.records.undo_restore(tenant).await.map_err(Error::Records)?;
        inner.roots.refresh(tenant).await?;
        Ok("undone")
    }
}

#[cfg(test)]
mod tests;
