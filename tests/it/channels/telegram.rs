//! Telegram by asking: one turn and one reply for each message, whatever comes twice, late or too early.

use std::time::Duration;

use serde_json::json;
use tests::telegram::Fault;

use super::house::{House, until};
use crate::delivery::seen::{Seen, rpc, settled};

#[tokio::test(flavor = "multi_thread")]
async fn each_message_has_one_turn_and_one_reply() {
    let house = House::build().await;
    let (tenant, token) = (house.gateway.tenant("acme"), house.telegram.bot(700, "helper_bot"));
    let added = house.add(&["acme"], &token, &["--dm-policy", "open"]);
    assert_eq!((&added["state"], &added["vendorId"]), (&json!("connected"), &json!("700")));
    assert!(added["path"].as_str().unwrap().starts_with("/in/telegram/"), "{added}");
    assert!(!added.to_string().contains(&token), "{added}");
    let mut last = 0;
    for said in ["one", "two & <three>", "four"] {
        last = house.telegram.write(&token, 7, said);
    }
    house.telegram.write(&token, 8, "other");
    let texts = house.texts(&token, 7, 3).await;
    assert_eq!(texts, ["one", "two &amp; &lt;three&gt;", "four"]);
    assert_eq!(house.texts(&token, 8, 1).await, ["other"]);
    let replies: Vec<_> = house.telegram.sent(&token).iter().filter_map(|it| it.reply).collect();
    assert_eq!(replies.len(), 4, "each answers its message");
    assert!(house.telegram.typing(&token) >= 1);
    // The same again, and an older one after a newer one.
    house.telegram.again(&token, last);
    house.telegram.again(&token, last - 2);
    house.telegram.write(&token, 7, "five");
    assert_eq!(house.texts(&token, 7, 4).await.len(), 4);
    house.heard(&token).await;
    settled(&house.gateway, &tenant).await;
    assert_eq!(house.telegram.texts(&token, 7).len(), 4, "none came twice");
    // A session for each person.
    let seen = Seen::of(&house.gateway, &tenant, "agent:main:telegram:bot:direct:7").await;
    assert_eq!((seen.messages.len(), seen.count("user", "other")), (8, 0), "{seen:?}");
    let other = Seen::of(&house.gateway, &tenant, "agent:main:telegram:bot:direct:8").await;
    assert_eq!(other.messages.len(), 2, "{other:?}");
    let status = rpc(&house.gateway, &tenant, "channels.status", json!({"probe": true})).await;
    let account = &status["channelAccounts"]["telegram"][0];
    assert_eq!((&account["state"], &account["probe"]["ok"]), (&json!("connected"), &json!(true)));
    for figure in ["lastInboundAt", "lastOutboundAt", "cursorAgeMs"] {
        assert!(account[figure].is_u64(), "{figure}: {account}");
    }
    let log = house.gateway.log().join("\n");
    assert!(!log.contains(&token) && !log.contains(&"A".repeat(35)), "a token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_answered_in_the_chat() {
    let house = House::build().await;
    let (tenant, token) = (house.gateway.tenant("acme"), house.telegram.bot(700, "helper_bot"));
    house.add(&["acme"], &token, &["--dm-policy", "open"]);
    house.telegram.write(&token, 7, "hello");
    house.texts(&token, 7, 1).await;
    for (count, (command, wanted)) in [
        ("/status", "agent:main:telegram:bot:direct:7"),
        ("/help", "/new"),
        ("/usage", "tokens"),
        ("/new@helper_bot", "new session"),
        ("/model", "Model:"),
    ]
    .into_iter()
    .enumerate()
    {
        house.telegram.write(&token, 7, command);
        let texts = house.texts(&token, 7, count + 2).await;
        assert!(texts.last().unwrap().contains(wanted), "{command}: {texts:?}");
    }
    settled(&house.gateway, &tenant).await;
    assert_eq!(house.provider.requests(), 1, "a model was asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_to_wait_waits_and_whoever_is_refused_says_so() {
    let house = House::build().await;
    let (tenant, token) = (house.gateway.tenant("acme"), house.telegram.bot(700, "helper_bot"));
    house.add(&["acme"], &token, &["--dm-policy", "open"]);
    house.telegram.fault(&token, 7, Fault::Wait(1));
    house.telegram.fault(&token, 7, Fault::Wait(2));
    let began = std::time::Instant::now();
    house.telegram.write(&token, 7, "patience");
    assert_eq!(house.texts(&token, 7, 1).await, ["patience"]);
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(house.telegram.attempts(&token), 3, "no attempt before its time");
    // Of a failure of theirs nobody knows whether it came before the message or after it.
    house.telegram.fault(&token, 8, Fault::Error);
    house.telegram.write(&token, 8, "unsure");
    house.telegram.fault(&token, 9, Fault::Forbidden);
    house.telegram.write(&token, 9, "blocked");
    settled(&house.gateway, &tenant).await;
    let mut states = Vec::new();
    for _ in 0..200 {
        let left = rpc(&house.gateway, &tenant, "outbox.list", json!({})).await;
        let all = left["intents"].as_array().unwrap().clone();
        states = all.iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect();
        states.sort_unstable();
        if states == ["failed", "unknown"] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(states, ["failed", "unknown"]);
    assert!(house.telegram.texts(&token, 8).is_empty(), "what is unsure is not sent again");
    house.telegram.write(&token, 7, "and on");
    assert_eq!(house.texts(&token, 7, 2).await[1], "and on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_back_shuts_its_account_and_no_other() {
    let house = House::build().await;
    house.gateway.tenant("acme");
    house.gateway.tenant("globex");
    let (token, other) = (house.telegram.bot(700, "a_bot"), house.telegram.bot(701, "b_bot"));
    house.add(&["acme"], &token, &["--dm-policy", "open"]);
    house.add(&["globex"], &other, &["--dm-policy", "open"]);
    house.heard(&token).await;
    house.telegram.revoke(&token);
    let shown = || house.gateway.json(&["channels", "list", "acme"])["channels"][0].clone();
    until("it is shut", || shown()["state"] == "shut").await;
    assert_eq!(shown()["credential"], "refused");
    let attempts = house.telegram.attempts(&token);
    house.telegram.write(&other, 7, "still here");
    assert_eq!(house.texts(&other, 7, 1).await, ["still here"]);
    assert_eq!(house.telegram.attempts(&token), attempts);
    let tested = house.gateway.json(&["channels", "test", "acme", "telegram", "--account", "bot"]);
    assert_eq!(tested["ok"], false, "{tested}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_one_account_in_the_whole_gateway() {
    let house = House::build().await;
    for tenant in ["acme", "globex"] {
        house.gateway.tenant(tenant);
    }
    let token = house.telegram.bot(700, "helper_bot");
    house.add(&["acme"], &token, &[]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &token).unwrap();
    let file = file.path().to_str().unwrap();
    let add = |tenant: &str, name: &str| {
        let args =
            ["channels", "add", tenant, "telegram", "--account", name, "--secret-file", file];
        house.gateway.cli(&args)
    };
    for (tenant, name) in [("globex", "bot"), ("acme", "second"), ("acme", "bot")] {
        let refused = add(tenant, name);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("registered already"), "{said}");
    }
    let removed =
        house.gateway.json(&["channels", "remove", "acme", "telegram", "--account", "bot"]);
    assert_eq!(removed["deleted"], true, "{removed}");
    let added = add("globex", "bot");
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    until("the new owner asks", || house.telegram.is_polled(&token)).await;
}
