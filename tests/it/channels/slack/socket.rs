//! Socket Mode: what comes through a socket is acknowledged when it is kept, and one socket follows the
//! other.

use std::time::Duration;

use tests::networks::Failure;
use tests::networks::slack::App;

use super::super::house::until;
use super::House;
use crate::delivery::seen::{announce_kills, settled};

/// Gaps between retries that a test can wait for: Slack's own are minutes.
const SOON: [Duration; 100] = [Duration::from_millis(200); 100];

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_through_a_socket_is_answered_whichever_socket_it_is() {
    let house = House::build().await;
    house.app.schedule(tests::networks::slack::DEADLINE, &SOON);
    house.by_socket().await;
    let (app, direct, ann) = (&house.app, &house.direct, &house.ann);
    let ts = app.say(direct, ann, "one");
    assert_eq!(house.is_heard(&ts).await, [0]);
    assert_eq!(app.has_said(direct, 1).await, ["one"]);
    app.disconnect("refresh_requested").await;
    app.say(direct, ann, "two");
    assert_eq!(app.has_said(direct, 2).await[1], "two");
    app.has_sockets(1).await;
    app.cut().await;
    app.say(direct, ann, "three");
    assert_eq!(app.has_said(direct, 3).await[2], "three");
    // Whatever cannot be read ends the socket, and no more than that.
    app.has_sockets(1).await;
    app.tell_sockets("no frame").await;
    app.say(direct, ann, "four");
    assert_eq!(app.has_said(direct, 4).await[3], "four");
    let trigger = app.command(direct, ann, "/status", "");
    app.is_taken(&trigger).await;
    assert!(app.has_said(direct, 5).await[4].contains("agent:main:slack:bot:direct:"));
    app.again(&app.events(&ts)[0]);
    settled(&house.ground.gateway, &house.tenant).await;
    assert_eq!(house.texts(direct).len(), 5, "none came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_takes_up_what_it_had_not_acknowledged() {
    let mut house = House::build().await;
    announce_kills(&house.ground.gateway);
    house.app.schedule(tests::networks::slack::DEADLINE, &SOON);
    house.by_socket().await;
    house.app.say(&house.direct, &house.ann, "before");
    house.app.has_said(&house.direct, 1).await;
    settled(&house.ground.gateway, &house.tenant).await;
    house.app.say(&house.direct, &house.ann, "between");
    tokio::task::block_in_place(|| house.ground.gateway.kill_supervisor_and_restart());
    house.app.has_said(&house.direct, 2).await;
    house.app.say(&house.direct, &house.ann, "after");
    assert_eq!(house.app.has_said(&house.direct, 3).await, ["before", "between", "after"]);
    house.app.has_sockets(1).await;
    settled(&house.ground.gateway, &house.tenant).await;
    house.ground.is_sent(&house.tenant).await;
    assert_eq!(house.texts(&house.direct).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_socket_is_asked_for_before_its_time_and_none_where_it_is_switched_off() {
    let house = House::build().await;
    let open = "apps.connections.open";
    for failure in [App::too_many(2), Failure::gateway(502), Failure::Cut] {
        house.app.fail(open, &failure, 1);
    }
    let began = std::time::Instant::now();
    house.by_socket().await;
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(house.calls(open), 4);
    house.app.disconnect("link_disabled").await;
    house.ground.is("acme", "shut").await;
    assert_eq!(house.calls(open), 4);
    house.app.use_sockets();
    house.ground.gateway.json(&["channels", "start", "acme", "slack", "--account", "bot"]);
    house.app.has_sockets(1).await;
    // A token that was taken back, heard of by a call: no socket is held for it any more.
    house.app.revoke(true);
    house.app.say(&house.direct, &house.ann, "anybody?");
    house.ground.is("acme", "shut").await;
    until("the socket is ended", || house.app.sockets() == 0).await;
    assert_eq!(house.calls(open), 5);
}
