//! A gateway whose networks are where a test says, and what one does with accounts there.

use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::{Gid, Uid, chown};
use serde_json::{Value, json};
use tests::{Builder, Gateway, Provider, Tenant};

use super::house::until;
use crate::delivery::seen::rpc;

/// Secrets of an account, by the option that takes the file with one.
pub(crate) type Secrets<'a> = &'a [(&'static str, &'a str)];

pub(crate) struct Ground {
    pub(crate) provider: Provider,
    pub(crate) gateway: Gateway,
}

impl Ground {
    /// With networks at these addresses, by their names.
    pub(crate) async fn build(roots: &[(&str, &str)]) -> Self {
        let provider = Provider::start().await;
        let mut channels = json!({});
        for (network, root) in roots {
            channels[*network] = json!({"apiRoot": root});
        }
        let config = provider.config_with(json!({"channels": channels}));
        // Nobody's outgoing connection takes its port while it is started again.
        let at = Ipv4Addr::new(127, 0, 0, 5);
        let gateway = Builder::default().config(config).listen(at).start();
        Self { provider, gateway }
    }

    /// Makes an account called `bot`; gives what the command line prints.
    pub(crate) fn add(
        &self,
        whose: &[&str],
        network: &str,
        secrets: Secrets<'_>,
        more: &[&str],
    ) -> Value {
        self.add_as("bot", whose, network, secrets, more)
    }

    /// Makes an account of that name.
    pub(crate) fn add_as(
        &self,
        name: &str,
        whose: &[&str],
        network: &str,
        secrets: Secrets<'_>,
        more: &[&str],
    ) -> Value {
        let dir = tempfile::tempdir().unwrap();
        let mut args = vec!["channels", "add"];
        args.extend(whose);
        args.extend([network, "--account", name]);
        let written = secrets.iter().enumerate().map(|(at, (option, secret))| {
            let file = dir.path().join(at.to_string());
            std::fs::write(&file, format!("{secret}\n")).unwrap();
            (*option, file.to_str().unwrap().to_owned())
        });
        let written: Vec<_> = written.collect();
        args.extend(written.iter().flat_map(|(option, file)| [*option, file.as_str()]));
        args.extend(more);
        // The networks, of which the gateway asks something meanwhile, are in this process.
        let added = tokio::task::block_in_place(|| self.gateway.json(&args));
        for (_, secret) in secrets {
            assert!(!added.to_string().contains(secret), "{added}");
        }
        added
    }

    /// The first account of a tenant, as it is shown.
    pub(crate) fn account(&self, tenant: &str) -> Value {
        self.gateway.json(&["channels", "list", tenant])["channels"][0].take()
    }

    /// Waits until an account is in that state.
    pub(crate) async fn is(&self, tenant: &str, state: &str) {
        until(&format!("it is {state}"), || self.account(tenant)["state"] == state).await;
    }

    /// The state of a tenant's worker.
    pub(crate) fn worker(&self, tenant: &str) -> String {
        let shown = self.gateway.json(&["tenants", "show", tenant]);
        shown["state"].as_str().unwrap().to_owned()
    }

    /// What is left in a tenant's outbox: the states of its intents.
    pub(crate) async fn outbox(&self, tenant: &Tenant) -> Vec<String> {
        let left = rpc(&self.gateway, tenant, "outbox.list", json!({})).await;
        let all = left["intents"].as_array().unwrap();
        all.iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until nothing is in it.
    pub(crate) async fn is_sent(&self, tenant: &Tenant) {
        self.is_sent_but(tenant, &[]).await;
    }

    /// Waits until nothing is in it but what ended so.
    pub(crate) async fn is_sent_but(&self, tenant: &Tenant, ended: &[&str]) {
        for _ in 0..600 {
            let left = self.outbox(tenant).await;
            if left == ended {
                return;
            }
            let is_over = |it: &&String| *it == "unknown" || *it == "failed";
            assert!(left.iter().filter(is_over).count() <= ended.len(), "{left:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("not everything is sent: {:?}", self.outbox(tenant).await);
    }

    /// A file in the workspace of a tenant's agent, as a program of the tenant's would have written it.
    pub(crate) async fn place(&self, tenant: &Tenant, name: &str, content: &[u8]) {
        place(&self.gateway, tenant, name, content).await;
    }

    /// A code by which whoever sends it to `bot` becomes that tenant's.
    pub(crate) async fn pair(&self, tenant: &Tenant, network: &str, group: bool) -> String {
        self.pair_as("bot", tenant, network, group).await
    }

    /// The same for the account of that name.
    pub(crate) async fn pair_as(
        &self,
        name: &str,
        tenant: &Tenant,
        network: &str,
        group: bool,
    ) -> String {
        let params = json!({"channel": network, "accountId": name, "group": group});
        let code = rpc(&self.gateway, tenant, "channels.pair", params).await;
        code["code"].as_str().unwrap().to_owned()
    }
}

/// The workspace of a tenant's agent.
pub(crate) fn workspace(gateway: &Gateway, tenant: &Tenant) -> PathBuf {
    gateway.root(tenant).join("agents/main/workspace")
}

/// A file in it, as a program of the tenant's would have written it.
pub(crate) async fn place(gateway: &Gateway, tenant: &Tenant, name: &str, content: &[u8]) {
    let workspace = workspace(gateway, tenant);
    // Its worker makes it.
    rpc(gateway, tenant, "agents.files.list", json!({"agentId": "main"})).await;
    until("there is a workspace", || workspace.is_dir()).await;
    let (owner, file) = (workspace.metadata().unwrap(), workspace.join(name));
    std::fs::write(&file, content).unwrap();
    chown(&file, Some(Uid::from_raw(owner.uid())), Some(Gid::from_raw(owner.gid()))).unwrap();
}
