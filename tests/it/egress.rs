//! The way out against hosts that mean ill: names that change, redirects, endless bodies, wrong
//! certificates and odd addresses, through the tool that fetches and through the proxy of a sandbox.
//! Whoever may not be reached hears nothing, and each refusal is in the tenant's log with its reason.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::farm::FINE;
use tests::ws::Ws;
use tests::{Farm, Hands, Toolbox};

/// How long any fetch may take from outside, whatever the other side does.
const PATIENCE: Duration = Duration::from_secs(15);

/// Addresses that one tenant asks for: only so many refusals of a minute are written down.
const PER_TENANT: usize = 8;

/// One that must not be reached: where, and what the log says of it.
struct Forbidden {
    url: String,
    reason: &'static str,
}

/// A name, what it resolves to, and what the log says of it.
const NAMES: [(&str, &[&str], &str); 14] = [
    ("loopback.test", &["127.0.0.1"], "not public"),
    ("loopback6.test", &["::1"], "not public"),
    ("mapped.test", &["::ffff:127.0.0.1"], "not public"),
    ("nat64.test", &["64:ff9b::7f00:1"], "not public"),
    ("sixtofour.test", &["2002:7f00:1::1"], "not public"),
    ("local6.test", &["fd00:ec2::254"], "not public"),
    ("link6.test", &["fe80::1"], "not public"),
    ("zero.test", &["0.0.0.0"], "not public"),
    ("metadata.test", &["169.254.169.254"], "not public"),
    ("private.test", &["10.0.0.1"], "not public"),
    ("shut.test", &["SHUT"], "not public"),
    ("mixed.test", &["OPEN", "127.0.0.1"], "not public"),
    ("mixed6.test", &["OPEN", "::1"], "not public"),
    ("unlisted.test", &["OPEN"], "no egress rule"),
];

/// The farm with its names, and a gateway with a rule for each but `unlisted.test`.
async fn scene() -> (Farm, Toolbox, Hands) {
    let farm = Farm::start().await;
    let (open, shut) = (farm.open().to_string(), farm.shut().to_string());
    let mut names: Vec<_> =
        NAMES.iter().map(|it| it.0).filter(|it| *it != "unlisted.test").collect();
    for (name, answer, _) in NAMES {
        let written = answer.iter().map(|it| match *it {
            "OPEN" => open.as_str(),
            "SHUT" => shut.as_str(),
            other => other,
        });
        farm.names().set(name, &[&written.collect::<Vec<_>>()]);
    }
    for name in ["farm.test", "other.test", "wrong.test"] {
        farm.names().set(name, &[&[&open]]);
        names.push(name);
    }
    farm.names().set("rebound.test", &[&[&open], &["127.0.0.1"]]);
    names.push("rebound.test");
    let mut rules: Vec<_> = names.iter().map(|it| format!("http://{it}:{}", farm.http())).collect();
    rules.extend(["farm.test", "wrong.test"].map(|it| format!("https://{it}:{}", farm.https())));
    let toolbox = Toolbox::start(json!({
        "egress": farm.config(&rules),
        "tenantDefaults": {"tools": {"exec": {"network": "broker"}}},
    }))
    .await;
    let hands = toolbox.hands("acme").await;
    (farm, toolbox, hands)
}

/// Every address that must not be reached, other than by what the other side answers.
fn forbidden(farm: &Farm) -> Vec<Forbidden> {
    let port = farm.http();
    let mut all: Vec<_> = NAMES
        .iter()
        .map(|(name, _, reason)| Forbidden { url: format!("http://{name}:{port}/ok"), reason })
        .collect();
    let literals = [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "0.0.0.0",
        "[fd00:ec2::254]",
        "[64:ff9b::7f00:1]",
    ];
    for host in
        literals.into_iter().chain([farm.open().to_string().as_str(), &farm.shut().to_string()])
    {
        all.push(Forbidden { url: format!("http://{host}:{port}/ok"), reason: "no egress rule" });
    }
    for url in [
        format!("http://farm.test:{}/ok", port ^ 1),
        format!("https://farm.test:{port}/ok"),
        format!("http://sub.farm.test:{port}/ok"),
        format!("http://farm.test.unlisted.test:{port}/ok"),
        format!("https://other.test:{}/ok", farm.https()),
    ] {
        all.push(Forbidden { url, reason: "no egress rule" });
    }
    all
}

async fn log(operator: &mut Ws) -> String {
    operator.ok("logs.tail", json!({"limit": 5000, "maxBytes": 1_000_000})).await["lines"]
        .to_string()
}

