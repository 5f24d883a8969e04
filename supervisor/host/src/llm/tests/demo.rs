//! The built-in model.

use super::*;

async fn say(request: &LlmRequest) -> Vec<Event> {
    let tasks = Tasks::default();
    let bench = Setup::of(vec![provider("demo", Kind::Demo, None)]).bench(&tasks);
    let events = bench.ask(request).await.unwrap();
    let Some(Event::Finished(Finished { usage: Some(usage), .. })) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(bench.used(), (usage.input_tokens, usage.output_tokens));
    events
}

#[tokio::test]
async fn what_the_demo_model_says() {
    let check = async |text: &str, want: &str| {
        let (said, finished) = read(&say(&request(text)).await);
        assert_eq!(said, want);
        assert_eq!(finished.reason, "stop");
        let tokens = u64::try_from(want.len().div_ceil(4)).unwrap();
        assert_eq!(finished.usage.unwrap().output_tokens, tokens);
    };
    let echo = "[demo model, not an AI] Message 1 of this conversation. You said:";
    check("hello  wörld\n", &format!("{echo} hello  wörld\n")).await;
    check("", &format!("{echo} ")).await;
    check("Count to 5", "[demo model, not an AI] 1 2 3 4 5").await;
    check("count to 0", &format!("{echo} count to 0")).await;
    check("count to 1000000", &format!("{echo} count to 1000000")).await;
    check("call f {}", &format!("{echo} call f {{}}")).await;
}

#[tokio::test]
async fn a_long_answer_streams_and_a_bound_cuts_it() {
    let events = say(&request("count to 1000")).await;
    assert_eq!(events.len(), 1003);
    let params = Params { max_tokens: Some(8), ..Params::default() };
    let (said, finished) =
        read(&say(&LlmRequest { params: Some(params), ..request("ünïcödé everywhere") }).await);
    assert!(said.len() <= 32 && said.starts_with("[demo model"), "{said}");
    assert_eq!(finished.reason, "length");
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_takes_its_time() {
    let start = Instant::now();
    say(&request("count to 10 slowly")).await;
    assert_eq!(start.elapsed().as_millis() / 100, 11);
}

#[tokio::test]
async fn an_offered_tool_is_called() {
    let tools = "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]";
    let params = Params { tools: tools.into(), ..Params::default() };
    let asked = LlmRequest { params: Some(params), ..request("call f {\"a\": 1}") };
    let events = say(&asked).await;
    let [Event::Started(_), Event::ToolCall(call), Event::Finished(end)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((call.name.as_str(), call.arguments.as_str()), ("f", "{\"a\": 1}"));
    assert_eq!(end.reason, "tool_calls");
    let answered = LlmRequest { messages: vec![message(Role::Tool, "42")], ..asked };
    assert_eq!(read(&say(&answered).await).0, "[demo model, not an AI] The tool answered: 42");
}
