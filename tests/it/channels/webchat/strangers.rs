//! Who may write, who is who, and from where: nobody takes another's place.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Client, page};

use super::{House, in_seconds, signed};
use crate::channels::house::until;
use crate::delivery::seen::settled;

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_the_pairing_answer_and_is_let_in_by_its_code() {
    let house = House::build().await;
    let tenant = house.gateway.tenant("acme");
    let (site, secret) = house.add("acme", &[]);
    let mut page = site.new_visitor().await;
    let refused = page.say("m1", "let me in").await;
    assert_eq!(
        (&refused["type"], &refused["why"]),
        (&json!("refused"), &json!("you are not known here yet"))
    );
    let told = page.answers(1).await;
    assert!(told[0].starts_with("I do not know you yet."), "{told:?}");
    assert_eq!(page.say("m2", "hello?").await["type"], "refused");
    assert_eq!(page.say("m3", "HELLO").await["type"], "refused");
    let known = json!({"visitor": page.word});
    assert_eq!(site.enter(known.clone()).await.unwrap().shown("message"), told, "once, and kept");
    assert_eq!(house.state("acme"), "stopped", "nobody was woken");
    assert_eq!(house.provider.requests(), 0);
    let code = told[0].trim_end_matches('.').rsplit(' ').next().unwrap();
    let approved = house.gateway.json(&["channels", "approve", "acme", "webchat", code]);
    assert_eq!(approved["id"], page.id);
    assert_eq!(page.say("m1", "hello!").await["type"], "kept", "the same, which was not read yet");
    assert_eq!(page.answers(2).await[1], "hello!");

    // Who was let in is who has this word: another is another, also one for whom the site signs.
    let claims = json!({"id": "u-17", "expires": in_seconds(60)});
    let mut other = site.enter(signed(&secret, &claims)).await.unwrap();
    assert_eq!((other.id.as_str(), other.items.len()), ("u-17", 0));
    assert_eq!(other.say("m4", "hello!").await["type"], "refused");
    assert!(other.answers(1).await[0].starts_with("I do not know you yet."));
    settled(&house.gateway, &tenant).await;
    assert_eq!(house.provider.requests(), 1);

    // A code that the tenant gives out lets in whoever sends it, once.
    let code = house.gateway.json(&["channels", "pair", "acme", "webchat"])["code"].clone();
    let code = code.as_str().unwrap();
    let mut third = site.new_visitor().await;
    assert_eq!(third.say("m1", code).await["type"], "kept", "it is used up");
    assert!(third.answers(1).await[0].starts_with("Welcome."));
    assert_eq!(third.say("m2", "and I?").await["type"], "kept");
    assert_eq!(third.answers(2).await[1], "and I?");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_policies_let_in_who_is_listed_or_nobody() {
    let house = House::build().await;
    house.gateway.tenant("acme");
    let listed = ["--account", "listed", "--dm-policy", "allowlist", "--allow-from", "u-17"];
    let (site, secret) = house.add("acme", &listed);
    let claims = |id: &str| json!({"id": id, "name": "Ann", "expires": in_seconds(60)});
    let mut ann = site.enter(signed(&secret, &claims("u-17"))).await.unwrap();
    assert_eq!(ann.say("m1", "hello").await["type"], "kept");
    assert_eq!(ann.answers(1).await, ["hello"]);
    for hello in [json!({}), signed(&secret, &claims("u-18"))] {
        let mut page = site.enter(hello).await.unwrap();
        let refused = page.say("m1", "hello").await;
        assert_eq!((&refused["type"], page.items.len()), (&json!("refused"), 0), "{refused}");
    }
    let (site, _) = house.add("acme", &["--account", "shut", "--dm-policy", "disabled"]);
    let mut page = site.new_visitor().await;
    assert_eq!(page.say("m1", "hello").await["type"], "refused");
    let only = ["--account", "only", "--dm-policy", "open", "--signed-only"];
    let (site, secret) = house.add("acme", &only);
    assert_eq!(site.enter(json!({})).await.unwrap_err().error["code"], "unsigned");
    site.enter(signed(&secret, &claims("u-1"))).await.unwrap();
    assert_eq!(house.provider.requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_anothers_place() {
    let house = House::build().await;
    house.gateway.tenant("acme");
    house.gateway.tenant("globex");
    let (site, secret) = house.add("acme", &["--dm-policy", "open"]);
    let (second, _) = house.add("acme", &["--account", "second", "--dm-policy", "open"]);
    let (foreign, other_secret) = house.add("globex", &["--dm-policy", "open"]);
    let mut page = site.new_visitor().await;
    assert_eq!(page.say("m1", "between us").await["type"], "kept");
    page.answers(1).await;
    let word = page.word.as_str().unwrap().to_owned();
    let claims = json!({"id": "u-17", "expires": in_seconds(60)});
    let good = signed(&secret, &claims);
    site.enter(good.clone()).await.unwrap();

    let mut forged = word.clone().into_bytes();
    forged[40] = if forged[40] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let check = async |site: &page::Site, hello: Value, code: &str| {
        let ended = site.enter(hello.clone()).await.unwrap_err();
        assert_eq!((ended.error["code"].as_str(), ended.code), (Some(code), 4401), "{hello}");
    };
    check(&site, json!({"visitor": forged}), "visitor").await;
    check(&site, json!({"visitor": ""}), "visitor").await;
    check(&site, json!({"visitor": page.id}), "visitor").await;
    check(&second, json!({"visitor": word}), "visitor").await;
    check(&foreign, json!({"visitor": word}), "visitor").await;
    check(&second, good.clone(), "signature").await;
    check(&site, signed(&other_secret, &claims), "signature").await;
    check(&site, json!({"signed": word}), "signature").await;
    check(&site, json!({"visitor": good["signed"]}), "visitor").await;
    check(&site, signed(&secret, &json!({"id": page.id, "expires": in_seconds(60)})), "signature")
        .await;
    check(&site, signed(&secret, &json!({"id": "u-17", "expires": in_seconds(-1)})), "expired")
        .await;
    let long = json!({"id": "u-17", "expires": in_seconds(31 * 86_400)});
    check(&site, signed(&secret, &long), "expired").await;

    // A visitor for whom the site has signed is there as long as that is good.
    let short = signed(&secret, &json!({"id": "u-17", "expires": in_seconds(2)}));
    let ended = site.enter(short).await.unwrap().ended().await;
    assert_eq!((ended.error["code"].as_str(), ended.code), (Some("expired"), 4401));
    // What a frame says of a visitor is not believed.
    let frame = json!({"type": "say", "message": {"id": "m2", "text": "x", "visitor": "u-17"}});
    page.raw(&frame.to_string()).await;
    assert_eq!(page.until("refused").await.unwrap()["id"], "m2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_the_accounts_and_stands_where_it_may() {
    let house = House::build().await;
    house.gateway.tenant("acme");
    let shop = ["--dm-policy", "open", "--origin", "https://Shop.example/"];
    let (site, _) = house.add("acme", &shop);
    let address = house.gateway.address();
    for (origin, want) in [
        (Some(format!("http://{address}")), None),
        (Some("https://shop.example".to_owned()), None),
        (Some("https://evil.example".to_owned()), Some(StatusCode::FORBIDDEN)),
        (Some("https://shop.example.evil.example".to_owned()), Some(StatusCode::FORBIDDEN)),
        (Some("null".to_owned()), Some(StatusCode::FORBIDDEN)),
        (None, Some(StatusCode::FORBIDDEN)),
    ] {
        assert_eq!(site.knock(origin.as_deref()).await.err(), want, "{origin:?}");
    }
    let client = Client::new(address, None);
    let page = client.get(site.path()).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.ends_with("frame-ancestors https://shop.example"), "{policy}");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert!(page.text().contains("page.js") && !page.headers.contains_key("x-frame-options"));
    for name in [
        "page.css",
        "page.js",
        "kept.js",
        "line.js",
        "files.js",
        "message.js",
        "markdown.js",
        "icon.svg",
        "embed.js",
    ] {
        let file = client.get(&format!("{}{name}", site.path())).await;
        assert_eq!(file.status, 200, "{name}");
        let known = Client::new(address, None)
            .header("if-none-match", file.headers["etag"].to_str().unwrap());
        let again = known.get(&format!("{}{name}", site.path())).await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{name}");
    }
    let at = site.path().trim_end_matches('/');
    let moved = client.get(at).await;
    assert_eq!(
        (moved.status.as_u16(), &moved.headers["location"]),
        (308, &site.path().parse().unwrap())
    );
    for (method, path, want) in [
        (Method::GET, format!("{at}/nothing.js"), 404),
        (Method::GET, format!("{at}x/"), 404),
        (Method::GET, "/chat//".to_owned(), 404),
        (Method::GET, format!("{at}/../page.js"), 404),
        (Method::DELETE, format!("{at}/page.js"), 405),
        (Method::GET, format!("{at}/say"), 405),
    ] {
        let reply = client.send(method, &path, "").await;
        assert_eq!(reply.status.as_u16(), want, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_one_tenants_and_stands_in_no_site_unless_it_is_named() {
    let house = House::build().await;
    house.gateway.tenant("acme");
    let client = Client::new(house.gateway.address(), None);
    let (alone, _) = house.add("acme", &["--account", "alone"]);
    let page = client.get(alone.path()).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
    for args in [
        &["channels", "add", "--shared", "webchat"][..],
        &["channels", "add", "acme", "webchat", "--account", "x", "--origin", "*"],
        &["channels", "add", "acme", "webchat", "--account", "x", "--server", "http://a.example"],
        &["channels", "add", "acme", "webhook", "--account", "x", "--origin", "https://a.example"],
    ] {
        let output = house.gateway.cli(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
    }
    until("the page is listed", || {
        let listed = house.gateway.json(&["channels", "list", "acme"]);
        listed["channels"].as_array().unwrap().iter().all(|it| it["state"] == "connected")
    })
    .await;
}
