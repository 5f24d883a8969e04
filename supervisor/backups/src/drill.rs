//! A restore drill: a backup is unpacked into a root that is thrown away, and what was found is compared
//! with what was said and recorded.

use std::sync::Arc;

use ::audit::{Act, Ended, Who};

use crate::format::manifest::Manifest;
use crate::id::BackupId;
use crate::{Backups, Error};

/// A backup that can be restored.
#[derive(Debug, Clone)]
pub struct Drilled {
    /// What is in it.
    pub manifest: Manifest,
}

impl Backups {
    /// Tries a backup out, and records how that went.
    ///
    /// # Errors
    /// With what is wrong with the backup, or why it could not be tried.
    pub async fn verify(&self, backup: &BackupId, who: Who) -> Result<Drilled, Error> {
        let (inner, backup) = (Arc::clone(&self.0), backup.clone());
        let tried = self.0.tasks.spawn(async move {
            let tried = inner.try_out(&backup).await;
            let act = Act::new("backup.drill", who).of_tenant(backup.tenant().as_str());
            let act = act.on(&backup.to_string());
            let word = tried.as_ref().map_or_else(Error::word, |_| "ok");
            inner.metrics.ended("verify", word);
            let ended = if tried.is_ok() { Ended::done() } else { Ended::failed(word) };
            inner.audit.note(act, ended);
            match &tried {
                Ok(_) => tracing::info!(%backup, "a backup was tried out"),
                Err(err) => {
                    tracing::warn!(%backup, error = %types::Chain(err), "a backup failed its drill");
                    inner.alert(backup.tenant(), "verify", err);
                }
            }
            tried
        });
        let (manifest, _found) = tried.await.map_err(Error::Task)??;
        Ok(Drilled { manifest })
    }
}
