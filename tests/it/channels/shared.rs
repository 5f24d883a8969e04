//! One bot of two tenants: each brings in its own by codes, and no code of one leads to the other.

use serde_json::json;
use tests::Tenant;

use super::house::House;
use crate::delivery::seen::{Seen, rpc};

async fn pair(house: &House, tenant: &Tenant) -> String {
    let params = json!({"channel": "telegram", "accountId": "bot"});
    let code = rpc(&house.gateway, tenant, "channels.pair", params).await;
    let text = code["code"].as_str().unwrap().to_owned();
    let link = format!("https://t.me/helper_bot?start={text}");
    assert_eq!(code["link"], link, "{code}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_share_one_bot() {
    let house = House::build().await;
    let (acme, globex) = (house.gateway.tenant("acme"), house.gateway.tenant("globex"));
    let token = house.telegram.bot(700, "helper_bot");
    house.add(&["--shared"], &token, &[]);
    let own = rpc(&house.gateway, &acme, "channels.list", json!({})).await;
    assert_eq!(own["accounts"], json!([]), "it is nobody's own");

    // Whoever is bound to nobody reaches nobody.
    house.telegram.write(&token, 7, "hello");
    let told = house.texts(&token, 7, 1).await;
    assert!(told[0].contains("Send me the code"), "{told:?}");
    house.heard(&token).await;
    assert_eq!((house.state("acme"), house.state("globex")), ("stopped".into(), "stopped".into()));

    let (of_acme, of_globex) = (pair(&house, &acme).await, pair(&house, &globex).await);
    house.telegram.write(&token, 7, &format!("/start {of_acme}"));
    house.telegram.write(&token, 8, &of_globex.to_lowercase());
    assert!(house.texts(&token, 7, 2).await[1].starts_with("Welcome"));
    assert!(house.texts(&token, 8, 1).await[0].starts_with("Welcome"));
    // A code is good once, and for nobody a second time.
    house.telegram.write(&token, 9, &of_acme);
    assert!(house.texts(&token, 9, 1).await[0].contains("not good"));

    house.telegram.write(&token, 7, "to acme");
    house.telegram.write(&token, 8, "to globex");
    assert_eq!(house.texts(&token, 7, 3).await[2], "to acme");
    assert_eq!(house.texts(&token, 8, 2).await[1], "to globex");
    for (tenant, user, own, foreign) in
        [(&acme, 7, "to acme", "to globex"), (&globex, 8, "to globex", "to acme")]
    {
        let session = format!("agent:main:telegram:shared.bot:direct:{user}");
        let seen = Seen::of(&house.gateway, tenant, &session).await;
        assert_eq!((seen.count("user", own), seen.count("user", foreign)), (1, 0), "{seen:?}");
    }

    // Whoever is acme's does not become globex's by a code of globex's, which stays good.
    let second = pair(&house, &globex).await;
    house.telegram.write(&token, 7, &second);
    house.telegram.write(&token, 7, "still acme's");
    assert_eq!(house.texts(&token, 7, 5).await[4], "still acme's");
    let seen = Seen::of(&house.gateway, &globex, "agent:main:telegram:shared.bot:direct:7").await;
    assert!(seen.messages.is_empty(), "{seen:?}");

    // One that is suspended keeps back none of the other's.
    house.gateway.cli(&["tenants", "suspend", "globex"]);
    house.telegram.write(&token, 8, "anybody?");
    house.telegram.write(&token, 7, "go on");
    assert_eq!(house.texts(&token, 7, 6).await[5], "go on");
    house.heard(&token).await;
    assert_eq!(house.telegram.texts(&token, 8).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_bound_by_one_who_is_bound() {
    let house = House::build().await;
    let (acme, globex) = (house.gateway.tenant("acme"), house.gateway.tenant("globex"));
    let token = house.telegram.bot(700, "helper_bot");
    house.add(&["--shared"], &token, &[]);
    let (of_acme, of_globex) = (pair(&house, &acme).await, pair(&house, &globex).await);
    house.telegram.write(&token, 7, &of_acme);
    house.telegram.write(&token, 8, &of_globex);
    house.texts(&token, 7, 1).await;
    house.texts(&token, 8, 1).await;
    let params = json!({"channel": "telegram", "accountId": "bot", "group": true});
    let code = rpc(&house.gateway, &acme, "channels.pair", params).await;
    let code = code["code"].as_str().unwrap();
    // Globex's member cannot bring acme's group in, nor can a stranger.
    for user in [8, 9] {
        house.telegram.write_in(&token, -5, user, &format!("@helper_bot /bind {code}"));
    }
    house.heard(&token).await;
    house.telegram.write_in(&token, -5, 7, &format!("@helper_bot /bind {code}"));
    let texts = house.texts(&token, -5, 1).await;
    let welcome = async |count: usize| house.texts(&token, -5, count).await;
    let bound = texts.iter().position(|it| it.starts_with("Welcome"));
    let count = match bound {
        Some(at) => at + 1,
        None => welcome(texts.len() + 1).await.len(),
    };
    // Whoever writes there now, it is acme's.
    house.telegram.write_in(&token, -5, 8, "@helper_bot who answers?");
    let texts = welcome(count + 1).await;
    assert!(texts.last().unwrap().contains("who answers?"), "{texts:?}");
    let seen = Seen::of(&house.gateway, &acme, "agent:main:telegram:group:-5").await;
    assert_eq!(seen.messages.len(), 2, "{seen:?}");
}
