//! Matrix, against a genuine homeserver.

mod rooms;
mod trouble;

use std::time::Duration;

use serde_json::{Value, json};
use tests::Tenant;
use tests::networks::synapse::{Person, Synapse};

use super::ground::Ground;
use crate::delivery::seen::{Seen, settled};

/// A homeserver, and a gateway that reaches it.
struct House {
    server: Synapse,
    ground: Ground,
}

impl House {
    async fn build() -> Self {
        Self::build_with(json!({})).await
    }

    /// With other settings of the homeserver.
    async fn build_with(settings: Value) -> Self {
        let server = Synapse::start_with(settings).await;
        let ground = Ground::build(&[("matrix", &server.url())]).await;
        Self { server, ground }
    }

    /// A new user of the homeserver that is an account of whoever.
    async fn bot(&self, whose: &[&str], more: &[&str]) -> Person {
        let bot = self.server.person("bot").await;
        self.add(whose, &bot, more);
        bot
    }

    fn add(&self, whose: &[&str], bot: &Person, more: &[&str]) {
        let url = self.server.url();
        let more = [&["--server", &url], more].concat();
        let added = self.ground.add(whose, "matrix", &[("--secret-file", bot.token())], &more);
        assert_eq!(added["vendorId"], bot.id(), "{added}");
    }

    /// A conversation of two, once the bot is in it.
    async fn direct(&self, person: &Person, bot: &Person) -> String {
        let room = person.direct(bot.id()).await;
        person.sees_in(&room, &[bot.id(), person.id()]).await;
        room
    }
}

/// What people see that somebody has said in a room: events with what they say now.
pub(crate) async fn events(reader: &Person, room: &str, who: &Person) -> Vec<Value> {
    let all = reader.messages(room).await;
    let mut seen: Vec<Value> = Vec::new();
    for event in all.into_iter().filter(|it| it["sender"] == who.id()) {
        let relation = &event["content"]["m.relates_to"];
        let is_edit = relation["rel_type"] == "m.replace";
        let of = |it: &&mut Value| is_edit && it["event_id"] == relation["event_id"];
        match seen.iter_mut().find(of) {
            Some(before) => {
                let first = before["content"]["m.relates_to"].take();
                before["content"] = event["content"]["m.new_content"].clone();
                before["content"]["m.relates_to"] = first;
            }
            None => seen.push(event),
        }
    }
    seen
}

