//! A row for each network: where it is, how one has an account there, who talks to it, and what that one
//! sees.

pub(super) mod irc;
pub(super) mod matrix_town;
pub(super) mod webchat;

use std::net::SocketAddr;

use tests::Tenant;
use tests::networks::Between;

use super::super::ground::Ground;
use super::super::house::until;

/// What the tests know of a network.
pub(super) trait Net: Sized {
    /// Its name.
    const NAME: &'static str;

    /// Whether it doubles what comes twice.
    const DOUBLES: bool = false;

    /// Whether it keeps nothing: what the bot has not heard is lost.
    const LOSES: bool = false;

    /// Whether an answer that cannot go waits in the outbox; else it is where it is to go already.
    const WAITS: bool = true;

    /// Tenants who have bots there.
    const TENANTS: &'static [&'static str] = &["acme"];

    /// Whose each conversation is: a place among them.
    const TALKS: &'static [usize] = &[0];

    /// Starts it, with bots and people.
    async fn start() -> Self;

    /// A gateway that reaches it, or that people reach, through what stands between.
    async fn ground(&self) -> (Between, Ground);

    /// Makes the accounts, whose root is that, and waits until events come.
    async fn join(&mut self, ground: &Ground, tenants: &[Tenant], root: &str);

    /// Waits until the bot hears what is said, where the network does not keep it.
    async fn is_there(&mut self) {}

    /// Somebody says something to the bot in a conversation; the network brings it until it is taken.
    async fn say(&mut self, talk: usize, text: &str);

    /// What is seen of the bot there.
    async fn said(&mut self, talk: usize) -> Vec<String>;

    /// The session of a conversation.
    fn session(&self, talk: usize) -> String;
}

/// A gateway whose network is there, and what stands between: it knows messages by their request's first
/// line, which has that.
async fn beyond(name: &str, address: SocketAddr, sends: &'static str) -> (Between, Ground) {
    let between = Between::start(address, sends).await;
    let ground = Ground::build(&[(name, &between.url())]).await;
    (between, ground)
}

/// The options of an account to which everybody may write.
const OPEN: [&str; 2] = ["--dm-policy", "open"];

fn session(network: &str, person: &str) -> String {
    format!("agent:main:{network}:bot:direct:{}", person.to_lowercase())
}

pub(super) mod telegram {
    use tests::Telegram;

    use super::*;

    pub(crate) struct Row(Telegram, String);

    impl Net for Row {
        const NAME: &'static str = "telegram";
        const DOUBLES: bool = true;

        async fn start() -> Self {
            let telegram = Telegram::start().await;
            let token = telegram.bot(700, "helper_bot");
            Self(telegram, token)
        }

        async fn ground(&self) -> (Between, Ground) {
            let address = self.0.url().trim_start_matches("http://").parse().unwrap();
            beyond(Self::NAME, address, "/sendMessage").await
        }

        async fn join(&mut self, ground: &Ground, _tenants: &[Tenant], _root: &str) {
            ground.add(&["acme"], Self::NAME, &[("--secret-file", &self.1)], &OPEN);
        }

        async fn say(&mut self, _talk: usize, text: &str) {
            self.0.write(&self.1, 7, text);
        }

        async fn said(&mut self, _talk: usize) -> Vec<String> {
            self.0.texts(&self.1, 7)
        }

        fn session(&self, _talk: usize) -> String {
            session(Self::NAME, "7")
        }
    }
}

pub(super) mod discord {
    use tests::networks::discord::{Bot, Discord};

    use super::*;

    pub(crate) struct Row {
        network: Discord,
        bot: Bot,
        person: String,
        room: String,
    }

    impl Net for Row {
        const NAME: &'static str = "discord";

        async fn start() -> Self {
            let network = Discord::start().await;
            let bot = network.bot("helper");
            let person = bot.person("ann");
            let room = bot.direct(&person);
            Self { network, bot, person, room }
        }

        async fn ground(&self) -> (Between, Ground) {
            beyond(Self::NAME, self.network.address(), "/messages").await
        }

