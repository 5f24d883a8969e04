//! A whole directory: the days' files in their order, held against the newest head.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::{Beginning, Report, Verifier};
use crate::{Error, Files, HEAD_FILE, Head, Known, PublicKey};

/// Verifies the files in `dir`, which `key` signed, also against `known`, a record that is known from
/// elsewhere. Where [`Report::awaits_head`], give the gateway a moment and [`settle`] it.
///
/// # Errors
/// When a file cannot be read at all.
pub fn directory(dir: &Path, key: PublicKey, known: Option<Known>) -> Result<Report, Error> {
    let head = Head::read(dir)?;
    let signed = head.as_ref().and_then(|head| head.as_ref().ok());
    let mut verifier = Verifier::new(key, Beginning::First, signed.copied());
    if let Some(known) = known {
        verifier.expect(known);
    }
    for (name, path) in Files::list(dir)?.iter() {
        let file = File::open(path).map_err(Error::file(path))?;
        verifier.file(name, BufReader::new(file)).map_err(Error::file(path))?;
    }
    let mut report = verifier.finish();
    let wrong = match &head {
        None => Some("there is no head: where the trail ended is not known"),
        Some(Err(_)) => Some("the head is not as the gateway writes it"),
        Some(Ok(head)) if !head.is_signed_by(&key) => Some("the head is not signed by the key"),
        Some(Ok(_)) => None,
    };
    if let Some(what) = wrong {
        let seq = report.end.map_or(0, |end| end.seq);
        report.head_fault(HEAD_FILE, seq, what);
    }
    Ok(report)
}

/// Whether a gateway has signed since what was written after the head that `report` knows. Nobody has:
/// then nobody is at work there, and what stands after the head is a fault.
///
/// # Errors
/// When the head cannot be read.
pub fn settle(report: &mut Report, dir: &Path, key: PublicKey) -> Result<(), Error> {
    let later = Head::read(dir)?.and_then(Result::ok).filter(|head| head.is_signed_by(&key));
    if later.is_none_or(|later| report.end.is_some_and(|end| later.seq <= end.seq)) {
        report.unsigned();
    }
    Ok(())
}
