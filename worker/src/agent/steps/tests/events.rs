//! What those are told who watch a run with calls, and what they read afterwards.

use super::*;

#[tokio::test]
async fn calls_are_told_as_they_begin_and_end() {
    let mut harness = Harness::new().await;
    let mut told = harness.events().await;
    let params = json!({"sessionKey": "main", "message": "go", "idempotencyKey": "r1"});
    harness.call("chat.send", &params).await.unwrap();
    let mut first = calling(&[("c1", "session_status", "{\"sessionKey\":\"main\"}")]);
    first.insert(1, text("Let me look."));
    answer(&mut harness, first).await;
    let said = told.next("chat", |it| it["state"] == "delta").await;
    assert_eq!(said["deltaText"], "Let me look.");
    let stored = told.next("session.message", |it| it["message"]["role"] == "assistant").await;
    assert_eq!(stored["message"]["content"][1]["type"], "toolCall");
    assert_eq!(stored["message"]["__openclaw"]["runId"], "r1");
    let begun = told.next("agent.tool", |_| true).await;
    assert_eq!((&begun["stream"], &begun["runId"]), (&json!("tool"), &json!("r1")));
    assert_eq!(begun["sessionKey"], "agent:main:main");
    let data = json!({"phase": "start", "name": "session_status", "toolCallId": "c1",
        "args": {"sessionKey": "main"}});
    assert_eq!(begun["data"], data);
    let again = told.next("session.tool", |_| true).await;
    assert_eq!(again, begun);
    let result = told.next("session.message", |it| it["message"]["role"] == "toolResult").await;
    assert_eq!(result["message"]["toolCallId"], "c1");
    let ended = told.next("agent.tool", |it| it["data"]["phase"] == "result").await;
    assert_eq!(
        (&ended["data"]["isError"], &ended["data"]["toolCallId"]),
        (&json!(false), &json!("c1"))
    );
    let content = &ended["data"]["result"]["content"][0];
    assert_eq!(content["text"], result["message"]["content"][0]["text"]);
    assert!(ended["seq"].as_u64() > begun["seq"].as_u64());
    answer(&mut harness, saying("Done.")).await;
    let last = told.next("chat", |it| it["state"] == "final").await;
    assert_eq!(last["message"]["content"][0]["text"], "Let me look.\n\nDone.");
    assert_eq!(last["usage"]["totalTokens"], 20);

    let history = harness.call("chat.history", &json!({"sessionKey": "main"})).await.unwrap();
    let messages = history["messages"].as_array().unwrap();
    assert_eq!(messages[1]["content"][1]["name"], "session_status");
    assert_eq!(messages[1]["content"][1]["arguments"], json!({"sessionKey": "main"}));
    assert_eq!(
        (&messages[2]["role"], &messages[2]["toolName"]),
        (&json!("toolResult"), &json!("session_status"))
    );
    assert_eq!(messages[3]["content"][0]["text"], "Done.");
}

#[tokio::test]
async fn what_a_run_came_to_is_its_last_answer() {
    let mut harness = Harness::new().await;
    let params = json!({"message": "go", "agentId": "main", "idempotencyKey": "a1"});
    let mut first = calling(&[STATUS]);
    first.insert(1, text("Let me look."));
    let called = async |harness: &Harness| harness.call("agent", &params).await.unwrap();
    let client = harness.client.clone();
    let answered = async {
        let request = proto::worker::CallRequest {
            method: "agent".to_owned(),
            params: params.to_string().into(),
            ..<_>::default()
        };
        client.clone().call(request).await.unwrap();
    };
    let model = async {
        answer(&mut harness, first).await;
        answer(&mut harness, saying("Done.")).await;
    };
    tokio::join!(answered, model);
    let again = called(&harness).await;
    assert_eq!(again["result"]["payloads"][0]["text"], "Done.");
    assert_eq!(again["result"]["meta"]["agentMeta"]["usage"]["total"], 20);
}

#[tokio::test]
async fn every_tool_is_listed_with_its_sets_and_sessions_have_theirs() {
    let harness = Harness::new().await;
    let agents = json!({"tools": {"main": {"allow": ["group:sessions", "cron"]}}});
    harness.configure(&json!({"tools": {"deny": ["cron"]}, "agents": agents})).await;
    let catalog = harness.call("tools.catalog", &json!({})).await.unwrap();
    assert_eq!(catalog["profiles"][0], json!({"id": "minimal", "label": "Minimal"}));
    let groups = catalog["groups"].as_array().unwrap();
    let ids: Vec<_> = groups.iter().map(|group| group["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"sessions") && ids.contains(&"automation"), "{ids:?}");
    let sessions = groups.iter().find(|group| group["id"] == "sessions").unwrap();
    let status = sessions["tools"].as_array().unwrap();
    let status = status.iter().find(|tool| tool["id"] == "session_status").unwrap();
    let sets = json!(["minimal", "coding", "messaging", "full"]);
    assert_eq!((&status["defaultProfiles"], &status["source"]), (&sets, &json!("core")));
    let key = json!({"sessionKey": "main"});
    let effective = harness.call("tools.effective", &key).await.unwrap();
    assert_eq!((&effective["agentId"], &effective["profile"]), (&json!("main"), &json!("full")));
    let tools = effective["groups"][0]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["id"].as_str().unwrap()).collect();
    let wanted =
        ["sessions_list", "sessions_history", "sessions_send", "sessions_spawn", "session_status"];
    assert_eq!(names, wanted);
    assert!(tools[0]["rawDescription"].as_str() > tools[0]["description"].as_str());
    harness.configure(&json!({"tools": {"deny": ["*"]}})).await;
    let effective = harness.call("tools.effective", &key).await.unwrap();
    assert_eq!(effective["groups"], json!([]));
}
