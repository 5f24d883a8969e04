//! Strangers: told how one is let in, once, and nothing is started for them.

use serde_json::json;

use super::house::House;
use crate::delivery::seen::rpc;

/// The code in an answer to a stranger.
fn code(text: &str) -> String {
    let code = text.trim_end_matches('.').rsplit(' ').next().unwrap();
    assert!(code.len() == 8 && code.bytes().all(|it| it.is_ascii_alphanumeric()), "{text}");
    code.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_the_pairing_answer_and_nothing_else() {
    let house = House::build().await;
    let (tenant, token) = (house.gateway.tenant("acme"), house.telegram.bot(700, "helper_bot"));
    house.add(&["acme"], &token, &[]);
    // Three who never come back keep no fourth out, nor do sixty.
    for user in 100..160 {
        house.telegram.write(&token, user, "let me in");
    }
    house.telegram.write(&token, 7, "hello?");
    let told = house.texts(&token, 7, 1).await;
    assert!(told[0].starts_with("I do not know you yet."), "{told:?}");
    for again in ["hello?", "HELLO", "/status"] {
        house.telegram.write(&token, 7, again);
    }
    house.heard(&token).await;
    assert_eq!(house.telegram.texts(&token, 7), told, "once");
    assert_eq!(house.state("acme"), "stopped", "nobody was woken");
    assert_eq!(house.provider.requests(), 0);
    let waiting = house.gateway.json(&["channels", "approve", "acme"]);
    let waits = waiting["requests"].as_array().unwrap().iter().any(|it| it["id"] == "7");
    assert!(waits && !waiting.to_string().contains(&code(&told[0])), "{waiting}");

    // Somebody else's code and a wrong one let nobody in.
    house.gateway.tenant("globex");
    for (tenant, code) in [("globex", code(&told[0])), ("acme", "ABCDEFGH".to_owned())] {
        let refused = house.gateway.cli(&["channels", "approve", tenant, "telegram", &code]);
        assert_eq!(refused.status.code(), Some(4), "{tenant}");
    }
    let approved = ["channels", "approve", "acme", "telegram", &code(&told[0]).to_lowercase()];
    assert_eq!(house.gateway.json(&approved)["id"], "7");
    house.telegram.write(&token, 7, "hello!");
    assert_eq!(house.texts(&token, 7, 2).await[1], "hello!");
    // Who was let in is who has this number: a name proves nothing.
    assert_eq!(house.telegram.texts(&token, 100).len(), 1);
    let listed = rpc(&house.gateway, &tenant, "channels.pairing.list", json!({})).await;
    let listed = listed["requests"].as_array().unwrap();
    assert!(listed.iter().all(|it| it["id"] != "7"), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_policies_say_nothing_to_strangers() {
    let house = House::build().await;
    house.gateway.tenant("acme");
    let (listed, shut) = (house.telegram.bot(700, "a_bot"), house.telegram.bot(701, "b_bot"));
    house.add(&["acme"], &listed, &["--dm-policy", "allowlist", "--allow-from", "7"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &shut).unwrap();
    let file = file.path().to_str().unwrap();
    let add = ["channels", "add", "acme", "telegram", "--account", "shut", "--secret-file", file];
    let add: Vec<_> = add.into_iter().chain(["--dm-policy", "disabled"]).collect();
    house.gateway.json(&add);
    for user in [7, 8] {
        house.telegram.write(&listed, user, "hello");
        house.telegram.write(&shut, user, "hello");
    }
    assert_eq!(house.texts(&listed, 7, 1).await, ["hello"]);
    for token in [&listed, &shut] {
        house.heard(token).await;
    }
    assert!(house.telegram.texts(&listed, 8).is_empty());
    assert!(house.telegram.sent(&shut).is_empty());
    // Among others it answers nobody who has not named it, and nowhere but where it may.
    house.telegram.write_in(&listed, -100, 7, "@a_bot hello");
    house.heard(&listed).await;
    assert!(house.telegram.texts(&listed, -100).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_group_it_answers_whoever_names_it() {
    let house = House::build().await;
    house.gateway.tenant("acme");
    let token = house.telegram.bot(700, "helper_bot");
    house.add(&["acme"], &token, &["--group", "-100200"]);
    house.telegram.write_in(&token, -100_200, 7, "what do you all think?");
    house.telegram.write_in(&token, -100_200, 8, "@helper_bot what do you think?");
    let texts = house.texts(&token, -100_200, 1).await;
    assert!(texts[0].contains("what do you think?"), "{texts:?}");
    house.heard(&token).await;
    assert_eq!(house.telegram.texts(&token, -100_200).len(), 1);
}
