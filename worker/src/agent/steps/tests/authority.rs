//! What runs may use that other runs have started: never more than those.

use super::*;

fn has(request: &LlmRequest, name: &str) -> bool {
    offered(request).iter().any(|one| one == name)
}

fn spawn(task: &str) -> Vec<Event> {
    calling(&[("c1", "sessions_spawn", &json!({"task": task}).to_string())])
}

/// Starts a run through `chat.send`.
async fn send(harness: &Harness, key: &str, run: &str) {
    let params = json!({"sessionKey": key, "message": run, "idempotencyKey": run});
    harness.call("chat.send", &params).await.unwrap();
}

/// The next model call whose last message holds `text`, open; others must not come first.
async fn asked(harness: &mut Harness, text: &str, events: Vec<Event>) -> LlmRequest {
    let request = answer(harness, events).await;
    let said = request.messages.iter().map(text_of).collect::<Vec<_>>().join("\n");
    assert!(said.contains(text), "{said}");
    request
}

#[tokio::test]
async fn a_sub_agent_has_less_than_its_starter_and_tells_it_its_result() {
    let mut harness = Harness::new().await;
    let mut told = harness.events().await;
    harness.configure(&json!({"tools": {"deny": ["agents_list"]}})).await;
    send(&harness, "main", "r1").await;
    answer(&mut harness, spawn("dig")).await;
    // The sub-agent and the next step of its starter, in either order.
    let (mut one, mut two) =
        (harness.calls.recv().await.unwrap(), harness.calls.recv().await.unwrap());
    if text_of(last(&one.request)) != "dig" {
        std::mem::swap(&mut one, &mut two);
    }
    let given = results(&two.request)[0].1.clone();
    let given: Value = serde_json::from_str(&given).unwrap();
    let child = given["childSessionKey"].as_str().unwrap().to_owned();
    assert!(child.starts_with("agent:main:subagent:"), "{child}");
    two.open().send(Ok(batch(saying("started")))).await.unwrap();
    told.next("chat", |it| it["runId"] == "r1" && it["state"] == "final").await;
    assert!(text_of(&one.request.messages[0]).contains("You are a sub-agent"));
    for name in ["cron", "message", "agents_list"] {
        assert!(!has(&one.request, name), "{name}");
    }
    assert!(has(&one.request, "sessions_spawn") && has(&one.request, "read"));

    // It starts another, which starts none.
    let listed = harness.call("sessions.list", &json!({"spawnedBy": "agent:main:main"})).await;
    assert_eq!(listed.unwrap()["sessions"][0]["key"], child);
    one.open().send(Ok(batch(spawn("deeper")))).await.unwrap();
    let (mut one, mut two) =
        (harness.calls.recv().await.unwrap(), harness.calls.recv().await.unwrap());
    if text_of(last(&one.request)) != "deeper" {
        std::mem::swap(&mut one, &mut two);
    }
    assert!(!has(&one.request, "sessions_spawn") && has(&one.request, "read"));
    two.open().send(Ok(batch(saying("waiting")))).await.unwrap();
    asked_after(&mut harness, one, "waiting").await;
}

/// The innermost answers: its starter is told, and then the main session.
async fn asked_after(harness: &mut Harness, inner: crate::testing::ModelCall, said: &str) {
    // The main session hears of the first answer of its sub-agent.
    let main = asked(harness, said, saying("HEARTBEAT_OK")).await;
    assert!(!has(&main, "cron"), "a wake-up makes no jobs");
    assert!(!has(&main, "sessions_spawn"), "nor sub-agents, whose end would wake it again");
    inner.open().send(Ok(batch(saying("found it")))).await.unwrap();
    let middle = asked(harness, "found it", saying("passed on")).await;
    assert!(!has(&middle, "cron") && !has(&middle, "message"), "it has not become more");
}

