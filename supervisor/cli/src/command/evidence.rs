//! `tenants evidence`, `evidence ...` and `drift`. Verifying asks nobody: a file and a key are all.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use control_api::{Drift, EvidenceKey, Timestamp};
use evidence::{Complaint, Opened, PublicKey, check};
use serde::Serialize;
use types::TenantId;

use crate::client::Client;
use crate::error::Error;
use crate::options::EvidenceCommand;
use crate::output::{Output, View};
use crate::progress;

/// The largest file of a public key, in bytes.
const KEY_MAX: usize = 1024;

pub(super) async fn run(
    client: &Client,
    command: EvidenceCommand,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        EvidenceCommand::Verify { file, public_key } => {
            verify(&file, public_key.as_deref(), output)
        }
        EvidenceCommand::Key => output.reply(&client.get::<EvidenceKey>("/v1/evidence/key").await?),
    }
}

/// Gathers evidence of a tenant and puts it where it was asked for.
pub(super) async fn gather(
    client: &Client,
    id: &TenantId,
    (out, html): (Option<PathBuf>, Option<PathBuf>),
    output: &mut Output,
) -> Result<(), Error> {
    let path = format!("/v1/tenants/{id}/evidence");
    let asked = async { client.stream(&path).await?.rest().await };
    let document = progress::during(format!("Probing the boundary of {id}"), asked).await?;
    let opened = evidence::open(&document, None).map_err(Error::Evidence)?;
    if out.is_none() && html.is_none() {
        output.raw(&document);
        output.end()?;
        return judged(&Judged::of(&opened, None));
    }
    for path in [&out, &html].into_iter().flatten() {
        let is_page =
            html.as_ref() == Some(path) || path.extension().is_some_and(|it| it == "html");
        let page = if is_page {
            evidence::page(&document).map_err(Error::Evidence)?
        } else {
            document.to_vec()
        };
        std::fs::write(path, page).map_err(|source| Error::File { path: path.clone(), source })?;
    }
    let judged_so = Judged::of(&opened, None);
    output.reply(&judged_so)?;
    judged(&judged_so)
}

pub(super) async fn drift(client: &Client, output: &mut Output) -> Result<(), Error> {
    let drift: Drift = client.get("/v1/drift").await?;
    output.reply(&drift)?;
    let differing = drift.workers.iter().filter(|it| !matches!(&*it.state, "ok" | "outdated"));
    match differing.count() {
        0 => Ok(()),
        workers => Err(Error::Drift { workers }),
    }
}

fn verify(file: &Path, public_key: Option<&Path>, output: &mut Output) -> Result<(), Error> {
    let expected = public_key.map(key).transpose()?;
    let bytes = read(file, evidence::MAX_DOCUMENT)?;
    let opened = evidence::open(&bytes, expected.as_ref()).map_err(Error::Evidence)?;
    let judged_so = Judged::of(&opened, expected.as_ref());
    output.reply(&judged_so)?;
    judged(&judged_so)
}

pub(super) fn key(path: &Path) -> Result<PublicKey, Error> {
    let text = String::from_utf8_lossy(&read(path, KEY_MAX)?).into_owned();
    text.parse().map_err(Error::PublicKey)
}

/// At most one byte more than `max`, which is then refused by whoever reads it.
pub(super) fn read(path: &Path, max: usize) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let max = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn judged(judged: &Judged) -> Result<(), Error> {
    match judged.complaints.len() {
        0 => Ok(()),
        complaints => Err(Error::NotVerified { complaints }),
    }
}

/// What a report is worth.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Judged {
    verified: bool,
    tenant: TenantId,
    at: Timestamp,
    installation: String,
    public_key: String,
    /// Whether that key is the one that the caller trusts.
    key_compared: bool,
    probes: usize,
    not_given: Vec<String>,
    complaints: Vec<Complaint>,
}

impl Judged {
    fn of(opened: &Opened, expected: Option<&PublicKey>) -> Self {
        let (report, complaints) = (&opened.report, check(&opened.report));
        let lost = report.not_given.iter();
        Self {
            verified: complaints.is_empty(),
            tenant: report.tenant.clone(),
            at: report.at,
            installation: report.installation.clone(),
            public_key: opened.key.to_string(),
            key_compared: expected.is_some(),
            probes: report.probes.len(),
            not_given: lost.map(|it| format!("{}: {}", it.guarantee, it.reason)).collect(),
            complaints,
        }
    }
}

impl View for Judged {
    fn show(&self, output: &mut Output) {
        let compared = if self.key_compared { "the one that was given" } else { "not compared" };
        output.pairs(&[
            ("tenant", self.tenant.to_string()),
            ("made", self.at.to_string()),
            ("installation", self.installation.clone()),
            ("signed with", format!("{} ({compared})", self.public_key)),
            ("probes", self.probes.to_string()),
            ("verified", if self.verified { "yes" } else { "NO" }.to_owned()),
        ]);
        for Complaint { what, expected, found } in &self.complaints {
            output.line(&format!("differs: {what} should be {expected} and is {found}"));
        }
        for lost in &self.not_given {
            output.line(&format!("not given by that machine: {lost}"));
        }
        if !self.key_compared {
            output.line("Whose key it is only you can say: compare it with --public-key.");
        }
    }
}

impl View for EvidenceKey {
    fn show(&self, output: &mut Output) {
        output.line(&self.public_key);
    }
}

impl View for Drift {
    fn show(&self, output: &mut Output) {
        if self.workers.is_empty() {
            output.line("No worker runs.");
            return;
        }
        let row = |it: &control_api::WorkerDrift| {
            let finding = |of: &control_api::Finding| {
                format!("{} should be {} and is {}", of.what, of.expected, of.found)
            };
            let findings: Vec<_> = it.findings.iter().map(finding).collect();
            vec![it.tenant.to_string(), it.pid.to_string(), it.state.clone(), findings.join("; ")]
        };
        output.table(
            &["TENANT", "PROCESS", "STATE", "DIFFERS"],
            self.workers.iter().map(row).collect(),
        );
    }
}
