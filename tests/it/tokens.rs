//! Tokens: shown once, several per tenant, scoped, rotated, revoked at once, and wrong ones
//! locked out.

use http::StatusCode;
use tests::{Client, Gateway, Provider};

#[tokio::test]
async fn a_token_is_shown_once_and_kept_nowhere() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    assert!(tenant.token.starts_with("tk_acme_"));
    let listed = gateway.json(&["tokens", "list", "acme"]).to_string();
    assert!(!listed.contains(&tenant.token));
    let secret = tenant.token.rsplit('_').next().unwrap();
    let grep = std::process::Command::new("grep")
        .args(["-rlaF", secret])
        .arg(gateway.state_dir())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "", "the secret is on disk");
    assert!(gateway.log().iter().all(|line| !line.contains(secret)), "the secret is in the log");
}

#[tokio::test]
async fn revoking_ends_a_live_stream_and_refuses_the_next_request() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let made = gateway.json(&[
        "tokens",
        "create",
        "acme",
        "--label",
        "ci",
        "--scope",
        "operator.write",
        "--scope",
        "operator.read",
    ]);
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let client = Client::new(gateway.address(), Some(token.to_owned()));
    let mut stream = client.stream("slow", "go").await;
    stream.next().await.unwrap();
    gateway.json(&["tokens", "revoke", "acme", id]);
    let (_, events) = stream.rest().await;
    assert!(events.iter().any(|event| event.contains("\"error\"")), "{events:?}");
    assert_eq!(client.chat("mock", "again").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        gateway.client(&tenant).chat("mock", "the other token").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn rotating_replaces_the_secret_at_once() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let id =
        gateway.json(&["tokens", "list", "acme"])["tokens"][0]["id"].as_str().unwrap().to_owned();
    let rotated = gateway.json(&["tokens", "rotate", "acme", &id]);
    let new = Client::new(gateway.address(), Some(rotated["token"].as_str().unwrap().to_owned()));
    assert_eq!(gateway.client(&tenant).get("/v1/models").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(new.get("/v1/models").await.status, StatusCode::OK);
}

#[tokio::test]
async fn wrong_tokens_are_locked_out_and_right_ones_are_not() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let wrong = Client::new(gateway.address(), Some(format!("tk_acme_{}", "A".repeat(43))));
    let mut locked = None;
    for _ in 0..200 {
        let reply = wrong.get("/v1/models").await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            locked = Some(reply);
            break;
        }
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    let locked = locked.expect("a lock-out");
    assert!(locked.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(gateway.client(&tenant).get("/v1/models").await.status, StatusCode::OK);
}

#[tokio::test]
async fn tokens_survive_a_restart_and_deleted_tenants_lose_theirs() {
    let mut gateway = Gateway::start();
    let (kept, gone) = (gateway.tenant("kept"), gateway.tenant("gone"));
    gateway.json(&["tenants", "delete", "gone", "--yes"]);
    gateway.stop();
    gateway.restart();
    assert_eq!(gateway.client(&kept).get("/v1/models").await.status, StatusCode::OK);
    assert_eq!(gateway.client(&gone).get("/v1/models").await.status, StatusCode::UNAUTHORIZED);
}
