//! `usage ...`

use control_api::{Usage, UsageList};
use types::TenantId;

use crate::client::Client;
use crate::error::Error;
use crate::options;
use crate::output::Output;

/// Pages that are read at most: a million tenants.
const MAX_PAGES: usize = 1000;

pub(super) async fn run(
    client: &Client,
    asked: &options::Usage,
    output: &mut Output,
) -> Result<(), Error> {
    let period = if asked.month { "month" } else { "day" };
    match &asked.tenant {
        Some(tenant) => {
            let path = format!("/v1/tenants/{tenant}/usage?period={period}");
            output.reply(&client.get::<Usage>(&path).await?)
        }
        None => output.reply(&all(client, period).await?),
    }
}

async fn all(client: &Client, period: &str) -> Result<UsageList, Error> {
    let mut all = page(client, period, None).await?;
    for _ in 1..MAX_PAGES {
        let Some(next) = all.next.take() else { break };
        let page = page(client, period, Some(&next)).await?;
        all.usage.extend(page.usage);
        all.next = page.next;
    }
    Ok(all)
}

async fn page(client: &Client, period: &str, after: Option<&TenantId>) -> Result<UsageList, Error> {
    let after = after.map(|id| format!("&after={id}")).unwrap_or_default();
    let limit = control_api::MAX_PAGE;
    client.get(&format!("/v1/usage?period={period}&limit={limit}{after}")).await
}
