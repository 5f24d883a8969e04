//! The command line: what can be typed, and the client of the control plane behind it.
//!
//! `serve`, `quickstart`, `doctor`, `usage report` and `usage verify` are only described here; the
//! application runs them. All other
//! commands are requests to a running gateway, over its Unix socket or its control address. Nothing
//! here reads records, starts workers or holds authority of its own.

mod audit;
mod chat;
mod client;
mod command;
mod confirm;
mod error;
mod http;
mod options;
mod output;
mod progress;
mod rpc;
mod target;
mod terminal;
mod units;
mod view;

pub use client::Client;
pub use error::{Error, Outcome};
pub use options::{
    AccountArgs, AddArgs, AuditCommand, BackupCommand, BackupKeyCommand, ChannelCommand, Chat, Cli,
    Command, Create, Doctor, ErasureCommand, EvidenceCommand, Export, Gateway, KeyCommand,
    LimitFlags, Options, PriceCommand, Quickstart, Remote, Report, Restart, RestoreArgs, Rpc,
    ScheduleArgs, Serve, Tail, Talk, TenantCommand, TokenCommand, Usage, UsageCommand, Verify,
    parse,
};
pub use output::{Output, View};
pub use target::{InvalidTarget, Target};
pub use units::{Cpu, Expiry, Invalid, Size, Usd};

use std::process::ExitCode;

/// Says one message to a tenant's agent and prints the answer as it arrives.
///
/// # Errors
/// When the gateway refuses or the answer is not complete.
pub async fn chat(client: &Client, chat: &Chat, output: &mut Output) -> Result<(), Error> {
    chat::run(client, chat, output).await
}

/// Runs one command against a running gateway, says how it went, and gives the exit code.
pub async fn run(options: &Options, command: Remote) -> ExitCode {
    let mut output = Output::new(options);
    if let Remote::Tenants(TenantCommand::Terminal { id, agent }) = command {
        return match terminal::run(&Client::new(options), &id, agent).await {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                output.failure(&error);
                error.outcome().into()
            }
        };
    }
    let outcome = match command::run(options, command, &mut output).await {
        Ok(()) => Outcome::Done,
        Err(error) => {
            output.failure(&error);
            error.outcome()
        }
    };
    outcome.into()
}
