//! The result of a job on its way to a webhook: the far end fails, the gateway is killed while it
//! waits for the answer, and what arrives has one id.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tests::provider::Provider;
use tests::{Farm, Gateway, Tenant, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::seen::{announce_kills, rpc};

/// One request: the id of the webhook and its body.
async fn request(stream: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the request ended early");
        bytes.extend_from_slice(&chunk[..read]);
        let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(it, _)| it.eq_ignore_ascii_case(name)).unwrap().1.to_owned()
        };
        if let Ok(body) = serde_json::from_slice(&bytes[end + 4..]) {
            return (header("webhook-id"), body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_result_arrives_under_one_id_whatever_happens() {
    let farm = Farm::start().await;
    let receiver = TcpListener::bind((farm.open(), 0)).await.unwrap();
    let url = format!("http://{}/told", receiver.local_addr().unwrap());
    let provider = Provider::start().await;
    let egress = json!({"egress": farm.config(&[format!("POST {url}")])});
    let config = provider.config_with(egress);
    let mut gateway = tests::Builder::default().config(config).start();
    announce_kills(&gateway);
    let tenant = gateway.tenant("acme");
    let id = posts(&gateway, &tenant, "ring", &url).await;

    // The far end fails once, then takes it and says nothing before the gateway is killed.
    let (mut stream, _) = receiver.accept().await.unwrap();
    let (first, body) = request(&mut stream).await;
    assert_eq!((&body["jobId"], &body["summary"]), (&json!(id), &json!("ring")), "{body}");
    stream.write_all(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    drop(stream);
    let (mut stream, _) = receiver.accept().await.unwrap();
    let (second, _) = request(&mut stream).await;
    tokio::task::block_in_place(|| gateway.kill_supervisor_and_restart());
    drop(stream);
    let (mut stream, _) = receiver.accept().await.unwrap();
    let (third, again) = request(&mut stream).await;
    stream.write_all(b"HTTP/1.1 204 Yes\r\n\r\n").await.unwrap();
    assert_eq!((&first, &second, &body), (&second, &third, &again));
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        until("nothing is left", || {
            let left = runtime.block_on(rpc(&gateway, &tenant, "outbox.list", json!({})));
            left["intents"].as_array().unwrap().is_empty()
        });
    });
}

/// A job that posts its result there.
async fn posts(gateway: &Gateway, tenant: &Tenant, name: &str, url: &str) -> String {
    let job = json!({
        "name": name, "schedule": {"kind": "every", "everyMs": 86_400_000},
        "sessionTarget": "isolated", "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": name},
        "delivery": {"mode": "webhook", "to": url},
    });
    let id = rpc(gateway, tenant, "cron.add", job).await["id"].as_str().unwrap().to_owned();
    rpc(gateway, tenant, "cron.run", json!({"id": id, "mode": "force"})).await;
    id
}

async fn answer(mut stream: TcpStream, status: &str) {
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// How long nothing must come that may not.
const QUIET: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_answer_keeps_back_no_other_and_the_tenants_end_waits() {
    let farm = Farm::start().await;
    let silent = TcpListener::bind((farm.open(), 0)).await.unwrap();
    let good = TcpListener::bind((farm.open(), 0)).await.unwrap();
    let url = |it: &TcpListener| format!("http://{}/told", it.local_addr().unwrap());
    let (silent_url, good_url) = (url(&silent), url(&good));
    let provider = Provider::start().await;
    let rules = [format!("POST {silent_url}"), format!("POST {good_url}")];
    let config = provider.config_with(json!({"egress": farm.config(&rules)}));
    let gateway = Arc::new(tests::Builder::default().config(config).start());
    let tenant = gateway.tenant("acme");
    for name in ["one", "two", "three", "four"] {
        posts(&gateway, &tenant, name, &silent_url).await;
    }
    let (mut first, _) = silent.accept().await.unwrap();
    let (mut second, _) = silent.accept().await.unwrap();
    request(&mut first).await;
    request(&mut second).await;
    posts(&gateway, &tenant, "five", &good_url).await;
    let (mut stream, _) = good.accept().await.unwrap();
    assert_eq!(request(&mut stream).await.1["summary"], "five");
    answer(stream, "204 Yes").await;

    // What waited behind the two would go now, but for the suspension.
    gateway.json(&["tenants", "suspend", "acme"]);
    answer(first, "204 Yes").await;
    let third = tokio::time::timeout(QUIET, silent.accept()).await;
    assert!(third.is_err(), "sent of a suspended tenant");
    gateway.json(&["tenants", "resume", "acme"]);
    let (mut third, _) = silent.accept().await.unwrap();
    request(&mut third).await;

    // The tenant's end waits for what is under way, and nothing comes after it.
    let ending = Arc::clone(&gateway);
    let mut ended = tokio::task::spawn_blocking(move || {
        ending.json(&["tenants", "delete", "acme", "--yes"]);
    });
    assert!(tokio::time::timeout(QUIET, &mut ended).await.is_err(), "it is gone, and still sends");
    answer(second, "204 Yes").await;
    answer(third, "503 No").await;
    ended.await.unwrap();
    let fourth = tokio::time::timeout(QUIET, silent.accept()).await;
    assert!(fourth.is_err(), "sent of a tenant that is gone");
}
