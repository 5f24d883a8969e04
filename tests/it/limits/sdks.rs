//! The official SDKs, unmodified, at limits. The programs are in `sdk/`; what they need is installed by
//! `make test`, never by a test.
#![expect(clippy::disallowed_methods, reason = "starts the SDKs' interpreters")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::{Builder, Provider};

/// A configuration in which each model has a price.
pub(super) fn priced(provider: &Provider) -> String {
    let mut config: Value = serde_json::from_str(&provider.config()).unwrap();
    let price = |name: &Value| json!({"name": name, "inputMicrosPerMillion": 1_000_000, "outputMicrosPerMillion": 1_000_000});
    let models = config["providers"]["test"]["models"].as_array().unwrap().iter().map(price);
    config["providers"]["test"]["models"] = models.collect();
    config.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn python() {
    check("venv/bin/python", "limits.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node() {
    let package = folder().join("node_modules/openai");
    assert!(package.exists(), "no {}: run `make sdk`", package.display());
    check("node", "limits.mjs").await;
}

/// Runs `script`, whose every check must hold.
async fn check(interpreter: &'static str, script: &'static str) {
    let provider = Provider::start().await;
    let gateway = Builder::default().config(priced(&provider)).start();
    let token = |id: &str, quotas: &[&str]| {
        let limits: Vec<_> = quotas.iter().flat_map(|quota| ["--quota", quota]).collect();
        gateway.tenant_with(id, &limits).token
    };
    let mut command = Command::new(program(interpreter));
    command
        .arg(script)
        .current_dir(folder())
        .env("OPENCLAWMU_BASE_URL", format!("http://{}/v1", gateway.address()))
        .env("OPENCLAWMU_MODEL", "mock")
        .env("OPENCLAWMU_ENDLESS_MODEL", "flood")
        .env("OPENCLAWMU_WIDE", token("wide", &["requests/minute=1000", "tokens/day=1000000"]))
        .env("OPENCLAWMU_FEW", token("few", &["requests/month=1"]))
        .env("OPENCLAWMU_POOR", token("poor", &["costMicros/month=1"]))
        .env("OPENCLAWMU_CUT", token("cut", &["tokens/month=60000"]));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|err| panic!("{interpreter}: {err}: run `make sdk`"));
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let checks = report["checks"].as_array().unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| check["ok"] != true).collect();
    assert!(failed.is_empty() && checks.len() == 5, "{failed:#?}");
    assert!(output.status.success());
}

fn program(interpreter: &str) -> PathBuf {
    let installed = folder().join(interpreter);
    if installed.exists() { installed } else { PathBuf::from(interpreter) }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk")
}
