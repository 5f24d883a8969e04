//! A thousand requests at once at a limit that admits fifty: exactly fifty are admitted, by whatever
//! ways they come, and again at the next fifty. What counts is what the provider was asked and what
//! the books say, not what clients were told.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tests::ws::{Connect, Ws};
use tests::{Builder, Crowd, Gateway, Provider, Tally, Tenant, until};

mod holds;
mod levels;

/// Rushes at a limit on requests.
const ROUNDS: u64 = 100;

/// What each allowance is for.
const ADMITTED: u64 = 50;

/// Callers in a rush: HTTP connections, and sockets with fifty messages each.
const CROWD: (usize, usize) = (700, 6);

/// Jobs that come due in each rush; as many may run at once.
const JOBS: usize = 4;

/// In each so many-th rush everybody else waits for the first of them.
const FIRST: u64 = 4;

/// After so long the jobs come due.
const DUE: Duration = Duration::from_millis(100);

/// Between two rushes: a tenant may set its timer four times a second, and each rush sets it some six times.
const PACE: Duration = Duration::from_millis(1600);

/// Jobs that come due by themselves, again and again.
struct Jobs {
    ws: Ws,
    ids: Vec<String>,
}

impl Jobs {
    async fn new(gateway: &Gateway, tenant: &Tenant, count: usize) -> Self {
        let scopes = ["operator.admin", "operator.read", "operator.write"];
        let mut ws = Connect::new(gateway.address(), &tenant.token, &scopes).open().await;
        let raw = json!({"cron": {"maxConcurrentRuns": JOBS}}).to_string();
        let hash = ws.ok("config.get", json!({})).await["hash"].take();
        ws.ok("config.patch", json!({"raw": raw, "baseHash": hash})).await;
        let far = Timestamp::now().checked_add(SignedDuration::from_hours(1)).unwrap();
        let mut ids = Vec::new();
        for n in 0..count {
            let job = json!({
                "name": format!("job {n}"), "schedule": {"kind": "at", "at": far.to_string()},
                "sessionTarget": format!("session:job-{n}"), "wakeMode": "now", "delivery": {"mode": "none"},
                "deleteAfterRun": false, "payload": {"kind": "agentTurn", "message": "ring"},
            });
            ids.push(ws.ok("cron.add", job).await["id"].as_str().unwrap().to_owned());
        }
        Self { ws, ids }
    }

    /// Every job comes due once, `after` so long.
    async fn wind(&mut self, after: Duration) {
        self.ws.forget();
        let at = Timestamp::now().checked_add(after).unwrap().to_string();
        let patch = json!({"enabled": true, "schedule": {"kind": "at", "at": at}});
        let mut sent = Vec::new();
        for id in &self.ids {
            sent.push(self.ws.send("cron.update", json!({"id": id, "patch": patch})).await);
        }
        for id in sent {
            let answer = self.ws.answer(&id).await;
            assert_eq!(answer["ok"], true, "{answer}");
        }
    }

    /// Waits until the first one has begun.
    async fn begun(&mut self) {
        while self.ws.next_event("cron").await["action"] != "started" {}
    }

    /// Waits until every one has run since it was wound; how many ended well.
    async fn rung(&mut self) -> u64 {
        let (mut rung, mut well) = (0, 0);
        while rung < self.ids.len() {
            let event = self.ws.next_event("cron").await;
            if event["action"] == "finished" {
                rung += 1;
                well += u64::from(event["status"] == "ok");
            }
        }
        well
    }
}

/// A gateway whose every model costs a micro-dollar for each token of output and nothing else.
async fn gateway() -> (Provider, Gateway) {
    let provider = Provider::start().await;
    let more = json!({"defaultModel": "test/fixed"});
    let config = provider.config_priced((0, 1_000_000), more);
    (provider, Builder::default().config(config).start())
}

fn asked(provider: &Provider) -> u64 {
    u64::try_from(provider.requests()).unwrap()
}

/// Callers that are refused are as good as the others: everybody is answered.
fn check_answered(tally: &Tally) {
    assert_eq!(tally.admitted() + tally.refused, CROWD.0 + 50 * CROWD.1, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_at_once_get_fifty_places_a_hundred_times() {
    let (provider, gateway) = gateway().await;
    provider.charge(5, 1);
    let tenant = gateway.tenant_with("acme", &["--concurrency", "4096"]);
    let mut jobs = Jobs::new(&gateway, &tenant, JOBS).await;
    let mut crowd = Crowd::gather(&gateway, &tenant, "fixed", CROWD).await;
    let (mut all, mut ran, started) = (Tally::default(), 0, Instant::now());
    let mut base = gateway.used(&tenant).requests;
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 1..=ROUNDS {
        pace.tick().await;
        // To wind a job is a request as well.
        let count = u64::try_from(JOBS).unwrap();
        let (limit, seen) = (base + count + ADMITTED, asked(&provider));
        gateway.set_quotas(&tenant, &[&format!("requests/month={limit}")]);
        jobs.wind(DUE).await;
        if round.is_multiple_of(FIRST) {
            jobs.begun().await;
        }
        let tally = crowd.rush().await;
        check_answered(&tally);
        let well = jobs.rung().await;
        let what = format!("round {round}: {tally:?}, jobs {well}");
        until(&what, || asked(&provider) >= seen + ADMITTED);
        assert_eq!(gateway.used(&tenant).requests, limit, "{what}");
        assert_eq!(u64::try_from(tally.admitted()).unwrap() + well, ADMITTED, "{what}");
        assert_eq!(asked(&provider), seen + ADMITTED, "{what}");
        all.add(&tally);
        ran += well;
        if round.is_multiple_of(10) {
            println!("{what}; after {:.1?}", started.elapsed());
        }
        base = limit;
    }
    println!("{ROUNDS} rounds in {:.1?}: {all:?}; {ran} jobs ran", started.elapsed());
    assert!(all.whole > 0 && all.streamed > 0 && all.sent > 0, "{all:?}");
    assert!(ran > 0, "no job was ever the first");
    check_books(&gateway, &tenant);
}

/// The lines of the books come to what the account says, and every hold has ended once.
fn check_books(gateway: &Gateway, tenant: &Tenant) {
    until("the books say what the account says", || gateway.booked(tenant) == gateway.used(tenant));
    for (id, life) in gateway.lives(tenant) {
        assert_eq!((life.begun, life.ended), (1, 1), "{id}: {life:?}");
    }
}
