//! Jobs and heartbeats seen from outside: they run once, at their time, while no client is
//! connected, the worker sleeps, or the supervisor was killed meanwhile.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::provider::{Line, bill};
use tests::{Gateway, Provider, Tenant, until};

use crate::delivery::seen::Seen;

/// Long enough for the worker to fall asleep before it, which it does not in the last seconds.
const SOON: SignedDuration = SignedDuration::from_secs(8);

/// How long it is watched that nothing happens a second time.
const QUIET: Duration = Duration::from_secs(3);

async fn rpc(gateway: &Gateway, tenant: &Tenant, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let reply = gateway.client(tenant).post("/rpc", &body).await.json();
    assert!(reply["error"].is_null(), "{method}: {reply}");
    reply["result"].clone()
}

async fn add(gateway: &Gateway, tenant: &Tenant, change: Value) -> String {
    let at = Timestamp::now().checked_add(SOON).unwrap().to_string();
    let mut job = json!({
        "name": "alarm", "schedule": {"kind": "at", "at": at}, "sessionTarget": "isolated",
        "wakeMode": "now", "payload": {"kind": "agentTurn", "message": "ring"},
    });
    job.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let added = rpc(gateway, tenant, "cron.add", job).await;
    added["id"].as_str().unwrap().to_owned()
}

async fn runs(gateway: &Gateway, tenant: &Tenant, id: &str) -> Vec<Value> {
    let runs = rpc(gateway, tenant, "cron.runs", json!({"id": id})).await;
    runs["entries"].as_array().unwrap().clone()
}

fn is_awake(gateway: &Gateway, tenant: &Tenant) -> bool {
    !gateway.json(&["tenants", "show", &tenant.id])["worker"].is_null()
}

fn wait_for(provider: &Provider, requests: usize) {
    until("the model is asked", || provider.requests() >= requests);
    let watched = Instant::now();
    until("nothing more is asked", || {
        assert_eq!(provider.requests(), requests, "once is enough");
        watched.elapsed() > QUIET
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeping_tenants_job_runs_once_with_nobody_there() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant_with("acme", &["--idle-seconds", "1"]);
    let id = add(&gateway, &tenant, json!({})).await;
    until("the worker sleeps", || !is_awake(&gateway, &tenant));
    assert_eq!(provider.requests(), 0);
    wait_for(&provider, 1);
    let runs = runs(&gateway, &tenant, &id).await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!((&runs[0]["status"], &runs[0]["summary"]), (&json!("ok"), &json!("ring")));
    assert_eq!(runs[0]["deliveryStatus"], "delivered");
    let history = rpc(&gateway, &tenant, "chat.history", json!({"sessionKey": "main"})).await;
    assert!(history["messages"].to_string().contains("ring"), "{history}");
    let left = rpc(&gateway, &tenant, "cron.list", json!({"includeDisabled": true})).await;
    assert_eq!(left["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_are_switched_on_again_run_though_the_worker_sleeps() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant_with("acme", &["--idle-seconds", "1"]);
    let switch = async |on: bool| {
        let hash = rpc(&gateway, &tenant, "config.get", json!({})).await["hash"].take();
        let raw = json!({"cron": {"enabled": on}}).to_string();
        rpc(&gateway, &tenant, "config.patch", json!({"raw": raw, "baseHash": hash})).await;
    };
    switch(false).await;
    add(&gateway, &tenant, json!({})).await;
    until("the worker sleeps", || !is_awake(&gateway, &tenant));
    switch(true).await;
    wait_for(&provider, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_outlives_the_supervisor_and_runs_once() {
    let provider = Provider::start().await;
    let mut gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let id = add(&gateway, &tenant, json!({})).await;
    gateway.kill_supervisor_and_restart();
    wait_for(&provider, 1);
    assert_eq!(runs(&gateway, &tenant, &id).await.len(), 1);
    gateway.kill_supervisor_and_restart();
    assert_eq!(runs(&gateway, &tenant, &id).await.len(), 1);
    wait_for(&provider, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_supervisors_end_broke_off_goes_on() {
    let provider = Provider::start().await;
    let mut gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let end = Line::say(" rung");
    let lines = [Line::say("it has"), Line::Wait, end, Line::Stop, Line::used(1, 1), Line::Done];
    let message = bill(&lines);
    let payload = json!({"kind": "agentTurn", "message": message, "model": "test/bill"});
    let change = json!({"payload": payload, "deleteAfterRun": false});
    let id = add(&gateway, &tenant, change).await;
    until("the run goes on", || provider.waiting() == 1);
    gateway.kill_supervisor_and_restart();
    until("the run goes on again", || provider.waiting() == 2);
    provider.go_on(1);
    let started = Instant::now();
    let runs = loop {
        let runs = runs(&gateway, &tenant, &id).await;
        if !runs.is_empty() {
            break runs;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "no end of the run");
    };
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!((&runs[0]["status"], &runs[0]["summary"]), (&json!("ok"), &json!("it has rung")));
    let session = runs[0]["sessionKey"].as_str().unwrap();
    let seen = Seen::of(&gateway, &tenant, session).await;
    let (asked, said) = (seen.count("user", &message), seen.count("assistant", "it has rung"));
    assert_eq!((asked, said), (1, 1), "{seen:?}");
    let told = Seen::of(&gateway, &tenant, "main").await;
    assert_eq!(told.count("assistant", "[alarm]\n\nit has rung"), 1, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenants_job_waits_and_a_deleted_ones_is_gone() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let (waits, gone) = (gateway.tenant("waits"), gateway.tenant("gone"));
    let id = add(&gateway, &waits, json!({})).await;
    add(&gateway, &gone, json!({})).await;
    let due = Instant::now() + Duration::from_secs(7);
    gateway.json(&["tenants", "suspend", "waits"]);
    gateway.json(&["tenants", "delete", "gone", "--yes"]);
    let gone = gateway.tenant("gone");
    until("the time has passed", || Instant::now() > due);
    assert_eq!(provider.requests(), 0);
    gateway.json(&["tenants", "resume", "waits"]);
    wait_for(&provider, 1);
    assert_eq!(runs(&gateway, &waits, &id).await.len(), 1);
    let left = rpc(&gateway, &gone, "cron.list", json!({"includeDisabled": true})).await;
    assert_eq!(left["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_jobs_are_nobody_elses() {
    let gateway = Gateway::start();
    let (mine, theirs) = (gateway.tenant("mine"), gateway.tenant("theirs"));
    let id = add(&gateway, &mine, json!({})).await;
    for method in ["cron.get", "cron.run"] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"id": id}});
        let reply = gateway.client(&theirs).post("/rpc", &body).await.json();
        assert!(reply["error"].to_string().contains("cron job not found"), "{method}: {reply}");
    }
    let removed = rpc(&gateway, &theirs, "cron.remove", json!({"id": id})).await;
    assert_eq!(removed["removed"], false);
    assert!(runs(&gateway, &theirs, &id).await.is_empty());
    let kept = rpc(&gateway, &mine, "cron.list", json!({})).await;
    assert_eq!(kept["total"], 1);
}
