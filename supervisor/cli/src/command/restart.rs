//! `tenants restart`: one, or all running workers, some at once.

use std::io::IsTerminal as _;
use std::time::Duration;

use control_api::{RestartTenant, Tenant, TenantRow, TenantState};
use futures_util::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use types::TenantId;

use super::tenants::{list, path};
use crate::client::Client;
use crate::error::Error;
use crate::options::Restart;
use crate::output::{Output, View};
use crate::progress;

/// How long the gateway waits for requests under way when nothing else is said.
const DEFAULT_DEADLINE: u32 = 30;

pub(super) async fn run(
    client: &Client,
    restart: Restart,
    output: &mut Output,
) -> Result<(), Error> {
    let Restart { id, deadline_seconds, now, at_once, max_failures, .. } = restart;
    let how = RestartTenant { deadline_seconds, now, if_running: id.is_none() };
    if let Some(id) = id {
        let work = one(client, &id, &how);
        return output.reply(&progress::during(format!("Restarting {id}"), work).await?);
    }
    let report = all(client, &how, at_once.into(), max_failures).await?;
    output.reply(&report)?;
    match report.failed.len() {
        0 => Ok(()),
        tenants => Err(Error::NotRestarted { tenants }),
    }
}

async fn one(client: &Client, id: &TenantId, how: &RestartTenant) -> Result<Tenant, Error> {
    let deadline = how.deadline_seconds.unwrap_or(DEFAULT_DEADLINE);
    let longer = Duration::from_secs(u64::from(deadline));
    client.post_patiently(&path(id, "/restart"), how, longer).await
}

/// Every running worker, `at_once` at a time; begins no further one after more than `max_failures`.
async fn all(
    client: &Client,
    how: &RestartTenant,
    at_once: usize,
    max_failures: usize,
) -> Result<Rolled, Error> {
    let is_running =
        |row: &TenantRow| matches!(row.state, TenantState::Ready | TenantState::Draining);
    let tenants = list(client, None, None).await?.tenants;
    let running: Vec<_> = tenants.into_iter().filter(is_running).map(|row| row.id).collect();
    let bar = bar(running.len());
    let mut waiting = running.into_iter();
    let work = |id: TenantId| async move { (one(client, &id, how).await, id) };
    let mut under_way = futures_util::stream::FuturesUnordered::new();
    under_way.extend(waiting.by_ref().take(at_once).map(work));
    let mut report = Rolled::default();
    while let Some((done, id)) = under_way.next().await {
        bar.inc(1);
        match done {
            Ok(_tenant) => report.restarted.push(id),
            Err(err) => report.failed.push(Failed { id, why: types::Chain(&err).to_string() }),
        }
        if report.failed.len() <= max_failures {
            under_way.extend(waiting.next().map(work));
        }
    }
    bar.finish_and_clear();
    report.left = waiting.collect();
    report.stopped = report.failed.len() > max_failures;
    Ok(report)
}

fn bar(length: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("Restarting {bar:30} {pos}/{len}");
    bar.with_style(style.unwrap_or_else(|_unreadable| ProgressStyle::default_bar()))
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Rolled {
    restarted: Vec<TenantId>,
    failed: Vec<Failed>,
    /// Those that were not begun any more.
    left: Vec<TenantId>,
    /// Whether too many failed.
    stopped: bool,
}

#[derive(Debug, Serialize)]
struct Failed {
    id: TenantId,
    why: String,
}

impl View for Rolled {
    fn show(&self, output: &mut Output) {
        output.line(&format!("{} workers are replaced.", self.restarted.len()));
        for Failed { id, why } in &self.failed {
            output.line(&format!("{id} failed: {why}"));
        }
        if self.stopped {
            output.line(&format!("Too many failed; {} were left as they are.", self.left.len()));
        }
    }
}
