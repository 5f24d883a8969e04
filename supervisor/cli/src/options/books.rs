//! The commands that read the files of the books, with or without a gateway; the application runs them.

use clap::{Args, Subcommand};
use types::TenantId;

/// `usage report`, `usage verify`
#[derive(Debug, Clone, Subcommand)]
pub enum UsageCommand {
    /// Add up what was used in a month or from day to day, from the books in the state directory.
    Report(Report),
    /// Compare closed days and months with the lines that they were made from.
    Verify {
        /// Only this month, for example 2026-11.
        #[arg(long, value_name = "MONTH")]
        month: Option<String>,
    },
}

/// What is added up.
#[derive(Debug, Clone, Args)]
pub struct Report {
    /// A whole month, for example 2026-11.
    #[arg(long, value_name = "MONTH", required_unless_present = "from")]
    pub month: Option<String>,
    /// The first day, for example 2026-11-22.
    #[arg(long, value_name = "DAY", conflicts_with = "month", requires = "to")]
    pub from: Option<String>,
    /// The last day.
    #[arg(long, value_name = "DAY", conflicts_with = "month", requires = "from")]
    pub to: Option<String>,
    /// One tenant; all of them, those that are deleted included, where none is named.
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantId>,
    /// What the rows are of.
    #[arg(long, default_value = "tenant", value_parser = ["tenant", "day", "token", "agent", "model"])]
    pub by: String,
    /// Print comma-separated values.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::{Cli, Command, Remote, Usage, UsageCommand};

    #[test]
    fn what_can_be_asked_of_the_books() {
        let parse = |line: &str| {
            let words = std::iter::once("openclawmu").chain(line.split(' '));
            let parsed = Cli::try_parse_from(words).ok()?.command;
            if let Command::Remote(Remote::Usage(usage)) = parsed { Some(usage) } else { None }
        };
        let check = |line: &str, ok: bool| assert_eq!(parse(line).is_some(), ok, "{line}");
        check("usage report --month 2026-11 --csv", true);
        check("usage report --from 2026-11-01 --to 2026-11-02 --by model --tenant acme", true);
        check("usage verify", true);
        check("usage verify --month 2026-11 --json", true);
        check("usage report", false);
        check("usage report --from 2026-11-01", false);
        check("usage report --month 2026-11 --from 2026-11-01 --to 2026-11-02", false);
        check("usage report --month 2026-11 --by colour", false);
        check("usage report --month 2026-11 --csv --json", false);
        let of_tenant = parse("usage acme").unwrap();
        assert!(matches!(of_tenant, Usage { tenant: Some(_), command: None, .. }));
        let report = parse("usage report --month 2026-11").unwrap().command;
        assert!(matches!(report, Some(UsageCommand::Report(report)) if report.by == "tenant"));
    }
}
