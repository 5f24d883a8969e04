//! No way around the meter: whatever can make a provider work is counted while there is money and
//! refused when there is none. The ways come from the tables of routes and methods: what is in them and
//! not among the ways here must not reach a provider, and a new place that calls one fails the last test.

use std::time::Duration;

use api::routes::{MODEL, MODELS, ROUTES, RPC};
use serde_json::{Value, json};
use tests::house::{House, SCOPES, call};
use tests::provider::{Step, play};
use tests::ws::{Connect, Device, Ws};
use tests::{Amount, Builder, Client, Gateway, Provider, Tenant, until};

mod ways;

use ways::{Door, WAYS};

/// Micro-dollars for a day: more than any call here sets aside at first.
const MONEY: u64 = 1_000_000;

/// Routes that never call a provider, and `/rpc`, whose methods are looked at one by one.
const OTHERS: [&str; 3] = [MODELS.path, MODEL.path, RPC.path];

/// A tenant that has everything which the ways need.
struct Stage {
    provider: Provider,
    gateway: Gateway,
    tenant: Tenant,
    operator: Ws,
    client: Client,
    hooks: Client,
    /// Whoever may look at the metrics.
    auditor: Client,
    /// A job that comes due in a day.
    job: Value,
    /// Names what must be named once.
    count: u32,
}

impl Stage {
    /// The money is there, and every call costs a few micro-dollars of it.
    async fn new() -> Self {
        let provider = Provider::start().await;
        let more = json!({"defaultModel": "test/script"});
        let config = provider.config_priced((1_000_000, 1_000_000), more);
        let gateway = Builder::default().config(config).start();
        let tenant = gateway.tenant("acme");
        gateway.set_quotas(&tenant, &[&format!("costMicros/day={MONEY}")]);
        let made =
            gateway.json(&["tokens", "create", "acme", "--label", "hook", "--scope", "hooks"]);
        let hooks = Client::new(gateway.address(), made["token"].as_str().map(str::to_owned));
        let mut operator = Connect::new(gateway.address(), &tenant.token, &SCOPES).open().await;
        let settings = json!({"agents": {"defaults": {
            "compaction": {"keepRecentTokens": 0}, "memorySearch": {"model": "test/mock"},
        }}});
        let hash = operator.ok("config.get", json!({})).await["hash"].take();
        let patch = json!({"raw": settings.to_string(), "baseHash": hash});
        operator.ok("config.patch", patch).await;
        let job = json!({
            "name": "later", "schedule": {"kind": "every", "everyMs": 86_400_000},
            "sessionTarget": "isolated", "wakeMode": "now",
            "payload": {"kind": "agentTurn", "message": "ring"},
        });
        let job = operator.ok("cron.add", job).await["id"].take();
        let key = gateway.json(&["keys", "create", "--label", "m", "--role", "auditor"]);
        let auditor = Client::new(gateway.control(), key["key"].as_str().map(str::to_owned));
        let client = gateway.client(&tenant);
        let mut stage =
            Self { provider, gateway, tenant, operator, client, hooks, auditor, job, count: 0 };
        for _ in 0..2 {
            stage.turn(&[Step::say("what is old enough to be summarised")], "long").await;
        }
        stage
    }

    /// A turn of the agent in the session of this name.
    async fn turn(&mut self, steps: &[Step], session: &str) {
        let key = format!("agent:main:{session}");
        let client = self.client.clone().header("x-openclaw-session-key", &key);
        client.chat("openclaw", &play(steps)).await;
    }

    /// A new name.
    fn name(&mut self) -> String {
        self.count += 1;
        format!("way-{}", self.count)
    }

    /// Attempts at models that were refused because of a limit.
    async fn refused(&self) -> u64 {
        let text = self.auditor.get("/metrics").await.text();
        let limited = text.lines().filter(|line| {
            line.starts_with("openclawmu_llm_attempts") && line.contains("outcome=\"Limited\"")
        });
        limited.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    }

