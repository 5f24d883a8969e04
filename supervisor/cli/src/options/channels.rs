//! `channels ...`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use types::{AgentId, TenantId};

/// `channels ...`
#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// Make an account at a chat network and connect it.
    Add(Box<AddArgs>),
    /// List accounts, and how they are.
    #[command(visible_alias = "status")]
    List {
        /// The tenant; the accounts that all tenants share where none is named.
        tenant: Option<TenantId>,
    },
    /// Connect an account, also one that was shut.
    Start(AccountArgs),
    /// Disconnect an account.
    Stop(AccountArgs),
    /// Remove an account with everybody who was let in.
    Remove(AccountArgs),
    /// Ask the network whether it knows an account.
    Test(AccountArgs),
    /// Make a code that lets in whoever sends it to the account within ten minutes.
    Pair {
        /// The tenant.
        tenant: TenantId,
        /// The network.
        channel: String,
        /// The account, the tenant's or one that all tenants share.
        #[arg(long, default_value = control_api::DEFAULT_ACCOUNT, value_name = "NAME")]
        account: String,
        /// It binds the conversation of several in which it is sent, and not who sends it.
        #[arg(long)]
        group: bool,
        /// The agent that answers whoever is let in by it.
        #[arg(long, value_name = "ID")]
        agent: Option<AgentId>,
    },
    /// Let in the stranger who was told a code; without a code, show who waits.
    Approve {
        /// The tenant.
        tenant: TenantId,
        /// The network.
        #[arg(requires = "code")]
        channel: Option<String>,
        /// The code.
        code: Option<String>,
    },
}

/// An account: of a tenant, or of all of them.
#[derive(Debug, Args)]
pub struct AccountArgs {
    /// The tenant; with `--shared` the network.
    #[arg(value_name = "TENANT")]
    first: String,
    /// The network.
    #[arg(value_name = "CHANNEL", required_unless_present = "shared", conflicts_with = "shared")]
    second: Option<String>,
    /// It is an account that all tenants share.
    #[arg(long)]
    shared: bool,
    /// The account's name.
    #[arg(long, default_value = control_api::DEFAULT_ACCOUNT, value_name = "NAME")]
    account: String,
}

impl AccountArgs {
    /// The account's name.
    pub fn name(&self) -> &str {
        &self.account
    }

    /// The tenant, where it is one's, and the network.
    pub fn whose(&self) -> (Option<&str>, &str) {
        match &self.second {
            Some(channel) => (Some(&self.first), channel),
            None => (None, &self.first),
        }
    }
}

/// An account to make.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Which.
    #[command(flatten)]
    pub of: AccountArgs,
    /// A file with what the network is called with: a bot's token, or a secret of Standard Webhooks.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub secret_file: Option<PathBuf>,
    /// A file with what proves requests from the network: a signing secret or a public key.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub inbound_secret_file: Option<PathBuf>,
    /// A file with what a socket is opened with, where that is another: Slack's app-level token.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub socket_secret_file: Option<PathBuf>,
    /// How events come in [default: the network's first].
    #[arg(long, value_name = "WAY", value_parser = ["poll", "webhook", "socket", "page"])]
    pub way: Option<String>,
    /// Where answers of a webhook go, or the address of a homeserver.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// What the network's events call the account, where the network does not say: Slack's APP:TEAM.
    #[arg(long, value_name = "ID")]
    pub vendor_id: Option<String>,
    /// Who may write to it alone [default: pairing].
    #[arg(long, value_name = "POLICY", value_parser = ["pairing", "allowlist", "open", "disabled"])]
    pub dm_policy: Option<String>,
    /// Who may among others [default: allowlist].
    #[arg(long, value_name = "POLICY", value_parser = ["allowlist", "open", "disabled"])]
    pub group_policy: Option<String>,
    /// The id of a sender that may write; may be repeated.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub allow_from: Vec<String>,
    /// The id of a conversation of several in which one may; may be repeated.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub group: Vec<String>,
    /// Answer in conversations of several without being named.
    #[arg(long)]
    pub no_mention: bool,
    /// The agent that answers [default: main].
    #[arg(long, value_name = "ID")]
    pub agent: Option<AgentId>,
    /// Events that are taken in a minute.
    #[arg(long, value_name = "N")]
    pub per_minute: Option<u32>,
    /// The origin of a site that may have the account's page in its own, as `https://HOST`; may be repeated.
    #[arg(long, value_name = "URL")]
    pub origin: Vec<String>,
    /// Let only visitors write on the page for whom such a site has signed.
    #[arg(long)]
    pub signed_only: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{Cli, Command, Remote};

    #[test]
    fn accounts_are_a_tenants_or_shared() {
        let check = |line: &str, want: Option<(Option<&str>, &str)>| {
            let words = std::iter::once("openclawmu").chain(line.split(' '));
            let parsed = Cli::try_parse_from(words).ok().map(|it| it.command);
            let of = match parsed {
                Some(Command::Remote(Remote::Channels(ChannelCommand::Add(args)))) => Some(args.of),
                Some(Command::Remote(Remote::Channels(ChannelCommand::Test(args)))) => Some(args),
                _ => None,
            };
            assert_eq!(of.as_ref().map(AccountArgs::whose), want, "{line}");
        };
        check("channels add acme telegram --secret-file f", Some((Some("acme"), "telegram")));
        check(
            "channels add acme telegram --account a --dm-policy open",
            Some((Some("acme"), "telegram")),
        );
        check("channels add --shared telegram --secret-file f", Some((None, "telegram")));
        check("channels test acme telegram", Some((Some("acme"), "telegram")));
        check(
            "channels add acme webchat --origin https://a.example",
            Some((Some("acme"), "webchat")),
        );
        check("channels test telegram", None);
        check("channels test --shared acme telegram", None);
        check("channels add acme telegram --dm-policy everybody", None);
        check("channels add acme telegram --group -100200", Some((Some("acme"), "telegram")));
    }
}
