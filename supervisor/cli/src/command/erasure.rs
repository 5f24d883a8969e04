//! `erasure ...`: certificates of erased tenants, checked without a gateway.

use std::path::Path;

use control_api::Timestamp;
use evidence::{Erasure, OpenedErasure, PublicKey};
use serde::Serialize;

use super::evidence::{key, read};
use crate::error::Error;
use crate::options::ErasureCommand;
use crate::output::{Output, View};

pub(super) fn run(command: ErasureCommand, output: &mut Output) -> Result<(), Error> {
    let ErasureCommand::Verify { file, public_key } = command;
    let expected = public_key.as_deref().map(key).transpose()?;
    output.reply(&verified(&file, expected.as_ref())?)
}

fn verified(file: &Path, expected: Option<&PublicKey>) -> Result<Verified, Error> {
    let bytes = read(file, evidence::MAX_ERASURE)?;
    let opened = evidence::open_erasure(&bytes, expected).map_err(Error::Evidence)?;
    let OpenedErasure { erasure, key } = opened;
    Ok(Verified {
        verified: true,
        public_key: key.to_string(),
        key_compared: expected.is_some(),
        erasure,
    })
}

/// What a certificate says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    /// Always true: what is not is an error.
    verified: bool,
    public_key: String,
    /// Whether that key is the one that the caller trusts.
    key_compared: bool,
    erasure: Erasure,
}

impl View for Verified {
    fn show(&self, output: &mut Output) {
        let Erasure { tenant, index, by, begun_at, finished_at, records, .. } = &self.erasure;
        let rows: Vec<_> = records.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let compared = if self.key_compared { "the one that was given" } else { "not compared" };
        let time = |it: &Timestamp| it.to_string();
        let destroyed = self.erasure.destroyed_key.clone();
        output.pairs(&[
            ("tenant", format!("{tenant} (number {index})")),
            ("asked for by", by.clone()),
            ("begun", time(begun_at)),
            ("all gone", time(finished_at)),
            ("files", if self.erasure.files { "removed" } else { "NOT REMOVED" }.to_owned()),
            ("records", if rows.is_empty() { "none".to_owned() } else { rows.join(", ") }),
            ("destroyed key", destroyed.unwrap_or_else(|| "it had none".to_owned())),
            ("kept", self.erasure.kept.join("; ")),
            ("signed with", format!("{} ({compared})", self.public_key)),
        ]);
        if !self.key_compared {
            output.line("Whose key it is only you can say: compare it with --public-key.");
        }
    }
}