/// Waits until somebody has said so much in a room; gives the texts.
pub(crate) async fn has_said(
    reader: &Person,
    room: &str,
    who: &Person,
    count: usize,
) -> Vec<String> {
    for _ in 0..1200 {
        let said = events(reader, room, who).await;
        if said.len() >= count {
            let text = |it: &Value| it["content"]["body"].as_str().unwrap().to_owned();
            return said.iter().map(text).collect();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} has not said so much: {:?}", who.id(), events(reader, room, who).await);
}

/// A text that names somebody as clients do: beside it.
pub(crate) fn naming(who: &Person, text: &str) -> Value {
    json!({"msgtype": "m.text", "body": text, "m.mentions": {"user_ids": [who.id()]}})
}

async fn is_over(house: &House, tenants: &[&Tenant]) {
    for tenant in tenants {
        settled(&house.ground.gateway, tenant).await;
        house.ground.is_sent(tenant).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_have_a_bot_each_and_share_a_room() {
    let house = House::build().await;
    let gateway = &house.ground.gateway;
    let (acme, globex) = (gateway.tenant("acme"), gateway.tenant("globex"));
    let open = ["--dm-policy", "open", "--group-policy", "open"];
    let (one, two) = (house.bot(&["acme"], &open).await, house.bot(&["globex"], &open).await);
    let (mut ann, mut bob) = (house.server.person("ann").await, house.server.person("bob").await);
    let (to_one, to_two) = (house.direct(&ann, &one).await, house.direct(&bob, &two).await);
    let asked = ann.say(&to_one, "hello *you*").await;
    bob.say(&to_two, "hello").await;
    assert_eq!(has_said(&ann, &to_one, &one, 1).await, ["hello you"]);
    assert_eq!(has_said(&bob, &to_two, &two, 1).await, ["hello"]);
    let answer = events(&ann, &to_one, &one).await[0]["content"].clone();
    assert_eq!(answer["m.relates_to"]["m.in_reply_to"]["event_id"], asked.as_str());
    assert!(answer["formatted_body"].as_str().unwrap().contains("<em>you</em>"), "{answer}");

    let room = ann.room("garden", &[bob.id(), one.id(), two.id()]).await;
    bob.join(&room).await;
    ann.sees_in(&room, &[ann.id(), bob.id(), one.id(), two.id()]).await;
    bob.say(&room, "nobody is asked, bot").await;
    let first = bob.send(&room, &naming(&one, "one, are you there?")).await;
    assert_eq!(has_said(&ann, &room, &one, 1).await, ["one, are you there?"]);
    let mut in_thread = naming(&two, "two, and you?");
    in_thread["m.relates_to"] = json!({"rel_type": "m.thread", "event_id": first,
        "is_falling_back": true, "m.in_reply_to": {"event_id": first}});
    let asked = bob.send(&room, &in_thread).await;
    assert_eq!(has_said(&ann, &room, &two, 1).await, ["two, and you?"]);
    let relation = events(&ann, &room, &two).await[0]["content"]["m.relates_to"].clone();
    assert_eq!((&relation["rel_type"], &relation["event_id"]), (&json!("m.thread"), &json!(first)));
    assert_eq!(relation["m.in_reply_to"]["event_id"], asked.as_str());
    is_over(&house, &[&acme, &globex]).await;
    let said = (events(&ann, &room, &one).await.len(), events(&ann, &room, &two).await.len());
    assert_eq!(said, (1, 1), "none answers for the other, or what nobody asked");
    for (tenant, person, own, foreign) in
        [(&acme, &ann, "hello *you*", "hello"), (&globex, &bob, "hello", "hello *you*")]
    {
        let session = format!("agent:main:matrix:bot:direct:{}", person.id());
        let seen = Seen::of(gateway, tenant, &session).await;
        assert_eq!((seen.count("user", own), seen.count("user", foreign)), (1, 0), "{seen:?}");
    }
    let log = gateway.log().join("\n");
    assert!(!log.contains(one.token()) && !log.contains(two.token()), "a token is in the log");
    // The same user is one account, whichever of its tokens it has.
    let file = tempfile::NamedTempFile::new().unwrap();
    let login = json!({"type": "m.login.password", "password": one.password(),
        "identifier": {"type": "m.id.user", "user": one.id()}});
    let second = one.ok(http::Method::POST, "v3/login", &login).await;
    std::fs::write(file.path(), second["access_token"].as_str().unwrap()).unwrap();
    let (file, url) = (file.path().to_str().unwrap(), house.server.url());
    let refused = gateway.cli(&[
        "channels",
        "add",
        "globex",
        "matrix",
        "--account",
        "second",
        "--server",
        &url,
        "--secret-file",
        file,
    ]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("registered already"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_share_one_bot() {
    let house = House::build().await;
    let gateway = &house.ground.gateway;
    let (acme, globex) = (gateway.tenant("acme"), gateway.tenant("globex"));
    let bot = house.bot(&["--shared"], &[]).await;
    let (mut ann, mut bob) = (house.server.person("ann").await, house.server.person("bob").await);
    let (of_ann, of_bob) = (house.direct(&ann, &bot).await, house.direct(&bob, &bot).await);
    ann.say(&of_ann, "hello").await;
    assert!(has_said(&ann, &of_ann, &bot, 1).await[0].contains("Send me the code"));
    assert_eq!(house.ground.worker("acme"), "stopped", "nobody is woken");
    let code = house.ground.pair(&acme, "matrix", false).await;
    ann.say(&of_ann, &code).await;
    assert!(has_said(&ann, &of_ann, &bot, 2).await[1].starts_with("Welcome"));
    let code = house.ground.pair(&globex, "matrix", false).await;
    bob.say(&of_bob, &code.to_lowercase()).await;
    assert!(has_said(&bob, &of_bob, &bot, 1).await[0].starts_with("Welcome"));
    ann.say(&of_ann, "to acme").await;
    bob.say(&of_bob, "to globex").await;
    assert_eq!(has_said(&ann, &of_ann, &bot, 3).await[2], "to acme");
    assert_eq!(has_said(&bob, &of_bob, &bot, 2).await[1], "to globex");
    // A room is bound by one who is bound, with a code of the same tenant's.
    let room = ann.room("garden", &[bob.id(), bot.id()]).await;
    bob.join(&room).await;
    ann.sees_in(&room, &[ann.id(), bob.id(), bot.id()]).await;
    let code = house.ground.pair(&acme, "matrix", true).await;
    bob.send(&room, &naming(&bot, &code)).await;
    assert!(has_said(&ann, &room, &bot, 1).await[0].contains("not good"), "it is another's");
    ann.send(&room, &naming(&bot, &code)).await;
    assert!(has_said(&ann, &room, &bot, 2).await[1].starts_with("Welcome"));
    bob.send(&room, &naming(&bot, "whose are you?")).await;
    assert_eq!(has_said(&ann, &room, &bot, 3).await[2], "whose are you?");
    is_over(&house, &[&acme, &globex]).await;
    for (tenant, person, own, foreign) in
        [(&acme, &ann, "to acme", "to globex"), (&globex, &bob, "to globex", "to acme")]
    {
        let session = format!("agent:main:matrix:shared.bot:direct:{}", person.id());
        let seen = Seen::of(gateway, tenant, &session).await;
        assert_eq!((seen.count("user", own), seen.count("user", foreign)), (1, 0), "{seen:?}");
    }
    assert_eq!(house.ground.provider.requests(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_told_how_one_is_let_in_and_names_prove_nothing() {
    let house = House::build().await;
    let acme = house.ground.gateway.tenant("acme");
    let bot = house.bot(&["acme"], &[]).await;
    let (mut ann, mut eve) = (house.server.person("ann").await, house.server.person("eve").await);
    let room = house.direct(&ann, &bot).await;
    ann.say(&room, "hello?").await;
    let told = has_said(&ann, &room, &bot, 1).await;
    let code = told[0].trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();
    let approved = ["channels", "approve", "acme", "matrix", &code];
    assert_eq!(house.ground.gateway.json(&approved)["id"], ann.id());
    ann.say(&room, "hello!").await;
    assert_eq!(has_said(&ann, &room, &bot, 2).await[1], "hello!");
    eve.call_oneself(ann.id()).await;
    let other = house.direct(&eve, &bot).await;
    eve.say(&other, "it is me, ann").await;
    assert!(has_said(&eve, &other, &bot, 1).await[0].starts_with("I do not know you yet."));
    // What programs say is answered by nobody.
    ann.send(&room, &json!({"msgtype": "m.notice", "body": "beep"})).await;
    ann.say(&room, "and on").await;
    assert_eq!(has_said(&ann, &room, &bot, 3).await[2], "and on");
    is_over(&house, &[&acme]).await;
    assert_eq!(house.ground.provider.requests(), 2);
}
