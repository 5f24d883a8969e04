//! A homeserver that has us wait, that goes away, and that does not know us any more.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tests::provider::{Line, bill};

use super::{House, events, has_said, is_over, naming};
use crate::channels::house::until;
use crate::delivery::seen::rpc;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_to_wait_waits() {
    // Five at once, and one in two seconds after that.
    let limit = json!({"rc_message": {"per_second": 0.5, "burst_count": 5}});
    let house = House::build_with(limit).await;
    let acme = house.ground.gateway.tenant("acme");
    let bot = house.bot(&["acme"], &["--dm-policy", "open"]).await;
    let mut people = Vec::new();
    for name in ["ann", "bob", "eve"] {
        let person = house.server.person(name).await;
        let room = house.direct(&person, &bot).await;
        people.push((person, room));
    }
    for text in ["one", "two", "three"] {
        for (person, room) in &mut people {
            person.say(room, text).await;
        }
    }
    for (person, room) in &people {
        assert_eq!(has_said(person, room, &bot, 3).await, ["one", "two", "three"]);
    }
    is_over(&house, &[&acme]).await;
    for (person, room) in &people {
        assert_eq!(events(person, room, &bot).await.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_homeserver_that_goes_away_gets_its_answer_when_it_is_back() {
    let house = House::build().await;
    let acme = house.ground.gateway.tenant("acme");
    let bot = house.bot(&["acme"], &["--dm-policy", "open"]).await;
    let mut ann = house.server.person("ann").await;
    let room = house.direct(&ann, &bot).await;
    let session = format!("agent:main:matrix:bot:direct:{}", ann.id());
    let model = json!({"key": session, "model": "test/bill"});
    rpc(&house.ground.gateway, &acme, "sessions.patch", model).await;
    let end = [Line::say(" done"), Line::Stop, Line::used(1, 1), Line::Done];
    let text = bill(&[&[Line::say("so:"), Line::Wait], &end[..]].concat());
    ann.say(&room, &text).await;
    until("the model has begun", || house.ground.provider.waiting() == 1).await;
    house.server.kill();
    house.ground.provider.go_on(1);
    until("it waits", || house.ground.account("acme")["state"] == "failing").await;
    house.server.restart().await;
    // It may be shown while it is written.
    while has_said(&ann, &room, &bot, 1).await != ["so: done"] {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ann.say(&room, &bill(&end)).await;
    assert_eq!(has_said(&ann, &room, &bot, 2).await[1], " done".trim());
    is_over(&house, &[&acme]).await;
    assert_eq!(events(&ann, &room, &bot).await.len(), 2);
    assert_eq!(house.ground.account("acme")["state"], "connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_said_in_a_room_while_nobody_is_there_is_heard() {
    let mut house = House::build().await;
    let acme = house.ground.gateway.tenant("acme");
    let bot = house.bot(&["acme"], &["--dm-policy", "open", "--group-policy", "open"]).await;
    let (mut ann, mut bob) = (house.server.person("ann").await, house.server.person("bob").await);
    let room = ann.room("garden", &[bot.id(), bob.id()]).await;
    bob.join(&room).await;
    ann.sees_in(&room, &[ann.id(), bob.id(), bot.id()]).await;
    ann.send(&room, &naming(&bot, "before")).await;
    assert_eq!(has_said(&ann, &room, &bot, 1).await, ["before"]);
    is_over(&house, &[&acme]).await;
    tokio::task::block_in_place(|| house.ground.gateway.stop());
    // Many times over what one answer of the homeserver's has.
    for n in 0..130 {
        if n % 40 == 5 {
            ann.send(&room, &naming(&bot, &format!("number {n}"))).await;
        } else {
            bob.say(&room, &format!("among ourselves, {n}")).await;
        }
    }
    tokio::task::block_in_place(|| house.ground.gateway.restart());
    let all = ["before", "number 5", "number 45", "number 85", "number 125"];
    assert_eq!(has_said(&ann, &room, &bot, all.len()).await, all);
    is_over(&house, &[&acme]).await;
    assert_eq!(events(&ann, &room, &bot).await.len(), all.len());
    assert_eq!(house.ground.account("acme")["lost"], 0, "{}", house.ground.account("acme"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_back_shuts_its_account() {
    let house = House::build().await;
    house.ground.gateway.tenant("acme");
    let bot = house.bot(&["acme"], &["--dm-policy", "open"]).await;
    bot.ok(Method::POST, "v3/logout", &json!({})).await;
    house.ground.is("acme", "shut").await;
    let account = house.ground.account("acme");
    assert_eq!(account["credential"], "refused", "{account}");
    let tested = ["channels", "test", "acme", "matrix", "--account", "bot"];
    assert_eq!(house.ground.gateway.json(&tested)["ok"], false);
    // Nor is one made with a token that nobody knows.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "syt_nobody").unwrap();
    let (file, url) = (file.path().to_str().unwrap(), house.server.url());
    let refused = house.ground.gateway.cli(&[
        "channels",
        "add",
        "acme",
        "matrix",
        "--account",
        "other",
        "--server",
        &url,
        "--secret-file",
        file,
    ]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("does not know"), "{why}");
}