#[tokio::test]
async fn what_a_sub_agent_may_use_stays_with_its_session() {
    let mut harness = Harness::new().await;
    let mut told = harness.events().await;
    harness.configure(&json!({"tools": {"allow": ["sessions_spawn", "read"]}})).await;
    send(&harness, "main", "r1").await;
    answer(&mut harness, spawn("dig")).await;
    for _ in 0..2 {
        answer(&mut harness, saying("ok")).await;
    }
    let woken = harness.calls.recv().await.unwrap();
    woken.open().send(Ok(batch(saying("HEARTBEAT_OK")))).await.unwrap();
    let listed = harness.call("sessions.list", &json!({"spawnedBy": "agent:main:main"})).await;
    let child = listed.unwrap()["sessions"][0]["key"].as_str().unwrap().to_owned();
    harness.configure(&json!({})).await;
    told.next("chat", |it| it["runId"] == "r1" && it["state"] == "final").await;
    send(&harness, &child, "r2").await;
    let request = asked(&mut harness, "r2", saying("still small")).await;
    assert_eq!(offered(&request), ["read", "sessions_spawn"]);
    let effective = harness.call("tools.effective", &json!({"sessionKey": child})).await.unwrap();
    assert_eq!(effective["groups"][0]["tools"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_session_that_is_sent_to_has_the_tools_of_the_sender() {
    let mut harness = Harness::new().await;
    let agents = json!({"tools": {"small": {"allow": ["sessions_send", "read"]}}});
    harness.call("agents.create", &json!({"name": "small", "workspace": "x"})).await.unwrap();
    let open = json!({"agents": agents, "tools": {"agentToAgent": {"enabled": true}}});
    harness.configure(&open).await;
    let mut asked = body("go");
    asked["model"] = json!("openclaw/small");
    let to = json!({"sessionKey": "agent:main:main", "message": "do it"}).to_string();
    let answers = vec![
        calling(&[("c1", "sessions_send", &to)]),
        saying("done by main"),
        saying("it is done"),
    ];
    let (_, requests) = ask(&mut harness, "", &asked, answers).await;
    assert_eq!(offered(&requests[0]), ["read", "sessions_send"]);
    assert_eq!(offered(&requests[1]), ["read", "sessions_send"], "main lends nothing");
    assert!(results(&requests[2])[0].1.contains("done by main"));
}

#[tokio::test]
async fn a_job_has_the_tools_of_the_run_that_made_it_and_makes_none() {
    let mut harness = Harness::new().await;
    harness.configure(&json!({"tools": {"deny": ["image"]}})).await;
    let job = json!({"schedule": {"kind": "every", "everyMs": 60_000},
        "payload": {"kind": "agentTurn", "message": "tick", "toolsAllow": ["*"]}});
    let add = json!({"action": "add", "job": job}).to_string();
    let answers = vec![calling(&[("c1", "cron", &add)]), saying("made")];
    let (_, requests) = ask(&mut harness, "main", &body("remind me"), answers).await;
    assert!(has(&requests[0], "cron"));
    let made: Value = serde_json::from_str(&results(&requests[1])[0].1).unwrap();
    let allow = made["payload"]["toolsAllow"].as_array().unwrap();
    assert!(!allow.contains(&json!("cron")) && allow.contains(&json!("read")), "{allow:?}");
    assert_eq!(made["owner"]["sessionKey"], "agent:main:main");
    harness.configure(&json!({})).await;
    let person = json!({"name": "mine", "schedule": {"kind": "every", "everyMs": 7_200_000},
        "sessionTarget": "isolated", "wakeMode": "now", "delivery": {"mode": "none"},
        "payload": {"kind": "agentTurn", "message": "tock"}});
    let mine = harness.call("cron.add", &person).await.unwrap();
    harness.call("cron.run", &json!({"id": made["id"]})).await.unwrap();
    let request = asked(&mut harness, "tick", saying("ticked")).await;
    assert!(!has(&request, "cron") && !has(&request, "image") && has(&request, "read"));
    harness.call("cron.run", &json!({"id": mine["id"]})).await.unwrap();
    let change = json!({"action": "update", "jobId": mine["id"],
        "patch": {"payload": {"message": "tock tock", "toolsAllow": null}}});
    let change = calling(&[("c1", "cron", &change.to_string())]);
    let request = asked(&mut harness, "tock", change).await;
    assert!(has(&request, "cron") && has(&request, "image"), "a person's job has all of it");
    let request = asked(&mut harness, "tock tock", saying("changed")).await;
    let changed: Value = serde_json::from_str(&results(&request)[0].1).unwrap();
    let allow = changed["payload"]["toolsAllow"].as_array().unwrap();
    assert!(!allow.contains(&json!("cron")) && allow.contains(&json!("image")), "{allow:?}");
}

#[tokio::test]
async fn a_message_goes_to_another_session_only() {
    let mut harness = Harness::new().await;
    let own = json!({"action": "send", "message": "hi"}).to_string();
    let other = json!({"action": "send", "message": "hi", "channel": "telegram"}).to_string();
    let answers =
        vec![calling(&[("c1", "message", &own), ("c2", "message", &other)]), saying("ok")];
    let (_, requests) = ask(&mut harness, "main", &body("go"), answers).await;
    let given = results(&requests[1]);
    assert!(given[0].1.contains("this session") && given[1].1.contains("not connected"));
    let answers = vec![calling(&[("c1", "message", &own)]), saying("sent")];
    let (_, requests) = ask(&mut harness, "work", &body("go"), answers).await;
    assert!(results(&requests[1])[0].1.contains("\"ok\":true"));
    let history = harness.call("chat.history", &json!({"sessionKey": "main"})).await.unwrap();
    let message = history["messages"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(message["content"][0]["text"], "hi");
}
