//! Nothing acknowledged is lost and nothing is done twice: the worker and the supervisor are killed
//! between a message's arrival and its reply.

mod disk;
pub(crate) mod points;
mod readonly;
pub(crate) mod seen;
pub(crate) mod storm;
mod webhook;

use http::StatusCode;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::provider::{Line, bill};
use tests::ws::{Connect, Ws};
use tests::{Client, Gateway, Provider, Tenant, until};

use seen::{Seen, announce_kills, hook_token, rpc};

/// An answer that waits in its middle until it is let go.
fn held(words: &str) -> String {
    let end = Line::say(&format!(" {words}"));
    bill(&[Line::say("so:"), Line::Wait, end, Line::Stop, Line::used(1, 1), Line::Done])
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    Worker,
    Supervisor,
}

fn strike(gateway: &mut Gateway, tenant: &Tenant, victim: Victim) {
    match victim {
        Victim::Worker => {
            let pid = gateway.worker_pid(tenant);
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
            until("the worker is gone", || !tests::is_alive(pid));
        }
        Victim::Supervisor => gateway.kill_supervisor_and_restart(),
    }
}

async fn choose(gateway: &Gateway, tenant: &Tenant, session: &str, model: &str) {
    rpc(gateway, tenant, "sessions.patch", json!({"key": session, "model": model})).await;
}

