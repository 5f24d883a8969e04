//! `tenants ...`

use std::path::PathBuf;

use control_api::{
    Boundary, CreateTenant, CreatedTenant, EgressRules, ErasedTenant, LimitsPatch, Logs, SetEgress,
    Tenant, TenantList, UpdateTenant, Usage,
};
use serde::Serialize;
use types::{Quota, TenantId};

use super::restart;
use crate::client::Client;
use crate::confirm;
use crate::error::Error;
use crate::options::{Create, LimitFlags, TenantCommand};
use crate::output::Output;
use crate::progress;
use crate::view::TenantQuotas;

/// Pages that one `tenants list` reads at most: a million tenants.
const MAX_PAGES: usize = 1000;

pub(super) async fn run(
    client: &Client,
    command: TenantCommand,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        TenantCommand::Create(create) => output.reply(&create_tenant(client, create).await?),
        TenantCommand::List { limit, after } => {
            output.reply(&list(client, limit, after.as_ref()).await?)
        }
        TenantCommand::Show { id } => output.reply(&client.get::<Tenant>(&path(&id, "")).await?),
        TenantCommand::Limits(change) => output.reply(&limits(client, change).await?),
        TenantCommand::Quota { id, set, clear } => {
            output.reply(&quota(client, &id, &set, clear).await?)
        }
        TenantCommand::Suspend { id } => output.reply(&act(client, &id, "/suspend").await?),
        TenantCommand::Resume { id } => output.reply(&act(client, &id, "/resume").await?),
        TenantCommand::Restart(how) => restart::run(client, how, output).await,
        TenantCommand::Delete { id, yes, certificate } => {
            output.reply(&delete(client, &id, yes, certificate).await?)
        }
        TenantCommand::Inspect { id } => {
            output.reply(&client.get::<Boundary>(&path(&id, "/inspect")).await?)
        }
        TenantCommand::Evidence { id, out, html } => {
            super::evidence::gather(client, &id, (out, html), output).await
        }
        TenantCommand::Egress { id, allow, clear } => {
            output.reply(&egress(client, &id, allow, clear).await?)
        }
        // Its outcome is the shell's, and so it is not run here.
        TenantCommand::Terminal { .. } => Ok(()),
        TenantCommand::Logs { id, lines } => {
            let path = path(&id, &format!("/logs?lines={lines}"));
            output.reply(&client.get::<Logs>(&path).await?)
        }
    }
}

async fn create_tenant(client: &Client, create: Create) -> Result<CreatedTenant, Error> {
    let limits = Some(LimitsPatch::from(create.limits));
    let request = CreateTenant { id: create.id, limits };
    let message = format!("Making {}", request.id);
    progress::during(message, client.post("/v1/tenants", &request)).await
}

pub(super) async fn list(
    client: &Client,
    limit: Option<u32>,
    after: Option<&TenantId>,
) -> Result<TenantList, Error> {
    let first = page(client, limit.unwrap_or(control_api::MAX_PAGE), after).await?;
    if limit.is_some() {
        return Ok(first);
    }
    let mut all = first;
    for _ in 1..MAX_PAGES {
        let Some(next) = all.next.take() else { break };
        let page = page(client, control_api::MAX_PAGE, Some(&next)).await?;
        all.tenants.extend(page.tenants);
        all.next = page.next;
    }
    Ok(all)
}

async fn page(client: &Client, limit: u32, after: Option<&TenantId>) -> Result<TenantList, Error> {
    let after = after.map(|id| format!("&after={id}")).unwrap_or_default();
    client.get(&format!("/v1/tenants?limit={limit}{after}")).await
}

async fn limits(client: &Client, change: Create) -> Result<Tenant, Error> {
    let request = UpdateTenant { limits: change.limits.into() };
    client.patch(&path(&change.id, ""), &request).await
}

pub(super) async fn quota(
    client: &Client,
    id: &TenantId,
    set: &[Quota],
    clear: bool,
) -> Result<TenantQuotas, Error> {
    if clear || !set.is_empty() {
        let quotas = Some(set.iter().map(ToString::to_string).collect());
        let limits = LimitsPatch { quotas, ..LimitsPatch::default() };
        client.patch::<Tenant>(&path(id, ""), &UpdateTenant { limits }).await?;
    }
    let usage: Usage = client.get(&path(id, "/usage")).await?;
    let Usage { tenant, limits, standings, .. } = usage;
    Ok(TenantQuotas { tenant, quotas: limits.quotas, standings })
}

async fn act(client: &Client, id: &TenantId, action: &str) -> Result<Tenant, Error> {
    client.post(&path(id, action), &Nothing {}).await
}

async fn egress(
    client: &Client,
    id: &TenantId,
    allow: Vec<String>,
    clear: bool,
) -> Result<EgressRules, Error> {
    let path = path(id, "/egress");
    if allow.is_empty() && !clear {
        return client.get(&path).await;
    }
    client.put(&path, &SetEgress { allow }).await
}

async fn delete(
    client: &Client,
    id: &TenantId,
    yes: bool,
    certificate: Option<PathBuf>,
) -> Result<ErasedTenant, Error> {
    let what = format!("This deletes tenant {id} with its conversations, files and tokens.");
    confirm::destroying(id.as_str(), &what, yes)?;
    let gone = path(id, "");
    let work = client.delete::<ErasedTenant>(&gone);
    let erased = progress::during(format!("Deleting {id}"), work).await?;
    if let Some(path) = certificate {
        std::fs::write(&path, &erased.certificate)
            .map_err(|source| Error::File { path, source })?;
    }
    Ok(erased)
}

pub(super) fn path(id: &TenantId, rest: &str) -> String {
    format!("/v1/tenants/{id}{rest}")
}

#[derive(Serialize)]
struct Nothing {}

impl From<LimitFlags> for LimitsPatch {
    fn from(flags: LimitFlags) -> Self {
        let quotas: Vec<_> = flags.quotas.iter().map(ToString::to_string).collect();
        Self {
            requests_per_minute: flags.requests_per_minute,
            tokens_per_day: flags.tokens_per_day,
            cost_micros_per_day: flags.cost_per_day_usd.map(|usd| usd.0),
            concurrency: flags.concurrency,
            memory_max: flags.memory_max.map(|size| size.0),
            pids_max: flags.pids_max,
            cpu_millis: flags.cpu_max.map(|cpu| cpu.0),
            disk_max: flags.disk_max.map(|size| size.0),
            sleep: flags.sleep.map(|sleep| sleep.to_string()),
            quotas: (flags.no_quotas || !quotas.is_empty()).then_some(quotas),
        }
    }
}
