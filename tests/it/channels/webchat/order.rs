//! What is to be said again is not overtaken by what its visitor says after it.

use super::{House, session};
use crate::delivery::seen::{Seen, settled};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_come_again_is_not_overtaken() {
    let house = House::build().await;
    let tenant = house.gateway.tenant("acme");
    let (site, _) = house.add("acme", &["--dm-policy", "open"]);
    let (mut page, mut other) = (site.new_visitor().await, site.new_visitor().await);
    house.gateway.json(&["tenants", "suspend", "acme"]);
    assert_eq!(page.say("m1", "one").await["type"], "later");
    house.gateway.json(&["tenants", "resume", "acme"]);
    let behind = page.say("m2", "two").await;
    assert_eq!(behind["type"], "later", "{behind}");
    assert!((1..=3_000).contains(&behind["ms"].as_u64().unwrap()), "{behind}");
    // Nobody else waits for it.
    assert_eq!(other.say("m2", "hello").await["type"], "kept");
    // Nor does it help to come through another line.
    let mut again = site.enter(serde_json::json!({"visitor": page.word})).await.unwrap();
    assert_eq!(again.say("m2", "two").await["type"], "later");
    assert_eq!(page.say("m1", "one").await["type"], "kept");
    assert_eq!(again.say("m2", "two").await["type"], "kept");
    assert_eq!(page.answers(2).await, ["one", "two"]);
    settled(&house.gateway, &tenant).await;
    let seen = Seen::of(&house.gateway, &tenant, &session(&page.id)).await;
    let asked = seen.messages.iter().filter(|(by, _)| by == "user").map(|(_, text)| text);
    assert_eq!(asked.collect::<Vec<_>>(), ["one", "two"]);
}