async fn a_reply_is_cut(victim: Victim) {
    let provider = Provider::start().await;
    let mut gateway = Gateway::with_provider(&provider);
    announce_kills(&gateway);
    let tenant = gateway.tenant("acme");
    choose(&gateway, &tenant, "main", "test/bill").await;
    let text = held("done");
    let params = json!({"sessionKey": "main", "message": text, "idempotencyKey": "one"});
    let sent = rpc(&gateway, &tenant, "chat.send", params.clone()).await;
    assert_eq!((&sent["runId"], &sent["status"]), (&json!("one"), &json!("started")));
    let queued = json!({"sessionKey": "main", "message": "bill [\"stop\",\"done\"]",
        "idempotencyKey": "two", "queueMode": "followup"});
    rpc(&gateway, &tenant, "chat.send", queued).await;
    until("the model has begun", || provider.waiting() == 1);

    strike(&mut gateway, &tenant, victim);
    until("it is asked again", || provider.waiting() == 2);
    // The client does not know what became of its message, and sends it again.
    let again = rpc(&gateway, &tenant, "chat.send", params.clone()).await;
    assert_eq!(again["runId"], "one", "{again}");
    provider.go_on(1);
    let seen = Seen::until(&gateway, &tenant, "main", 4).await;
    assert_eq!(seen.count("user", &text), 1, "{seen:?}");
    assert_eq!(seen.count("assistant", "so: done"), 1, "{seen:?}");
    assert_eq!(seen.messages.len(), 4, "what waited behind it is not lost: {seen:?}");
    seen::settled(&gateway, &tenant).await;
    let again = rpc(&gateway, &tenant, "chat.send", params).await;
    assert_eq!((&again["runId"], &again["status"]), (&json!("one"), &json!("ok")), "{again}");
    assert_eq!(Seen::of(&gateway, &tenant, "main").await, seen, "nothing came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_the_workers_end_cuts_is_given_once() {
    a_reply_is_cut(Victim::Worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_the_supervisors_end_cuts_is_given_once() {
    a_reply_is_cut(Victim::Supervisor).await;
}

async fn a_hook_is_cut(victim: Victim) {
    let provider = Provider::start().await;
    let mut gateway = Gateway::with_provider(&provider);
    announce_kills(&gateway);
    let tenant = gateway.tenant("acme");
    let token = hook_token(&gateway, &tenant);
    let hooks = Client::new(gateway.address(), Some(token)).header("idempotency-key", "mail-1");
    let text = held("the mail");
    let body = json!({"message": text, "model": "test/bill"});
    let first = hooks.post("/hooks/agent", &body).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text());
    until("the model has begun", || provider.waiting() == 1);

    strike(&mut gateway, &tenant, victim);
    until("it is asked again", || provider.waiting() == 2);
    let again = hooks.post("/hooks/agent", &body).await;
    assert_eq!(again.json()["runId"], first.json()["runId"], "{}", again.text());
    provider.go_on(1);
    let run = first.json()["runId"].as_str().unwrap().to_owned();
    let session = format!("agent:main:{run}");
    let seen = Seen::until(&gateway, &tenant, &session, 2).await;
    assert_eq!(seen.count("user", &text), 1, "{seen:?}");
    assert_eq!(seen.count("assistant", "so: the mail"), 1, "{seen:?}");
    let told = Seen::until(&gateway, &tenant, "main", 1).await;
    assert_eq!(told.count("assistant", "[Hook]\n\nso: the mail"), 1, "{told:?}");
    seen::settled(&gateway, &tenant).await;
    let again = hooks.post("/hooks/agent", &body).await;
    assert_eq!(again.json()["runId"], first.json()["runId"], "{}", again.text());
    assert_eq!(Seen::of(&gateway, &tenant, &session).await, seen, "nothing came twice");
    assert_eq!(Seen::of(&gateway, &tenant, "main").await, told, "nothing came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_the_workers_end_cuts_is_answered_once() {
    a_hook_is_cut(Victim::Worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_the_supervisors_end_cuts_is_answered_once() {
    a_hook_is_cut(Victim::Supervisor).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connected_client_gets_the_reply_of_the_next_worker() {
    let provider = Provider::start().await;
    let mut gateway = Gateway::with_provider(&provider);
    announce_kills(&gateway);
    let tenant = gateway.tenant("acme");
    choose(&gateway, &tenant, "main", "test/bill").await;
    let scopes = &["operator.admin", "operator.read", "operator.write"];
    let mut ws: Ws = Connect::new(gateway.address(), &tenant.token, scopes).open().await;
    let params = json!({"sessionKey": "main", "message": held("yes"), "idempotencyKey": "k"});
    ws.ok("chat.send", params).await;
    until("the model has begun", || provider.waiting() == 1);
    strike(&mut gateway, &tenant, Victim::Worker);
    until("it is asked again", || provider.waiting() == 2);
    provider.go_on(1);
    let last = loop {
        let event = ws.next_event("chat").await;
        assert!(event["state"] != "error" && event["state"] != "aborted", "{event}");
        if event["runId"] == "k" && event["state"] == "final" {
            break event;
        }
    };
    assert_eq!(last["message"]["content"][0]["text"], "so: yes", "{last}");
    ws.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_that_races_the_first_is_the_same_one() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let token = hook_token(&gateway, &tenant);
    let hooks = Client::new(gateway.address(), Some(token)).header("idempotency-key", "twice");
    let body = json!({"message": "ring", "waitForCompletion": true});
    let all = futures_util::future::join_all((0..8).map(|_| hooks.post("/hooks/agent", &body)));
    let all = all.await;
    for reply in &all {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        assert_eq!(reply.json()["runId"], all[0].json()["runId"], "{}", reply.text());
    }
    assert_eq!(provider.requests(), 1);
    let send = json!({"sessionKey": "main", "message": "hello", "idempotencyKey": "k"});
    let both = (0..8).map(|_| rpc(&gateway, &tenant, "chat.send", send.clone()));
    futures_util::future::join_all(both).await;
    let seen = Seen::until(&gateway, &tenant, "main", 3).await;
    assert_eq!((seen.count("user", "hello"), seen.count("assistant", "hello")), (1, 1), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_not_kept_and_may_be_sent_again() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let send = async |message: &str| {
        let params = json!({"sessionKey": "main", "message": message, "idempotencyKey": "k"});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "chat.send", "params": params});
        gateway.client(&tenant).post("/rpc", &body).await.json()
    };
    let refused = send("").await;
    assert!(refused["error"].to_string().contains("must not be empty"), "{refused}");
    let taken = send("better").await;
    assert_eq!(taken["result"]["runId"], "k", "{taken}");
    Seen::until(&gateway, &tenant, "main", 2).await;
    seen::settled(&gateway, &tenant).await;
}
