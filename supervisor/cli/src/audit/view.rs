//! How the trail looks to people and to programs.

use std::path::PathBuf;

use control_api::Timestamp;
use serde::Serialize;
use trail::{Fault, Notice, Phase, PublicKey, Record, Report, Verdict, Who, WhoKind};

use crate::output::{Output, View};

/// What was verified, and what is wrong.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verified {
    whole: bool,
    public_key: PublicKey,
    records: u64,
    first: Option<u64>,
    last: Option<u64>,
    hash: Option<String>,
    checkpoints: u64,
    faults: Vec<Fault>,
    faults_in_all: u64,
    notices: Vec<Notice>,
    #[serde(skip)]
    is_part: bool,
}

/// A bundle that was written.
#[derive(Debug, Serialize)]
pub(super) struct Exported {
    pub(super) file: PathBuf,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// The public key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    pub(super) public_key: PublicKey,
}

impl Verified {
    pub(super) fn new(report: Report, public_key: PublicKey, is_part: bool) -> Self {
        Self {
            whole: report.is_fine(),
            public_key,
            records: report.records,
            first: report.first,
            last: report.end.map(|end| end.seq),
            hash: report.end.map(|end| end.hash.to_string()),
            checkpoints: report.checkpoints,
            faults: report.faults,
            faults_in_all: report.faults_in_all,
            notices: report.notices,
            is_part,
        }
    }
}

impl View for Verified {
    fn show(&self, output: &mut Output) {
        let number = |seq: Option<u64>| seq.map_or_else(|| "none".to_owned(), |it| it.to_string());
        let what = if self.is_part { "a part of the trail" } else { "the whole trail" };
        output.pairs(&[
            ("verified", what.to_owned()),
            ("records", self.records.to_string()),
            ("first", number(self.first)),
            ("last", number(self.last)),
            ("last hash", self.hash.clone().unwrap_or_default()),
            ("checkpoints", self.checkpoints.to_string()),
            ("key", self.public_key.to_string()),
            ("result", if self.whole { "ok" } else { "fail" }.to_owned()),
        ]);
        for notice in &self.notices {
            output.line(&format!("note at record {}: {}", notice.seq, notice.what));
        }
        for fault in &self.faults {
            let Fault { file, line, seq, what, .. } = fault;
            output.line(&format!("WRONG: {file}, line {line}, record {seq}: {what}"));
        }
    }
}

impl View for Exported {
    fn show(&self, output: &mut Output) {
        let file = self.file.display();
        output.line(&format!("Records {} to {} are in {file}. Next:\n  openclawmu audit verify --bundle {file} --public-key FILE", self.first, self.last));
    }
}

impl View for Key {
    fn show(&self, output: &mut Output) {
        output.line(&self.public_key.to_string());
    }
}

/// A record on one line.
pub(super) fn line(record: &Record) -> String {
    let mut line = format!("{} {} {}", record.seq, Timestamp::from(record.at), who(&record.who));
    let more = [
        Some(record.act.as_str().to_owned()),
        record.tenant.as_ref().map(|it| format!("tenant={it}")),
        record.resource.as_ref().map(ToString::to_string),
        Some(ended(record).to_owned()),
        record.code.as_ref().map(ToString::to_string),
        record.count.map(|count| format!("({count} times more)")),
    ];
    for word in more.into_iter().flatten() {
        line.push(' ');
        line.push_str(&word);
    }
    line
}

fn who(who: &Who) -> String {
    let kind = match who.kind {
        WhoKind::TenantToken => "token",
        WhoKind::OperatorKey => "key",
        WhoKind::LocalUser => "user",
        WhoKind::Gateway => "gateway",
        WhoKind::Unknown => "somebody",
    };
    let id = who.id.as_ref().map(|id| format!(":{id}")).unwrap_or_default();
    let address = who.address.map(|address| format!("@{address}")).unwrap_or_default();
    format!("{kind}{id}{address}")
}

const fn ended(record: &Record) -> &'static str {
    match (record.phase, record.outcome) {
        (Phase::Intent, _) => "begins",
        (Phase::Outcome, Some(Verdict::Done) | None) => "done",
        (Phase::Outcome, Some(Verdict::Refused)) => "refused",
        (Phase::Outcome, Some(Verdict::Failed)) => "failed",
        (Phase::Outcome, Some(Verdict::Unknown)) => "unknown",
    }
}
