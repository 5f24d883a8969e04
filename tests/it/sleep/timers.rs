//! Jobs of sleeping tenants begin within a second of their time, however many are due at once.

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::{Gateway, Provider, Tenant, memory, until};

use super::with;

/// Tenants whose jobs are due at the same second.
const MANY: usize = 50;

/// How late a run may begin: the start of the worker is in it.
const BOUND: Duration = Duration::from_secs(1);

/// How late the model may be asked when many run at once: in a debug build on two processors most of that
/// is the runs' own work.
const ASKED: Duration = Duration::from_secs(4);

async fn rpc(gateway: &Gateway, tenant: &Tenant, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let reply = gateway.client(tenant).post("/rpc", &body).await.json();
    assert!(reply["error"].is_null(), "{reply}");
    reply["result"].clone()
}

/// The job's id.
async fn add(gateway: &Gateway, tenant: &Tenant, at: Timestamp) -> Value {
    let params = json!({
        "name": "alarm", "schedule": {"kind": "at", "at": at.to_string()},
        "sessionTarget": "isolated", "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": "ring"},
    });
    rpc(gateway, tenant, "cron.add", params).await["id"].clone()
}

/// How late each job's run began, as its worker has written it down.
async fn begun(gateway: &Gateway, jobs: &[(Tenant, Value)], due: Timestamp) -> Vec<Duration> {
    let mut late = Vec::new();
    for (tenant, id) in jobs {
        let runs = rpc(gateway, tenant, "cron.runs", json!({"id": id})).await;
        let entries = runs["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 1, "{runs}");
        let began = entries[0]["runAtMs"].as_i64().unwrap();
        let late_ms = u64::try_from(began - due.as_millisecond()).expect("nothing runs early");
        late.push(Duration::from_millis(late_ms));
    }
    late.sort();
    late
}

/// A full second, some time from now.
fn in_seconds(seconds: i64) -> Timestamp {
    let at = Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).unwrap();
    Timestamp::from_second(at.as_second()).unwrap()
}

/// How late each of the requests came; none came early.
fn lateness(provider: &Provider, due: Timestamp) -> Vec<Duration> {
    let due = SystemTime::from(due);
    let late = |it: &SystemTime| it.duration_since(due).expect("nothing is asked early");
    let mut late: Vec<_> = provider.arrivals().iter().map(late).collect();
    late.sort();
    late
}

async fn fire(many: usize, lead: i64) {
    let provider = Provider::start().await;
    let gateway = with(&provider, &json!({"sleep": "1"}));
    let tenants: Vec<_> = (0..many).map(|n| gateway.tenant(&format!("t{n}"))).collect();
    let due = in_seconds(lead);
    let mut jobs = Vec::new();
    for tenant in tenants {
        let id = add(&gateway, &tenant, due).await;
        jobs.push((tenant, id));
    }
    until("all sleep", || memory::workers(&gateway) == 0);
    let left = SystemTime::from(due).duration_since(SystemTime::now());
    assert!(left.is_ok_and(|left| left > Duration::from_secs(1)), "all slept in time");
    assert_eq!(provider.requests(), 0);
    until("all have asked", || provider.requests() >= many);
    let late = lateness(&provider, due);
    assert_eq!(late.len(), many);
    let asked = if many > 1 { ASKED } else { BOUND };
    assert!(late.iter().all(|it| *it < asked), "{late:?}");
    until("all runs are over", || memory::workers(&gateway) == 0);
    let began = begun(&gateway, &jobs, due).await;
    assert!(began.iter().all(|it| *it < BOUND), "{began:?}");
    let (middle, last) = (many / 2, many - 1);
    println!(
        "{many} at once: begun after {:?} (median) and {:?} (latest), the model asked after {:?} and {:?}",
        began[middle], began[last], late[middle], late[last],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeping_tenants_job_begins_within_a_second() {
    fire(1, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_do_the_jobs_of_many_that_are_due_at_the_same_second() {
    fire(MANY, 30).await;
}
