//! The way out against hosts that mean ill: names that change, redirects, endless bodies, wrong
//! certificates and odd addresses, through the tool that fetches and through the proxy of a sandbox.
//! Whoever may not be reached hears nothing, and each refusal is in the tenant's log with its reason.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
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

/// One tenant's attempts: none gets what it asks for, and of each its log says why.
struct Watched {
    hands: Hands,
    operator: Ws,
    missed: Vec<String>,
}

impl Watched {
    async fn new(toolbox: &Toolbox, hands: Hands) -> Self {
        let operator = toolbox.operator(&hands).await;
        Self { hands, operator, missed: Vec::new() }
    }

    /// How many refusals for this reason the tenant's log has.
    async fn refusals(&mut self, reason: &str) -> usize {
        let asked = json!({"limit": 5000, "maxBytes": 1_000_000});
        let log = self.operator.ok("logs.tail", asked).await;
        let lines = log["lines"].as_array().unwrap().iter().filter_map(Value::as_str);
        lines.filter(|it| it.contains("egress refused: ") && it.contains(reason)).count()
    }

    async fn fetch(&mut self, url: &str, reason: &str) {
        self.call("web_fetch", json!({"url": url}), reason).await;
    }

    /// The same from inside a sandbox, by a command line.
    async fn run(&mut self, command: &str, reason: &str) {
        self.call("exec", json!({"command": command, "yieldMs": 55_000}), reason).await;
    }

    /// Says `words`, with the escapes of `printf`, to the proxy of a sandbox.
    async fn say(&mut self, words: &str, reason: &str) {
        let command =
            format!("exec 3<>/dev/tcp/127.0.0.1/3128; printf '{words}' >&3; timeout 5 cat <&3");
        self.run(&command, reason).await;
    }

    async fn call(&mut self, tool: &str, args: Value, reason: &str) {
        let before = self.refusals(reason).await;
        let begun = Instant::now();
        let told = self.hands.call(tool, args.clone()).await;
        assert!(begun.elapsed() < PATIENCE, "{tool} {args} took {:?}", begun.elapsed());
        if told.contains(FINE) || self.refusals(reason).await != before + 1 {
            self.missed.push(format!("{tool} {args}, {reason}: {told}"));
        }
    }

