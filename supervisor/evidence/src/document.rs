//! The signed file: one JSON object in which everything has its one place, so that a file is either
//! byte for byte what was signed or nothing.
//!
//! The report is in it as it was signed and is read only after its signature was checked; nothing is
//! ever written again in order to be checked.

use serde_json::Error as JsonError;

use crate::key::{Key, PUBLIC, PublicKey, SIGNATURE};
use crate::report::{Report, SCHEMA};
use crate::{hex, page};

/// The largest file that is read, in bytes: a report is some twenty kilobytes, and a page holds it
/// twice.
pub const MAX_DOCUMENT: usize = 4 << 20;

/// What stands before the public key, the signature, the report, and after it.
const BEFORE_KEY: &[u8] = br#"{"format":"openclawmu-evidence/1","publicKey":""#;
const BEFORE_SIGNATURE: &[u8] = br#"","signature":""#;
const BEFORE_REPORT: &[u8] = br#"","report":"#;
const AFTER_REPORT: &[u8] = b"}\n";

/// What is signed before the report itself, so that the signature means nothing anywhere else.
const CONTEXT: &[u8] = b"openclawmu evidence report 1\0";

/// A file that is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It has not the form of one.
    #[error("the file is not an evidence report: {0}")]
    Form(&'static str),
    /// It is larger than any.
    #[error("the file is larger than {MAX_DOCUMENT} bytes")]
    TooLarge,
    /// It was signed by somebody else.
    #[error("the file was signed with key {found} and not with {expected}")]
    OtherKey {
        /// Who was expected.
        expected: PublicKey,
        /// Who signed.
        found: PublicKey,
    },
    /// It was changed, or never signed.
    #[error("the signature does not hold: the file was changed")]
    Signature,
    /// It is signed, and not a report that this version knows.
    #[error("the report cannot be read")]
    Report(#[source] JsonError),
    /// Another form of reports.
    #[error("the report is of schema {0}, and this version knows schema {SCHEMA}")]
    Schema(u32),
    /// It names another installation than the one whose key signed it.
    #[error("the report is of installation {named}, and was signed by {signer}")]
    Installation {
        /// Which the report names.
        named: String,
        /// Whose key it is.
        signer: String,
    },
    /// A page around it says something else.
    #[error("the page is not the one that this version makes of the report in it")]
    Page,
    /// A report cannot be written.
    #[error("the report cannot be written")]
    Write(#[source] JsonError),
}

/// A file whose signature holds.
#[derive(Debug)]
pub struct Opened {
    /// What it says.
    pub report: Report,
    /// Who signed it.
    pub key: PublicKey,
}

/// Writes and signs.
///
/// # Errors
/// When the report has no JSON form.
pub fn seal(report: &Report, key: &Key) -> Result<Vec<u8>, Error> {
    let body = serde_json::to_vec(report).map_err(Error::Write)?;
    let (public, signature) = (key.public().to_string(), key.sign(&signed(&body)));
    Ok([
        BEFORE_KEY,
        public.as_bytes(),
        BEFORE_SIGNATURE,
        signature.as_bytes(),
        BEFORE_REPORT,
        &body,
        AFTER_REPORT,
    ]
    .concat())
}

/// Checks form and signature of a document, or of a page around one, and reads it. Whether what it
/// says is good is for [`crate::check`].
///
/// # Errors
/// When a single byte is not as it was when it was signed, or somebody else signed it than
/// `expected`.
pub fn open(file: &[u8], expected: Option<&PublicKey>) -> Result<Opened, Error> {
    if file.len() > MAX_DOCUMENT {
        return Err(Error::TooLarge);
    }
    if let Some(document) = page::document(file) {
        let opened = open_document(&document, expected)?;
        let same = page::around(&document, &opened) == file;
        return if same { Ok(opened) } else { Err(Error::Page) };
    }
    open_document(file, expected)
}

pub(crate) fn open_document(file: &[u8], expected: Option<&PublicKey>) -> Result<Opened, Error> {
    let rest = after(file, BEFORE_KEY, "its beginning")?;
    let (key, rest) = digits::<PUBLIC>(rest, "its public key")?;
    let key = PublicKey::from_digits(key).ok_or(Error::Form("its public key"))?;
    let rest = after(rest, BEFORE_SIGNATURE, "what follows the key")?;
    let (signature, rest) = digits::<SIGNATURE>(rest, "its signature")?;
    let signature = hex::decode(signature).ok_or(Error::Form("its signature"))?;
    let rest = after(rest, BEFORE_REPORT, "what follows the signature")?;
    let body = rest.strip_suffix(AFTER_REPORT).ok_or(Error::Form("its end"))?;
    if let Some(expected) = expected.filter(|expected| **expected != key) {
        return Err(Error::OtherKey { expected: *expected, found: key });
    }
    if !key.holds(&signed(body), &signature) {
        return Err(Error::Signature);
    }
    let report: Report = serde_json::from_slice(body).map_err(Error::Report)?;
    if report.schema != SCHEMA {
        return Err(Error::Schema(report.schema));
    }
    let signer = key.installation();
    if report.installation != signer {
        return Err(Error::Installation { named: report.installation, signer });
    }
    Ok(Opened { report, key })
}

fn signed(body: &[u8]) -> Vec<u8> {
    [CONTEXT, body].concat()
}

pub(crate) fn after<'a>(
    file: &'a [u8],
    fixed: &[u8],
    what: &'static str,
) -> Result<&'a [u8], Error> {
    file.strip_prefix(fixed).ok_or(Error::Form(what))
}

pub(crate) fn digits<'a, const BYTES: usize>(
    file: &'a [u8],
    what: &'static str,
) -> Result<(&'a [u8], &'a [u8]), Error> {
    file.split_at_checked(BYTES * 2).ok_or(Error::Form(what))
}

#[cfg(test)]
mod tests;
