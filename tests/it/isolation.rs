//! Two tenants, a secret each: nothing of one is in any reply, log line, metric, file or memory of
//! the other, and no worker holds a provider's key or a token.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use tests::provider::KEY;
use tests::{Client, Gateway, Provider, Tenant};

const SECRETS: [&str; 2] = ["canary-of-acme-5hK2", "canary-of-globex-9Qz7"];

/// Everything readable of a process: environment, arguments, descriptors, maps, and its memory.
fn memory_of(pid: i32) -> Vec<u8> {
    let proc = format!("/proc/{pid}");
    let mut found = Vec::new();
    for name in ["environ", "cmdline", "maps"] {
        found.extend(std::fs::read(format!("{proc}/{name}")).unwrap());
    }
    for entry in std::fs::read_dir(format!("{proc}/fd")).unwrap() {
        let target = std::fs::read_link(entry.unwrap().path()).unwrap();
        found.extend(target.to_string_lossy().bytes());
    }
    let maps = std::fs::read_to_string(format!("{proc}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("{proc}/mem")).unwrap();
    for line in maps.lines().filter(|line| line.contains(" rw") || line.contains(" r--p")) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let from = u64::from_str_radix(from, 16).unwrap();
        let to = u64::from_str_radix(to, 16).unwrap();
        if line.contains("[v") || memory.seek(SeekFrom::Start(from)).is_err() {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact(&mut bytes).is_ok() {
            found.extend(bytes);
        }
    }
    found
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn files_below(path: &Path) -> Vec<u8> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.extend(std::fs::read(path).unwrap());
        }
    }
    found
}

async fn converse(client: &Client, secret: &str) -> String {
    let client = client.clone().header("x-openclaw-session-key", "main");
    let mut said = client.chat("openclaw", &format!("remember {secret}")).await.text();
    said.push_str(&client.chat("mock", secret).await.text());
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_tenant_is_anywhere_in_the_other() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenants: [Tenant; 2] = [gateway.tenant("acme"), gateway.tenant("globex")];
    let mut replies = Vec::new();
    for (tenant, secret) in tenants.iter().zip(SECRETS) {
        let client = gateway.client(tenant);
        let mut said = converse(&client, secret).await;
        for path in ["/v1/models", "/v1/models/unknown", "/health", "/ready", "/nothing"] {
            said.push_str(&client.get(path).await.text());
        }
        let history = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "chat.history",
            "params": {"sessionKey": "main"}});
        said.push_str(&client.post("/rpc", &history).await.text());
        replies.push(said);
    }
    let metrics =
        Client::new(gateway.control(), Some(operator_key(&gateway))).get("/metrics").await;
    assert!(metrics.status.is_success(), "{}", metrics.text());
    let log = gateway.log().join("\n");
    for (n, tenant) in tenants.iter().enumerate() {
        let (own, others) = (SECRETS[n], SECRETS[1 - n]);
        let other = &tenants[1 - n];
        let pid = gateway.worker_pid(tenant);
        let places = [
            ("replies", replies[n].clone().into_bytes()),
            ("memory", memory_of(pid)),
            ("files", files_below(&gateway.root(tenant))),
        ];
        for (place, bytes) in &places {
            assert!(!holds(bytes, others), "{others} in the {place} of {}", tenant.id);
            assert!(!holds(bytes, KEY), "the provider's key in the {place} of {}", tenant.id);
            for token in [&tenant.token, &other.token] {
                assert!(!holds(bytes, token), "a token in the {place} of {}", tenant.id);
            }
        }
        assert!(holds(&places[0].1, own) && holds(&places[2].1, own), "the test looks nowhere");
        for secret in [own, KEY, &tenant.token] {
            assert!(!log.contains(secret), "{secret} in the log");
            assert!(!metrics.text().contains(secret), "{secret} in the metrics");
        }
    }
}

fn operator_key(gateway: &Gateway) -> String {
    let made = gateway.json(&["keys", "create", "--label", "test", "--role", "auditor"]);
    made["key"].as_str().unwrap().to_owned()
}