        async fn join(&mut self, ground: &Ground, _tenants: &[Tenant], _root: &str) {
            ground.add(&["acme"], Self::NAME, &[("--secret-file", self.bot.token())], &OPEN);
            self.bot.has_connected(1).await;
        }

        async fn say(&mut self, _talk: usize, text: &str) {
            self.bot.say(&self.room, &self.person, text);
        }

        async fn said(&mut self, _talk: usize) -> Vec<String> {
            let said = self.bot.said(&self.room);
            said.iter().map(|it| it["content"].as_str().unwrap().to_owned()).collect()
        }

        fn session(&self, _talk: usize) -> String {
            session(Self::NAME, &self.person)
        }
    }
}

pub(super) mod slack_events {
    use std::time::Duration;

    use tests::networks::slack::{App, DEADLINE, Slack};

    use super::*;

    /// Slack's gaps between retries are minutes, and a gateway that is started again takes seconds.
    const GAPS: [Duration; 200] = [Duration::from_millis(200); 200];

    pub(crate) struct Row {
        network: Slack,
        pub(super) app: App,
        person: String,
        room: String,
    }

    impl Net for Row {
        const NAME: &'static str = "slack";

        async fn start() -> Self {
            let network = Slack::start().await;
            let app = network.app("helper");
            app.schedule(DEADLINE, &GAPS);
            let person = app.person("ann");
            let room = app.direct(&person);
            Self { network, app, person, room }
        }

        async fn ground(&self) -> (Between, Ground) {
            beyond(Self::NAME, self.network.address(), "/api/chat.postMessage").await
        }

        async fn join(&mut self, ground: &Ground, _tenants: &[Tenant], _root: &str) {
            let (token, secret) = (self.app.bot_token(), self.app.signing_secret());
            let vendor = format!("{}:{}", self.app.id(), self.app.team());
            let secrets = [("--secret-file", token), ("--inbound-secret-file", secret)];
            let more = [&OPEN[..], &["--vendor-id", &vendor]].concat();
            let added = ground.add(&["acme"], Self::NAME, &secrets, &more);
            let path = added["path"].as_str().unwrap();
            let url = format!("http://{}{path}", ground.gateway.address());
            self.app.events_to(&url).await.unwrap();
        }

        async fn say(&mut self, _talk: usize, text: &str) {
            self.app.say(&self.room, &self.person, text);
        }

        async fn said(&mut self, _talk: usize) -> Vec<String> {
            let said = self.app.said(&self.room);
            said.iter().map(|it| it["text"].as_str().unwrap().to_owned()).collect()
        }

        fn session(&self, _talk: usize) -> String {
            session(Self::NAME, &self.person)
        }
    }
}

pub(super) mod slack_socket {
    use super::*;

    pub(crate) struct Row(slack_events::Row);

    impl Net for Row {
        const NAME: &'static str = "slack";

        async fn start() -> Self {
            Self(slack_events::Row::start().await)
        }

        async fn ground(&self) -> (Between, Ground) {
            self.0.ground().await
        }

        async fn join(&mut self, ground: &Ground, _tenants: &[Tenant], _root: &str) {
            let app = &self.0.app;
            app.use_sockets();
            let vendor = format!("{}:{}", app.id(), app.team());
            let secrets =
                [("--secret-file", app.bot_token()), ("--socket-secret-file", app.app_token())];
            let more = [&OPEN[..], &["--vendor-id", &vendor, "--way", "socket"]].concat();
            ground.add(&["acme"], Self::NAME, &secrets, &more);
            app.has_sockets(1).await;
        }

        async fn say(&mut self, talk: usize, text: &str) {
            self.0.say(talk, text).await;
        }

        async fn said(&mut self, talk: usize) -> Vec<String> {
            self.0.said(talk).await
        }

        fn session(&self, talk: usize) -> String {
            self.0.session(talk)
        }
    }
}

pub(super) mod matrix {
    use tests::networks::synapse::{Person, Synapse};

    use super::*;
    use crate::channels::matrix::events;

    pub(crate) struct Row {
        server: Synapse,
        bot: Person,
        person: Person,
        room: String,
    }

    impl Net for Row {
        const NAME: &'static str = "matrix";

