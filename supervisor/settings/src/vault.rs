//! Secrets of tenants, sealed: nobody reads them out of the records without the key that lies beside
//! them, and what is sealed for one tenant and purpose opens for no other.
//!
//! Each tenant has a key of its own, sealed under the gateway's. When the tenant is deleted its key
//! goes too, and what copies of the records still hold of its secrets is noise.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::OFlag;
use records::{Records, SealedRow};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use types::{Secret, TenantId};
use zeroize::Zeroizing;

/// The file of the gateway's key, in the directory of keys.
const FILE: &str = "seal.key";

/// Bytes of a key.
const KEY: usize = 32;

/// What the sealed values of this form begin with.
const FORM: u8 = 1;

/// The name and kind of a tenant's own key among its sealed values.
const DATA_KEY: &str = records::DATA_KEY;

/// Bytes of the name of a secret: with its tenant it fits a key of the records.
pub(crate) const MAX_NAME: usize = 256;

/// Bytes of a secret.
pub const MAX_SECRET: usize = 4 << 10;

/// Secrets that could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The records failed.
    #[error("the records of secrets failed")]
    Records(#[source] records::Error),
    /// The gateway's key cannot be read or written.
    #[error("cannot {what} {path}")]
    File {
        /// What was attempted.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The gateway's key is not one, or somebody else can read it.
    #[error("{path} must be a file of {KEY} bytes that nobody but the gateway can read")]
    Key {
        /// Which file.
        path: PathBuf,
    },
    /// It was sealed with another key, for another tenant or purpose, or was changed.
    #[error("a sealed value does not open")]
    Sealed(#[source] ring::error::Unspecified),
    /// The system gave no random bytes, or a value is too long for the cipher.
    #[error("a secret cannot be sealed")]
    Cipher(#[source] ring::error::Unspecified),
}

/// The gateway's key.
pub struct SealKey(LessSafeKey);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(..)")
    }
}

impl SealKey {
    /// Reads the key in `dir`; makes it, and the directory, where there is none.
    ///
    /// # Errors
    /// When it cannot be read or made, or others could have read it.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let fail = |what, path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { what, path, source }
        };
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlag::O_NOFOLLOW.bits());
        let file = match options.open(&path) {
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                make(dir, &path)?;
                options.open(&path)
            }
            opened => opened,
        };
        let mut file = file.map_err(fail("open", &path))?;
        let stat = file.metadata().map_err(fail("look at", &path))?;
        let length = u64::try_from(KEY).unwrap_or(u64::MAX);
        if !stat.is_file() || stat.len() != length || stat.mode() & 0o077 != 0 {
            return Err(Error::Key { path });
        }
        let mut key = Zeroizing::new([0; KEY]);
        file.read_exact(&mut *key).map_err(fail("read", &path))?;
        Self::of(&key)
    }

    /// A key that is nowhere else: what is sealed with it is lost with it.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn random() -> Result<Self, Error> {
        Self::of(&*random_key()?)
    }

    fn of(key: &[u8; KEY]) -> Result<Self, Error> {
        cipher(key).map(Self)
    }
}

/// Writes a new key beside its place and moves it there, so that half a key is never found.
fn make(dir: &Path, path: &Path) -> Result<(), Error> {
    let fail = |what, path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { what, path, source }
    };
    let mut directory = std::fs::DirBuilder::new();
    directory.recursive(true).mode(0o700).create(dir).map_err(fail("make", dir))?;
    let new = dir.join("seal.key.new");
    match std::fs::remove_file(&new) {
        Ok(()) => {}
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => {}
        Err(err) => return Err(fail("remove", &new)(err)),
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    let mut file = options.open(&new).map_err(fail("make", &new))?;
    let key = random_key()?;
    file.write_all(&*key).and_then(|()| file.sync_all()).map_err(fail("write", &new))?;
    std::fs::rename(&new, path).map_err(fail("make", path))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(fail("write", dir))
}

fn random_key() -> Result<Zeroizing<[u8; KEY]>, Error> {
    let mut key = Zeroizing::new([0; KEY]);
    SystemRandom::new().fill(&mut *key).map_err(Error::Cipher)?;
    Ok(key)
}

