//! From what was typed to requests and to what is printed.

mod keys;
mod tenants;
mod tokens;

use clap::CommandFactory as _;
use clap_complete::Shell;
use control_api::Status;
use types::TenantId;

use crate::client::Client;
use crate::error::Error;
use crate::options::{Cli, Options, Remote};
use crate::output::Output;
use crate::{chat, rpc};

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
        Remote::Status => output.reply(&client.get::<Status>("/v1/status").await?),
        Remote::Chat(request) => chat::run(&client, &request, output).await,
        Remote::Rpc(request) => rpc::run(&client, &request, output).await,
        Remote::Usage { tenant } => usage(&client, &tenant, output).await,
        Remote::Completions { shell } => completions(shell, output),
    }
}

async fn usage(client: &Client, tenant: &TenantId, output: &mut Output) -> Result<(), Error> {
    let usage: control_api::Usage = client.get(&format!("/v1/tenants/{tenant}/usage")).await?;
    output.reply(&usage)
}

fn completions(shell: Shell, output: &mut Output) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "openclawmu", &mut script);
    output.raw(&script);
    output.end()
}
