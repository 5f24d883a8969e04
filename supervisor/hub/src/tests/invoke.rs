//! What becomes of invocations and their outcomes.

use super::*;
use crate::invoke::{MAX_ERROR, MAX_KEPT_BYTES, MAX_KEYS, MAX_OUTCOME};

fn invocation(key: &str) -> Invocation {
    Invocation {
        command: "system.which".to_owned(),
        params_json: Some("{}".to_owned()),
        timeout: Duration::from_secs(5),
        idempotency_key: key.to_owned(),
    }
}

fn outcome(text: &str) -> Outcome {
    Outcome { ok: true, payload_json: Some(text.to_owned()), error: None }
}

/// The id of the invocation that waits in a node's outbox.
async fn asked(outbox: &mut Outbox) -> String {
    let Next::Send(Item::Event { payload, seq, .. }) = outbox.next().await else {
        panic!("no event")
    };
    assert_eq!(seq, None);
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(payload["paramsJSON"], "{}");
    payload["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_node_answers_once_and_nobody_else_does() {
    let (hub, a) = (Hub::default(), tenant("a"));
    let (node, mut outbox) = hub.join(&a, node()).unwrap();
    let (stranger, _theirs) = hub.join(&tenant("b"), spec(Role::Node, &[], &[])).unwrap();
    let answering = async {
        let id = asked(&mut outbox).await;
        assert!(!hub.complete(&stranger, &id, outcome("theirs")));
        assert!(!hub.complete(&node, "other", outcome("other")));
        assert!(hub.complete(&node, &id, outcome("mine")));
        assert!(!hub.complete(&node, &id, outcome("again")));
    };
    let (done, ()) = tokio::join!(hub.invoke(&a, "i", invocation("k")), answering);
    assert_eq!(done, Ok(outcome("mine")));
    assert_eq!(hub.invoke(&a, "i", invocation("k")).await, Ok(outcome("mine")));
    assert!(outbox.next().now_or_never().is_none(), "the same key runs once");
    let absent = Err(InvokeError::NotConnected);
    assert_eq!(hub.invoke(&a, "x", invocation("k")).await, absent);
    // What a client says of itself names no node.
    assert_eq!(hub.invoke(&a, "claimed", invocation("k")).await, absent);
    assert_eq!(hub.invoke(&tenant("c"), "i", invocation("k")).await, absent);
}

/// Has the node do it, which says `said`.
async fn done(
    hub: &Hub,
    node: &Connection,
    outbox: &mut Outbox,
    key: &str,
    said: Outcome,
) -> Result<Outcome, InvokeError> {
    let answering = async {
        let id = asked(outbox).await;
        assert!(hub.complete(node, &id, said));
    };
    tokio::join!(hub.invoke(node.tenant(), "i", invocation(key)), answering).0
}

#[tokio::test]
async fn the_latest_connection_of_a_node_is_asked() {
    let (hub, a) = (Hub::default(), tenant("a"));
    let (_first, mut earlier) = hub.join(&a, node()).unwrap();
    let (second, mut later) = hub.join(&a, node()).unwrap();
    let operator = Spec { role: Role::Operator, ..node() };
    let (_, mut operator) = hub.join(&a, operator).unwrap();
    let got = done(&hub, &second, &mut later, "k", outcome("later")).await;
    assert_eq!(got, Ok(outcome("later")));
    assert!(earlier.next().now_or_never().is_none());
    assert!(operator.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn outcomes_are_kept_while_there_is_room_and_nothing_is_done_twice() {
    let (hub, a) = (Hub::default(), tenant("a"));
    let (node, mut outbox) = hub.join(&a, node()).unwrap();
    let room = hub.room(&a).unwrap();
    // The oldest never ends, and must not keep the others.
    let slow = Invocation { timeout: Duration::from_mins(10), ..invocation("oldest") };
    let waits = hub.invoke(&a, "i", slow);
    tokio::pin!(waits);
    assert!(waits.as_mut().now_or_never().is_none());
    asked(&mut outbox).await;
    let said = outcome(&"x".repeat(MAX_OUTCOME));
    for key in 0..100 {
        let got = done(&hub, &node, &mut outbox, &key.to_string(), said.clone()).await;
        assert_eq!(got.as_ref(), Ok(&said));
        assert!(room.invocations.bytes() <= MAX_KEPT_BYTES, "{}", room.invocations.bytes());
    }
    assert!(room.invocations.bytes() > MAX_KEPT_BYTES / 2);
    assert_eq!(hub.invoke(&a, "i", invocation("99")).await, Ok(said));
    assert_eq!(hub.invoke(&a, "i", invocation("0")).await, Err(InvokeError::NotKept));
    assert!(waits.as_mut().now_or_never().is_none());
    assert!(outbox.next().now_or_never().is_none(), "nothing was asked twice");
}

#[tokio::test]
async fn an_outcome_that_is_too_large_is_told_once() {
    let (hub, a) = (Hub::default(), tenant("a"));
    let (node, mut outbox) = hub.join(&a, node()).unwrap();
    let large = outcome(&"x".repeat(MAX_OUTCOME + 1));
    let first = hub.invoke(&a, "i", invocation("k"));
    tokio::pin!(first);
    assert!(first.as_mut().now_or_never().is_none());
    let meanwhile = hub.invoke(&a, "i", invocation("k"));
    tokio::pin!(meanwhile);
    assert!(meanwhile.as_mut().now_or_never().is_none());
    assert!(hub.complete(&node, &asked(&mut outbox).await, large.clone()));
    assert_eq!(first.await, Ok(large));
    assert_eq!(meanwhile.await, Err(InvokeError::NotKept));
    assert_eq!(hub.invoke(&a, "i", invocation("k")).await, Err(InvokeError::NotKept));
    assert!(outbox.next().now_or_never().is_none());
    assert_eq!(hub.room(&a).unwrap().invocations.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_old_is_forgotten_though_nobody_invokes_anything() {
    let (hub, a) = (Hub::default(), tenant("a"));
    let (node, mut outbox) = hub.join(&a, node()).unwrap();
    let room = hub.room(&a).unwrap();
    let said = "\u{e4}".repeat(2 * MAX_ERROR);
    let error = |text: &str| NodeError { code: None, message: Some(text.to_owned()) };
    let refusal = |text: &str| Outcome { ok: false, payload_json: None, error: Some(error(text)) };
    let short = "\u{e4}".repeat(MAX_ERROR);
    let got = done(&hub, &node, &mut outbox, "k", refusal(&said)).await;
    assert_eq!(got, Ok(refusal(&short)));
    assert_eq!(room.invocations.bytes(), short.len(), "an error counts");
    tokio::time::advance(Duration::from_mins(5)).await;
    hub.sweep(&a);
    assert_eq!(room.invocations.bytes(), short.len());
    tokio::time::advance(Duration::from_secs(1)).await;
    hub.sweep(&a);
    assert_eq!(room.invocations.bytes(), 0);
    let again = done(&hub, &node, &mut outbox, "k", outcome("again")).await;
    assert_eq!(again, Ok(outcome("again")));
}

#[tokio::test(start_paused = true)]
async fn keys_are_remembered_up_to_a_bound() {
    let (hub, a) = (Hub::default(), tenant("a"));
    let (node, mut outbox) = hub.join(&a, node()).unwrap();
    for key in 0..MAX_KEYS {
        done(&hub, &node, &mut outbox, &key.to_string(), outcome("1")).await.unwrap();
    }
    assert_eq!(hub.invoke(&a, "i", invocation("more")).await, Err(InvokeError::Busy));
    assert_eq!(hub.invoke(&a, "i", invocation("0")).await, Ok(outcome("1")));
    tokio::time::advance(Duration::from_secs(301)).await;
    done(&hub, &node, &mut outbox, "more", outcome("1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer() {
    let (hub, a) = (Hub::default(), tenant("a"));
    let (_, mut outbox) = hub.join(&a, node()).unwrap();
    assert_eq!(hub.invoke(&a, "i", invocation("k")).await, Err(InvokeError::TimedOut));
    asked(&mut outbox).await;
    let leaving = async {
        asked(&mut outbox).await;
        drop(outbox);
    };
    let (gone, ()) = tokio::join!(hub.invoke(&a, "i", invocation("k")), leaving);
    assert_eq!(gone, Err(InvokeError::Gone));
}
