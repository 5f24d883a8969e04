//! From a tenant's data key to the keys of one backup.

use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::{aead, hmac};
use zeroize::Zeroizing;

use super::Broken;
use crate::id::hex;

/// Bytes of a data key and of every key that is made of it.
pub const KEY: usize = 32;

/// Bytes of the salt, drawn for each backup.
pub const SALT: usize = 32;

const CONTENT: &[u8] = b"openclawmu backup 1 content";
const MANIFEST: &[u8] = b"openclawmu backup 1 manifest";
const NAME: &[u8] = b"openclawmu backup 1 key id";

/// Bytes of a key's name.
const NAME_BYTES: usize = 8;

/// A tenant's data key. Whoever has it reads every backup of the tenant.
pub struct DataKey(Zeroizing<[u8; KEY]>);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// What seals the chunks of one backup, and what its manifest is signed with.
pub(crate) struct Keys {
    pub(crate) content: aead::LessSafeKey,
    pub(crate) manifest: hmac::Key,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// Bytes that HKDF is asked for.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl DataKey {
    /// A key of these bytes.
    pub const fn new(bytes: Zeroizing<[u8; KEY]>) -> Self {
        Self(bytes)
    }

    /// The bytes. Each caller is a place to look at in a review.
    pub fn expose(&self) -> &[u8; KEY] {
        &self.0
    }

    /// What tells this key from others and says nothing else of it: 16 hexadecimal digits.
    ///
    /// # Errors
    /// Never, as HKDF gives so few bytes.
    pub fn name(&self) -> Result<String, Broken> {
        Ok(hex(&*self.derive::<NAME_BYTES>(&[], NAME)?))
    }

    /// The keys of the backup with this salt.
    pub(crate) fn keys(&self, salt: &[u8; SALT]) -> Result<Keys, Broken> {
        let content = self.derive::<KEY>(salt, CONTENT)?;
        let content = aead::UnboundKey::new(&aead::AES_256_GCM, &*content);
        let content = content.map_err(|ring::error::Unspecified| Broken::Key)?;
        let manifest = self.derive::<KEY>(salt, MANIFEST)?;
        Ok(Keys {
            content: aead::LessSafeKey::new(content),
            manifest: hmac::Key::new(hmac::HMAC_SHA256, &*manifest),
        })
    }

    fn derive<const N: usize>(
        &self,
        salt: &[u8],
        info: &[u8],
    ) -> Result<Zeroizing<[u8; N]>, Broken> {
        let broken = |ring::error::Unspecified| Broken::Key;
        let mut key = Zeroizing::new([0; N]);
        let prk = Salt::new(HKDF_SHA256, salt).extract(&*self.0);
        prk.expand(&[info], Length(N)).map_err(broken)?.fill(&mut *key).map_err(broken)?;
        Ok(key)
    }
}
