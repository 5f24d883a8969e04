//! Telegram by webhook: what proves itself is taken once, and whoever does not learns nothing.

use http::StatusCode;
use serde_json::{Value, json};
use tests::Client;
use tests::telegram::post;
use tokio::net::{TcpListener, TcpStream};

use super::house::{House, until};
use crate::delivery::seen::settled;

struct Hook {
    url: String,
    path: String,
    secret: String,
}

fn hook(house: &House, added: &Value) -> Hook {
    let path = added["path"].as_str().unwrap().to_owned();
    let secret = added["webhookSecret"].as_str().unwrap().to_owned();
    Hook { url: format!("http://{}{path}", house.gateway.address()), path, secret }
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_come_by_webhook_once_and_in_their_order() {
    let house = House::build().await;
    let (tenant, token) = (house.gateway.tenant("acme"), house.telegram.bot(700, "helper_bot"));
    let added = house.add(&["acme"], &token, &["--dm-policy", "open", "--way", "webhook"]);
    let hook = hook(&house, &added);
    house.telegram.set_webhook(&token, &hook.url, &hook.secret);
    let first = house.telegram.write(&token, 7, "one");
    house.telegram.write(&token, 7, "two");
    assert_eq!(house.texts(&token, 7, 2).await, ["one", "two"]);
    // The network brings it again, while it brings it.
    let update = house.telegram.update(&token, first);
    let again = (0..4).map(|_| post(&hook.url, &hook.secret, &update));
    let again = futures_util::future::join_all(again).await;
    assert_eq!(again, [Some(200); 4]);
    // Reordered: a newer one first.
    let newer = house.telegram.write(&token, 8, "newer");
    let update = house.telegram.update(&token, newer);
    post(&hook.url, &hook.secret, &update).await;
    assert_eq!(house.texts(&token, 8, 1).await, ["newer"]);
    until("all are taken", || house.telegram.pending(&token) == 0).await;
    settled(&house.gateway, &tenant).await;
    assert_eq!(house.telegram.attempts(&token), 3, "each was answered once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_told_where_to_call_and_when_to_call_no_more() {
    // What stands before the gateway has its address before the gateway has one.
    let before = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let public = format!("http://{}", before.local_addr().unwrap());
    let house = House::with(json!({"publicUrl": public})).await;
    let gateway = house.gateway.address();
    let passing = tokio::spawn(async move {
        while let Ok((mut outer, _)) = before.accept().await {
            drop(tokio::spawn(async move {
                let mut inner = TcpStream::connect(gateway).await.unwrap();
                tokio::io::copy_bidirectional(&mut outer, &mut inner).await
            }));
        }
    });
    let (tenant, token) = (house.gateway.tenant("acme"), house.telegram.bot(700, "helper_bot"));
    let added = house.add(&["acme"], &token, &["--dm-policy", "open", "--way", "webhook"]);
    let path = added["path"].as_str().unwrap();
    let (url, secret) = house.telegram.webhook(&token).unwrap();
    assert_eq!(url, format!("{public}{path}"));
    assert!(secret.len() > 20 && !path.contains(&secret));
    house.telegram.write(&token, 7, "one");
    assert_eq!(house.texts(&token, 7, 1).await, ["one"]);
    settled(&house.gateway, &tenant).await;
    house.gateway.json(&["channels", "remove", "acme", "telegram", "--account", "bot"]);
    assert_eq!(house.telegram.webhook(&token), None);
    passing.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_prove_himself_learns_nothing() {
    let house = House::build().await;
    let (tenant, token) = (house.gateway.tenant("acme"), house.telegram.bot(700, "helper_bot"));
    let added = house.add(&["acme"], &token, &["--dm-policy", "open", "--way", "webhook"]);
    let hook = hook(&house, &added);
    let id = house.telegram.write(&token, 7, "hello");
    let update = house.telegram.update(&token, id).to_string();
    let secret = "x-telegram-bot-api-secret-token";
    let send = async |path: &str, value: Option<&str>| {
        let client = Client::new(house.gateway.address(), None);
        let client = match value {
            Some(value) => client.header(secret, value),
            None => client,
        };
        let reply = client.send(http::Method::POST, path, update.clone()).await;
        (reply.status, reply.text())
    };
    let nothing = (StatusCode::UNAUTHORIZED, String::new());
    let wrong = hook.secret.replace(|it: char| it.is_ascii_digit(), "x") + "y";
    let elsewhere = hook.path.replace("/in/telegram/", "/in/webhook/");
    for (path, value) in [
        (hook.path.as_str(), None),
        (&hook.path, Some("")),
        (&hook.path, Some(wrong.as_str())),
        ("/in/telegram/ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", Some(hook.secret.as_str())),
        ("/in/smoke/ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", Some(&hook.secret)),
        (&elsewhere, Some(&hook.secret)),
    ] {
        assert_eq!(send(path, value).await, nothing, "{path} {value:?}");
    }
    let reply = Client::new(house.gateway.address(), None).get(&hook.path).await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!((house.state("acme"), house.telegram.attempts(&token)), ("stopped".into(), 0));
    let (status, _) = send(&hook.path, Some(&hook.secret)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(house.texts(&token, 7, 1).await, ["hello"]);
    // What is proven and cannot be read is acknowledged, so that it holds up nothing.
    let client = Client::new(house.gateway.address(), None).header(secret, &hook.secret);
    let reply = client.post(&hook.path, &json!({"update_id": "x"})).await;
    assert_eq!(reply.status, StatusCode::OK);
    // Stopped, it is an address that nobody has.
    house.gateway.json(&["channels", "stop", "acme", "telegram", "--account", "bot"]);
    assert_eq!(send(&hook.path, Some(&hook.secret)).await, nothing);
    settled(&house.gateway, &tenant).await;
    let state = house.gateway.state_dir().join("records");
    for entry in std::fs::read_dir(state).unwrap() {
        let file = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&file) else { continue };
        let path = hook.path.trim_start_matches("/in/telegram/");
        for word in [hook.secret.as_str(), &token, path] {
            let found = bytes.windows(word.len()).any(|it| it == word.as_bytes());
            assert!(!found, "{} holds a secret", file.display());
        }
    }
}
