//! What Slack answers when it does not do what it is asked to.

use std::time::Instant;

use tests::networks::Failure;
use tests::networks::slack::App;

use super::House;
use crate::delivery::seen::settled;

const POST: &str = "chat.postMessage";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_to_wait_waits() {
    let house = House::build().await;
    house.by_http(&["--dm-policy", "open"]).await;
    let (app, direct) = (&house.app, &house.direct);
    for failure in [App::too_many(2), App::too_many_untimed(), App::too_many(1)] {
        app.fail(POST, &failure, 1);
    }
    let began = Instant::now();
    app.say(direct, &house.ann, "patience");
    assert_eq!(app.has_said(direct, 1).await, ["patience"]);
    assert!(began.elapsed().as_secs() >= 4, "{:?}", began.elapsed());
    house.ground.is_sent(&house.tenant).await;
    assert_eq!(house.calls(POST), 4, "no attempt before its time");
    assert_eq!(house.calls("conversations.history"), 0, "what is certain is not looked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_looked_for_and_not_sent_twice() {
    let house = House::build().await;
    house.by_http(&["--dm-policy", "open"]).await;
    let (app, direct) = (&house.app, &house.direct);
    // In a thread that is longer than a page, of which Slack shows the beginning first.
    let room = app.channel("garden");
    let first = app.say(&room, &house.ann, "a long story");
    for at in 0..210 {
        app.answer(&room, &first, &house.ann, &format!("chapter {at}"));
    }
    for failure in [Failure::CutAfter, Failure::CutWithin] {
        app.fail(POST, &failure, 1);
        let before = app.said(&room).len();
        app.answer(&room, &first, &house.ann, &house.named("what happened?"));
        app.has_said(&room, before + 1).await;
        settled(&house.ground.gateway, &house.tenant).await;
        house.ground.is_sent(&house.tenant).await;
        assert_eq!(app.said(&room).len(), before + 1);
    }
    assert_eq!(house.calls("conversations.replies"), 2);
    // Of one that did not arrive nobody knows it at once: it is looked for, and sent once more.
    for failure in [Failure::gateway(503), Failure::Cut] {
        app.fail(POST, &failure, 1);
        let before = app.said(direct).len();
        app.say(direct, &house.ann, "once more");
        app.has_said(direct, before + 1).await;
        house.ground.is_sent(&house.tenant).await;
        assert_eq!(app.said(direct).len(), before + 1);
    }
    assert_eq!(house.calls(POST), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_back_is_used_once_and_no_more() {
    let house = House::build().await;
    house.by_http(&["--dm-policy", "open"]).await;
    let (app, direct) = (&house.app, &house.direct);
    app.revoke(true);
    app.say(direct, &house.ann, "anybody?");
    house.ground.is("acme", "shut").await;
    let account = house.ground.account("acme");
    assert_eq!(account["credential"], "refused", "{account}");
    let calls = app.calls().len();
    assert_eq!(house.calls(POST), 1);
    // What comes in is kept, and nobody is asked anything.
    let ts = app.say(direct, &house.ann, "still nobody?");
    assert_eq!(house.is_heard(&ts).await, [0]);
    settled(&house.ground.gateway, &house.tenant).await;
    assert_eq!(app.calls().len(), calls);
    app.revoke(false);
    house.ground.gateway.json(&["channels", "start", "acme", "slack", "--account", "bot"]);
    assert_eq!(app.has_said(direct, 2).await, ["anybody?", "still nobody?"]);
    assert_eq!(house.ground.account("acme")["state"], "connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_refuses_is_no_reason_to_shut_an_account() {
    let house = House::build().await;
    house.by_http(&["--dm-policy", "open"]).await;
    let (app, direct) = (&house.app, &house.direct);
    let body = serde_json::json!({"ok": false, "error": "is_archived"});
    app.fail(POST, &Failure::json(200, &[], &body), 1);
    app.say(direct, &house.ann, "lost");
    settled(&house.ground.gateway, &house.tenant).await;
    house.ground.is_sent_but(&house.tenant, &["failed"]).await;
    app.say(direct, &house.ann, "found");
    assert_eq!(app.has_said(direct, 1).await, ["found"]);
    assert_eq!(house.calls(POST), 2);
}
