//! What may be asked when, and how a worker drains.

use proto::worker::{CallRequest, DrainRequest, Route, ServeRequest};
use runtime::limits::{MAX_PART, MAX_RESULT};
use serde_json::json;
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::testing::{Harness, batch, finished, read, started, text};

fn models() -> ServeRequest {
    ServeRequest { route: Route::Models.into(), ..ServeRequest::default() }
}

#[tokio::test]
async fn what_may_be_asked_when() {
    let mut harness = Harness::unstarted().await;
    let refused = harness.serve(models()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let refused = harness.client.call(CallRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    harness.start().await.unwrap();
    assert_eq!(harness.start().await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(read(harness.serve(models()).await.unwrap()).await.head.status, 200);
    let drained =
        harness.client.drain(DrainRequest { deadline_ms: 5000, if_idle: false }).await.unwrap();
    assert_eq!(drained.into_inner().cancelled, 0);
    let refused = harness.serve(models()).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "draining"));
}

#[tokio::test]
async fn a_long_reply_leaves_in_parts_and_a_long_result_not_at_all() {
    for stream in [false, true] {
        let mut harness = Harness::new().await;
        let ask = json!({"model": "demo", "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
        let long = "x".repeat(2 * MAX_PART + MAX_PART / 2);
        let events = vec![started(), text(&long), finished("stop")];
        let (answer, _) = harness.ask("", &ask, vec![events]).await;
        assert!(answer.parts >= 3 && answer.body.contains(&long), "{}", answer.parts);
    }
    assert_eq!(super::sendable(vec![0; MAX_RESULT]).unwrap().len(), MAX_RESULT);
    let refused = super::sendable(vec![0; MAX_RESULT + 1]).unwrap_err();
    assert_eq!(refused.code, api::Code::ResourceExhausted);
}

#[tokio::test]
async fn draining_waits_for_what_was_accepted() {
    let mut harness = Harness::new().await;
    let body = json!({"model": "openclaw", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let (reply, batches) = harness.open("main", &body).await;
    let mut client = harness.client.clone();
    let drain =
        async { client.drain(DrainRequest { deadline_ms: 30_000, if_idle: false }).await.unwrap() };
    let answer = async {
        while harness.serve(models()).await.is_ok() {}
        batches.send(Ok(batch(vec![started(), text("a"), finished("stop")]))).await.unwrap();
        drop(batches);
        read(reply).await
    };
    let (drained, answer) = tokio::join!(drain, answer);
    assert_eq!(drained.into_inner().cancelled, 0);
    assert_eq!(answer.events().last().unwrap()["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_worker_that_is_asked_to_rest_goes_on_with_what_it_has_begun() {
    let mut harness = Harness::new().await;
    let body = json!({"model": "openclaw", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let (reply, batches) = harness.open("main", &body).await;
    let mut client = harness.client.clone();
    let mut rest = async || {
        let request = DrainRequest { deadline_ms: 1, if_idle: true };
        client.drain(request).await.unwrap().into_inner().busy
    };
    assert!(rest().await);
    batches.send(Ok(batch(vec![started(), text("a"), finished("stop")]))).await.unwrap();
    drop(batches);
    assert_eq!(read(reply).await.events().last().unwrap()["choices"][0]["finish_reason"], "stop");
    while harness.serve(models()).await.is_err() || rest().await {
        tokio::task::yield_now().await;
    }
    assert!(harness.serve(models()).await.is_err(), "nothing more is taken");
}

#[tokio::test]
async fn a_drain_stops_what_runs_at_its_deadline() {
    let mut harness = Harness::new().await;
    for model in ["openclaw", "demo"] {
        let mut harness = Harness::new().await;
        let body = json!({"model": model, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
        let (mut reply, batches) = harness.open("main", &body).await;
        batches.send(Ok(batch(vec![started(), text("half")]))).await.unwrap();
        reply.next().await.unwrap().unwrap();
        let mut client = harness.client.clone();
        let drain =
            async { client.drain(DrainRequest { deadline_ms: 1, if_idle: false }).await.unwrap() };
        let rest = async {
            let part = reply.next().await.unwrap().unwrap();
            assert!(reply.next().await.is_none());
            String::from_utf8(part.data.to_vec()).unwrap()
        };
        let (drained, rest) = tokio::join!(drain, rest);
        assert_eq!(drained.into_inner().cancelled, 1);
        assert!(rest.contains("shutting down") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
        batches.closed().await;
        if model == "openclaw" {
            let stored = harness.transcript().pop().unwrap();
            assert_eq!(stored["message"]["stopReason"], "aborted");
            assert_eq!(stored["message"]["content"][0]["text"], "half");
        }
    }
    harness.start().await.unwrap_err();
}
