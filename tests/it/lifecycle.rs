//! A worker's life seen from outside: start on demand, crash, back-off, sleep, drain, restart, and
//! the end of the supervisor and of the launcher.

use std::time::Duration;

use http::StatusCode;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::{Gateway, Provider, is_alive, until};

fn kill9(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_costs_its_stream_and_nothing_else() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    gateway.announce("worker crashed");
    let (one, two) = (gateway.tenant("one"), gateway.tenant("two"));
    let mut hit = gateway.client(&one).stream("slow", "go").await;
    let mut spared = gateway.client(&two).stream("slow", "go").await;
    hit.next().await.unwrap();
    spared.next().await.unwrap();

    let pid = gateway.worker_pid(&one);
    kill9(pid);
    let (_, events) = hit.rest().await;
    assert!(events.iter().any(|event| event.contains("\"error\"")), "{events:?}");
    assert_eq!(events.last().unwrap(), "[DONE]");
    assert_eq!(gateway.client(&one).chat("mock", "again").await.answer(), "again");
    assert_ne!(gateway.worker_pid(&one), pid);
    for _ in 0..3 {
        let event = spared.next().await.unwrap();
        assert!(!event.contains("error"), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_parks_the_tenant_and_an_operator_frees_it() {
    let gateway = Gateway::start();
    for text in ["worker crashed", "tenant parked"] {
        gateway.announce(text);
    }
    let (looping, calm) = (gateway.tenant("looping"), gateway.tenant("calm"));
    let mut parked = None;
    for _ in 0..8 {
        let reply = gateway.client(&looping).chat("demo", "hi").await;
        if reply.status == StatusCode::SERVICE_UNAVAILABLE {
            parked = Some(reply);
            break;
        }
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let pid = gateway.worker_pid(&looping);
        kill9(pid);
        until("the supervisor has noticed", || {
            gateway.json(&["tenants", "show", "looping"])["worker"].is_null()
        });
    }
    let parked = parked.expect("a parked tenant");
    assert!(parked.headers.contains_key("retry-after"));
    assert_eq!(gateway.json(&["tenants", "show", "looping"])["state"], "parked");
    assert_eq!(gateway.client(&calm).chat("demo", "hi").await.status, StatusCode::OK);
    gateway.json(&["tenants", "restart", "looping"]);
    assert_eq!(gateway.client(&looping).chat("demo", "hi").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_stops_and_the_next_request_starts_one() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant_with("sleepy", &["--idle-seconds", "1"]);
    assert_eq!(gateway.json(&["tenants", "show", "sleepy"])["state"], "stopped");
    gateway.client(&tenant).chat("demo", "hi").await.answer();
    let shown = gateway.json(&["tenants", "show", "sleepy"]);
    let pid = i32::try_from(shown["worker"]["pid"].as_i64().unwrap()).unwrap();
    until("the worker stops", || !is_alive(pid));
    gateway.client(&tenant).chat("demo", "hi again").await.answer();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_load_fails_no_request() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let (busy, other) = (gateway.tenant("busy"), gateway.tenant("other"));
    let stop = tokio_util::sync::CancellationToken::new();
    let mut callers = Vec::new();
    for tenant in [&busy, &busy, &busy, &other] {
        let (client, stop) = (gateway.client(tenant), stop.clone());
        callers.push(tokio::spawn(async move {
            let mut answered = 0_u32;
            while !stop.is_cancelled() {
                assert_eq!(client.chat("openclaw", "load").await.answer(), "load");
                answered += 1;
            }
            answered
        }));
    }
    for _ in 0..3 {
        let before = gateway.worker_pid(&busy);
        gateway.json(&["tenants", "restart", "busy"]);
        assert_ne!(gateway.worker_pid(&busy), before);
    }
    stop.cancel();
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_lets_a_stream_finish_or_cuts_it_at_the_deadline() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    gateway.announce("drain");
    let tenant = gateway.tenant("acme");
    let mut endless = gateway.client(&tenant).stream("slow", "go").await;
    endless.next().await.unwrap();
    let started = std::time::Instant::now();
    gateway.json(&["tenants", "restart", "acme", "--deadline-seconds", "1"]);
    assert!(started.elapsed() >= Duration::from_millis(900));
    let (_, events) = endless.rest().await;
    assert!(events.iter().any(|event| event.contains("\"error\"")), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_worker_outlives_the_supervisor_and_no_answer_is_lost() {
    let mut gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let client = gateway.client(&tenant).header("x-openclaw-session-key", "main");
    for n in 0..5 {
        client.chat("openclaw", &format!("message number {n}")).await.answer();
    }
    let worker = gateway.worker_pid(&tenant);
    gateway.kill_supervisor_and_restart();
    until("the worker is gone", || !is_alive(worker));
    let client = gateway.client(&tenant);
    let history = client
        .post(
            "/rpc",
            &serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "chat.history",
            "params": {"sessionKey": "agent:main:main"}}),
        )
        .await
        .text();
    for n in 0..5 {
        assert!(history.contains(&format!("message number {n}")), "{history}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_the_launcher() {
    let mut gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    gateway.client(&tenant).chat("openclaw", "hello").await.answer();
    let worker = gateway.worker_pid(&tenant);
    gateway.kill_launcher_and_restart();
    until("the worker is gone", || !is_alive(worker));
    gateway.client(&tenant).chat("openclaw", "hello again").await.answer();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_and_ends_with_success() {
    let provider = Provider::start().await;
    let mut gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let client = gateway.client(&tenant);
    let text = "word ".repeat(200);
    let stream = client.stream("mock", &text).await;
    let rest = tokio::spawn(stream.rest());
    assert_eq!(gateway.stop(), Some(0));
    assert_eq!(rest.await.unwrap().0, text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenant_is_refused_until_it_is_resumed() {
    let gateway = Gateway::start();
    let (tenant, other) = (gateway.tenant("acme"), gateway.tenant("other"));
    gateway.client(&tenant).chat("demo", "hi").await.answer();
    gateway.json(&["tenants", "suspend", "acme"]);
    let refused = gateway.client(&tenant).chat("demo", "hi").await.status;
    assert!(matches!(refused, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED), "{refused}");
    gateway.client(&other).chat("demo", "hi").await.answer();
    gateway.json(&["tenants", "resume", "acme"]);
    gateway.client(&tenant).chat("demo", "hi").await.answer();
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_refuse_with_retry_after_and_leave_others_alone() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant =
        gateway.tenant_with("small", &["--requests-per-minute", "3", "--concurrency", "1"]);
    let other = gateway.tenant("other");
    let mut stream = gateway.client(&tenant).stream("slow", "go").await;
    stream.next().await.unwrap();
    let busy = gateway.client(&tenant).chat("mock", "second at once").await;
    assert_eq!(busy.status, StatusCode::TOO_MANY_REQUESTS, "{}", busy.text());
    assert!(busy.headers.contains_key("retry-after"));
    drop(stream);
    let mut refused = 0;
    for _ in 0..10 {
        let status = gateway.client(&tenant).chat("mock", "hi").await.status;
        refused += u32::from(status == StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(gateway.client(&other).chat("mock", "hi").await.status, StatusCode::OK);
    }
    assert!(refused >= 4, "{refused}");
}
