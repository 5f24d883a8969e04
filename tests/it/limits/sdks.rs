//! The official SDKs, unmodified, at limits. The programs are in `sdk/`; what they need is installed by
//! `make test`, never by a test.

use serde_json::{Value, json};
use tests::{Builder, Provider};

use crate::sdk;

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
    check("node", "limits.mjs").await;
}

/// Runs `script`, whose every check must hold.
async fn check(interpreter: &str, script: &str) {
    let provider = Provider::start().await;
    let gateway = Builder::default().config(priced(&provider)).start();
    let token = |id: &str, quotas: &[&str]| {
        let limits: Vec<_> = quotas.iter().flat_map(|quota| ["--quota", quota]).collect();
        gateway.tenant_with(id, &limits).token
    };
    let mut command = sdk::command(interpreter, script, &gateway);
    command
        .env("OPENCLAWMU_MODEL", "mock")
        .env("OPENCLAWMU_ENDLESS_MODEL", "flood")
        .env("OPENCLAWMU_WIDE", token("wide", &["requests/minute=1000", "tokens/day=1000000"]))
        .env("OPENCLAWMU_FEW", token("few", &["requests/month=1"]))
        .env("OPENCLAWMU_POOR", token("poor", &["costMicros/month=1"]))
        .env("OPENCLAWMU_CUT", token("cut", &["tokens/month=60000"]));
    assert_eq!(sdk::checks(command).await, 5);
}
