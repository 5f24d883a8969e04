//! Alerts to a receiver that the test plays itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use types::ManualClock;

use super::*;

const NOW: u64 = 1_795_305_600_000;
const SECRET: [u8; 32] = [9; 32];

/// Alerts to a listener of the test's own.
async fn house() -> (Alerts, TcpListener, Tasks, Registry) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?from=us", listener.local_addr().unwrap());
    let secret = Secret::from(format!("whsec_{}", STANDARD.encode(SECRET)));
    let (tasks, mut registry) = (Tasks::default(), Registry::default());
    let clock = Arc::new(ManualClock::at(NOW));
    let webhook = Webhook { url, secret };
    let alerts = Alerts::new(Some(&webhook), clock, &tasks, &mut registry).unwrap();
    (alerts, listener, tasks, registry)
}

/// One request, as it came: head and body.
async fn heard(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the request ended early");
        bytes.extend_from_slice(&chunk[..read]);
        let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length: usize = header(&head, "content-length").parse().unwrap();
        if bytes.len() >= end + 4 + length {
            return (head, bytes.split_off(end + 4));
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(it, _)| it.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

/// Takes one request, holds its signature against the secret, and answers with `status`.
async fn receive(listener: &TcpListener, status: &str) -> (String, serde_json::Value) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (head, body) = heard(&mut stream).await;
    assert!(head.starts_with("POST /hook?from=us HTTP/1.1"), "{head}");
    assert_eq!(header(&head, "content-type"), "application/json");
    let (id, time) = (header(&head, "webhook-id"), header(&head, "webhook-timestamp"));
    assert_eq!(time, "1795305600");
    let signed = [format!("{id}.{time}.").as_bytes(), &body].concat();
    let tag = STANDARD.decode(header(&head, "webhook-signature").strip_prefix("v1,").unwrap());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    hmac::verify(&key, &signed, &tag.unwrap()).unwrap();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    (id.to_owned(), serde_json::from_slice(&body).unwrap())
}

fn counted(registry: &Registry, outcome: &str) -> u64 {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    let name = format!("openclawmu_alerts_total{{outcome=\"{outcome}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn an_alert_is_signed_and_tried_again_as_the_same() {
    let (alerts, listener, tasks, registry) = house().await;
    alerts.send("quota.warning", &serde_json::json!({"percent": 80}));
    let (first, body) = receive(&listener, "503 Busy").await;
    assert_eq!(
        body,
        serde_json::json!({
            "type": "quota.warning", "timestamp": "2026-11-22T00:00:00Z", "data": {"percent": 80}
        })
    );
    let (second, again) = receive(&listener, "204 No Content").await;
    assert_eq!((&first, &body), (&second, &again));
    alerts.send("quota.warning", &serde_json::json!({"percent": 100}));
    let (third, _) = receive(&listener, "200 OK").await;
    assert_ne!(first, third);
    drop(alerts);
    assert!(tasks.shut_down(std::time::Duration::from_secs(5)).await);
    assert_eq!((counted(&registry, "retried"), counted(&registry, "failed")), (1, 0));
}

#[tokio::test]
async fn a_receiver_that_does_not_want_it_is_asked_once() {
    let (alerts, listener, _tasks, registry) = house().await;
    for status in ["400 No", "302 Found"] {
        alerts.send("quota.warning", &serde_json::json!({}));
        receive(&listener, status).await;
    }
    alerts.send("quota.warning", &serde_json::json!({}));
    receive(&listener, "200 OK").await;
    assert_eq!((counted(&registry, "retried"), counted(&registry, "failed")), (0, 2));
}

#[tokio::test]
async fn whoever_tells_never_waits_and_what_does_not_fit_is_counted() {
    let (alerts, listener, _tasks, registry) = house().await;
    // Nobody accepts: one is under way, as many as may wait do, and three are left over.
    let (mut stream, _) = {
        alerts.send("first", &serde_json::json!({}));
        listener.accept().await.unwrap()
    };
    heard(&mut stream).await;
    (0..MAX_WAITING + 3).for_each(|_| alerts.send("more", &serde_json::json!({})));
    assert_eq!(counted(&registry, "dropped"), 3);
}

#[test]
fn without_a_webhook_nothing_is_told() {
    assert!(!Alerts::none().is_on());
    Alerts::none().send("quota.warning", &serde_json::json!({}));
}
