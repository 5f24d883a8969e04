//! Where a bot goes, from when on it listens there, and how many have to be there before it has to be named.

use http::Method;
use serde_json::{Value, json};

use super::{House, events, has_said, is_over, naming};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_with_an_invitation_is_answered_and_what_was_said_before_is_not() {
    let house = House::build().await;
    let acme = house.ground.gateway.tenant("acme");
    let bot = house.server.person("bot").await;
    let mut ann = house.server.person("ann").await;
    // Before there is an account: in a room where the bot is, and with an invitation.
    let old = ann.room("old", &[bot.id()]).await;
    bot.join(&old).await;
    ann.send(&old, &naming(&bot, "long ago")).await;
    let early = ann.direct(bot.id()).await;
    ann.say(&early, "early").await;
    house.add(&["acme"], &bot, &["--dm-policy", "open", "--group-policy", "open"]);
    assert_eq!(has_said(&ann, &early, &bot, 1).await, ["early"]);
    // Of two it is a conversation with one.
    ann.say(&old, "now").await;
    assert_eq!(has_said(&ann, &old, &bot, 1).await, ["now"]);
    // A room with a history, into which it is asked later.
    let bob = house.server.person("bob").await;
    let room = ann.room("garden", &[bob.id()]).await;
    bob.join(&room).await;
    ann.send(&room, &naming(&bot, "before")).await;
    ann.invite(&room, bot.id()).await;
    ann.send(&room, &naming(&bot, "after")).await;
    assert_eq!(has_said(&ann, &room, &bot, 1).await, ["after"]);
    // While nobody is connected.
    house.ground.gateway.json(&["channels", "stop", "acme", "matrix", "--account", "bot"]);
    let late = ann.direct(bot.id()).await;
    ann.say(&late, "late").await;
    house.ground.gateway.json(&["channels", "start", "acme", "matrix", "--account", "bot"]);
    assert_eq!(has_said(&ann, &late, &bot, 1).await, ["late"]);
    is_over(&house, &[&acme]).await;
    for (room, count) in [(&old, 1), (&early, 1), (&room, 1), (&late, 1)] {
        assert_eq!(events(&ann, room, &bot).await.len(), count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_alone_with_the_bot_names_it() {
    let house = House::build().await;
    let acme = house.ground.gateway.tenant("acme");
    let bot = house.bot(&["acme"], &["--dm-policy", "open", "--group-policy", "open"]).await;
    let (mut ann, bob) = (house.server.person("ann").await, house.server.person("bob").await);
    let room = house.direct(&ann, &bot).await;
    ann.say(&room, "alone").await;
    assert_eq!(has_said(&ann, &room, &bot, 1).await, ["alone"]);
    ann.invite(&room, bob.id()).await;
    bob.join(&room).await;
    ann.say(&room, "bob, not the bot").await;
    ann.send(&room, &naming(&bot, "the bot")).await;
    assert_eq!(has_said(&ann, &room, &bot, 2).await[1], "the bot");
    bob.leave(&room).await;
    ann.say(&room, "may be of three").await;
    ann.send(&room, &naming(&bot, "named")).await;
    let mut count = 3;
    while has_said(&ann, &room, &bot, count).await.last().unwrap() != "named" {
        count += 1;
    }
    ann.say(&room, "alone again").await;
    assert_eq!(has_said(&ann, &room, &bot, count + 1).await[count], "alone again");
    is_over(&house, &[&acme]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_encrypted_nobody_goes_and_the_reason_is_said() {
    let house = House::build().await;
    let acme = house.ground.gateway.tenant("acme");
    let bot = house.bot(&["acme"], &["--dm-policy", "open"]).await;
    let mut ann = house.server.person("ann").await;
    let content = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    let encryption = json!({"type": "m.room.encryption", "state_key": "", "content": content});
    let body = json!({"is_direct": true, "preset": "trusted_private_chat", "invite": [bot.id()],
        "initial_state": [encryption]});
    let made = ann.ok(Method::POST, "v3/createRoom", &body).await;
    let room = made["room_id"].as_str().unwrap().to_owned();
    let id = bot.id().to_owned();
    let is_gone =
        |it: &Value| it["state_key"] == id.as_str() && it["content"]["membership"] == "leave";
    let gone = ann.find(&room, is_gone).await;
    let reason = gone["content"]["reason"].as_str().unwrap();
    assert!(reason.contains("cannot read encrypted rooms"), "{gone}");
    // One that becomes so is not read, and whatever else is goes on.
    let room = house.direct(&ann, &bot).await;
    ann.ok(Method::PUT, &format!("v3/rooms/{room}/state/m.room.encryption"), &content).await;
    let secret = json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s"});
    ann.ok(Method::PUT, &format!("v3/rooms/{room}/send/m.room.encrypted/1"), &secret).await;
    let other = house.direct(&ann, &bot).await;
    ann.say(&other, "in the open").await;
    assert_eq!(has_said(&ann, &other, &bot, 1).await, ["in the open"]);
    is_over(&house, &[&acme]).await;
    assert!(events(&ann, &room, &bot).await.is_empty());
}
