//! Which calls run beside each other, and what becomes of them when a run is stopped.

use super::*;

/// A picture as far as anybody looks at it.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn send(id: &'static str, to: &str) -> (&'static str, &'static str, String) {
    (id, "sessions_send", json!({"sessionKey": to, "message": format!("to {to}")}).to_string())
}

#[tokio::test]
async fn calls_that_change_nothing_run_beside_each_other_and_four_at_once() {
    let mut harness = Harness::new().await;
    ask(&mut harness, "main", &body("hi"), vec![saying("ho")]).await;
    std::fs::write(harness.root.join("agents/main/workspace/p.png"), PNG).unwrap();
    let calls: Vec<_> = (0..6)
        .map(|at| (format!("c{at}"), format!("{{\"image\":\"p.png\",\"prompt\":\"p{at}\"}}")))
        .collect();
    let calls: Vec<_> = calls.iter().map(|(id, input)| (&**id, "image", &**input)).collect();
    let sent = harness.send("main", &body("look"));
    let model = async {
        answer(&mut harness, calling(&calls)).await;
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(harness.calls.recv().await.unwrap());
        }
        tokio::task::yield_now().await;
        assert!(harness.calls.try_recv().is_err(), "four at once");
        // They are answered in another order than they were called in.
        while let Some(call) = open.pop() {
            let prompt = text_of(last(&call.request)).replace("\n\n[image]", "");
            call.open().send(Ok(batch(saying(&format!("seen {prompt}"))))).await.unwrap();
        }
        for _ in 0..2 {
            answer(&mut harness, saying("seen late")).await;
        }
        answer(&mut harness, saying("all seen")).await
    };
    let (_, request) = tokio::join!(async { read(sent.await).await }, model);
    let given = results(&request);
    let texts: Vec<_> = given.iter().map(|one| one.1.as_str()).collect();
    assert_eq!(texts, ["seen p0", "seen p1", "seen p2", "seen p3", "seen late", "seen late"]);
}

#[tokio::test]
async fn calls_that_change_something_run_one_after_the_other() {
    let mut harness = Harness::new().await;
    for key in ["a", "b"] {
        ask(&mut harness, key, &body("hi"), vec![saying("ho")]).await;
    }
    let (one, two) = (send("c1", "a"), send("c2", "b"));
    let calls = [(one.0, one.1, &*one.2), (two.0, two.1, &*two.2)];
    let sent = harness.send("main", &body("send"));
    let model = async {
        answer(&mut harness, calling(&calls)).await;
        let first = harness.calls.recv().await.unwrap();
        assert_eq!(text_of(last(&first.request)), "to a");
        assert!(text_of(&first.request.messages[0]).contains("agent:main:main` has sent"));
        tokio::task::yield_now().await;
        assert!(harness.calls.try_recv().is_err(), "the second waits for the first");
        first.open().send(Ok(batch(saying("from a")))).await.unwrap();
        answer(&mut harness, saying("from b")).await;
        answer(&mut harness, saying("both")).await
    };
    let (_, request) = tokio::join!(async { read(sent.await).await }, model);
    let given = results(&request);
    assert!(given[0].1.contains("from a") && given[1].1.contains("from b"), "{given:?}");
}

#[tokio::test]
async fn stopping_gives_up_what_runs_and_answers_every_call() {
    let mut harness = Harness::new().await;
    ask(&mut harness, "a", &body("hi"), vec![saying("ho")]).await;
    let mut told = harness.events().await;
    let params = json!({"sessionKey": "main", "message": "go", "idempotencyKey": "r1"});
    harness.call("chat.send", &params).await.unwrap();
    let one = send("c2", "a");
    let calls = [STATUS, (one.0, one.1, &*one.2), ("c3", "agents_list", "{}")];
    answer(&mut harness, calling(&calls)).await;
    let other = harness.calls.recv().await.unwrap().open();
    harness.call("chat.abort", &json!({"sessionKey": "main"})).await.unwrap();
    other.closed().await;
    let ended = told.next("chat", |it| it["runId"] == "r1" && it["state"] == "aborted").await;
    assert_eq!(ended["stopReason"], "rpc");
    let history = harness.call("chat.history", &json!({"sessionKey": "main"})).await.unwrap();
    let messages = history["messages"].as_array().unwrap();
    let results: Vec<_> = messages.iter().filter(|one| one["role"] == "toolResult").collect();
    let errors: Vec<_> = results.iter().map(|one| one["isError"] == true).collect();
    assert_eq!(errors, [false, true, true]);
    assert!(results[1]["content"][0]["text"].as_str().unwrap().contains("was stopped"));
    assert_eq!(messages.last().unwrap()["stopReason"], "aborted");
    let (_, requests) = ask(&mut harness, "main", &body("on"), vec![saying("yes")]).await;
    assert_eq!(super::results(&requests[0]).len(), 3, "the model sees what was done and what not");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_calls_with_it() {
    let mut harness = Harness::new().await;
    ask(&mut harness, "a", &body("hi"), vec![saying("ho")]).await;
    let sent = harness.send("main", &body("go"));
    let one = send("c1", "a");
    let model = async {
        answer(&mut harness, calling(&[(one.0, one.1, &*one.2)])).await;
        harness.calls.recv().await.unwrap().open()
    };
    let (reply, other) = tokio::join!(sent, model);
    drop(reply);
    tokio::time::timeout(std::time::Duration::from_secs(5), other.closed()).await.unwrap();
}

#[tokio::test]
async fn sessions_that_send_to_each_other_end() {
    let mut harness = Harness::new().await;
    for key in ["a", "b", "c", "d"] {
        ask(&mut harness, key, &body("hi"), vec![saying("ho")]).await;
    }
    let sent = harness.send("main", &body("go"));
    let model = async {
        for to in ["a", "b", "c", "d"] {
            let one = send("c1", to);
            answer(&mut harness, calling(&[(one.0, one.1, &*one.2)])).await;
        }
        let refused = answer(&mut harness, saying("c is the last")).await;
        for _ in 0..3 {
            answer(&mut harness, saying("back")).await;
        }
        refused
    };
    let (reply, refused) = tokio::join!(async { read(sent.await).await }, model);
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "back");
    assert!(results(&refused).last().unwrap().1.contains("answer instead"));
}
