//! Discord, through its gateway and by interactions.

mod commands;
mod errors;
mod gateway;

use std::time::Duration;

use serde_json::Value;
use tests::Tenant;
use tests::networks::discord::{Bot, Discord};

use super::ground::Ground;
use crate::delivery::seen::{Seen, settled};

/// The route by which a message is sent.
const POST: &str = "POST /channels/*/messages";

/// A tenant's bot, and people who write to it.
struct House {
    discord: Discord,
    bot: Bot,
    ground: Ground,
    tenant: Tenant,
    ann: String,
    /// Of ann and the bot alone.
    direct: String,
}

impl House {
    async fn build() -> Self {
        let discord = Discord::start().await;
        let bot = discord.bot("helper");
        let ground = Ground::build(&[("discord", &discord.root())]).await;
        let tenant = ground.gateway.tenant("acme");
        let ann = bot.person("ann");
        let direct = bot.direct(&ann);
        Self { discord, bot, ground, tenant, ann, direct }
    }

    /// Adds the bot as an account of `acme`'s, and waits until it is connected; gives where interactions
    /// go.
    async fn join(&self, more: &[&str]) -> String {
        let key = self.bot.public_key();
        let secrets = [("--secret-file", self.bot.token()), ("--inbound-secret-file", &key)];
        let more = [&["--group-policy", "open"], more].concat();
        let added = self.ground.add(&["acme"], "discord", &secrets, &more);
        assert_eq!(added["vendorId"], self.bot.id(), "{added}");
        self.bot.has_connected(1).await;
        let path = added["path"].as_str().unwrap();
        format!("http://{}{path}", self.ground.gateway.address())
    }

    fn texts(&self, room: &str) -> Vec<Value> {
        self.bot.said(room).iter().map(|it| it["content"].clone()).collect()
    }

    fn calls(&self, route: &str) -> usize {
        self.bot.calls().iter().filter(|it| it.route == route).count()
    }

    fn named(&self, text: &str) -> String {
        format!("<@{}> {text}", self.bot.id())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_answered_once_and_in_their_order() {
    let house = House::build().await;
    house.join(&["--dm-policy", "open"]).await;
    let (bot, direct, ann) = (&house.bot, &house.direct, &house.ann);
    let mut asked = vec![bot.say(direct, ann, "one")];
    asked.push(bot.say(direct, ann, "two *and* three"));
    assert_eq!(bot.has_said(direct, 2).await, ["one", "two *and* three"]);
    for (said, asked) in bot.said(direct).iter().zip(&asked) {
        assert_eq!(said["message_reference"]["message_id"], asked.as_str(), "each answers its own");
    }
    assert!(bot.typing().contains(direct));
    // The same again, what comes out of its order, and what is said in the place of something older.
    bot.again(direct, &asked[0]);
    bot.hold();
    for text in ["five", "four"] {
        bot.say(direct, ann, text);
    }
    bot.release(|ids| ids.reverse());
    bot.edit(direct, &asked[0], "1");
    assert_eq!(bot.has_said(direct, 4).await[2..], ["four", "five"]);
    bot.say(direct, ann, "/status");
    let texts = bot.has_said(direct, 5).await;
    let session = format!("agent:main:discord:bot:direct:{ann}");
    assert!(texts[4].contains(&session), "{texts:?}");
    settled(&house.ground.gateway, &house.tenant).await;
    house.ground.is_sent(&house.tenant).await;
    assert_eq!(house.texts(direct).len(), 5, "none came twice");
    let seen = Seen::of(&house.ground.gateway, &house.tenant, &session).await;
    assert_eq!(seen.count("user", "one"), 1, "{seen:?}");
    let refused = |it: &tests::networks::discord::Call| it.route == POST && it.status != 200;
    assert!(!bot.calls().iter().any(refused), "the pace is kept");
    let log = house.ground.gateway.log().join("\n");
    assert!(!log.contains(bot.token()), "the token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn among_others_whoever_names_us_or_answers_us_is_answered() {
    let house = House::build().await;
    house.join(&[]).await;
    let bot = &house.bot;
    let room = bot.channel(&bot.guild("park"), "garden");
    bot.say(&room, &house.ann, "nobody asks the bot");
    bot.say(&room, &house.ann, "helper, do you hear me? I only call you by your name");
    let asked = bot.say(&room, &house.ann, &house.named("how are you?"));
    assert_eq!(bot.has_said(&room, 1).await, ["ann: how are you?"]);
    let own = bot.said(&room)[0].clone();
    assert_eq!(own["message_reference"]["message_id"], asked.as_str());
    bot.answer(&room, &asked, &house.ann, "one answers oneself");
    bot.answer(&room, own["id"].as_str().unwrap(), &house.ann, "and now?");
    assert_eq!(bot.has_said(&room, 2).await[1], "ann: and now?");
    settled(&house.ground.gateway, &house.tenant).await;
    assert_eq!(house.texts(&room).len(), 2);
    let session = format!("agent:main:discord:channel:{room}");
    let seen = Seen::of(&house.ground.gateway, &house.tenant, &session).await;
    assert_eq!(seen.messages.len(), 4, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_told_how_one_is_let_in_and_names_prove_nothing() {
    let house = House::build().await;
    house.join(&[]).await;
    let (bot, direct) = (&house.bot, &house.direct);
    bot.say(direct, &house.ann, "hello?");
    let told = bot.has_said(direct, 1).await;
    let code = told[0].trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();
    let approved = ["channels", "approve", "acme", "discord", &code];
    assert_eq!(house.ground.gateway.json(&approved)["id"], house.ann.as_str());
    bot.say(direct, &house.ann, "hello!");
    assert_eq!(bot.has_said(direct, 2).await[1], "hello!");
    let eve = bot.person("ann");
    let room = bot.direct(&eve);
    bot.say(&room, &eve, "it is me, ann");
    assert!(bot.has_said(&room, 1).await[0].starts_with("I do not know you yet."));
    // A program, and somebody who has written through a webhook.
    let author = serde_json::json!({"id": house.ann, "username": "ann", "bot": true});
    let more = serde_json::json!({"author": author, "webhook_id": "1"});
    bot.say_with(direct, &house.ann, "beep", more, Vec::new());
    bot.say(direct, &house.ann, "and on");
    assert_eq!(bot.has_said(direct, 3).await[2], "and on");
    settled(&house.ground.gateway, &house.tenant).await;
    assert_eq!((house.ground.provider.requests(), house.texts(direct).len()), (2, 3));
}

/// Long enough for something to be there that must not be.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}
