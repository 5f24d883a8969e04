//! The official browser UI, served from the installed package, in a real browser. Pictures of it
//! are left in the target folder, to be looked at.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Builder, Client, Gateway, Official, Provider, control_ui};

/// A gateway with the UI whose model takes its time.
fn gateway(provider: &Provider) -> Gateway {
    let mut config: Value = serde_json::from_str(&provider.config()).unwrap();
    config["defaultModel"] = "test/paced".into();
    config["controlUi"] = json!({"root": control_ui()});
    Builder::default().config(config.to_string()).start()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_talks_to_an_agent_in_the_browser() {
    let provider = Provider::start().await;
    let gateway = gateway(&provider);
    let user = Official::new(&gateway, &gateway.tenant("acme"));
    let page = format!("http://{}/t/acme/", gateway.address());
    let shots = env!("CARGO_TARGET_TMPDIR").to_owned();
    let look = move || {
        let variables = [("OPENCLAWMU_PAGE", page.as_str()), ("OPENCLAWMU_SHOTS", shots.as_str())];
        user.script("control_ui.mjs", &variables)
    };
    assert_eq!(tokio::task::spawn_blocking(look).await.unwrap().len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_nobody_which_tenants_there_are() {
    let provider = Provider::start().await;
    let gateway = gateway(&provider);
    gateway.tenant("acme");
    let anybody = Client::new(gateway.address(), None);
    for path in ["", "control-ui-config.json", "favicon.svg", "no-such.js", "chat/main"] {
        let [there, not_there] = ["acme", "nobody"].map(|it| format!("/t/{it}/{path}"));
        let (there, not_there) = (anybody.get(&there).await, anybody.get(&not_there).await);
        assert_eq!(there.status, not_there.status, "{path}");
        assert_eq!(there.text().replace("/t/acme", "/t/nobody"), not_there.text(), "{path}");
        if there.status == StatusCode::OK {
            let policy = there.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
            assert_eq!(there.headers["x-frame-options"], "DENY");
            assert_eq!(there.headers["x-content-type-options"], "nosniff");
            assert_eq!(there.headers["referrer-policy"], "no-referrer");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_of_the_page_are_served() {
    let provider = Provider::start().await;
    let gateway = gateway(&provider);
    let anybody = Client::new(gateway.address(), None);
    let check = async |method: Method, path: &str, expected: StatusCode| {
        let reply = anybody.send(method, path, "").await;
        assert_eq!(reply.status, expected, "{path}: {}", reply.text());
        reply
    };
    let page = check(Method::GET, "/t/acme/", StatusCode::OK).await.text();
    let script = page.split("src=\"").nth(1).unwrap().split('"').next().unwrap();
    let whole = check(Method::GET, script, StatusCode::OK).await;
    assert_eq!(whole.headers["content-type"], "text/javascript; charset=utf-8");
    assert!(whole.headers["cache-control"].to_str().unwrap().contains("immutable"));
    let head = check(Method::HEAD, script, StatusCode::OK).await;
    assert_eq!(head.headers["content-length"], whole.body.len().to_string());
    let (packed, tag) = (anybody.clone().header("accept-encoding", "br"), "if-none-match");
    let packed = packed.get(script).await;
    assert_eq!(packed.headers["content-encoding"], "br");
    let again = anybody.clone().header("accept-encoding", "br");
    let again = again.header(tag, packed.headers["etag"].to_str().unwrap()).get(script).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    check(Method::POST, "/t/acme/", StatusCode::METHOD_NOT_ALLOWED).await;
    check(Method::GET, "/t/acme", StatusCode::PERMANENT_REDIRECT).await;
    for path in [
        "/t/acme/../../package.json",
        "/t/acme/%2e%2e/%2e%2e/package.json",
        "/t/acme/.hidden",
        "/t/acme/assets//a.js",
        "/t/Acme/",
        "/t/acme%2f/",
        "/t//",
    ] {
        check(Method::GET, path, StatusCode::NOT_FOUND).await;
    }
}