fn cipher(key: &[u8; KEY]) -> Result<LessSafeKey, Error> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(Error::Cipher)
}

/// What a sealed value is for: it opens for nothing else.
#[derive(Clone, Copy)]
struct Context<'a> {
    /// The tenant; [`OWN`] for what is no tenant's.
    tenant: &'a str,
    kind: &'static str,
    name: &'a str,
}

/// Stands where a tenant does, for what is the gateway's own: no tenant has such a name.
const OWN: &str = "~";

impl Context<'_> {
    /// Each part with its length, so that no two contexts read the same.
    fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        for part in [self.tenant, self.kind, self.name] {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

fn seal(key: &LessSafeKey, context: Context<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(Error::Cipher)?;
    // Room for the tag, so that the secret is not left behind where it was before it grew.
    let mut text = Zeroizing::new(Vec::with_capacity(plain.len().saturating_add(MAX_TAG_LEN)));
    text.extend_from_slice(plain);
    let (nonce_used, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(context.bytes()));
    key.seal_in_place_append_tag(nonce_used, aad, &mut *text).map_err(Error::Cipher)?;
    let mut sealed = vec![FORM];
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&text);
    Ok(sealed)
}

fn open(
    key: &LessSafeKey,
    context: Context<'_>,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let broken = || Error::Sealed(ring::error::Unspecified);
    let (form, rest) = sealed.split_first().ok_or_else(broken)?;
    let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(broken)?;
    if *form != FORM {
        return Err(broken());
    }
    let mut text = Zeroizing::new(text.to_vec());
    let (nonce, aad) = (Nonce::assume_unique_for_key(*nonce), Aad::from(context.bytes()));
    let length = key.open_in_place(nonce, aad, &mut text).map_err(Error::Sealed)?.len();
    text.truncate(length);
    Ok(text)
}

fn plain(text: &[u8]) -> Result<Secret, Error> {
    let text = String::from_utf8(text.to_vec());
    text.map(Secret::from).map_err(|_text| Error::Sealed(ring::error::Unspecified))
}

/// Seals and opens what is kept of one tenant, under the tenant's own key: when that is gone, so is
/// everything that it sealed.
#[derive(Clone)]
pub struct Sealer {
    tenant: TenantId,
    key: Arc<LessSafeKey>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl Sealer {
    /// Seals bytes, which open under the same kind and name only.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, kind: &'static str, name: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        seal(&self.key, Context { tenant: self.tenant.as_str(), kind, name }, plain)
    }

    /// Opens what was sealed under this kind and name.
    ///
    /// # Errors
    /// When it was not, or was changed since.
    pub fn open(&self, kind: &'static str, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let plain = open(&self.key, Context { tenant: self.tenant.as_str(), kind, name }, sealed)?;
        Ok(plain.to_vec())
    }
}

/// The sealed values of every tenant.
#[derive(Debug)]
pub(crate) struct Vault {
    key: SealKey,
    records: Records,
}

impl Vault {
    pub(crate) const fn new(key: SealKey, records: Records) -> Self {
        Self { key, records }
    }

    /// What seals with the tenant's own key.
    pub(crate) async fn sealer(&self, tenant: &TenantId) -> Result<Sealer, Error> {
        let key = Arc::new(self.data_key(tenant).await?);
        Ok(Sealer { tenant: tenant.clone(), key })
    }

    /// The names of what is sealed for a tenant.
    pub(crate) async fn names(&self, tenant: &TenantId) -> Result<Vec<String>, Error> {
        let rows = self.records.all_sealed(tenant).await.map_err(Error::Records)?;
        Ok(rows.into_iter().map(|row| row.name).filter(|name| name != DATA_KEY).collect())
    }

    /// Seals values and removes others, in one commit.
    pub(crate) async fn write(
        &self,
        tenant: &TenantId,
        kind: &'static str,
        put: &[(String, Secret)],
        removed: &[String],
    ) -> Result<(), Error> {
        let mut rows = Vec::new();
        if !put.is_empty() {
            let key = self.data_key(tenant).await?;
            for (name, secret) in put {
                let context = Context { tenant: tenant.as_str(), kind, name };
                let sealed = seal(&key, context, secret.expose().as_bytes())?;
                rows.push(SealedRow { name: name.clone(), sealed });
            }
        }
        self.records.seal(tenant, &rows, removed).await.map_err(Error::Records)
    }