        async fn start() -> Self {
            let server = Synapse::start().await;
            let (bot, person) = (server.person("bot").await, server.person("ann").await);
            Self { server, bot, person, room: String::new() }
        }

        async fn ground(&self) -> (Between, Ground) {
            beyond(Self::NAME, self.server.address(), "/send/m.room.message/").await
        }

        async fn join(&mut self, ground: &Ground, _tenants: &[Tenant], root: &str) {
            let more = [&OPEN[..], &["--server", root]].concat();
            ground.add(&["acme"], Self::NAME, &[("--secret-file", self.bot.token())], &more);
            self.room = self.person.direct(self.bot.id()).await;
            self.person.sees_in(&self.room, &[self.bot.id(), self.person.id()]).await;
        }

        async fn say(&mut self, _talk: usize, text: &str) {
            self.person.say(&self.room, text).await;
        }

        async fn said(&mut self, _talk: usize) -> Vec<String> {
            let all = events(&self.person, &self.room, &self.bot).await;
            all.iter().map(|it| it["content"]["body"].as_str().unwrap().to_owned()).collect()
        }

        fn session(&self, _talk: usize) -> String {
            session(Self::NAME, self.person.id())
        }
    }
}

pub(super) mod webhook {
    use std::collections::BTreeSet;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use http::Method;
    use ring::hmac;
    use serde_json::json;
    use tests::Client;
    use tests::networks::{Receiver, Says};

    use super::*;

    pub(crate) struct Row {
        receiver: Receiver,
        gateway: SocketAddr,
        path: String,
        secret: String,
        count: usize,
    }

    impl Net for Row {
        const NAME: &'static str = "webhook";

        async fn start() -> Self {
            let receiver = Receiver::start(|_| Says::new(200, "")).await;
            let gateway = receiver.address();
            Self { receiver, gateway, path: String::new(), secret: String::new(), count: 0 }
        }

        async fn ground(&self) -> (Between, Ground) {
            beyond(Self::NAME, self.receiver.address(), "POST /events").await
        }

        async fn join(&mut self, ground: &Ground, _tenants: &[Tenant], root: &str) {
            let server = format!("{root}/events");
            let more = [&OPEN[..], &["--server", &server]].concat();
            let added = ground.add(&["acme"], Self::NAME, &[], &more);
            self.gateway = ground.gateway.address();
            self.path = added["path"].as_str().unwrap().to_owned();
            self.secret = added["webhookSecret"].as_str().unwrap().to_owned();
        }

        async fn say(&mut self, _talk: usize, text: &str) {
            self.count += 1;
            let id = format!("msg_{}", self.count);
            let data = json!({"conversation": {"id": "u1"}, "sender": {"id": "u1"}, "text": text});
            let body = json!({"type": "message", "data": data}).to_string();
            let (gateway, path, secret) = (self.gateway, self.path.clone(), self.secret.clone());
            drop(tokio::spawn(async move {
                while !is_taken(gateway, &path, (&secret, &id), &body).await {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }));
        }

        async fn said(&mut self, _talk: usize) -> Vec<String> {
            // Whoever takes one with an id that was there takes it for the same.
            let mut seen = BTreeSet::new();
            let came = self.receiver.came().into_iter();
            let new = came.filter(|it| seen.insert(it.header("webhook-id").to_owned()));
            new.map(|it| it.json()["data"]["text"].as_str().unwrap().to_owned()).collect()
        }

        fn session(&self, _talk: usize) -> String {
            session(Self::NAME, "u1")
        }
    }

    async fn is_taken(
        gateway: SocketAddr,
        path: &str,
        (secret, id): (&str, &str),
        body: &str,
    ) -> bool {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
        let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signature = hmac::sign(&key, format!("{id}.{time}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(signature));
        let client = Client::new(gateway, None)
            .header("webhook-id", id)
            .header("webhook-timestamp", &time)
            .header("webhook-signature", &signature)
            .header("content-type", "application/json");
        let reply = client.try_open(Method::POST, path, body.to_owned()).await;
        reply.is_ok_and(|it| it.status().is_success())
    }
}
