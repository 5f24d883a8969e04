//! Nothing is acknowledged that is not kept, and nobody learns why.

use http::HeaderValue;
use records::PathDigest;

use super::*;
use crate::intake::path_digest;
use crate::testing::{House, account, update};

const PATH: &str = "s3cr3t-path";

async fn house() -> (House, AccountRow) {
    let house = House::new().await;
    let path = Some(PathDigest(path_digest(PATH)));
    let mut row = AccountRow { path, ..account(Some("a"), "telegram") };
    row.policy.senders = vec!["42".to_owned()];
    let row = house.put(row).await;
    (house, row)
}

fn headers(secret: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let secret = HeaderValue::from_str(secret).unwrap();
    headers.insert("x-telegram-bot-api-secret-token", secret);
    headers
}

#[tokio::test(start_paused = true)]
async fn what_is_acknowledged_is_kept() {
    let (house, bot) = house().await;
    let (inbound, headers) = (house.inbound(), headers(&bot.id.repeat(2)));
    let post = async |body: String| {
        inbound.request("telegram", PATH, &headers, body.as_bytes()).await.status
    };
    assert_eq!(post(update(1, 42, "hi")).await, 200);
    assert_eq!(house.kept(), ["a u1"]);
    let later = NotKept::Later("the disk is full".to_owned());
    house.far.not_kept.lock().unwrap().push_back(Some(later));
    assert_eq!(post(update(2, 42, "hi")).await, 503, "and never 200");
    assert_eq!(post(update(2, 42, "hi")).await, 200);
    assert_eq!(post(update(2, 42, "hi")).await, 200, "the same again");
    assert_eq!(house.kept(), ["a u2"]);
    // What will never be kept, or cannot be read, is not brought for ever.
    let never = NotKept::Never("the tenant is gone".to_owned());
    house.far.not_kept.lock().unwrap().push_back(Some(never));
    assert_eq!(post(update(3, 42, "hi")).await, 200);
    assert_eq!(post("{\"update_id\":\"x\"}".to_owned()).await, 200);
    assert_eq!(
        house.told(),
        [
            "lost: the tenant is gone",
            "lost: it is not of the network's form: invalid type: string \"x\", expected i64 at line 1 column 16"
        ]
    );
    assert_eq!(post("{\"update_id\":4}".to_owned()).await, 200, "of no concern");
    assert_eq!(house.kept(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_told_and_wakes_nobody() {
    let (house, bot) = house().await;
    let (inbound, headers) = (house.inbound(), headers(&bot.id.repeat(2)));
    let body = update(1, 43, "hi");
    let reply = inbound.request("telegram", PATH, &headers, body.as_bytes()).await;
    assert_eq!(reply.status, 200);
    while house.far.calls.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let calls = house.calls();
    assert!(calls[0].starts_with("bot /sendMessage {\"chat_id\":\"43\""), "{calls:?}");
    assert_eq!(house.kept(), [""; 0]);
    house.tasks.shut_down(std::time::Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_calls_without_being_believed_hears_the_same() {
    let (house, bot) = house().await;
    let inbound = house.inbound();
    let secret = bot.id.repeat(2);
    for (channel, path, secret) in [
        ("telegram", PATH, "another secret of some length"),
        ("telegram", "another", secret.as_str()),
        ("slack", PATH, secret.as_str()),
        ("no such network", PATH, secret.as_str()),
    ] {
        let body = update(1, 42, "hi");
        let reply = inbound.request(channel, path, &headers(secret), body.as_bytes()).await;
        assert_eq!(reply, Reply { status: 401, body: None }, "{channel} {path}");
    }
    assert_eq!(house.kept(), [""; 0]);
}