/// Whether the log says so once more than before.
async fn noted(operator: &mut Ws, before: &str, reason: &str) -> bool {
    let after = log(operator).await;
    after.matches(reason).count() > before.matches(reason).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_allowed_is_reached() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (farm, _toolbox, hands) = scene().await;
    let (http, https) = (farm.http(), farm.https());
    for url in [format!("http://farm.test:{http}/ok"), format!("https://farm.test:{https}/ok")] {
        let told = hands.call("web_fetch", json!({"url": url})).await;
        assert!(told.contains(FINE), "{url}: {told}");
        let told = hands.exec(&format!("curl -sSk -m 20 {url}")).await;
        assert!(told.contains(FINE), "{url} from a sandbox: {told}");
    }
    let hop = format!("http://farm.test:{http}/to?http://other.test:{http}/ok");
    let told = hands.call("web_fetch", json!({"url": hop})).await;
    assert!(told.contains(FINE), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_may_not_be_reached_is_reached_and_the_log_says_why() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (farm, toolbox, _) = scene().await;
    let mut missed = Vec::new();
    for (number, some) in forbidden(&farm).chunks(PER_TENANT).enumerate() {
        let hands = toolbox.hands(&format!("refused-{number}")).await;
        let mut operator = toolbox.operator(&hands).await;
        for Forbidden { url, reason } in some {
            let before = log(&mut operator).await;
            let told = hands.call("web_fetch", json!({"url": url})).await;
            if told.contains(FINE) || !noted(&mut operator, &before, reason).await {
                missed.push(format!("web_fetch {url}: {told}"));
            }
            let before = log(&mut operator).await;
            let told = hands.exec(&format!("curl -sSk -m 20 {url}")).await;
            if told.contains(FINE) || !noted(&mut operator, &before, reason).await {
                missed.push(format!("curl {url}: {told}"));
            }
            // In a tunnel the proxy sees neither path nor content.
            let told = hands.exec(&format!("curl -sSk -m 20 --proxytunnel {url}")).await;
            if told.contains(FINE) {
                missed.push(format!("tunnel {url}: {told}"));
            }
        }
    }
    assert_eq!(missed, Vec::<String>::new());
    assert_eq!(farm.knocks(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_changes_between_two_lookups_reaches_nobody() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (farm, toolbox, hands) = scene().await;
    let mut operator = toolbox.operator(&hands).await;
    let url = format!("http://rebound.test:{}/ok", farm.http());
    // What was checked is what is connected to: the first request is fine, the second refused.
    let told = hands.call("web_fetch", json!({"url": url})).await;
    assert!(told.contains(FINE), "{told}");
    // Nothing keeps an answer for later, neither the right one nor the wrong one.
    let told = hands.call("web_fetch", json!({"url": format!("{url}?again")})).await;
    assert!(!told.contains(FINE), "{told}");
    assert!(log(&mut operator).await.contains("not public"));
    for _ in 0..8 {
        let open = farm.open().to_string();
        farm.names().set("rebound.test", &[&[&open], &["127.0.0.1"], &[&open], &["127.0.0.1"]]);
        let fetches =
            (0..6).map(|it| ("web_fetch".to_owned(), json!({"url": format!("{url}?{it}")})));
        hands.play(&[tests::provider::Step::Calls(fetches.collect())]).await;
        hands.exec(&format!("for i in 1 2 3 4; do curl -sS -m 9 {url}; done")).await;
    }
    assert_eq!(farm.knocks(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_judged_like_requests() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (farm, toolbox, hands) = scene().await;
    let mut operator = toolbox.operator(&hands).await;
    let (http, https) = (farm.http(), farm.https());
    let from = format!("http://farm.test:{http}/to?");
    for (url, reason) in [
        (format!("{from}http://127.0.0.1:{http}/ok"), "no egress rule"),
        (format!("{from}http://169.254.169.254/latest/meta-data/"), "no egress rule"),
        (format!("{from}http://loopback.test:{http}/ok"), "not public"),
        (format!("{from}http://unlisted.test:{http}/ok"), "no egress rule"),
        (format!("{from}https://other.test:{https}/ok"), "no egress rule"),
        (format!("{from}http://farm.test:{http}/to?http://shut.test:{http}/ok"), "not public"),
        (format!("https://farm.test:{https}/to?http://farm.test:{http}/ok"), "https to http"),
        (format!("http://farm.test:{http}/round"), "redirects"),
    ] {
        let before = log(&mut operator).await;
        let told = hands.call("web_fetch", json!({"url": url})).await;
        assert!(!told.contains(FINE), "{url}: {told}");
        assert!(noted(&mut operator, &before, reason).await, "{url}: {told}");
    }
    for target in ["file:///etc/passwd", "gopher://127.0.0.1/", "javascript:1", "http://"] {
        let told = hands.call("web_fetch", json!({"url": format!("{from}{target}")})).await;
        assert!(!told.contains("root:x:"), "{target}: {told}");
    }
    assert_eq!(farm.knocks(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_end_end_and_wrong_certificates_are_none() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (farm, _toolbox, hands) = scene().await;
    let (http, https) = (farm.http(), farm.https());
    for path in ["slow", "huge"] {
        let begun = Instant::now();
        let told = hands
            .call("web_fetch", json!({"url": format!("http://farm.test:{http}/{path}")}))
            .await;
        assert!(begun.elapsed() < PATIENCE, "{path} took {:?}", begun.elapsed());
        assert!(told.len() < 1 << 20, "{path}: {}", told.len());
    }
    let told =
        hands.call("web_fetch", json!({"url": format!("https://wrong.test:{https}/ok")})).await;
    assert!(!told.contains(FINE) && told.to_ascii_lowercase().contains("tls"), "{told}");
    // A tunnel carries TLS for the host that it was made for, and nothing else.
    let name = format!(
        "curl -sSk -m 20 --connect-to other.test:443:farm.test:{https} https://other.test/ok"
    );
    assert!(!hands.exec(&name).await.contains(FINE));
    let plain = format!("curl -sS -m 20 --proxytunnel http://farm.test:{http}/ok");
    assert!(!hands.exec(&plain).await.contains(FINE));
    let mut inside = "exec 3<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT farm.test:PORT HTTP/1.1\\r\\nhost: x\\r\\n\\r\\nGET /ok HTTP/1.1\\r\\nhost: farm.test\\r\\n\\r\\n' >&3; timeout 5 cat <&3".to_owned();
    inside = inside.replace("PORT", &https.to_string());
    assert!(!hands.exec(&inside).await.contains(FINE));
}
