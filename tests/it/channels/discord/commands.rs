//! Interactions, posted to the gateway: whoever signs them is believed, and is answered in time.

use serde_json::json;
use tests::Client;
use tests::networks::discord::Interaction;

use super::{House, a_while};
use crate::delivery::seen::settled;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_answered_in_time_although_a_worker_is_to_be_started() {
    let house = House::build().await;
    let url = house.join(&["--dm-policy", "open"]).await;
    house.bot.interactions_to(&url).await.unwrap();
    assert_eq!(house.ground.worker("acme"), "stopped");
    let asked = house.bot.command(&house.direct, &house.ann, "status", &[]);
    let seen = house.bot.is_answered(&asked).await;
    let Interaction { status, kind, is_failed, .. } = seen;
    assert_eq!((status, kind, is_failed), (Some(200), Some(4), false));
    let texts = house.bot.has_said(&house.direct, 2).await;
    assert!(texts[1].contains("agent:main:discord:bot:direct:"), "{texts:?}");
    // With an option, among others.
    let room = house.bot.channel(&house.bot.guild("park"), "garden");
    let asked = house.bot.command(&room, &house.ann, "model", &[("name", "test/fixed")]);
    assert_eq!(house.bot.is_answered(&asked).await.kind, Some(4));
    let texts = house.bot.has_said(&room, 2).await;
    assert!(texts[1].contains("test/fixed"), "{texts:?}");
    house.bot.probe(&url).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_answered_where_no_address_is_set_for_it() {
    let house = House::build().await;
    house.join(&["--dm-policy", "open"]).await;
    let asked = house.bot.command(&house.direct, &house.ann, "status", &[]);
    let Interaction { status, kind, is_failed, .. } = house.bot.is_answered(&asked).await;
    assert_eq!((status, kind, is_failed), (None, Some(4), false));
    let texts = house.bot.has_said(&house.direct, 2).await;
    assert!(texts[1].contains("agent:main:discord:bot:direct:"), "{texts:?}");
    settled(&house.ground.gateway, &house.tenant).await;
    assert_eq!(house.texts(&house.direct).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_prove_it_learns_nothing_and_another_app_is_nobodys() {
    let house = House::build().await;
    let url = house.join(&["--dm-policy", "open"]).await;
    let other = house.discord.bot("other");
    let user = json!({"id": house.ann, "username": "ann"});
    let data = json!({"id": "1", "name": "status", "type": 1});
    let more = json!({"data": data, "channel_id": house.direct, "user": user});
    let body = house.bot.interaction(2, more).to_string();
    assert_eq!(house.bot.post(&url, &body, false).await.unwrap().0, 401, "a wrong signature");
    assert_eq!(other.post(&url, &body, true).await.unwrap().0, 401, "another's");
    let unsigned = Client::new(house.ground.gateway.address(), None);
    let path = format!("/in/{}", url.split_once("/in/").unwrap().1);
    let reply = unsigned.post(&path, &json!({"type": 1})).await;
    assert_eq!((reply.status.as_u16(), reply.text()), (401, String::new()));
    // Rightly signed, and another application's.
    let mut foreign: serde_json::Value = serde_json::from_str(&body).unwrap();
    foreign["application_id"] = other.id().into();
    house.bot.post(&url, &foreign.to_string(), true).await.unwrap();
    // Rightly signed, and what nobody can read.
    let (status, _) = house.bot.post(&url, "{\"type\":2", true).await.unwrap();
    assert_eq!(status, 400);
    a_while().await;
    assert_eq!(house.ground.worker("acme"), "stopped");
    // The same twice is one.
    for _ in 0..2 {
        assert_eq!(house.bot.post(&url, &body, true).await.unwrap().0, 200);
    }
    house.bot.has_said(&house.direct, 1).await;
    settled(&house.ground.gateway, &house.tenant).await;
    assert_eq!(house.texts(&house.direct).len(), 1);
}
