//! Pages of our own, without a browser: what the socket says to whoever speaks with it as a page does, or
//! as no page would.

mod files;
mod flood;
mod kill;
mod order;
mod strangers;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use tests::page::Site;
use tests::{Builder, Gateway, Provider};

use crate::delivery::seen::{Seen, settled};

pub(crate) struct House {
    pub(crate) provider: Provider,
    pub(crate) gateway: Gateway,
}

impl House {
    async fn build() -> Self {
        let provider = Provider::start().await;
        let gateway = Builder::default().config(provider.config()).start();
        Self { provider, gateway }
    }

    /// Makes a page; gives it, and its secret.
    fn add(&self, tenant: &str, more: &[&str]) -> (Site, String) {
        let mut args = vec!["channels", "add", tenant, "webchat"];
        args.extend(more);
        let added = self.gateway.json(&args);
        let secret = added["webhookSecret"].as_str().unwrap().to_owned();
        (Site::new(self.gateway.address(), &added), secret)
    }

    fn state(&self, tenant: &str) -> String {
        let shown = self.gateway.json(&["tenants", "show", tenant]);
        shown["state"].as_str().unwrap().to_owned()
    }
}

/// What a site says of its visitor.
fn signed(secret: &str, claims: &Value) -> Value {
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, claims.as_bytes());
    json!({"signed": format!("{claims}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))})
}

/// Seconds since the epoch, so much later.
fn in_seconds(more: i64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs().checked_add_signed(more).unwrap()
}

fn session(visitor: &str) -> String {
    format!("agent:main:webchat:default:direct:{visitor}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_is_answered_once_and_sees_it_again() {
    let mut house = House::build().await;
    let tenant = house.gateway.tenant("acme");
    let (site, _) = house.add("acme", &["--dm-policy", "open"]);
    let mut page = site.new_visitor().await;
    assert_eq!(page.say("m1", "hello there").await["type"], "kept");
    let typing = page.until("typing").await.unwrap();
    assert_eq!(typing["ms"], 5000, "while it is written");
    assert_eq!(page.answers(1).await, ["hello there"]);
    assert_eq!(page.items[&2]["replyTo"], "m1", "{:?}", page.items);
    // The same again, as after a line that broke before anything was heard of it; and from another tab.
    let known = json!({"visitor": page.word});
    assert_eq!(page.say("m1", "hello there").await["type"], "kept");
    let mut tab = site.enter(known.clone()).await.unwrap();
    assert_eq!((&tab.id, &tab.items, &tab.word), (&page.id, &page.items, &Value::Null));
    assert_eq!(tab.say("m2", "**two**").await["type"], "kept");
    assert_eq!(tab.answers(2).await, ["hello there", "**two**"]);
    assert_eq!(page.answers(2).await, ["hello there", "**two**"], "every tab shows it");
    assert_eq!((&page.items, page.shown("said").len()), (&tab.items, 2));
    settled(&house.gateway, &tenant).await;
    let seen = Seen::of(&house.gateway, &tenant, &session(&page.id)).await;
    assert_eq!((seen.count("user", "hello there"), seen.messages.len()), (1, 4), "{seen:?}");

    // Somebody else sees nothing of it, and nobody is woken by who only looks.
    let other = site.new_visitor().await;
    assert!(other.id != page.id && other.items.is_empty() && other.rev == 0);
    tokio::task::block_in_place(|| house.gateway.stop());
    tokio::task::block_in_place(|| house.gateway.restart());
    let mut back = site.enter(known.clone()).await.unwrap();
    assert_eq!((&back.items, back.anew), (&page.items, false));
    assert_eq!(house.state("acme"), "stopped");
    let since = site.enter(json!({"visitor": page.word, "after": back.rev})).await.unwrap();
    assert!(since.items.is_empty() && since.rev == back.rev, "{since:?}");
    let since = site.enter(json!({"visitor": page.word, "after": back.rev - 1})).await.unwrap();
    assert_eq!(since.items.len(), 1);
    let lost = site.enter(json!({"visitor": page.word, "after": 1000})).await.unwrap();
    assert_eq!((&lost.items, lost.anew), (&page.items, true));
    assert_eq!(back.say("m1", "hello there").await["type"], "kept");
    assert_eq!(back.say("m3", "three").await["type"], "kept");
    assert_eq!(back.answers(3).await[2], "three");
    settled(&house.gateway, &tenant).await;
    assert_eq!(house.provider.requests(), 3, "one turn each");

    // What is stopped and what is removed has no page, and those that were open are not any more.
    house.gateway.json(&["channels", "stop", "acme", "webchat"]);
    assert_eq!(back.ended().await.code, 1013);
    assert_eq!(site.knock(Some("http://x.example")).await.unwrap_err(), 404);
    house.gateway.json(&["channels", "start", "acme", "webchat"]);
    assert_eq!(site.enter(known.clone()).await.unwrap().items.len(), 6);
    house.gateway.json(&["channels", "remove", "acme", "webchat"]);
    assert_eq!(site.knock(Some("http://x.example")).await.unwrap_err(), 404);
    let (again, _) = house.add("acme", &["--dm-policy", "open"]);
    assert_eq!(again.enter(known).await.unwrap_err().error["code"], "visitor");
}
