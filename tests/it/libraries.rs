//! The npm libraries that speak to a gateway, unmodified, chat with ours: `openclaw-node` and the
//! official `@openclaw/gateway-client`.

use serde_json::json;
use tests::{Builder, Gateway, Official, Provider, until};

#[tokio::test(flavor = "multi_thread")]
async fn both_chat() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let user = Official::new(&gateway, &gateway.tenant("acme"));
    let checks = tokio::task::spawn_blocking(move || user.script("libraries.mjs", &[]));
    assert_eq!(checks.await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_comes_back_by_itself_and_goes_on() {
    let mut gateway = Gateway::start();
    let user = Official::new(&gateway, &gateway.tenant("acme"));
    let (ready, back) = (user.home().join("ready"), user.home().join("back"));
    let talk = tokio::task::spawn_blocking(move || user.script("reconnect.mjs", &[]));
    tokio::task::spawn_blocking(move || {
        until("the client has had its answer", || ready.exists());
        gateway.kill_supervisor_and_restart();
        until("the client is done", || back.exists());
    })
    .await
    .unwrap();
    assert_eq!(talk.await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_one_of_the_59_methods_works_for_a_tenant() {
    let provider = Provider::start().await;
    let store = crate::backup::folder();
    let kept =
        json!({"backup": {"store": {"kind": "folder", "path": store.path().join("backups")}}});
    let gateway = Builder::default().config(provider.config_with(kept)).start();
    let tenant = gateway.tenant("acme");
    let narrow = ["tokens", "create", "acme", "--label", "narrow", "--scope", "operator.read"];
    let narrow = gateway.json(&narrow)["token"].as_str().unwrap().to_owned();
    let other = gateway.tenant("globex");
    let user = Official::new(&gateway, &tenant);
    let calls = move || user.script("methods.mjs", &[("OPENCLAWMU_NARROW_TOKEN", &narrow)]);
    let checks = tokio::task::spawn_blocking(calls).await.unwrap();
    assert!(checks.len() > 28, "{}", checks.len());
    // The last one asked for the tenant's end, and nobody else's.
    until("the tenant is gone", || {
        !gateway.json(&["tenants", "list"]).to_string().contains(&tenant.id)
    });
    assert!(gateway.json(&["tenants", "list"]).to_string().contains(&other.id));
}
