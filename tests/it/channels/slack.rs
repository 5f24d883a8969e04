//! Slack, by the Events API and through Socket Mode.

mod errors;
mod proof;
mod socket;

use serde_json::{Value, json};
use tests::Tenant;
use tests::networks::slack::{App, Slack};

use super::ground::Ground;
use super::house::until;
use crate::delivery::seen::{Seen, settled};

/// A tenant's app, and people who write to it.
struct House {
    slack: Slack,
    app: App,
    ground: Ground,
    tenant: Tenant,
    ann: String,
    /// Of ann and the app alone.
    direct: String,
}

impl House {
    async fn build() -> Self {
        let slack = Slack::start().await;
        let app = slack.app("helper");
        let ground = Ground::build(&[("slack", &slack.root())]).await;
        let tenant = ground.gateway.tenant("acme");
        let ann = app.person("ann");
        let direct = app.direct(&ann);
        Self { slack, app, ground, tenant, ann, direct }
    }

    /// Adds the app as an account of `acme`'s whose events come over HTTP; gives the address.
    async fn by_http(&self, more: &[&str]) -> String {
        let (token, secret) = (self.app.bot_token(), self.app.signing_secret());
        let vendor = format!("{}:{}", self.app.id(), self.app.team());
        let secrets = [("--secret-file", token), ("--inbound-secret-file", secret)];
        let more = [&["--vendor-id", &vendor, "--group-policy", "open"], more].concat();
        let added = self.ground.add(&["acme"], "slack", &secrets, &more);
        assert_eq!(added["state"], "connected", "{added}");
        let path = added["path"].as_str().unwrap();
        let url = format!("http://{}{path}", self.ground.gateway.address());
        self.app.events_to(&url).await.unwrap();
        url
    }

    /// The same through a socket.
    async fn by_socket(&self) {
        self.app.use_sockets();
        let vendor = format!("{}:{}", self.app.id(), self.app.team());
        let secrets = [
            ("--secret-file", self.app.bot_token()),
            ("--socket-secret-file", self.app.app_token()),
        ];
        let more = ["--vendor-id", &vendor, "--way", "socket", "--dm-policy", "open"];
        self.ground.add(&["acme"], "slack", &secrets, &more);
        self.app.has_sockets(1).await;
    }

    /// Waits until every event that tells of a message is taken; gives the numbers of the attempts.
    async fn is_heard(&self, ts: &str) -> Vec<u32> {
        let mut numbers = Vec::new();
        for event in self.app.events(ts) {
            numbers.extend(self.app.is_taken(&event).await.iter().map(|it| it.number));
        }
        numbers
    }

    fn named(&self, text: &str) -> String {
        format!("<@{}> {text}", self.app.user())
    }

    fn texts(&self, room: &str) -> Vec<Value> {
        self.app.said(room).iter().map(|it| it["text"].clone()).collect()
    }

