//! What backups need of the vault: the tenant's key, its secrets opened, and secrets sealed anew for
//! the tenant that they come to. Nothing is written here.

use records::SealedRow;
use types::{Secret, TenantId};
use zeroize::Zeroizing;

use crate::vault::{self, MAX_SECRET};
use crate::{Error, Settings, channel, skill};

/// Secrets of one tenant in a backup: as many as the records keep.
pub const MAX_SECRETS: usize = 256;

impl Settings {
    /// The tenant's own key, under which its backups are sealed. Whoever has it reads them all.
    ///
    /// # Errors
    /// When there is no such tenant, or the key does not open.
    pub async fn backup_key(&self, tenant: &TenantId) -> Result<Zeroizing<[u8; 32]>, Error> {
        self.0.vault.data_key_bytes(tenant).await.map_err(Error::Vault)
    }

    /// Everything that is sealed for the tenant, by name.
    ///
    /// # Errors
    /// When the records fail or something does not open.
    pub async fn open_secrets(&self, tenant: &TenantId) -> Result<Vec<(String, Secret)>, Error> {
        self.0.vault.open_all(tenant, kind).await.map_err(Error::Vault)
    }

    /// The same, sealed for `tenant`; written by whoever replaces the tenant's records.
    ///
    /// # Errors
    /// When a name is not one of a secret, there are too many, or they cannot be sealed.
    pub async fn seal_secrets(
        &self,
        tenant: &TenantId,
        secrets: Vec<(String, Secret)>,
    ) -> Result<Vec<SealedRow>, Error> {
        let mut known = Vec::new();
        for (name, secret) in secrets {
            let fits = secret.expose().len() <= MAX_SECRET && known.len() < MAX_SECRETS;
            let Some(kind) = kind(&name).filter(|_| fits) else {
                let problem = "not a secret that can be kept".to_owned();
                return Err(Error::Skill { path: name, problem });
            };
            known.push((name, kind, secret));
        }
        self.0.vault.seal_all(tenant, &known).await.map_err(Error::Vault)
    }
}

/// The kind under which a secret of this name is sealed.
fn kind(name: &str) -> Option<&'static str> {
    let graphic = name.len() <= vault::MAX_NAME && name.bytes().all(|it| it.is_ascii_graphic());
    let all = [skill::KIND, channel::KIND];
    all.into_iter().find(|kind| {
        let rest = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/'));
        graphic && rest.is_some_and(|rest| !rest.is_empty())
    })
}
