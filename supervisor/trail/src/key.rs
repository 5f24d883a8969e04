//! The public half of the key that signs heads, and what it signs.

use std::fmt;
use std::str::FromStr;

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::{Digest, read_hex, write_hex};
use crate::{Error, Known};

/// The file of the public key, beside the private one. Whoever may write there may replace it too:
/// what counts is the operator's own copy.
pub const PUBLIC_KEY_FILE: &str = "audit.pub";

/// Bytes of a public key.
pub(crate) const PUBLIC: usize = 32;

/// Bytes of a signature.
const SIGNATURE: usize = 64;

/// What a public key begins with as text.
const FORM: &str = "ed25519:";

/// An Ed25519 public key; as text `ed25519:` and 64 digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC]);

/// An Ed25519 signature of a head.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE]);

impl PublicKey {
    /// A key of these bytes; none where they are not as many as a key has.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Whether whoever has the private half signed that the chain stood at `known` at `at`.
    pub fn signed(&self, known: &Known, at: u64, signature: &Signature) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        key.verify(&message(known, at), &signature.0).is_ok()
    }
}

impl Signature {
    /// What no key signs.
    pub const NONE: Self = Self([0; SIGNATURE]);

    /// A signature of these bytes; none where they are not as many as one has.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// What is signed: the name says what for, so that no other signature of the key can stand for it.
pub(crate) fn message(known: &Known, at: u64) -> Vec<u8> {
    format!("openclawmu audit head 1\n{}\n{}\n{at}\n", known.seq, known.hash).into_bytes()
}

/// What the first record of a chain names as the hash before it: a chain is of one key.
pub fn genesis(key: &PublicKey) -> Digest {
    Digest::of(format!("openclawmu audit chain 1\n{key}\n").as_bytes())
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORM)?;
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.trim_ascii_end().strip_prefix(FORM);
        digits.and_then(read_hex).map(Self).ok_or(Error::Key)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = read_hex(&text);
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("not a signature"))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