    /// What is sealed under a name, if anything.
    pub(crate) async fn read(
        &self,
        tenant: &TenantId,
        kind: &'static str,
        name: &str,
    ) -> Result<Option<Secret>, Error> {
        let row = self.records.sealed(tenant, name).await.map_err(Error::Records)?;
        let Some(row) = row else { return Ok(None) };
        let key = self.data_key(tenant).await?;
        let text = open(&key, Context { tenant: tenant.as_str(), kind, name }, &row.sealed)?;
        plain(&text).map(Some)
    }

    /// Seals values that are no tenant's, under the gateway's own key, and removes others.
    pub(crate) async fn write_own(
        &self,
        kind: &'static str,
        put: &[(String, Secret)],
        removed: &[String],
    ) -> Result<(), Error> {
        let mut rows = Vec::new();
        for (name, secret) in put {
            let context = Context { tenant: OWN, kind, name };
            let sealed = seal(&self.key.0, context, secret.expose().as_bytes())?;
            rows.push(SealedRow { name: name.clone(), sealed });
        }
        self.records.seal_own(&rows, removed).await.map_err(Error::Records)
    }

    /// What is sealed under a name and is no tenant's, if anything.
    pub(crate) async fn read_own(
        &self,
        kind: &'static str,
        name: &str,
    ) -> Result<Option<Secret>, Error> {
        let row = self.records.own_sealed(name).await.map_err(Error::Records)?;
        let Some(row) = row else { return Ok(None) };
        let text = open(&self.key.0, Context { tenant: OWN, kind, name }, &row.sealed)?;
        plain(&text).map(Some)
    }

    /// Everything that is sealed for a tenant, opened.
    pub(crate) async fn open_all(
        &self,
        tenant: &TenantId,
        kind_of: impl Fn(&str) -> Option<&'static str>,
    ) -> Result<Vec<(String, Secret)>, Error> {
        let mut all = Vec::new();
        for name in self.names(tenant).await? {
            let Some(kind) = kind_of(&name) else { continue };
            if let Some(secret) = self.read(tenant, kind, &name).await? {
                all.push((name, secret));
            }
        }
        Ok(all)
    }

    /// Seals values for a tenant, and writes none of them.
    pub(crate) async fn seal_all(
        &self,
        tenant: &TenantId,
        secrets: &[(String, &'static str, Secret)],
    ) -> Result<Vec<SealedRow>, Error> {
        let key = self.data_key(tenant).await?;
        let one = |(name, kind, secret): &(String, &'static str, Secret)| {
            let sealed = seal(
                &key,
                Context { tenant: tenant.as_str(), kind, name },
                secret.expose().as_bytes(),
            )?;
            Ok(SealedRow { name: name.clone(), sealed })
        };
        secrets.iter().map(one).collect()
    }

    /// The tenant's own key; made where it has none.
    async fn data_key(&self, tenant: &TenantId) -> Result<LessSafeKey, Error> {
        cipher(&*self.data_key_bytes(tenant).await?)
    }

    /// The same, as bytes: what backups are sealed under.
    pub(crate) async fn data_key_bytes(
        &self,
        tenant: &TenantId,
    ) -> Result<Zeroizing<[u8; KEY]>, Error> {
        let context = Context { tenant: tenant.as_str(), kind: DATA_KEY, name: DATA_KEY };
        let found = self.records.sealed(tenant, DATA_KEY).await.map_err(Error::Records)?;
        let row = if let Some(row) = found {
            row
        } else {
            let sealed = seal(&self.key.0, context, &*random_key()?)?;
            let row = SealedRow { name: DATA_KEY.to_owned(), sealed };
            self.records.seal_once(tenant, row).await.map_err(Error::Records)?
        };
        let key = open(&self.key.0, context, &row.sealed)?;
        let key = key.first_chunk().ok_or(Error::Sealed(ring::error::Unspecified))?;
        Ok(Zeroizing::new(*key))
    }
}

#[cfg(test)]
mod tests;
