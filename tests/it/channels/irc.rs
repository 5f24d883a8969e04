//! IRC, written from `docs/channels/writing-an-adapter.md`, against a genuine server.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::networks::ircd::{Ircd, PASSWORD, Person};
use tests::{Builder, Gateway, Provider};

use super::house::held;
use crate::delivery::seen::{Seen, announce_kills, rpc, settled};

struct House {
    provider: Provider,
    server: Ircd,
    gateway: Gateway,
}

impl House {
    async fn build() -> Self {
        let (provider, server) = (Provider::start().await, Ircd::start());
        let root = format!("irc://{}", server.address());
        let channels = json!({"channels": {"irc": {"apiRoot": root}}});
        let gateway = Builder::default().config(provider.config_with(channels)).start();
        Self { provider, server, gateway }
    }

    fn add(&self, tenant: &str, more: &[&str]) -> Value {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{PASSWORD}\n")).unwrap();
        let file = file.path().to_str().unwrap();
        let args = ["channels", "add", tenant, "irc", "--account", tenant, "--secret-file", file];
        self.gateway.json(&args.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    }

    /// A person who sees that the account is there.
    async fn person(&self, nick: &str, account: &str) -> Person {
        let mut person = self.server.person(nick).await;
        for _ in 0..600 {
            person.send(&format!("ISON {account}")).await;
            if person.until("303").await.params.last().unwrap().contains(account) {
                return person;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{account} does not come")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_talks_with_one_and_among_others() {
    let mut house = House::build().await;
    for tenant in ["acme", "globex"] {
        house.gateway.tenant(tenant);
        house.add(tenant, &["--dm-policy", "open", "--group", "#garden", "--group-policy", "open"]);
    }
    let mut ann = house.person("ann", "acme").await;
    ann.say("acme", "hello").await;
    assert_eq!(ann.hears("ann").await, ("acme".to_owned(), "hello".to_owned()));
    ann.join("#garden").await;
    ann.say("#garden", "is somebody there?").await;
    ann.say("#garden", "globex: you?").await;
    let (from, text) = ann.hears("#garden").await;
    assert!(from == "globex" && text.contains("you?"), "{from}: {text}");
    // What is longer than a line comes in several.
    let long = "word ".repeat(80);
    ann.say("acme", &long).await;
    let mut heard = String::new();
    while heard.split_whitespace().count() < 80 {
        let (from, text) = ann.hears("ann").await;
        assert_eq!(from, "acme");
        heard = format!("{heard} {text}");
    }
    // A server that is gone for a while is found again.
    house.server.kill();
    house.server.restart();
    let mut bob = house.person("bob", "acme").await;
    bob.say("acme", "again").await;
    assert_eq!(bob.hears("bob").await.1, "again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_lets_nobody_in() {
    let house = House::build().await;
    house.gateway.tenant("acme");
    house.add("acme", &[]);
    let mut ann = house.person("ann", "acme").await;
    ann.say("acme", "hello").await;
    let (_, told) = ann.hears("ann").await;
    assert!(told.starts_with("I do not know you"), "{told}");
    assert_eq!(house.provider.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_costs_no_answer_and_doubles_none() {
    for is_worker in [false, true] {
        let mut house = House::build().await;
        announce_kills(&house.gateway);
        let tenant = house.gateway.tenant("acme");
        house.add("acme", &["--dm-policy", "open"]);
        let session = "agent:main:irc:acme:direct:ann";
        let model = json!({"key": session, "model": "test/bill"});
        rpc(&house.gateway, &tenant, "sessions.patch", model).await;
        let mut ann = house.person("ann", "acme").await;
        let text = held("done");
        ann.say("acme", &text).await;
        super::house::until("the model has begun", || house.provider.waiting() == 1).await;
        if is_worker {
            kill(Pid::from_raw(house.gateway.worker_pid(&tenant)), Signal::SIGKILL).unwrap();
        } else {
            tokio::task::block_in_place(|| house.gateway.kill_supervisor_and_restart());
        }
        super::house::until("it is asked again", || house.provider.waiting() == 2).await;
        house.provider.go_on(2);
        assert_eq!(ann.hears("ann").await.1, "so: done", "worker: {is_worker}");
        settled(&house.gateway, &tenant).await;
        let seen = Seen::of(&house.gateway, &tenant, session).await;
        assert_eq!((seen.count("user", &text), seen.messages.len()), (1, 2), "{seen:?}");
        ann.say("acme", &held("and on")).await;
        super::house::until("the next is asked", || house.provider.waiting() == 3).await;
        house.provider.go_on(1);
        assert_eq!(ann.hears("ann").await.1, "so: and on", "nothing came twice before it");
    }
}
