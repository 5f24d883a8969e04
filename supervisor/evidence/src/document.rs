//! A report as a signed file, or as a page around one.

use serde_json::Error as JsonError;

use crate::envelope::{Envelope, is_of_signer};
use crate::key::{Key, PublicKey};
use crate::page;
use crate::report::{Report, SCHEMA};

/// The largest file that is read, in bytes: a report is some twenty kilobytes, and a page holds it
/// twice.
pub const MAX_DOCUMENT: usize = 4 << 20;

const ENVELOPE: Envelope = Envelope {
    before_key: br#"{"format":"openclawmu-evidence/1","publicKey":""#,
    before_body: br#"","report":"#,
    context: b"openclawmu evidence report 1\0",
};

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
    Ok(ENVELOPE.seal(&body, key))
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
    let (body, key) = ENVELOPE.open(file, expected)?;
    let report: Report = serde_json::from_slice(body).map_err(Error::Report)?;
    if report.schema != SCHEMA {
        return Err(Error::Schema(report.schema));
    }
    is_of_signer(&report.installation, &key)?;
    Ok(Opened { report, key })
}

#[cfg(test)]
mod tests;
