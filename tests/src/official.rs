//! `OpenClaw`'s own programs and the scripts of `clients/`, each run in a home of its own as a
//! tenant's user would run them. `make clients` installs them; nothing here skips where it did not.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Gateway, Tenant};

/// One user's machine: a home with nothing in it but where the gateway is.
#[derive(Debug)]
pub struct Official {
    home: TempDir,
    url: String,
    token: String,
}

/// The folder of the clients.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// The built browser UI.
pub fn control_ui() -> PathBuf {
    installed("openclaw/dist/control-ui")
}

fn installed(name: &str) -> PathBuf {
    let path = folder().join("node_modules").join(name);
    assert!(path.exists(), "no {}: run `make clients`", path.display());
    path
}

fn interpreter() -> PathBuf {
    let machine = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x64" };
    installed(&format!("node-linux-{machine}/bin/node"))
}

impl Official {
    /// A machine whose user has the tenant's token.
    pub fn new(gateway: &Gateway, tenant: &Tenant) -> Self {
        Self::with_token(gateway, tenant, &tenant.token)
    }

    /// The same with another token of the tenant.
    pub fn with_token(gateway: &Gateway, tenant: &Tenant, token: &str) -> Self {
        let home = tempfile::Builder::new().prefix("ocmu-home-").tempdir().unwrap();
        let url = format!("ws://{}/t/{}", gateway.address(), tenant.id);
        let remote = json!({"url": url, "token": token});
        let config = json!({"gateway": {"mode": "remote", "remote": remote}});
        std::fs::write(home.path().join("openclaw.json"), config.to_string()).unwrap();
        Self { home, url, token: token.to_owned() }
    }

    /// The machine's home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the gateway is, with the tenant in the path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// `openclaw ARGS`, to be run.
    pub fn openclaw(&self, args: &[&str]) -> Command {
        let mut command = self.command(interpreter());
        command.arg(installed("openclaw/openclaw.mjs")).args(args);
        command
    }

    /// Runs `openclaw ARGS`.
    pub fn run(&self, args: &[&str]) -> Output {
        self.openclaw(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs `openclaw ARGS`, which must succeed, and gives its output.
    pub fn text(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {} {text} {error}", output.status);
        text
    }

    /// Runs `openclaw ARGS`, which must succeed, and gives its output as JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.text(args);
        serde_json::from_str(&text).unwrap_or_else(|err| panic!("{args:?}: {text:?}: {err}"))
    }

    /// Runs a script of `clients/`, of which every check must hold; gives the checks.
    pub fn script(&self, name: &str, variables: &[(&str, &str)]) -> Vec<Value> {
        let mut command = self.command(interpreter());
        command.current_dir(folder()).arg(name).stdin(Stdio::null());
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|err| {
            panic!("{name}: {err}: {}", String::from_utf8_lossy(&output.stderr))
        });
        let checks = report["checks"].as_array().unwrap().clone();
        let failed: Vec<_> = checks.iter().filter(|check| check["ok"] != true).collect();
        assert!(failed.is_empty() && !checks.is_empty(), "{name}: {failed:#?}");
        assert!(output.status.success(), "{name}: {}", output.status);
        checks
    }

    fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command.env("HOME", self.home()).env("OPENCLAW_STATE_DIR", self.home());
        command.env("OPENCLAW_CONFIG_PATH", self.home().join("openclaw.json"));
        command.env("OPENCLAW_GATEWAY_TOKEN", &self.token).env("NO_COLOR", "1");
        command.env("OPENCLAWMU_URL", &self.url).env("OPENCLAWMU_TOKEN", &self.token);
        // In a home that is used once, what Node compiles is written for nobody, and takes as long
        // as the start itself.
        command.env("TMPDIR", self.home()).env("NODE_DISABLE_COMPILE_CACHE", "1");
        command
    }
}
