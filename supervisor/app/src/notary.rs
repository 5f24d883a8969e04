//! Certificates of erased tenants: made of what is gone, signed with the key of evidence, and kept below
//! the state directory for good.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use evidence::{ERASURE_SCHEMA, Erasure, Key, Witness, seal_erasure};
use tenants::{Certificate, Certifying, Erased, Notary};
use types::Clock;

/// The folder of certificates.
const FOLDER: &str = "erasures";

/// What stays of a tenant, for people.
const KEPT: [&str; 2] = [
    "usage: counts of requests, tokens and money by day, with the names of tokens, agents and sessions",
    "audit: who did what to the tenant and when, without content",
];

/// Makes and keeps certificates.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) key: Key,
    pub(crate) witness: Arc<dyn Witness>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Notary for Registry {
    fn certify<'a>(&'a self, erased: &'a Erased) -> Certifying<'a> {
        Box::pin(async move {
            let file = format!("{FOLDER}/{}-{}.json", erased.tenant, erased.index);
            if let Some(text) = read(&file)? {
                return Ok(Certificate { text, file });
            }
            let erasure = Erasure {
                schema: ERASURE_SCHEMA,
                installation: self.key.public().installation(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                tenant: erased.tenant.clone(),
                index: erased.index,
                by: erased.by.clone(),
                begun_at: erased.begun_at.into(),
                finished_at: self.clock.now().into(),
                files: true,
                records: erased.removed.rows.clone(),
                destroyed_key: erased.removed.key.clone(),
                kept: KEPT.map(str::to_owned).to_vec(),
                audit_head: self.witness.audit_head().await,
                ledger_digest: self.witness.ledger_digest(&erased.tenant).await,
            };
            let bytes = seal_erasure(&erasure, &self.key).map_err(std::io::Error::other)?;
            let text = String::from_utf8(bytes).map_err(std::io::Error::other)?;
            write(&file, text.as_bytes())?;
            Ok(Certificate { text, file })
        })
    }
}

/// The certificate that there is, whole, from an attempt that was interrupted afterwards.
fn read(file: &str) -> Result<Option<String>, std::io::Error> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

/// Writes it beside its place and moves it there, so that half a certificate is never found.
fn write(file: &str, bytes: &[u8]) -> Result<(), std::io::Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(FOLDER)?;
    let new = format!("{file}.new");
    let mut options = OpenOptions::new();
    let mut target = options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    target.write_all(bytes)?;
    target.sync_all()?;
    fs::rename(&new, file)?;
    File::open(Path::new(FOLDER))?.sync_all()?;
    File::open(".")?.sync_all()
}