    fn calls(&self, method: &str) -> usize {
        self.app.calls().iter().filter(|it| it.method == method).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_answered_once_and_in_their_order() {
    let house = House::build().await;
    house.by_http(&["--dm-policy", "open"]).await;
    assert_eq!(house.ground.worker("acme"), "stopped");
    let (app, direct, ann) = (&house.app, &house.direct, &house.ann);
    let first = app.say(direct, ann, "one");
    assert_eq!(house.is_heard(&first).await, [0], "in time, although a worker is to be started");
    for text in ["two & three", "four"] {
        app.say(direct, ann, text);
    }
    assert_eq!(app.has_said(direct, 3).await, ["one", "two &amp; three", "four"]);
    // The same again, and what comes out of its order.
    app.again(&app.events(&first)[0]);
    app.hold();
    let said = ["five", "six"].map(|it| app.say(direct, ann, it));
    app.release(|events| events.reverse());
    assert_eq!(app.has_said(direct, 5).await[3..], ["six", "five"]);
    for ts in said.iter().chain([&first]) {
        house.is_heard(ts).await;
    }
    settled(&house.ground.gateway, &house.tenant).await;
    assert_eq!(house.texts(direct).len(), 5, "none came twice");
    assert_eq!(house.calls("chat.postMessage"), 5);
    let session = format!("agent:main:slack:bot:direct:{}", ann.to_lowercase());
    let seen = Seen::of(&house.ground.gateway, &house.tenant, &session).await;
    assert_eq!((seen.messages.len(), seen.count("user", "one")), (10, 1), "{seen:?}");
    // Our own messages come back to us, and a command is answered.
    app.command(direct, ann, "/status", "");
    let texts = app.has_said(direct, 6).await;
    assert!(texts[5].contains(&session), "{texts:?}");
    let log = house.ground.gateway.log().join("\n");
    let secrets = [app.bot_token(), app.signing_secret()];
    assert!(!secrets.iter().any(|it| log.contains(it)), "a secret is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn among_others_whoever_names_us_is_answered_in_a_thread() {
    let house = House::build().await;
    house.by_http(&[]).await;
    let app = &house.app;
    let bob = app.person("bob");
    for room in [app.channel("garden"), app.group()] {
        let unheard = app.say(&room, &bob, "nobody asks the app");
        let asked = app.say(&room, &bob, &house.named("how are you?"));
        assert_eq!(app.has_said(&room, 1).await, ["how are you?"]);
        assert_eq!(app.said(&room)[0]["thread_ts"], asked.as_str());
        assert_eq!(app.events(&asked).len(), 2, "as a message and as a mention");
        let in_thread = app.answer(&room, &asked, &bob, &house.named("and now?"));
        assert_eq!(app.has_said(&room, 2).await[1], "and now?");
        assert_eq!(app.said(&room)[1]["thread_ts"], asked.as_str());
        let other = app.answer(&room, &asked, &bob, "nobody asks it here either");
        for ts in [&unheard, &asked, &in_thread, &other] {
            house.is_heard(ts).await;
        }
        settled(&house.ground.gateway, &house.tenant).await;
        assert_eq!(house.texts(&room).len(), 2);
    }
    // What is said instead of something older was answered when it was that.
    let room = app.channel("meadow");
    let ts = app.say(&room, &bob, &house.named("frist"));
    app.has_said(&room, 1).await;
    app.edit(&room, &ts, &house.named("first"));
    house.is_heard(&ts).await;
    settled(&house.ground.gateway, &house.tenant).await;
    assert_eq!(house.texts(&room), ["frist"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_acknowledged_in_time_whatever_its_turn_takes() {
    let house = House::build().await;
    house.by_http(&["--dm-policy", "open"]).await;
    let (app, direct, ann) = (&house.app, &house.direct, &house.ann);
    let session = format!("agent:main:slack:bot:direct:{}", ann.to_lowercase());
    let model = json!({"key": session, "model": "test/paced"});
    crate::delivery::seen::rpc(&house.ground.gateway, &house.tenant, "sessions.patch", model).await;
    // 40 words of 150 ms each: twice the time that Slack waits.
    let slow = vec!["word"; 40].join(" ");
    let ts = [app.say(direct, ann, &slow), app.say(direct, ann, "next")];
    for ts in &ts {
        assert_eq!(house.is_heard(ts).await, [0]);
    }
    let answer = slow.to_uppercase();
    assert!(!house.texts(direct).contains(&json!(answer)), "long before there is an answer");
    assert_eq!(app.has_said(direct, 2).await, [answer.as_str(), "NEXT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_told_how_one_is_let_in_and_names_prove_nothing() {
    let house = House::build().await;
    house.by_http(&[]).await;
    let (app, direct) = (&house.app, &house.direct);
    app.say(direct, &house.ann, "hello?");
    let told = app.has_said(direct, 1).await;
    let code = told[0].trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();
    let approved = ["channels", "approve", "acme", "slack", &code];
    assert_eq!(house.ground.gateway.json(&approved)["id"], house.ann.as_str());
    app.say(direct, &house.ann, "hello!");
    assert_eq!(app.has_said(direct, 2).await[1], "hello!");
    // Somebody who calls himself ann, whatever else he says of himself.
    let eve = app.person("ann");
    let room = app.direct(&eve);
    let names = json!({"username": "ann", "user_profile": {"id": house.ann, "name": "ann"},
        "user_id": house.ann, "authorizations": [{"user_id": house.ann}]});
    app.say_with(&room, &eve, "it is me, ann", names);
    assert!(app.has_said(&room, 1).await[0].starts_with("I do not know you yet."));
    // A program, and a program in ann's name.
    for program in [json!({"bot_id": "B1"}), json!({"subtype": "bot_message", "bot_id": "B1"})] {
        let ts = app.say_with(direct, &house.ann, "beep", program);
        house.is_heard(&ts).await;
    }
    settled(&house.ground.gateway, &house.tenant).await;
    assert_eq!(house.texts(direct).len(), 2);
    until("nobody else was answered", || house.ground.provider.requests() == 1).await;
    drop(house.slack);
}
