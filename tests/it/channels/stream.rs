//! An answer that is shown while it is written: one message, which the whole answer takes the place of.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::telegram::Fault;

use super::house::{House, held, until};
use crate::delivery::seen::{announce_kills, rpc, settled};

const SESSION: &str = "agent:main:telegram:bot:direct:7";

/// A gateway in which one message is being answered, as far as "so:".
async fn begun() -> (House, tests::Tenant, String) {
    let house = House::build().await;
    announce_kills(&house.gateway);
    let (tenant, token) = (house.gateway.tenant("acme"), house.telegram.bot(700, "helper_bot"));
    house.add(&["acme"], &token, &["--dm-policy", "open"]);
    let model = json!({"key": SESSION, "model": "test/bill"});
    rpc(&house.gateway, &tenant, "sessions.patch", model).await;
    house.telegram.write(&token, 7, &held("done"));
    house.shows(&token, 7, &["so:"]).await;
    // Telegram cannot be asked what became of it, so that it is written down first.
    is_sent(&house, &tenant).await;
    (house, tenant, token)
}

/// Waits until it is written down that everything is there, which people see before.
async fn is_sent(house: &House, tenant: &tests::Tenant) {
    for _ in 0..600 {
        let left = rpc(&house.gateway, tenant, "outbox.list", json!({})).await;
        if left["intents"] == json!([]) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("what was sent is not known to be there")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_grows_in_one_message() {
    let (house, tenant, token) = begun().await;
    let typing = house.telegram.typing(&token);
    until("typing is shown again", || house.telegram.typing(&token) > typing).await;
    house.provider.go_on(1);
    house.shows(&token, 7, &["so: done"]).await;
    settled(&house.gateway, &tenant).await;
    assert_eq!(house.telegram.attempts(&token), 1, "everything else were edits");
    assert_eq!(house.telegram.texts(&token, 7), ["so: done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_it_leaves_one_message() {
    for is_worker in [false, true] {
        let (mut house, tenant, token) = begun().await;
        if is_worker {
            let pid = house.gateway.worker_pid(&tenant);
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        } else {
            tokio::task::block_in_place(|| house.gateway.kill_supervisor_and_restart());
        }
        until("it is asked again", || house.provider.waiting() == 2).await;
        house.provider.go_on(2);
        house.shows(&token, 7, &["so: done"]).await;
        settled(&house.gateway, &tenant).await;
        assert_eq!(house.telegram.attempts(&token), 1, "worker: {is_worker}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_taken_away_is_said_anew() {
    let (house, tenant, token) = begun().await;
    house.telegram.remove(&token, 7);
    house.provider.go_on(1);
    house.shows(&token, 7, &["so: done"]).await;
    settled(&house.gateway, &tenant).await;
    assert_eq!(house.telegram.attempts(&token), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_which_nobody_hears_is_made_again() {
    let (house, tenant, token) = begun().await;
    house.telegram.fault(&token, 7, Fault::Error);
    house.provider.go_on(1);
    house.shows(&token, 7, &["so: done"]).await;
    settled(&house.gateway, &tenant).await;
    is_sent(&house, &tenant).await;
    assert_eq!(house.telegram.attempts(&token), 1);
}
