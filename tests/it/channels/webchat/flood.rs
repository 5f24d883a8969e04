//! Whoever says too much, too long or nonsense is refused or ended, and holds up nobody.

use futures_util::StreamExt as _;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::House;

#[tokio::test(flavor = "multi_thread")]
async fn who_floods_waits_and_is_cut_and_others_are_answered() {
    let house = House::build().await;
    house.gateway.tenant("acme");
    let (site, _) = house.add("acme", &["--dm-policy", "disabled"]);
    let mut loud = site.new_visitor().await;
    let mut later = 0;
    // A minute may end in between: then there is room again.
    for n in 0..60 {
        let answer = loud.say(&format!("m{n}"), "x").await;
        later += usize::from(answer["type"] == "later");
        if later > 0 {
            let ms = answer["ms"].as_u64().unwrap();
            assert!(answer["type"] != "later" || (1..=60_000).contains(&ms), "{answer}");
        }
        if later > 5 {
            break;
        }
    }
    assert!(later > 5);
    let mut other = site.new_visitor().await;
    assert_eq!(other.say("m1", "x").await["type"], "refused", "by the policy, and at once");
    for n in 0..60 {
        loud.send(&format!("n{n}"), "x").await;
    }
    let ended = loud.ended().await;
    assert_eq!((ended.error["code"].as_str(), ended.code), (Some("many"), 4429), "{ended:?}");
    assert_eq!(other.say("m2", "x").await["type"], "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_frame_ends_the_page() {
    let house = House::build().await;
    house.gateway.tenant("acme");
    let (site, _) = house.add("acme", &["--dm-policy", "open"]);
    let own = format!("http://{}", house.gateway.address());
    let mut silent = site.knock(Some(&own)).await.unwrap();
    let long = json!({"type": "say", "message": {"id": "m", "text": "x".repeat(40_000)}});
    for (frame, code) in [
        ("", 4400),
        ("nonsense", 4400),
        (r#"{"type":"shout"}"#, 4400),
        (r#"{"type":"hello"}"#, 4400),
        (r#"{"type":"say","message":{"id":"a b"}}"#, 4400),
        (r#"{"type":"say","message":{"id":"m"},"room":"v2"}"#, 4400),
        (&long.to_string(), 1009),
    ] {
        let mut page = site.new_visitor().await;
        page.raw(frame).await;
        let ended = page.ended().await;
        assert_eq!(
            (ended.error["code"].as_str(), ended.code),
            (Some("frame"), code),
            "{frame:.60}"
        );
    }
    let mut page = site.new_visitor().await;
    page.raw(r#"{"type":"ping"}"#).await;
    page.until("pong").await.unwrap();
    let word = page.word.clone();
    let mut tabs = vec![page];
    for _ in 1..8 {
        tabs.push(site.enter(json!({"visitor": word})).await.unwrap());
    }
    let ended = site.enter(json!({"visitor": word})).await.unwrap_err();
    assert_eq!((ended.error["code"].as_str(), ended.code), (Some("many"), 4429));
    drop(tabs.pop());
    // Who says nothing at all is not waited for.
    let said = silent.next().await.unwrap().unwrap();
    let Message::Close(Some(close)) = said else { panic!("{said:?}") };
    assert_eq!(u16::from(close.code), 4408);
    // Its place is free when the gateway has heard of it.
    while site.enter(json!({"visitor": word})).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
