//! Killed between what a visitor says and the answer: one turn, and one answer that is seen.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::provider::{Line, bill};

use super::{House, session};
use crate::channels::house::until;
use crate::delivery::seen::{Seen, announce_kills, rpc, settled};

/// An answer that waits in its middle until it is let go.
fn held() -> String {
    let lines = [Line::say("so:"), Line::Wait, Line::say(" done"), Line::Stop, Line::used(1, 1)];
    bill(&lines.into_iter().chain([Line::Done]).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_grows_where_it_stands() {
    let house = House::build().await;
    let tenant = house.gateway.tenant("acme");
    let (site, _) = house.add("acme", &["--dm-policy", "open"]);
    let mut page = site.new_visitor().await;
    let model = json!({"key": session(&page.id), "model": "test/bill"});
    rpc(&house.gateway, &tenant, "sessions.patch", model).await;
    assert_eq!(page.say("m1", &held()).await["type"], "kept");
    page.reads(&["so:"]).await;
    let places: Vec<_> = page.items.keys().copied().collect();
    house.provider.go_on(1);
    page.reads(&["so: done"]).await;
    settled(&house.gateway, &tenant).await;
    let again = site.enter(json!({"visitor": page.word})).await.unwrap();
    assert_eq!(again.items, page.items);
    assert_eq!(again.items.keys().copied().collect::<Vec<_>>(), places, "in its place");
}

async fn killed(supervisor: bool) {
    let mut house = House::build().await;
    announce_kills(&house.gateway);
    let tenant = house.gateway.tenant("acme");
    let (site, _) = house.add("acme", &["--dm-policy", "open"]);
    let mut page = site.new_visitor().await;
    let (known, session) = (json!({"visitor": page.word}), session(&page.id));
    let model = json!({"key": session, "model": "test/bill"});
    rpc(&house.gateway, &tenant, "sessions.patch", model).await;
    let text = held();
    assert_eq!(page.say("m1", &text).await["type"], "kept");
    until("the model has begun", || house.provider.waiting() == 1).await;
    if supervisor {
        tokio::task::block_in_place(|| house.gateway.kill_supervisor_and_restart());
        assert_eq!(page.ended().await.code, 0, "the line breaks");
        page = site.enter(known.clone()).await.unwrap();
        assert_eq!(page.shown("said"), [text.as_str()], "what was said is there");
    } else {
        let worker = house.gateway.worker_pid(&tenant);
        kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    }
    // The page has not heard that it is kept, for all it knows.
    assert_eq!(page.say("m1", &text).await["type"], "kept");
    until("it is asked again", || house.provider.waiting() == 2).await;
    house.provider.go_on(2);
    page.reads(&["so: done"]).await;
    settled(&house.gateway, &tenant).await;
    assert_eq!(page.say("m1", &text).await["type"], "kept");
    let page = site.enter(known).await.unwrap();
    assert_eq!((page.shown("said").len(), page.shown("message").len()), (1, 1));
    let seen = Seen::of(&house.gateway, &tenant, &session).await;
    assert_eq!((seen.count("user", &text), seen.messages.len()), (1, 2), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_turn_and_one_answer_although_the_supervisor_is_killed() {
    killed(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_turn_and_one_answer_although_the_worker_is_killed() {
    killed(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_while_no_page_is_open_is_there_when_one_is() {
    let mut house = House::build().await;
    announce_kills(&house.gateway);
    let tenant = house.gateway.tenant("acme");
    let (site, _) = house.add("acme", &["--dm-policy", "open"]);
    let mut page = site.new_visitor().await;
    let (known, session) = (json!({"visitor": page.word}), session(&page.id));
    let model = json!({"key": session, "model": "test/bill"});
    rpc(&house.gateway, &tenant, "sessions.patch", model).await;
    assert_eq!(page.say("m1", &held()).await["type"], "kept");
    until("the model has begun", || house.provider.waiting() == 1).await;
    drop(page);
    house.provider.go_on(1);
    settled(&house.gateway, &tenant).await;
    let mut page = site.enter(known.clone()).await.unwrap();
    page.reads(&["so: done"]).await;
    tokio::task::block_in_place(|| house.gateway.kill_supervisor_and_restart());
    let again = site.enter(known).await.unwrap();
    assert_eq!(again.items, page.items, "as it was");
}
