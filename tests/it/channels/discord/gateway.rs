//! The gateway: hearts beat, sessions are taken up where they were, and nothing that is said in between is
//! lost.

use std::time::Duration;

use super::{House, POST, a_while};
use crate::delivery::seen::{announce_kills, settled};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lives_as_long_as_its_hearts_beat() {
    let house = House::build().await;
    house.discord.heartbeat(Duration::from_secs(1));
    house.join(&["--dm-policy", "open"]).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!((house.bot.connected(), house.bot.sessions()), (1, (1, 0)));
    // Nobody answers: the connection is dead, and another takes its place.
    house.bot.deafen(true);
    super::super::house::until("it is taken up", || house.bot.sessions().1 >= 1).await;
    house.bot.deafen(false);
    house.bot.say(&house.direct, &house.ann, "still there?");
    assert_eq!(house.bot.has_said(&house.direct, 1).await, ["still there?"]);
    assert_eq!(house.bot.sessions().0, 1, "of the same session");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_a_connection_ends_what_is_said_meanwhile_is_answered() {
    let house = House::build().await;
    house.join(&["--dm-policy", "open"]).await;
    let (bot, direct) = (&house.bot, &house.direct);
    let ends: [(&str, &dyn Fn()); 6] = [
        ("cut", &|| bot.cut()),
        ("reconnect", &|| bot.reconnect()),
        ("resumable", &|| bot.invalidate(true)),
        ("away", &|| bot.close(1001, "going away")),
        ("closed", &|| bot.close(1000, "")),
        ("unknown", &|| bot.close(4000, "We are not sure what went wrong.")),
    ];
    let mut texts = Vec::new();
    for (at, (name, end)) in ends.into_iter().enumerate() {
        bot.has_connected(1).await;
        end();
        bot.say(direct, &house.ann, name);
        texts.push(name);
        assert_eq!(bot.has_said(direct, at + 1).await, texts, "{name}");
    }
    bot.has_connected(1).await;
    assert_eq!(bot.sessions(), (1, 6), "one session, taken up each time");
    // One that is over is begun anew.
    let over: [&dyn Fn(); 2] = [&|| bot.invalidate(false), &|| bot.close(4009, "")];
    for (at, end) in over.into_iter().enumerate() {
        end();
        super::super::house::until("another is begun", || bot.sessions().0 == at + 2).await;
        bot.has_connected(1).await;
        bot.say(direct, &house.ann, "anew");
        bot.has_said(direct, at + 7).await;
    }
    settled(&house.ground.gateway, &house.tenant).await;
    house.ground.is_sent(&house.tenant).await;
    assert_eq!((house.texts(direct).len(), house.calls(POST)), (8, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_takes_up_its_session() {
    let mut house = House::build().await;
    announce_kills(&house.ground.gateway);
    house.join(&["--dm-policy", "open"]).await;
    house.bot.say(&house.direct, &house.ann, "before");
    house.bot.has_said(&house.direct, 1).await;
    settled(&house.ground.gateway, &house.tenant).await;
    house.bot.say(&house.direct, &house.ann, "between");
    tokio::task::block_in_place(|| house.ground.gateway.kill_supervisor_and_restart());
    house.bot.has_said(&house.direct, 2).await;
    house.bot.say(&house.direct, &house.ann, "after");
    assert_eq!(house.bot.has_said(&house.direct, 3).await, ["before", "between", "after"]);
    settled(&house.ground.gateway, &house.tenant).await;
    house.ground.is_sent(&house.tenant).await;
    assert_eq!((house.texts(&house.direct).len(), house.bot.sessions()), (3, (1, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_the_token_is_not_tried_again() {
    let house = House::build().await;
    house.join(&["--dm-policy", "open"]).await;
    for (code, why) in [(4004, "token"), (4014, "developer portal")] {
        let begun = house.bot.sessions();
        house.bot.close(code, "");
        house.ground.is("acme", "shut").await;
        a_while().await;
        assert_eq!((house.bot.connected(), house.bot.sessions()), (0, begun), "{code}");
        let account = house.ground.account("acme");
        assert!(account.to_string().contains(why), "{account}");
        house.ground.gateway.json(&["channels", "start", "acme", "discord", "--account", "bot"]);
        house.bot.has_connected(1).await;
    }
    // One that may not read what messages say is told so, and asks no more.
    house.bot.grant_content(false);
    house.bot.invalidate(false);
    house.ground.is("acme", "shut").await;
}
