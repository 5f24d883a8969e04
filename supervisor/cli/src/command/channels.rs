//! `channels ...`

use std::io::Read as _;
use std::path::{Path, PathBuf};

use control_api::{
    AddChannel, AddedChannel, ApproveChannel, ApprovedChannel, Channel, ChannelCode, ChannelList,
    ChannelRequests, ChannelTest, Deleted, PairChannel, Timestamp,
};
use serde::Serialize;

use super::tokens::segment;
use crate::client::Client;
use crate::error::Error;
use crate::options::{AccountArgs, AddArgs, ChannelCommand};
use crate::output::{Output, View};

/// Bytes of a file with a secret.
const MAX_SECRET: u64 = 4096;

pub(super) async fn run(
    client: &Client,
    command: ChannelCommand,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        ChannelCommand::Add(args) => add(client, *args, output).await,
        ChannelCommand::List { tenant } => {
            let path = all(tenant.as_ref().map(types::TenantId::as_str));
            output.reply(&client.get::<ChannelList>(&path).await?)
        }
        ChannelCommand::Start(args) => {
            let path = format!("{}/start", one(&args));
            output.reply(&client.post::<Channel>(&path, &Nothing {}).await?)
        }
        ChannelCommand::Stop(args) => {
            let path = format!("{}/stop", one(&args));
            output.reply(&client.post::<Channel>(&path, &Nothing {}).await?)
        }
        ChannelCommand::Remove(args) => output.reply(&client.delete::<Deleted>(&one(&args)).await?),
        ChannelCommand::Test(args) => {
            let path = format!("{}/test", one(&args));
            output.reply(&client.post::<ChannelTest>(&path, &Nothing {}).await?)
        }
        ChannelCommand::Pair { tenant, channel, account, group, agent } => {
            let path = format!(
                "{}/{}/{}/pair",
                all(Some(tenant.as_str())),
                segment(&channel),
                segment(&account)
            );
            let request = PairChannel { group, agent };
            output.reply(&client.post::<ChannelCode>(&path, &request).await?)
        }
        ChannelCommand::Approve { tenant, channel: Some(channel), code: Some(code) } => {
            let path = format!("/v1/tenants/{tenant}/channel-approvals");
            let request = ApproveChannel { channel, code };
            output.reply(&client.post::<ApprovedChannel>(&path, &request).await?)
        }
        ChannelCommand::Approve { tenant, .. } => {
            let path = format!("/v1/tenants/{tenant}/channel-requests");
            output.reply(&client.get::<ChannelRequests>(&path).await?)
        }
    }
}

async fn add(client: &Client, args: AddArgs, output: &mut Output) -> Result<(), Error> {
    let (tenant, channel) = args.of.whose();
    let request = AddChannel {
        channel: channel.to_owned(),
        account: Some(args.of.name().to_owned()),
        secret: secret(args.secret_file.as_ref())?,
        inbound_secret: secret(args.inbound_secret_file.as_ref())?,
        socket_secret: secret(args.socket_secret_file.as_ref())?,
        way: args.way.clone(),
        server: args.server.clone(),
        vendor_id: args.vendor_id.clone(),
        dm_policy: args.dm_policy.clone(),
        group_policy: args.group_policy.clone(),
        allow_from: args.allow_from.clone(),
        groups: args.group.clone(),
        require_mention: args.no_mention.then_some(false),
        agent: args.agent.clone(),
        per_minute: args.per_minute,
        origins: args.origin.clone(),
        signed_only: args.signed_only,
    };
    output.reply(&client.post::<AddedChannel>(&all(tenant), &request).await?)
}

/// Where accounts are.
fn all(tenant: Option<&str>) -> String {
    match tenant {
        Some(tenant) => format!("/v1/tenants/{}/channels", segment(tenant)),
        None => "/v1/channels".to_owned(),
    }
}

/// Where one is.
fn one(args: &AccountArgs) -> String {
    let (tenant, channel) = args.whose();
    format!("{}/{}/{}", all(tenant), segment(channel), segment(args.name()))
}

/// What is in a file, without the end of its line.
fn secret(path: Option<&PathBuf>) -> Result<Option<String>, Error> {
    let Some(path) = path else { return Ok(None) };
    read(path).map(|text| Some(text.trim().to_owned()))
}

fn read(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_SECRET).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

#[derive(Serialize)]
struct Nothing {}

impl View for AddedChannel {
    fn show(&self, output: &mut Output) {
        self.account.show(output);
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        let (path, secret) = match self.account.way.as_str() {
            "page" => ("page", "signing secret"),
            _ => ("ingress path", "webhook secret"),
        };
        output.pairs(&[(path, shown(&self.path)), (secret, shown(&self.webhook_secret))]);
        if let Some(path) = self.path.as_ref().filter(|it| it.starts_with("/chat/")) {
            let script = format!("<script src=\"https://GATEWAY{path}embed.js\" async></script>");
            output.line(&format!("\nOn the site, with the gateway's own name:\n{script}"));
        }
        output.line("\nKeep both: they are not shown again.");
    }
}

impl View for Channel {
    fn show(&self, output: &mut Output) {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        output.pairs(&[
            ("account", format!("{}/{}", self.channel, self.account)),
            (
                "tenant",
                self.tenant.as_ref().map_or_else(|| "shared".to_owned(), ToString::to_string),
            ),
            ("state", self.state.clone()),
            ("credential", self.credential.clone()),
            ("way", self.way.clone()),
            ("we are", format!("{} {}", text(&self.vendor_id), text(&self.user_name))),
            ("alone", self.dm_policy.clone()),
            ("among others", self.group_policy.clone()),
        ]);
    }
}

impl View for ChannelList {
    fn show(&self, output: &mut Output) {
        if self.channels.is_empty() {
            return output.line("There are no accounts. Make one: openclawmu channels add");
        }
        let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let row = |it: &Channel| {
            let why = it.shut.clone().or_else(|| it.last_error.clone());
            let age =
                it.cursor_age_ms.map_or_else(|| "-".to_owned(), |ms| format!("{} s", ms / 1000));
            vec![
                format!("{}/{}", it.channel, it.account),
                it.state.clone(),
                it.credential.clone(),
                time(it.last_inbound_at),
                time(it.last_outbound_at),
                age,
                why.unwrap_or_default(),
            ]
        };
        let head = ["ACCOUNT", "STATE", "CREDENTIAL", "LAST IN", "LAST OUT", "CURSOR", "WHY"];
        output.table(&head, self.channels.iter().map(row).collect());
    }
}

impl View for ChannelTest {
    fn show(&self, output: &mut Output) {
        output.line(&format!("{}: {}", if self.ok { "ok" } else { "failed" }, self.detail));
    }
}

impl View for ChannelCode {
    fn show(&self, output: &mut Output) {
        output.line(&format!("Send this code to the account, alone: {}", self.code));
        if let Some(link) = &self.link {
            output.line(&format!("Or open {link}"));
        }
        output.line(&format!("It is good until {}.", self.expires_at));
    }
}

impl View for ApprovedChannel {
    fn show(&self, output: &mut Output) {
        output.line(&format!("{} may write over {}.", self.id, self.channel));
    }
}

impl View for ChannelRequests {
    fn show(&self, output: &mut Output) {
        if self.requests.is_empty() {
            return output.line("Nobody waits.");
        }
        let rows = self.requests.iter().map(|it| {
            let account = format!("{}/{}", it.channel, it.account);
            vec![account, it.id.clone(), it.created_at.to_string(), it.expires_at.to_string()]
        });
        output.table(&["ACCOUNT", "WHO", "SINCE", "UNTIL"], rows.collect());
    }
}
