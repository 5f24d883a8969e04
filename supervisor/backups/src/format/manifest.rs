//! The manifest: what is in a backup, signed under the tenant's key and stored last. What has none is
//! no backup.

use ring::digest::Context;
use ring::hmac;
use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use super::header::Header;
use super::keys::{DataKey, SALT};
use super::{Broken, FORMAT};
use crate::id::{BackupId, hex, unhex};

/// Bytes of a manifest: ours has less than two thousand.
pub const MAX_MANIFEST: usize = 16 << 10;

/// A length and a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sum {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// What was sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sums {
    /// Before it was sealed.
    pub plain: Sum,
    /// As it is stored, header included.
    pub sealed: Sum,
    /// In so many chunks.
    pub chunks: u64,
}

/// What is in the archive, as the worker that made it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Archive {
    /// Bytes of the archive.
    pub bytes: u64,
    /// Files in it.
    pub files: u64,
    /// Directories in it.
    pub directories: u64,
    /// Symbolic links in it.
    pub links: u64,
    /// Bytes of the files, before they were compressed.
    pub file_bytes: u64,
    /// What could not be taken along: sockets, pipes, links that leave, and the like.
    pub left_out: u64,
    /// Files that were changed while they were read.
    pub changed: u64,
    /// SHA-256 of its index, in hexadecimal digits.
    pub index: String,
}

/// Who asked for a backup. What a tenant asks for itself is kept apart from what its operator keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AskedBy {
    /// An operator; also where nothing is said of it, so that it is nothing of which a tenant disposes.
    #[default]
    Operator,
    /// The operator's schedule.
    Schedule,
    /// The tenant.
    Tenant,
}

impl AskedBy {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Schedule => "schedule",
            Self::Tenant => "tenant",
        }
    }
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// The version of the form.
    pub format: u32,
    /// Whose backup it is.
    pub tenant: TenantId,
    /// Which backup.
    pub backup: BackupId,
    /// The version of the gateway that made it.
    pub gateway: String,
    /// Who asked for it.
    #[serde(default)]
    pub asked_by: AskedBy,
    /// When it was begun, in milliseconds since the epoch.
    pub created_at: UnixMillis,
    /// When it was whole.
    pub completed_at: UnixMillis,
    /// The name of the data key.
    pub key_id: String,
    /// As in the header.
    pub salt: String,
    /// Records of the supervisor in it.
    pub records: u64,
    /// The archive in it.
    pub archive: Archive,
    /// Lengths and digests.
    pub sums: Sums,
}

impl Sums {
    pub(super) fn of(plain: (u64, Context), sealed: (u64, Context), chunks: u64) -> Self {
        let sum =
            |(bytes, digest): (u64, Context)| Sum { bytes, sha256: hex(digest.finish().as_ref()) };
        Self { plain: sum(plain), sealed: sum(sealed), chunks }
    }
}

impl Manifest {
    /// The manifest of what `header` begins.
    pub(crate) fn new(header: &Header, asked_by: AskedBy, sums: Sums) -> Self {
        Self {
            format: FORMAT,
            tenant: header.tenant.clone(),
            backup: header.backup.clone(),
            gateway: env!("CARGO_PKG_VERSION").to_owned(),
            asked_by,
            created_at: header.created_at,
            completed_at: 0,
            key_id: header.key_id.clone(),
            salt: header.salt.clone(),
            records: 0,
            archive: Archive::default(),
            sums,
        }
    }

    /// As it is stored: a line of JSON, and a line with its HMAC.
    pub(crate) fn bytes(&self, key: &DataKey) -> Result<Vec<u8>, Broken> {
        let mut bytes = serde_json::to_vec(self).map_err(|_unwritable| Broken::Manifest)?;
        let tag = hmac::sign(&key.keys(&self.salt_bytes()?)?.manifest, &bytes);
        bytes.push(b'\n');
        bytes.extend_from_slice(hex(tag.as_ref()).as_bytes());
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The manifest of `backup`, which nobody has vouched for yet.
    pub(crate) fn read<'a>(backup: &BackupId, bytes: &'a [u8]) -> Result<Unverified<'a>, Broken> {
        if bytes.len() > MAX_MANIFEST {
            return Err(Broken::Manifest);
        }
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let (Some(json), Some(tag), Some([]), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(Broken::Manifest);
        };
        let form: Form = serde_json::from_slice(json).map_err(|_unreadable| Broken::Manifest)?;
        if form.format != FORMAT {
            return Err(Broken::Newer { found: form.format });
        }
        let manifest: Self =
            serde_json::from_slice(json).map_err(|_unreadable| Broken::Manifest)?;
        if &manifest.backup != backup || &manifest.tenant != backup.tenant() {
            return Err(Broken::Other);
        }
        let tag = std::str::from_utf8(tag).ok().and_then(unhex).ok_or(Broken::Manifest)?;
        Ok(Unverified { manifest, json, tag })
    }

    fn salt_bytes(&self) -> Result<[u8; SALT], Broken> {
        unhex(&self.salt).and_then(|it| it.try_into().ok()).ok_or(Broken::Manifest)
    }
}

#[derive(Deserialize)]
struct Form {
    format: u32,
}

/// A manifest before its HMAC was checked.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    manifest: Manifest,
    json: &'a [u8],
    tag: Vec<u8>,
}

impl Unverified<'_> {
    /// The manifest, if the holder of this key has written it.
    pub(crate) fn verify(self, key: &DataKey) -> Result<Manifest, Broken> {
        if self.manifest.key_id != key.name()? {
            return Err(Broken::Key);
        }
        let keys = key.keys(&self.manifest.salt_bytes()?)?;
        let verified = hmac::verify(&keys.manifest, self.json, &self.tag);
        verified.map_err(|ring::error::Unspecified| Broken::Manifest)?;
        Ok(self.manifest)
    }
}
