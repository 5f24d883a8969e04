//! The plain header: whose backup it is, when it was begun, and with which key it is sealed. Every chunk
//! is bound to it by its digest.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use super::keys::{DataKey, SALT};
use super::{Broken, FORMAT};
use crate::id::{BackupId, hex, unhex};

/// What every backup begins with.
pub const MAGIC: &[u8; 8] = b"OCMUBAK1";

/// Bytes of the JSON of a header: ours has about 300.
pub const MAX_HEADER: usize = 4 << 10;

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// The version of the form.
    pub format: u32,
    /// Whose backup it is.
    pub tenant: TenantId,
    /// Which backup.
    pub backup: BackupId,
    /// When it was begun.
    pub created_at: UnixMillis,
    /// The name of the data key.
    pub key_id: String,
    /// What the keys of this backup are made with, in hexadecimal digits.
    pub salt: String,
}

/// The form alone: a newer header may have other fields.
#[derive(Deserialize)]
struct Form {
    format: u32,
}

impl Header {
    /// The header of a new backup.
    pub(crate) fn new(
        backup: &BackupId,
        created_at: UnixMillis,
        (key, salt): (&DataKey, &[u8; SALT]),
    ) -> Result<Self, Broken> {
        Ok(Self {
            format: FORMAT,
            tenant: backup.tenant().clone(),
            backup: backup.clone(),
            created_at,
            key_id: key.name()?,
            salt: hex(salt),
        })
    }

    /// As it stands at the beginning of the object.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Broken> {
        let json = serde_json::to_vec(self).map_err(|_unwritable| Broken::Header)?;
        let length = u32::try_from(json.len()).ok().ok_or(Broken::Header)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&json);
        Ok(bytes)
    }

    /// The header at the beginning of `bytes` and its length; none where more bytes are needed.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Broken> {
        let known = bytes.len().min(MAGIC.len());
        if bytes.get(..known) != MAGIC.get(..known) {
            return Err(Broken::Header);
        }
        let Some((length, rest)) = bytes.get(MAGIC.len()..).and_then(<[u8]>::split_first_chunk)
        else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).ok().ok_or(Broken::Header)?;
        if length > MAX_HEADER {
            return Err(Broken::Header);
        }
        let Some(json) = rest.get(..length) else { return Ok(None) };
        let Form { format } = serde_json::from_slice(json).map_err(|_unreadable| Broken::Header)?;
        if format != FORMAT {
            return Err(Broken::Newer { found: format });
        }
        let header: Self = serde_json::from_slice(json).map_err(|_unreadable| Broken::Header)?;
        if header.backup.tenant() != &header.tenant {
            return Err(Broken::Header);
        }
        Ok(Some((header, MAGIC.len() + 4 + length)))
    }

    /// The salt.
    pub(crate) fn salt(&self) -> Result<[u8; SALT], Broken> {
        let salt = unhex(&self.salt).and_then(|it| it.try_into().ok());
        salt.ok_or(Broken::Header)
    }
}

/// What every chunk is bound to.
pub(crate) fn binding(header: &[u8]) -> [u8; 32] {
    let mut bound = [0; 32];
    bound.copy_from_slice(digest(&SHA256, header).as_ref());
    bound
}
