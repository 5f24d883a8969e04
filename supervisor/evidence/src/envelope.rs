//! A signed file: one JSON object in which everything has its one place, so that a file is either byte for
//! byte what was signed or nothing.
//!
//! What it holds is in it as it was signed and is read only after its signature was checked; nothing is
//! ever written again in order to be checked.

use crate::document::Error;
use crate::hex;
use crate::key::{Key, PUBLIC, PublicKey, SIGNATURE};

/// What stands between the key and the signature.
const BEFORE_SIGNATURE: &[u8] = br#"","signature":""#;
/// What stands after the body.
const AFTER_BODY: &[u8] = b"}\n";

/// What tells one kind of signed file from another.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// What stands before the public key: its kind and version.
    pub(crate) before_key: &'static [u8],
    /// What stands before the body.
    pub(crate) before_body: &'static [u8],
    /// What is signed before the body itself, so that the signature means nothing anywhere else.
    pub(crate) context: &'static [u8],
}

impl Envelope {
    /// Signs the body, which is JSON.
    pub(crate) fn seal(&self, body: &[u8], key: &Key) -> Vec<u8> {
        let (public, signature) = (key.public().to_string(), key.sign(&self.signed(body)));
        [
            self.before_key,
            public.as_bytes(),
            BEFORE_SIGNATURE,
            signature.as_bytes(),
            self.before_body,
            body,
            AFTER_BODY,
        ]
        .concat()
    }

    /// The body and who signed it.
    ///
    /// # Errors
    /// When a single byte is not as it was when it was signed, or somebody else signed it than
    /// `expected`.
    pub(crate) fn open<'a>(
        &self,
        file: &'a [u8],
        expected: Option<&PublicKey>,
    ) -> Result<(&'a [u8], PublicKey), Error> {
        let rest = after(file, self.before_key, "its beginning")?;
        let (key, rest) = digits::<PUBLIC>(rest, "its public key")?;
        let key = PublicKey::from_digits(key).ok_or(Error::Form("its public key"))?;
        let rest = after(rest, BEFORE_SIGNATURE, "what follows the key")?;
        let (signature, rest) = digits::<SIGNATURE>(rest, "its signature")?;
        let signature = hex::decode(signature).ok_or(Error::Form("its signature"))?;
        let rest = after(rest, self.before_body, "what follows the signature")?;
        let body = rest.strip_suffix(AFTER_BODY).ok_or(Error::Form("its end"))?;
        if let Some(expected) = expected.filter(|expected| **expected != key) {
            return Err(Error::OtherKey { expected: *expected, found: key });
        }
        if !key.holds(&self.signed(body), &signature) {
            return Err(Error::Signature);
        }
        Ok((body, key))
    }

    fn signed(&self, body: &[u8]) -> Vec<u8> {
        [self.context, body].concat()
    }
}

/// Whether the file names the installation whose key signed it.
pub(crate) fn is_of_signer(named: &str, key: &PublicKey) -> Result<(), Error> {
    let signer = key.installation();
    if named == signer {
        return Ok(());
    }
    Err(Error::Installation { named: named.to_owned(), signer })
}

fn after<'a>(file: &'a [u8], fixed: &[u8], what: &'static str) -> Result<&'a [u8], Error> {
    file.strip_prefix(fixed).ok_or(Error::Form(what))
}

fn digits<'a, const BYTES: usize>(
    file: &'a [u8],
    what: &'static str,
) -> Result<(&'a [u8], &'a [u8]), Error> {
    file.split_at_checked(BYTES * 2).ok_or(Error::Form(what))
}
