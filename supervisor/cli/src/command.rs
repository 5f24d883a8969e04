//! From what was typed to requests and to what is printed.

mod backup;
mod channels;
mod erasure;
mod evidence;
mod keys;
mod prices;
mod restart;
mod tenants;
mod tokens;
mod usage;

use clap::CommandFactory as _;
use clap_complete::Shell;
use control_api::Status;

use crate::client::Client;
use crate::error::Error;
use crate::options::{Cli, Options, Remote, Talk};
use crate::output::Output;
use crate::{audit, chat, rpc};

/// Runs one command.
pub(crate) async fn run(
    options: &Options,
    command: Remote,
    output: &mut Output,
) -> Result<(), Error> {
    let client = Client::new(options);
    match command {
        Remote::Tenants(command) => tenants::run(&client, command, output).await,
        Remote::Tokens(command) => tokens::run(&client, command, output).await,
        Remote::Keys(command) => keys::run(&client, command, output).await,
        Remote::Backup(command) => backup::run(&client, command, output).await,
        Remote::Channels(command) => channels::run(&client, command, output).await,
        Remote::Evidence(command) => evidence::run(&client, command, output).await,
        Remote::Erasure(command) => erasure::run(command, output),
        Remote::Drift => evidence::drift(&client, output).await,
        Remote::Status => output.reply(&client.get::<Status>("/v1/status").await?),
        Remote::Talk(command) => talk(&client, command, output).await,
        Remote::Usage(asked) => usage::run(&client, &asked, output).await,
        Remote::Audit(command) => audit::run(options, &client, command, output).await,
        Remote::Quota { tenant } => quota(&client, tenant.as_ref(), output).await,
        Remote::Prices(command) => prices::run(&client, command, output).await,
        Remote::Completions { shell } => completions(shell, output),
    }
}

async fn talk(client: &Client, command: Talk, output: &mut Output) -> Result<(), Error> {
    match command {
        Talk::Chat(request) => chat::run(client, &request, output).await,
        Talk::Rpc(request) => rpc::run(client, &request, output).await,
    }
}

/// What all tenants together may use, or one of them.
async fn quota(
    client: &Client,
    tenant: Option<&types::TenantId>,
    output: &mut Output,
) -> Result<(), Error> {
    match tenant {
        None => output.reply(&client.get::<control_api::Quotas>("/v1/quotas").await?),
        Some(tenant) => output.reply(&tenants::quota(client, tenant, &[], false).await?),
    }
}

fn completions(shell: Shell, output: &mut Output) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "openclawmu", &mut script);
    output.raw(&script);
    output.end()
}
