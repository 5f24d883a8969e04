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
    let package = folder().join("node_modules/openai");
    assert!(package.exists(), "no {}: run `make sdk`", package.display());
    check("node", "sdk.mjs").await;
}

/// Runs `script`, whose every check must hold, and sees that its cancel reached the provider.
async fn check(interpreter: &'static str, script: &'static str) {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("sdk");
    let mut command = Command::new(program(interpreter));
    command
        .arg(script)
        .current_dir(folder())
        .env("OPENCLAWMU_BASE_URL", format!("http://{}/v1", gateway.address()))
        .env("OPENCLAWMU_TOKEN", &tenant.token)
        .env("OPENCLAWMU_MODELS", "mock,openclaw")
        .env("OPENCLAWMU_ENDLESS_MODEL", "slow")
        .env("OPENCLAWMU_BODY_LIMIT", runtime::limits::MAX_BODY.to_string());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|err| panic!("{interpreter}: {err}: run `make sdk`"));
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let checks = report["checks"].as_array().unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| check["ok"] != true).collect();
    assert!(failed.is_empty() && checks.len() >= 14, "{failed:#?}");
    assert!(output.status.success());
    until("the provider sees the cancel", || provider.cancelled() > 0);
}

fn program(interpreter: &str) -> PathBuf {
    let installed = folder().join(interpreter);
    if installed.exists() { installed } else { PathBuf::from(interpreter) }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk")
}
