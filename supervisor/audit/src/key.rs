//! The key that signs heads: made once, never shown.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use trail::{Files, Head, Known, PUBLIC_KEY_FILE, PublicKey, Signature};
use types::UnixMillis;
use zeroize::Zeroizing;

use crate::Error;

/// The file of the key, in the directory of keys.
const FILE: &str = "audit.pk8";

/// Bytes of the file at most; a key has 83.
const MAX_KEY: u64 = 256;

/// The private key of a trail.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
    /// Whether it was made just now.
    is_new: bool,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public)
    }
}

impl SigningKey {
    /// Reads the key in `keys`; makes it, and the directory, where there is neither a key nor a trail
    /// in `trail`. Its public half is written beside it.
    ///
    /// # Errors
    /// When it cannot be read or made, others could have read it, or it is gone.
    pub fn load(keys: &Path, trail: &Path) -> Result<Self, Error> {
        let path = keys.join(FILE);
        let key = match open(&path) {
            Ok(file) => read(&path, file)?,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                if Files::list(trail)?.iter().next().is_some() || Head::read(trail)?.is_some() {
                    return Err(Error::KeyLost(path));
                }
                let mut directory = std::fs::DirBuilder::new();
                let made = directory.recursive(true).mode(0o700).create(keys);
                made.map_err(fail("make", keys))?;
                let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
                let made = made.map_err(Error::Random)?;
                put(keys, FILE, made.as_ref())?;
                let key = read(&path, open(&path).map_err(fail("open", &path))?)?;
                SigningKey { is_new: true, ..key }
            }
            Err(err) => return Err(fail("open", &path)(err)),
        };
        let text = format!("{}\n", key.public);
        let beside = keys.join(PUBLIC_KEY_FILE);
        if std::fs::read(&beside).ok().as_deref() != Some(text.as_bytes()) {
            put(keys, PUBLIC_KEY_FILE, text.as_bytes())?;
        }
        Ok(key)
    }

    /// The public half.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Whether it was made just now: there can be no trail of it.
    pub(crate) const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Signs that the trail stood at `known` at `at`.
    pub fn sign(&self, known: Known, at: UnixMillis) -> Head {
        Head::new(known, at, |message| {
            let signature = self.pair.sign(message);
            Signature::from_bytes(signature.as_ref()).unwrap_or(Signature::NONE)
        })
    }

    /// A key of these bytes; none where they are no PKCS#8 form of one.
    pub fn from_pkcs8(bytes: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).ok()?;
        let public = PublicKey::from_bytes(pair.public_key().as_ref())?;
        Some(Self { pair, public, is_new: false })
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)
}

fn read(path: &Path, file: File) -> Result<SigningKey, Error> {
    let stat = file.metadata().map_err(fail("look at", path))?;
    if !stat.is_file() || stat.len() > MAX_KEY || stat.mode() & 0o077 != 0 {
        return Err(Error::Key(path.to_owned()));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_KEY).read_to_end(&mut bytes).map_err(fail("read", path))?;
    SigningKey::from_pkcs8(&bytes).ok_or_else(|| Error::Key(path.to_owned()))
}

/// Writes a file beside its place and moves it there, so that half of it is never found.
fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let (path, new) = (dir.join(name), dir.join(format!("{name}.new")));
    match std::fs::remove_file(&new) {
        Ok(()) => {}
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => {}
        Err(err) => return Err(fail("remove", &new)(err)),
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    let mut file = options.open(&new).map_err(fail("make", &new))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail("write", &new))?;
    std::fs::rename(&new, &path).map_err(fail("make", &path))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(fail("write", dir))
}

pub(crate) fn fail(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path: PathBuf = path.to_owned();
    move |source| Error::File { what, path, source }
}