    /// Waits until there are more than `before`.
    async fn refused_since(&self, before: u64, what: &str) {
        for _ in 0..500 {
            if self.refused().await > before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nothing was refused: {what}");
    }

    /// Nothing is under way any more, and the books are complete.
    fn settled(&self) -> Amount {
        until("nothing is held", || self.gateway.standing(&self.tenant, "costMicros/day").1 == 0);
        self.gateway.booked(&self.tenant)
    }
}

#[test]
fn every_route_is_a_way_or_calls_nobody() {
    let ways: Vec<_> = WAYS.iter().map(|way| way.door).collect();
    for route in ROUTES {
        let is_way = ways.contains(&Door::Route(route.path));
        assert!(is_way != OTHERS.contains(&route.path), "{} is to be classified", route.path);
    }
    for way in &WAYS {
        let known = match way.door {
            Door::Route(path) => ROUTES.iter().any(|route| route.path == path),
            Door::Method(name) => api::methods().any(|method| method.name == name),
            Door::Inside => true,
        };
        assert!(known, "{way:?} is not in the tables");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_is_counted_to_the_token() {
    let mut stage = Stage::new().await;
    for way in &WAYS {
        let before = stage.provider.requests();
        way.go(&mut stage).await;
        until(&format!("{way:?} asks the provider"), || {
            stage.provider.requests() >= before + way.asks()
        });
    }
    let booked = stage.settled();
    assert_eq!(booked.tokens(), stage.provider.reported());
    assert_eq!(booked.cost_micros, stage.provider.reported(), "a token costs a micro-dollar");
    let lives = stage.gateway.lives(&stage.tenant);
    assert_eq!(lives.len(), stage.provider.requests());
    assert!(lives.values().all(|life| (life.begun, life.ended) == (1, 1)), "{lives:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_is_open_when_the_money_is_gone() {
    let mut stage = Stage::new().await;
    // One answer costs more than all that there is.
    stage.provider.charge(MONEY, MONEY);
    stage.turn(&[Step::say("dear")], "dear").await;
    let spent = stage.gateway.standing(&stage.tenant, "costMicros/day");
    assert_eq!(spent, (MONEY, 0));
    let asked = stage.provider.requests();
    for way in WAYS.iter().filter(|way| !way.is_tool()) {
        let before = stage.refused().await;
        way.go(&mut stage).await;
        stage.refused_since(before, &format!("{way:?}")).await;
        assert_eq!(stage.provider.requests(), asked, "{way:?} has a way around the meter");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tool_is_a_way_when_the_turn_that_calls_it_has_spent_the_rest() {
    for way in WAYS.iter().filter(|way| way.is_tool()) {
        let mut stage = Stage::new().await;
        let (asked, before) = (stage.provider.requests(), stage.refused().await);
        stage.provider.charge(MONEY, MONEY);
        way.go(&mut stage).await;
        stage.refused_since(before, &format!("{way:?}")).await;
        assert_eq!(stage.provider.requests(), asked + 1, "{way:?} has a way around the meter");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_method_reaches_a_provider() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let mut house = House::build(&gateway, "acme", &Device::of(1)).await;
    // Whoever has no device loses none.
    house.ids.retain(|name, _| !["deviceId", "nodeId", "requestId"].contains(name));
    let asked = provider.requests();
    let takes =
        |name: &str| ["delete", "remove", "reset", "revoke"].iter().any(|it| name.ends_with(it));
    let (late, first): (Vec<_>, Vec<_>) = api::methods().partition(|method| takes(method.name));
    for method in first.into_iter().chain(late) {
        let is_way = WAYS.iter().any(|way| way.door == Door::Method(method.name));
        if is_way || super::neighbours::LEFT_OUT.contains(&method.name) {
            continue;
        }
        let caller =
            if method.scope == types::Scope::Node { &mut house.node } else { &mut house.operator };
        drop(call(caller, method.name, &house.ids).await);
        assert_eq!(provider.requests(), asked, "{} is a way: add it", method.name);
    }
    // Whatever was begun has had the time of a whole turn.
    gateway.client(&house.tenant).chat("openclaw", "the last").await.answer();
    assert_eq!(provider.requests(), asked + 1);
}

/// Where a worker asks for a model: behind each of these is a way of [`WAYS`].
const PLACES: [&str; 8] = [
    "worker/src/agent/asking.rs",
    "worker/src/agent/compact.rs",
    "worker/src/agent/steps.rs",
    "worker/src/memory.rs",
    "worker/src/openai/chat.rs",
    "worker/src/openai/embeddings.rs",
    "worker/src/openai/responses.rs",
    "worker/src/tools/image.rs",
];

#[test]
fn a_new_place_that_asks_a_model_is_a_new_way() {
    let asks = |text: &str| text.contains("llm.stream(") || text.contains("llm.embed(");
    let mut places: Vec<_> = super::tidy::files("worker/src", ".rs")
        .into_iter()
        .filter(|(path, text)| asks(text) && !path.contains("test"))
        .map(|(path, _)| path)
        .collect();
    places.sort();
    assert_eq!(places, PLACES);
}
