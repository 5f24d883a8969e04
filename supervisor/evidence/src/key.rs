//! The key under which evidence is signed: made when there is none, readable by the supervisor alone,
//! with its public half beside it for auditors.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::fcntl::OFlag;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::hex;

/// The key's file, in the directory of keys.
const FILE: &str = "evidence.pk8";
/// The public half's, beside it.
const PUBLIC_FILE: &str = "evidence.pub";
/// The largest file of a key, in bytes; PKCS#8 of this algorithm has about 80.
const FILE_MAX: u64 = 1024;
/// Bytes of a public key, and of a signature.
pub(crate) const PUBLIC: usize = 32;
pub(crate) const SIGNATURE: usize = 64;
/// Digits of the digest by which an installation is known: as good as no two are the same.
const FINGERPRINT: usize = 32;

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file of it cannot be read or written.
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
    /// The file is no key, or somebody else can read it.
    #[error("{0} must be an Ed25519 key that nobody but the gateway can read")]
    Key(PathBuf),
    /// The system gave no random bytes.
    #[error("a key cannot be made")]
    Random(#[source] ring::error::Unspecified),
    /// A public key is 64 hexadecimal digits.
    #[error("a public key is {} hexadecimal digits", PUBLIC * 2)]
    Public,
}

/// The signing key. It cannot be printed.
pub struct Key(Ed25519KeyPair);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The public half of a signing key; as text, 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC]);

impl Key {
    /// Reads the key in `dir`; makes it, and the directory, where there is none. Writes the public
    /// half beside it.
    ///
    /// # Errors
    /// When it cannot be read or made, or others could have read it.
    pub fn load(dir: &Path) -> Result<Self, KeyError> {
        let path = dir.join(FILE);
        let bytes = match read(&path) {
            Err(KeyError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                make(dir, &path)?;
                read(&path)?
            }
            read => read?,
        };
        let pair = Ed25519KeyPair::from_pkcs8(&bytes);
        let key = pair.map(Self).map_err(|_not_a_key| KeyError::Key(path))?;
        let line = format!("{}\n", key.public());
        replace(&dir.join(PUBLIC_FILE), line.as_bytes(), 0o644)?;
        Ok(key)
    }

    /// A key that is nowhere else.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn random() -> Result<Self, KeyError> {
        let bytes =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(KeyError::Random)?;
        let pair = Ed25519KeyPair::from_pkcs8(bytes.as_ref());
        pair.map(Self).map_err(|_not_a_key| KeyError::Key(PathBuf::new()))
    }

    /// The half that may be known.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; PUBLIC];
        bytes.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        PublicKey(bytes)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> String {
        hex::encode(self.0.sign(message).as_ref())
    }
}

impl PublicKey {
    /// The name of the installation whose key it is: the beginning of the key's SHA-256.
    pub fn installation(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.0);
        hex::encode(digest.as_ref()).chars().take(FINGERPRINT).collect()
    }

    pub(crate) fn holds(&self, message: &[u8], signature: &[u8; SIGNATURE]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }

    pub(crate) fn from_digits(digits: &[u8]) -> Option<Self> {
        hex::decode(digits).map(Self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_digits(text.trim().as_bytes()).ok_or(KeyError::Public)
    }
}

fn fail(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::File { what, path, source }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path);
    let file = file.map_err(fail("open", path))?;
    let stat = file.metadata().map_err(fail("look at", path))?;
    if !stat.is_file() || stat.len() > FILE_MAX || stat.mode() & 0o077 != 0 {
        return Err(KeyError::Key(path.to_owned()));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_MAX).read_to_end(&mut bytes).map_err(fail("read", path))?;
    Ok(bytes)
}

fn make(dir: &Path, path: &Path) -> Result<(), KeyError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir).map_err(fail("make", dir))?;
    let bytes = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(KeyError::Random)?;
    replace(path, bytes.as_ref(), 0o600)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(fail("write", dir))
}

/// Written beside, then renamed: whoever reads the path finds all of it.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyError> {
    let beside = path.with_extension("new");
    match std::fs::remove_file(&beside) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
            return Err(fail("remove", &beside)(err));
        }
        _gone => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside);
    let written = file.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(fail("write", &beside))?;
    std::fs::rename(&beside, path).map_err(fail("make", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let first = Key::load(&keys).unwrap().public();
        assert_eq!(Key::load(&keys).unwrap().public(), first);
        let line = std::fs::read_to_string(keys.join(PUBLIC_FILE)).unwrap();
        assert_eq!(line.parse::<PublicKey>().unwrap(), first);
        let file = keys.join(FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Key::load(&keys), Err(KeyError::Key(_))));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, "no key").unwrap();
        assert!(matches!(Key::load(&keys), Err(KeyError::Key(_))));
    }

    #[test]
    fn only_digits_are_a_public_key() {
        let key = Key::random().unwrap().public();
        assert_eq!(key.to_string().parse::<PublicKey>().unwrap(), key);
        assert_eq!(key.installation().len(), FINGERPRINT);
        for wrong in ["", "00", &key.to_string().to_uppercase(), &format!("{key}00")] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
    }
}
