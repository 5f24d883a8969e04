//! Where runs end: steps, tokens, and going round in circles.

use super::*;

const NO_TOOLS: &[u8] = b"\"none\"";

fn choice(request: &LlmRequest) -> &[u8] {
    &request.params.as_ref().unwrap().tool_choice
}

#[tokio::test]
async fn after_the_last_step_there_is_an_answer_without_tools() {
    let mut harness = Harness::new().await;
    harness.configure(&json!({"agents": {"defaults": {"maxSteps": 2}}})).await;
    let list = ("c1", "agents_list", "{}");
    let steps = || vec![calling(&[STATUS]), calling(&[list])];
    let mut answers = steps();
    answers.push(saying("that is all"));
    let (reply, requests) = ask(&mut harness, "main", &body("go"), answers).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "that is all");
    assert_eq!([choice(&requests[1]), choice(&requests[2])], [&b""[..], NO_TOOLS]);
    assert!(text_of(last(&requests[2])).contains("Answer now"));
    // A model that calls all the same has its words taken as its answer, if there are any.
    let mut answers = steps();
    answers.push(calling(&[list]));
    let (reply, _) = ask(&mut harness, "main", &body("go"), answers).await;
    assert_eq!(reply.json()["error"]["code"], "run_steps_exceeded");
    let mut answers = steps();
    answers.push([vec![started(), text("so far")], calling(&[list])[1..].to_vec()].concat());
    let (reply, requests) = ask(&mut harness, "main", &body("go"), answers).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "so far");
    assert_eq!(reply.json()["choices"][0]["finish_reason"], "stop");
    let all = requests[0].messages.iter().map(text_of);
    assert!(all.into_iter().all(|text| !text.contains("Answer now")), "nobody said that");
}

#[tokio::test]
async fn a_run_that_repeats_itself_is_warned_and_stopped() {
    let mut harness = Harness::new().await;
    let list = || calling(&[("c1", "agents_list", "{}")]);
    let answers = vec![list(), list(), list(), list(), list()];
    let (reply, requests) = ask(&mut harness, "main", &body("go"), answers).await;
    assert_eq!(reply.head.status, 400);
    assert_eq!(reply.json()["error"]["code"], "tool_loop");
    let warned = |at: usize| results(&requests[at]).last().unwrap().1.contains("3 times");
    assert!(!warned(2) && warned(3));
    let lines = harness.transcript();
    let end = &lines.last().unwrap()["message"];
    assert_eq!(end["stopReason"], "error");
    assert!(end["errorMessage"].as_str().unwrap().contains("`agents_list`"));
    assert_eq!(lines[lines.len() - 2]["message"]["role"], "toolResult");
    harness.configure(&json!({"tools": {"loop": {"stopAt": 2}}})).await;
    let (reply, _) = ask(&mut harness, "s2", &body("go"), vec![list(), list()]).await;
    assert_eq!(reply.json()["error"]["code"], "tool_loop");
}

#[tokio::test]
async fn a_run_takes_no_step_beyond_its_tokens() {
    let mut harness = Harness::new().await;
    harness.configure(&json!({"agents": {"defaults": {"maxTokensPerRun": 20}}})).await;
    let list = ("c1", "agents_list", "{}");
    let answers = vec![calling(&[STATUS]), calling(&[list])];
    let (reply, _) = ask(&mut harness, "main", &body("go"), answers).await;
    assert_eq!(reply.json()["error"]["code"], "run_budget_exceeded");
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("20 tokens"));
    let answers = vec![calling(&[STATUS]), saying("enough")];
    let (reply, _) = ask(&mut harness, "main", &body("go"), answers).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "enough");
}

#[tokio::test]
async fn the_next_model_takes_over_between_two_steps() {
    let mut harness = Harness::new().await;
    let model = json!({"primary": "mock/demo", "fallbacks": ["mock/gpt-x"]});
    harness.configure(&json!({"agents": {"defaults": {"model": model}}})).await;
    let sent = harness.send("main", &body("go"));
    let model = async {
        answer(&mut harness, calling(&[STATUS])).await;
        harness.calls.recv().await.unwrap().refuse(tonic::Status::unavailable("down"));
        answer(&mut harness, saying("from the other")).await
    };
    let (reply, request) = tokio::join!(async { read(sent.await).await }, model);
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "from the other");
    assert_eq!((request.model.as_str(), results(&request).len()), ("mock/gpt-x", 1));
}

#[tokio::test]
async fn what_a_tool_asks_a_model_is_counted_too() {
    let mut harness = Harness::new().await;
    ask(&mut harness, "main", &body("hi"), vec![saying("ho")]).await;
    let picture = harness.root.join("agents/main/workspace/a.png");
    std::fs::write(picture, b"\x89PNG\r\n\x1a\n...").unwrap();
    let look = calling(&[("c1", "image", "{\"image\":\"a.png\"}")]);
    let answers = vec![look, saying("a cat"), saying("It is a cat.")];
    let (reply, asked) = ask(&mut harness, "main", &body("look"), answers).await;
    assert_eq!(results(&asked[2]), [("c1", "a cat".to_owned())]);
    assert_eq!(reply.json()["usage"]["total_tokens"], 30);
}

#[tokio::test]
async fn all_answers_of_a_run_are_one_reply_of_bounded_length() {
    let mut harness = Harness::new().await;
    let long = "x".repeat(600_000);
    let mut first = calling(&[STATUS]);
    first.insert(1, text(&long));
    let (reply, _) = ask(&mut harness, "main", &body("go"), vec![first, saying(&long)]).await;
    let reply = reply.json();
    assert_eq!(reply["choices"][0]["finish_reason"], "length");
    let said = reply["choices"][0]["message"]["content"].as_str().unwrap().len();
    assert!(said < 1_000_000, "{said}");
}
