//! The official SDKs, unmodified, against the real gateway. The programs are in `sdk/`; what
//! they need is installed by `make test`, never by a test.
#![expect(clippy::disallowed_methods, reason = "starts the SDKs' interpreters")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{Gateway, Provider, until};

#[tokio::test(flavor = "multi_thread")]
async fn python() {
    check("venv/bin/python", "sdk.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node() {
    check("node", "sdk.mjs").await;
}

/// Runs `script`, whose every check must hold, and sees that its cancel reached the provider.
async fn check(interpreter: &str, script: &str) {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("sdk");
    let mut command = command(interpreter, script, &gateway);
    command
        .env("OPENCLAWMU_TOKEN", &tenant.token)
        .env("OPENCLAWMU_MODELS", "mock,openclaw")
        .env("OPENCLAWMU_ENDLESS_MODEL", "slow")
        .env("OPENCLAWMU_BODY_LIMIT", runtime::limits::MAX_BODY.to_string());
    let checks = checks(command).await;
    assert!(checks >= 14, "{checks}");
    until("the provider sees the cancel", || provider.cancelled() > 0);
}

/// An interpreter with a script of `sdk/` that calls the gateway.
pub(crate) fn command(interpreter: &str, script: &str, gateway: &Gateway) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
    let installed = folder.join(interpreter);
    let program = if installed.exists() { installed } else { PathBuf::from(interpreter) };
    let mut command = Command::new(program);
    command
        .arg(script)
        .current_dir(folder)
        .env("OPENCLAWMU_BASE_URL", format!("http://{}/v1", gateway.address()));
    command
}

/// The Python in which `make sdk` has installed what `sdk/requirements.txt` names.
pub(crate) fn interpreter() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk/venv/bin/python");
    assert!(python.exists(), "run `make sdk`");
    python
}

/// Runs it, and gives the number of its checks, of which every one must hold.
pub(crate) async fn checks(mut command: Command) -> usize {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|err| panic!("{err}: run `make sdk`"));
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("run `make sdk`? {}", String::from_utf8_lossy(&output.stderr)));
    let checks = report["checks"].as_array().unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| check["ok"] != true).collect();
    assert!(failed.is_empty() && output.status.success(), "{failed:#?}");
    checks.len()
}
