//! A gateway whose model plays tool calls, and the hands of one of its tenants: what a call gave, files
//! that lie in its workspace, and a shell in its sandbox.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::house::SCOPES;
use crate::provider::{Step, play};
use crate::ws::{Connect, Ws};
use crate::{Builder, Client, Gateway, Provider, Tenant};

/// Milliseconds that a command may take before a call gives it a session of its own.
const YIELD_MS: u32 = 55_000;

/// Numbers the plays, so that the provider's record of each can be found.
static PLAYS: AtomicUsize = AtomicUsize::new(0);

/// A gateway whose agents have tools.
#[derive(Debug)]
pub struct Toolbox {
    /// The model.
    pub provider: Provider,
    /// The gateway.
    pub gateway: Gateway,
}

/// One tenant's way to its agent's tools.
#[derive(Debug, Clone)]
pub struct Hands {
    tenant: Tenant,
    provider: Provider,
    client: Client,
    root: PathBuf,
}

/// A shell in a tenant's sandbox.
#[derive(Debug)]
pub struct Shell {
    ws: Ws,
    id: String,
    text: String,
}

impl Toolbox {
    /// A gateway whose configuration has these members beside the provider; its agents ask the model
    /// `script` and may use every tool.
    pub async fn start(more: Value) -> Self {
        let provider = Provider::start().await;
        let mut config: Value = serde_json::from_str(&provider.config_with(more)).unwrap();
        config["defaultModel"] = "test/script".into();
        let gateway = Builder::default().config(config.to_string()).start();
        Self { provider, gateway }
    }

    /// A new tenant.
    pub async fn hands(&self, name: &str) -> Hands {
        self.hands_with(name, &[]).await
    }

    /// A new tenant with limits, whose agent has been spoken to, so that its workspace is there.
    pub async fn hands_with(&self, name: &str, limits: &[&str]) -> Hands {
        self.hands_of(&self.gateway.tenant_with(name, limits)).await
    }

    /// The hands of a tenant that is there.
    pub async fn hands_of(&self, tenant: &Tenant) -> Hands {
        let tenant = tenant.clone();
        let client = self.gateway.client(&tenant);
        let root = self.gateway.root(&tenant);
        let hands = Hands { tenant, provider: self.provider.clone(), client, root };
        hands.play(&[Step::say("awake")]).await;
        hands
    }

    /// A connection of the tenant's operator, with every scope, who is told of calls of tools.
    pub async fn operator(&self, hands: &Hands) -> Ws {
        let connect = Connect::new(self.gateway.address(), &hands.tenant.token, &SCOPES);
        connect.cap("tool-events").open().await
    }

    /// A shell of the tenant.
    pub async fn shell(&self, hands: &Hands, cols: u16, rows: u16) -> Shell {
        let mut ws = self.operator(hands).await;
        let opened = ws.ok("terminal.spawn", json!({"cols": cols, "rows": rows})).await;
        let id = opened["terminalId"].as_str().unwrap().to_owned();
        Shell { ws, id, text: String::new() }
    }
}

impl Hands {
    /// The tenant.
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Has the agent's model play these steps in a session of their own, and gives the results of its
    /// calls as the model got them, in order.
    pub async fn play(&self, steps: &[Step]) -> Vec<String> {
        let number = PLAYS.fetch_add(1, Ordering::SeqCst);
        self.play_in(&format!("agent:main:play-{number}"), steps).await
    }

    /// The same in a session of that key.
    pub async fn play_in(&self, key: &str, steps: &[Step]) -> Vec<String> {
        let mark = format!("play-{}-of-{}", PLAYS.fetch_add(1, Ordering::SeqCst), self.tenant.id);
        let client = self.client.clone().header("x-openclaw-session-key", key);
        let reply = client.chat("openclaw", &format!("{mark} {}", play(steps))).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        self.provider.results(&mark)
    }

    /// Calls one tool and gives its result.
    pub async fn call(&self, name: &str, args: Value) -> String {
        let results = self.play(&[Step::call(name, args)]).await;
        results.last().cloned().unwrap_or_else(|| panic!("{name} gave the model nothing"))
    }

    /// Runs a command line and gives what the model is told of it.
    pub async fn exec(&self, command: &str) -> String {
        self.call("exec", json!({"command": command, "yieldMs": YIELD_MS})).await
    }

    /// A plain caller with the tenant's token.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The tenant's root as the operator sees it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The workspace of its agent, as the operator sees it.
    pub fn workspace(&self) -> PathBuf {
        self.root.join("agents/main/workspace")
    }

    /// Puts a file into the workspace, as if its agent had written it.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) {
        let (folder, path) = (self.workspace(), self.workspace().join(name));
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let owner = std::fs::metadata(&folder).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    /// Puts a program of this workspace into the agent's.
    pub fn put_program(&self, name: &str) {
        self.put(name, std::fs::read(crate::program(name)).unwrap(), 0o755);
    }

    /// What a file of the workspace says.
    pub fn read(&self, name: &str) -> String {
        let path = self.workspace().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
    }
}

impl Shell {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The connection that opened it.
    pub const fn ws(&mut self) -> &mut Ws {
        &mut self.ws
    }

    /// Types.
    pub async fn keys(&mut self, keys: &str) {
        self.ws.ok("terminal.write", json!({"terminalId": self.id, "data": keys})).await;
    }

    /// Another size.
    pub async fn resize(&mut self, cols: u16, rows: u16) {
        let size = json!({"terminalId": self.id, "cols": cols, "rows": rows});
        self.ws.ok("terminal.resize", size).await;
    }

    /// Reads until `text` came after what was read before, and gives all up to its end.
    pub async fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.text.find(text) {
                let rest = self.text.split_off(at + text.len());
                return std::mem::replace(&mut self.text, rest);
            }
            let event = self.ws.next_event("terminal.output").await;
            if event["terminalId"] == self.id {
                self.text.push_str(event["data"].as_str().unwrap());
            }
        }
    }

    /// Runs a command line and gives what it printed; what is typed is echoed, hence the quotes in the
    /// mark of its end.
    pub async fn run(&mut self, command: &str) -> String {
        self.keys(&format!("{command}; echo en''ded\r")).await;
        self.until("ended").await
    }
}
