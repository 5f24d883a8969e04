//! The certificate of an erasure: what of a tenant was removed, when and for whom, signed, in a form of
//! its own. It holds nothing of the tenant but its name.

use std::collections::BTreeMap;

use control_api::Timestamp;
use serde::{Deserialize, Serialize};
use types::TenantId;

use crate::document::Error;
use crate::envelope::{Envelope, is_of_signer};
use crate::key::{Key, PublicKey};
use crate::report::AuditHead;

/// The form of certificates that this version writes.
pub const ERASURE_SCHEMA: u32 = 1;

/// The largest certificate, in bytes; one has about one kilobyte.
pub const MAX_ERASURE: usize = 64 << 10;

const ENVELOPE: Envelope = Envelope {
    before_key: br#"{"format":"openclawmu-erasure/1","publicKey":""#,
    before_body: br#"","certificate":"#,
    context: b"openclawmu erasure certificate 1\0",
};

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Erasure {
    /// [`ERASURE_SCHEMA`].
    pub schema: u32,
    /// The installation, by its key.
    pub installation: String,
    /// The gateway's version.
    pub version: String,
    /// The tenant's name; a later tenant may have it again.
    pub tenant: TenantId,
    /// The tenant's number, which no other ever has.
    pub index: u32,
    /// Who asked for it.
    pub by: String,
    /// When it was asked for.
    pub begun_at: Timestamp,
    /// When everything was gone.
    pub finished_at: Timestamp,
    /// Whether the tenant's files were removed: its worker's, its workspaces', its disk.
    pub files: bool,
    /// Rows of the records that were removed, by kind.
    pub records: BTreeMap<String, u64>,
    /// SHA-256 over the sealed form of the tenant's own key, which is destroyed: what was sealed under
    /// it, in backups too, cannot be opened any more. Null where it never had one.
    pub destroyed_key: Option<String>,
    /// What stays: figures of use and the audit trail, without content.
    pub kept: Vec<String>,
    /// Where the audit trail stood when everything was gone; null where none is kept.
    pub audit_head: Option<AuditHead>,
    /// SHA-256 over the ledger of the tenant's closed days; null where there is none.
    pub ledger_digest: Option<String>,
}

/// A certificate whose signature holds.
#[derive(Debug)]
pub struct OpenedErasure {
    /// What it says.
    pub erasure: Erasure,
    /// Who signed it.
    pub key: PublicKey,
}

/// Writes and signs.
///
/// # Errors
/// When it has no JSON form.
pub fn seal_erasure(erasure: &Erasure, key: &Key) -> Result<Vec<u8>, Error> {
    let body = serde_json::to_vec(erasure).map_err(Error::Write)?;
    Ok(ENVELOPE.seal(&body, key))
}

/// Checks form and signature of a certificate, and reads it.
///
/// # Errors
/// When a single byte is not as it was when it was signed, or somebody else signed it than
/// `expected`.
pub fn open_erasure(file: &[u8], expected: Option<&PublicKey>) -> Result<OpenedErasure, Error> {
    if file.len() > MAX_ERASURE {
        return Err(Error::TooLarge);
    }
    let (body, key) = ENVELOPE.open(file, expected)?;
    let erasure: Erasure = serde_json::from_slice(body).map_err(Error::Report)?;
    if erasure.schema != ERASURE_SCHEMA {
        return Err(Error::Schema(erasure.schema));
    }
    is_of_signer(&erasure.installation, &key)?;
    Ok(OpenedErasure { erasure, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn erasure(key: &Key) -> Erasure {
        Erasure {
            schema: ERASURE_SCHEMA,
            installation: key.public().installation(),
            version: "1".to_owned(),
            tenant: "acme".parse().unwrap(),
            index: 7,
            by: "key_1".to_owned(),
            begun_at: Timestamp::from(1),
            finished_at: Timestamp::from(2),
            files: true,
            records: BTreeMap::from([("tokens".to_owned(), 2)]),
            destroyed_key: Some("00".repeat(32)),
            kept: vec!["usage".to_owned()],
            audit_head: None,
            ledger_digest: None,
        }
    }

    #[test]
    fn no_byte_can_be_changed() {
        let key = Key::random().unwrap();
        let file = seal_erasure(&erasure(&key), &key).unwrap();
        let opened = open_erasure(&file, Some(&key.public())).unwrap();
        assert_eq!((opened.erasure, opened.key), (erasure(&key), key.public()));
        for index in 0..file.len() {
            for flip in [1, 0x20, 0x80] {
                let mut changed = file.clone();
                changed[index] ^= flip;
                open_erasure(&changed, None).unwrap_err();
            }
            let mut shorter = file.clone();
            shorter.remove(index);
            open_erasure(&shorter, None).unwrap_err();
        }
        open_erasure(&[&file[..], b" "].concat(), None).unwrap_err();
    }

    #[test]
    fn it_is_nobody_elses_and_nothing_else() {
        let (key, other) = (Key::random().unwrap(), Key::random().unwrap());
        let file = seal_erasure(&erasure(&key), &key).unwrap();
        assert!(matches!(open_erasure(&file, Some(&other.public())), Err(Error::OtherKey { .. })));
        let forged = seal_erasure(&erasure(&key), &other).unwrap();
        assert!(matches!(open_erasure(&forged, None), Err(Error::Installation { .. })));
        crate::open(&file, None).unwrap_err();
    }
}
