//! A tenant's data key as a file, with which its backups are read elsewhere. Whoever has it has all of
//! the tenant's backups and secrets.

use serde::{Deserialize, Serialize};
use types::TenantId;
use zeroize::Zeroizing;

use crate::format::FORMAT;
use crate::format::keys::DataKey;
use crate::id::{hex, unhex};
use crate::{Backups, Error};

/// A file with a key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyFile {
    /// The version of the form of backups.
    pub format: u32,
    /// Whose key it is.
    pub tenant: TenantId,
    /// Its name.
    pub key_id: String,
    /// The key in hexadecimal digits.
    pub key: Zeroizing<String>,
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFile").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// The key in a file, if it is `tenant`'s.
///
/// # Errors
/// When it is no such file, or another tenant's.
pub fn read(file: &KeyFile, tenant: &TenantId) -> Result<DataKey, Error> {
    let bytes = Zeroizing::new(unhex(&file.key).unwrap_or_default());
    let key = bytes.first_chunk().filter(|_| bytes.len() == 32).ok_or(Error::KeyFile)?;
    let key = DataKey::new(Zeroizing::new(*key));
    let is_whole = file.format == FORMAT && key.name()? == file.key_id;
    if is_whole && &file.tenant == tenant { Ok(key) } else { Err(Error::KeyFile) }
}

impl Backups {
    /// The tenant's key, to be kept elsewhere.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub async fn export_key(&self, tenant: &TenantId) -> Result<KeyFile, Error> {
        if !self.0.roots.exists(tenant) {
            return Err(Error::NoTenant);
        }
        let key = self.0.key(tenant).await?;
        let text = Zeroizing::new(hex(key.expose()));
        Ok(KeyFile { format: FORMAT, tenant: tenant.clone(), key_id: key.name()?, key: text })
    }
}
