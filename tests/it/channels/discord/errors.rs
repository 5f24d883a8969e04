//! What Discord answers when it does not do what it is asked to, in each of its forms.

use std::time::{Duration, Instant};

use tests::networks::Failure;
use tests::networks::discord::{Bot, Call};

use super::{House, POST, a_while};
use crate::delivery::seen::settled;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_to_wait_waits_whoever_says_so() {
    let house = House::build().await;
    house.join(&["--dm-policy", "open"]).await;
    let (bot, direct) = (&house.bot, &house.direct);
    let half = Duration::from_millis(1500);
    let failures = [
        ("route", Bot::too_many(half, "user"), half),
        ("global", Bot::too_many(half, "global"), half),
        ("shared", Bot::too_many(half, "shared"), half),
        ("shut out", Bot::shut_out(2), Duration::from_secs(2)),
    ];
    for (at, (name, failure, wait)) in failures.into_iter().enumerate() {
        bot.fail(POST, &failure, 1);
        let began = Instant::now();
        bot.say(direct, &house.ann, name);
        assert_eq!(bot.has_said(direct, at + 1).await[at], name);
        assert!(began.elapsed() >= wait, "{name}: {:?}", began.elapsed());
        assert_eq!(house.calls(POST), 2 * (at + 1), "{name}: no attempt before its time");
    }
    // As Discord counts for itself: two in three seconds.
    bot.limit((2, Duration::from_secs(3)), 50);
    for text in ["a", "b", "c", "d", "e"] {
        bot.say(direct, &house.ann, text);
    }
    let said = bot.has_said(direct, 9).await;
    let session = format!("agent:main:discord:bot:direct:{}", house.ann);
    let seen =
        crate::delivery::seen::Seen::of(&house.ground.gateway, &house.tenant, &session).await;
    assert_eq!(said[4..], ["a", "b", "c", "d", "e"], "{seen:?}");
    house.ground.is_sent(&house.tenant).await;
    assert_eq!(house.texts(direct).len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_sent_again_and_there_once() {
    let house = House::build().await;
    house.join(&["--dm-policy", "open"]).await;
    let (bot, direct) = (&house.bot, &house.direct);
    let failures = [Failure::CutAfter, Failure::CutWithin, Failure::Cut, Failure::gateway(502)];
    for (at, failure) in failures.iter().enumerate() {
        bot.fail(POST, failure, 1);
        bot.say(direct, &house.ann, &format!("text {at}"));
        bot.has_said(direct, at + 1).await;
        settled(&house.ground.gateway, &house.tenant).await;
        house.ground.is_sent(&house.tenant).await;
        assert_eq!(house.texts(direct).len(), at + 1, "{failure:?}");
    }
    // With a cut answer goes what it says of the limit, so that one may be told to wait.
    let is_post = |it: &Call| it.route == POST && it.status != 429;
    let calls: Vec<_> = bot.calls().into_iter().filter(is_post).collect();
    assert_eq!(calls.len(), 8, "{calls:#?}");
    for pair in calls.chunks(2) {
        assert_eq!(pair[0].body["nonce"], pair[1].body["nonce"], "known by the same number");
        assert!(pair[0].body["nonce"].is_string() && pair[0].body["enforce_nonce"] == true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_back_is_used_once_and_no_more() {
    let house = House::build().await;
    house.join(&["--dm-policy", "open"]).await;
    let (bot, direct) = (&house.bot, &house.direct);
    let missing = serde_json::json!({"message": "Missing Access", "code": 50001});
    bot.fail(POST, &Failure::json(403, &[], &missing), 1);
    bot.say(direct, &house.ann, "lost");
    bot.say(direct, &house.ann, "found");
    assert_eq!(bot.has_said(direct, 1).await, ["found"], "a room that refuses shuts no account");
    house.ground.is_sent_but(&house.tenant, &["failed"]).await;
    bot.revoke(true);
    let before = house.discord.invalid();
    bot.say(direct, &house.ann, "anybody?");
    house.ground.is("acme", "shut").await;
    a_while().await;
    // One to show typing and one to answer at most.
    let refused = house.discord.invalid() - before;
    assert!((1..=2).contains(&refused), "{refused}");
    assert_eq!(bot.connected(), 0, "no socket is held for it");
    let account = house.ground.account("acme");
    assert_eq!(account["credential"], "refused", "{account}");
    bot.revoke(false);
    house.ground.gateway.json(&["channels", "start", "acme", "discord", "--account", "bot"]);
    assert_eq!(bot.has_said(direct, 2).await[1], "anybody?");
    assert_eq!(house.discord.invalid(), before + refused);
}