    fn end(self) {
        assert_eq!(self.missed, Vec::<String>::new());
    }
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
    for (number, some) in forbidden(&farm).chunks(PER_TENANT).enumerate() {
        let hands = toolbox.hands(&format!("refused-{number}")).await;
        let mut watched = Watched::new(&toolbox, hands).await;
        for Forbidden { url, reason } in some {
            watched.fetch(url, reason).await;
            watched.run(&format!("curl -sSk -m 20 {url}"), reason).await;
            // In a tunnel the proxy sees neither path nor content, and no rule here is for one.
            watched.run(&format!("curl -sSk -m 20 --proxytunnel {url}"), "no egress rule").await;
        }
        watched.end();
    }
    assert_eq!(farm.knocks(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_changes_between_two_lookups_reaches_nobody() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (farm, toolbox, hands) = scene().await;
    let mut watched = Watched::new(&toolbox, hands.clone()).await;
    let (open, url) = (farm.open().to_string(), format!("http://rebound.test:{}/ok", farm.http()));
    // What was checked is what is connected to: the first request is fine. Nothing keeps an answer
    // for later, neither the right one nor the wrong one: the second is refused.
    let told = hands.call("web_fetch", json!({"url": url})).await;
    assert!(told.contains(FINE), "{told}");
    watched.fetch(&format!("{url}?again"), "not public").await;
    farm.names().set("rebound.test", &[&[&open], &["127.0.0.1"]]);
    let curl = format!("curl -sS -m 9 {url}");
    let told = hands.exec(&curl).await;
    assert!(told.contains(FINE), "{told}");
    watched.run(&curl, "not public").await;
    watched.end();
    for _ in 0..8 {
        farm.names().set("rebound.test", &[&[&open], &["127.0.0.1"], &[&open], &["127.0.0.1"]]);
        let fetches =
            (0..6).map(|it| ("web_fetch".to_owned(), json!({"url": format!("{url}?{it}")})));
        hands.play(&[tests::provider::Step::Calls(fetches.collect())]).await;
        hands.exec(&format!("for i in 1 2 3 4; do {curl}; done")).await;
    }
    assert_eq!(farm.knocks(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_judged_like_requests() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (farm, toolbox, hands) = scene().await;
    let mut watched = Watched::new(&toolbox, hands).await;
    let (http, https) = (farm.http(), farm.https());
    let from = format!("http://farm.test:{http}/to?");
    for (url, reason) in [
        (format!("{from}http://127.0.0.1:{http}/ok"), "no egress rule"),
        (format!("{from}http://169.254.169.254/latest/meta-data/"), "no egress rule"),
        (format!("{from}http://loopback.test:{http}/ok"), "not public"),
        (format!("{from}http://unlisted.test:{http}/ok"), "no egress rule"),
        (format!("{from}https://other.test:{https}/ok"), "no egress rule"),
        (format!("{from}http://farm.test:{http}/to?http://shut.test:{http}/ok"), "not public"),
    ] {
        watched.fetch(&url, reason).await;
        // A program in a sandbox follows by itself.
        watched.run(&format!("curl -sSkL -m 20 '{url}'"), reason).await;
    }
    watched
        .fetch(&format!("https://farm.test:{https}/to?http://farm.test:{http}/ok"), "https to http")
        .await;
    watched.fetch(&format!("http://farm.test:{http}/round"), "redirects").await;
    for target in ["file:///etc/passwd", "gopher://127.0.0.1/", "javascript:1", "http://"] {
        watched.fetch(&format!("{from}{target}"), "the address cannot be used").await;
    }
    watched.end();
    assert_eq!(farm.knocks(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_end_end_and_wrong_certificates_are_none() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (farm, toolbox, hands) = scene().await;
    let mut watched = Watched::new(&toolbox, hands).await;
    let (http, https) = (farm.http(), farm.https());
    watched.fetch(&format!("http://farm.test:{http}/slow"), "it took too long").await;
    watched.fetch(&format!("http://farm.test:{http}/huge"), "the rest was not read").await;
    let wrong = format!("https://wrong.test:{https}/ok");
    watched.fetch(&wrong, "the certificate of the host is no good").await;
    // In a tunnel it is the program that sees the certificate. The tunnel carries TLS for the host
    // that it was made for, and nothing else.
    let name = format!(
        "curl -sSk -m 20 --connect-to other.test:443:farm.test:{https} https://other.test/ok"
    );
    watched.run(&name, "not the host of the tunnel").await;
    let plain = format!("curl -sS -m 20 --proxytunnel http://farm.test:{http}/ok");
    watched.run(&plain, "no egress rule").await;
    let inside = format!(
        "CONNECT farm.test:{https} HTTP/1.1\\r\\nhost: x\\r\\n\\r\\nGET /ok HTTP/1.1\\r\\nhost: farm.test\\r\\n\\r\\n"
    );
    watched.say(&inside, "is not TLS").await;
    watched.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_address_and_no_request_is_refused_as_that() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (farm, toolbox, hands) = scene().await;
    let mut watched = Watched::new(&toolbox, hands).await;
    let port = farm.http();
    let no_address = "the address cannot be used";
    for url in [
        format!("ftp://farm.test:{port}/ok"),
        format!("http://127.1:{port}/ok"),
        format!("http://0x7f000001:{port}/ok"),
        format!("http://2130706433:{port}/ok"),
        format!("http://u:p@farm.test:{port}/ok"),
        "http://farm.test:0/ok".to_owned(),
        format!("http://farm.test:{port}\\@127.0.0.1/ok"),
    ] {
        watched.fetch(&url, no_address).await;
    }
    let ok = format!("http://farm.test:{port}/ok");
    let twice = "content-length: 0\\r\\ntransfer-encoding: chunked";
    for (words, reason) in [
        ("GET /ok HTTP/1.1\\r\\nhost: farm.test".to_owned(), "this is a proxy"),
        (format!("GET http://u:p@farm.test:{port}/ok HTTP/1.1\\r\\nhost: x"), no_address),
        (format!("GET http://127.1:{port}/ok HTTP/1.1\\r\\nhost: x"), no_address),
        ("CONNECT 0x7f000001:443 HTTP/1.1\\r\\nhost: x".to_owned(), no_address),
        ("CONNECT farm.test HTTP/1.1\\r\\nhost: x".to_owned(), no_address),
        (format!("GET https://farm.test:{port}/ok HTTP/1.1\\r\\nhost: x"), "CONNECT"),
        (format!("POST {ok} HTTP/1.1\\r\\nhost: x\\r\\n{twice}"), "told twice"),
        ("SSH-2.0-x".to_owned(), "no request of HTTP/1.1"),
        (format!("GET {ok} HTTP/1.1\\r\\nno colon"), "no request of HTTP/1.1"),
    ] {
        watched.say(&format!("{words}\\r\\n\\r\\n"), reason).await;
    }
    watched.end();
    assert_eq!(farm.knocks(), 0);
}
