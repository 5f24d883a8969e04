//! `usage report` and `usage verify`: from the files of the books, with or without a gateway. Whoever
//! may read them needs nobody's leave, and a bill can be checked where the gateway is gone.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use books::{Checked, Error, Format, Group, Month, Query, Row};
use cli::{Options, Outcome, Output, Report, UsageCommand, View};
use ledger::InvalidDay;
use serde::Serialize;
use serde_json::json;
use types::Chain;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the books cannot be used")]
    Books(#[from] Error),
    #[error("--from and --to")]
    Day(#[from] InvalidDay),
    #[error("the result cannot be printed")]
    Output(#[from] cli::Error),
}

/// Runs one of them to its exit code.
pub(crate) fn run(options: &Options, command: &UsageCommand) -> ExitCode {
    let dir = options.state_dir().join(books::FOLDER);
    let outcome = match command {
        UsageCommand::Report(asked) => report(options, &dir, asked),
        UsageCommand::Verify { month } => verify(options, &dir, month.as_deref()),
    };
    outcome.unwrap_or_else(|failure| say(options, &failure)).into()
}

fn report(options: &Options, dir: &Path, asked: &Report) -> Result<Outcome, Failure> {
    let query = query(asked)?;
    let format = if asked.csv { Format::Csv } else { Format::Json };
    if asked.csv || options.json() {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        books::report(dir, &query, format, &mut out)?;
    } else {
        Output::new(options).reply(&Table(books::rows(dir, &query)?))?;
    }
    Ok(Outcome::Done)
}

fn query(asked: &Report) -> Result<Query, Failure> {
    let by: Group = asked.by.parse()?;
    let mut query = match (&asked.month, &asked.from, &asked.to) {
        (None, Some(from), Some(to)) => {
            Query { from: from.parse()?, to: to.parse()?, tenant: None, by }
        }
        (month, ..) => Query::month(month.as_deref().unwrap_or_default().parse()?, by),
    };
    query.tenant.clone_from(&asked.tenant);
    Ok(query)
}

fn verify(options: &Options, dir: &Path, month: Option<&str>) -> Result<Outcome, Failure> {
    let month = month.map(str::parse::<Month>).transpose()?;
    let checked = books::verify(dir, month)?;
    let same = checked.differences.is_empty();
    Output::new(options).reply(&Verdict::of(&checked))?;
    Ok(if same { Outcome::Done } else { Outcome::Failed })
}

fn say(options: &Options, failure: &Failure) -> Outcome {
    let chain = Chain(failure).to_string();
    let line = if options.json() {
        json!({"error": {"code": "books", "message": chain}}).to_string()
    } else {
        format!("error: {chain}")
    };
    // There is nowhere left to say that the standard error is gone.
    drop(writeln!(std::io::stderr().lock(), "{line}"));
    match failure {
        Failure::Day(_) | Failure::Books(Error::Month | Error::Group | Error::Range { .. }) => {
            Outcome::Usage
        }
        Failure::Books(_) | Failure::Output(_) => Outcome::Failed,
    }
}

/// Rows for people.
struct Table(Vec<Row>);

impl Serialize for Table {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|row| (&row.tenant, &row.name, row.used.cost_micros)))
    }
}

impl View for Table {
    fn show(&self, output: &mut Output) {
        let head = ["tenant", "name", "requests", "input", "output", "dollars", "unbilled"];
        let rows = self.0.iter().map(|row| {
            let Row { tenant, name, used, unbilled } = row;
            vec![
                tenant.to_string(),
                name.clone(),
                used.requests.to_string(),
                used.input_tokens.to_string(),
                used.output_tokens.to_string(),
                dollars(used.cost_micros),
                dollars(unbilled.cost_micros),
            ]
        });
        output.table(&head, rows.collect());
    }
}

/// Micro-dollars as dollars, to the last digit.
fn dollars(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// What was compared, and what differs.
#[derive(Serialize)]
struct Verdict {
    days: u64,
    months: u64,
    entries: u64,
    differences: Vec<String>,
}

impl Verdict {
    fn of(checked: &Checked) -> Self {
        let Checked { days, months, entries, differences } = checked;
        let differences = differences.iter().map(ToString::to_string).collect();
        Self { days: *days, months: *months, entries: *entries, differences }
    }
}

impl View for Verdict {
    fn show(&self, output: &mut Output) {
        for difference in &self.differences {
            output.line(difference);
        }
        let Self { days, months, entries, .. } = self;
        let found = if self.differences.is_empty() { "nothing differs" } else { "they differ" };
        output.line(&format!("{days} days, {months} months and {entries} lines compared: {found}"));
    }
}
