//! Synapse as the tests start it: what the gateway's side relies on holds, and several share one.

use http::Method;
use serde_json::json;
use tests::networks::synapse::Synapse;
use tests::{peak, resident};

#[tokio::test(flavor = "multi_thread")]
async fn two_people_talk() {
    let server = Synapse::start().await;
    let (mut ann, mut bob) = (server.person("ann").await, server.person("bob").await);
    let room = ann.direct(bob.id()).await;
    let (own, other) = (bob.id().to_owned(), ann.id().to_owned());
    let asked = |it: &serde_json::Value| it["type"] == "m.room.member" && it["state_key"] == own;
    assert_eq!(bob.find(&room, asked).await["content"]["is_direct"], true);
    bob.join(&room).await;
    ann.sees_in(&room, &[&own, &other]).await;
    let first = ann.say(&room, "hello").await;
    let heard = bob.hears(&room).await;
    assert_eq!(
        (heard["event_id"].as_str(), &heard["content"]["body"]),
        (Some(first.as_str()), &json!("hello"))
    );
    bob.types(&room).await;
    let typing =
        |it: &serde_json::Value| it["type"] == "m.typing" && it["content"]["user_ids"][0] == own;
    ann.find(&room, typing).await;
    let reply = bob.say(&room, "ünïcode ☂").await;
    assert_eq!(ann.hears(&room).await["event_id"], reply.as_str());
    bob.edit(&room, &reply, "better").await;
    assert_eq!(ann.hears(&room).await["content"]["m.new_content"]["body"], "better");
    let file = ann.upload("a.txt", "text/plain", b"of some use").await;
    assert_eq!(bob.download(&file).await.body.as_ref(), b"of some use");
    let said: Vec<_> =
        bob.messages(&room).await.iter().map(|it| it["content"]["body"].clone()).collect();
    assert_eq!(said, ["hello", "ünïcode ☂", "* better"]);
    let (now, most) = (resident(server.pid()) >> 20, peak(server.pid()) >> 20);
    println!("started in {:?}; {now} MiB in RAM, {most} MiB at most", server.took());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_taken_once_and_a_kill_forgets_nothing() {
    let server = Synapse::start().await;
    let (ann, mut bob) = (server.person("ann").await, server.person("bob").await);
    let room = ann.room("garden", &[bob.id()]).await;
    bob.join(&room).await;
    let text = |text: &str| json!({"msgtype": "m.text", "body": text});
    let event = ann.send_as(&room, "key-1", &text("once")).await;
    assert_eq!(ann.send_as(&room, "key-1", &text("once")).await, event);
    let path = "v3/sync?timeout=0";
    let before = bob.ok(Method::GET, path, &json!(null)).await;
    server.kill();
    server.restart().await;
    assert_eq!(ann.send_as(&room, "key-1", &text("once")).await, event);
    assert_eq!(bob.messages(&room).await.len(), 1);
    let since = before["next_batch"].as_str().unwrap();
    let after = ann.send_as(&room, "key-2", &text("twice")).await;
    // From the same place the same comes each time.
    for _ in 0..2 {
        let path = format!("v3/sync?timeout=5000&since={since}");
        let new = bob.ok(Method::GET, &path, &json!(null)).await;
        let events = &new["rooms"]["join"][&room]["timeline"]["events"];
        assert_eq!(events.as_array().unwrap().last().unwrap()["event_id"], after.as_str());
    }
    assert_eq!(bob.hears(&room).await["content"]["body"], "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_share_one_and_each_has_people_of_its_own() {
    let (one, other) = tokio::join!(Synapse::shared(), Synapse::shared());
    assert_eq!(one.pid(), other.pid());
    assert_ne!(one.person("ann").await.id(), other.person("ann").await.id());
    let pid = one.pid();
    drop((one, other));
    assert!(!tests::is_alive(pid), "the last one puts out the light");
    assert_ne!(Synapse::shared().await.pid(), pid);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_too_often_is_told_so_in_both_forms() {
    let limit = json!({"rc_message": {"per_second": 0.05, "burst_count": 2}});
    let server = Synapse::start_with(limit).await;
    let ann = server.person("ann").await;
    let room = ann.room("garden", &[]).await;
    let body = json!({"msgtype": "m.text", "body": "again"});
    for key in 0.. {
        let path = format!("v3/rooms/{room}/send/m.room.message/{key}");
        let reply = ann.ask(Method::PUT, &path, &body).await;
        if reply.status == 429 {
            let told = reply.json();
            assert_eq!(told["errcode"], "M_LIMIT_EXCEEDED");
            let after: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
            let after_ms = told["retry_after_ms"].as_u64().unwrap();
            assert!(after >= 1 && after_ms.div_ceil(1000).abs_diff(after) <= 1, "{after} {told}");
            break;
        }
        assert!(reply.status == 200 && key < 10, "{}", reply.text());
    }
    let large = json!({"msgtype": "m.text", "body": "x".repeat(70_000)});
    let limited =
        ann.ask(Method::PUT, &format!("v3/rooms/{room}/send/m.room.message/x"), &large).await;
    assert!(limited.status == 413 || limited.status == 429, "{}", limited.text());
}
