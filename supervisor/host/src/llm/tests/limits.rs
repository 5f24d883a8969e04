//! Limits in mid-answer: more is set aside as it runs, and where no more is left it is cut.

use super::*;

/// An answer of `pieces` pieces, each of a hundred bytes or so.
fn long(pieces: usize) -> Act {
    let piece = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "word ".repeat(80)
    );
    let all: Vec<_> = std::iter::repeat_n(piece.as_str(), pieces).collect();
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    Act::events(&[all, vec![end]].concat())
}

async fn bench(limits: Limits, pieces: usize, tasks: &Tasks) -> Bench {
    let fake = Fake::start([long(pieces)], tasks).await;
    let setup = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]);
    Setup { limits, ..setup }.bench(tasks)
}

#[tokio::test]
async fn a_long_answer_is_topped_up_as_it_runs() {
    let tasks = Tasks::default();
    let limits = Limits { tokens_per_day: Some(1 << 20), ..Limits::default() };
    let bench = bench(limits, 100, &tasks).await;
    let (text, finished) = read(&bench.ask(&request("hello")).await.unwrap());
    assert_eq!((text.len(), finished.reason.as_str()), (100 * 400, "stop"));
    let (_, output) = bench.used();
    assert!(output > 4096, "{output}");
    assert!(bench.account.held(0).is_zero());
}

#[tokio::test]
async fn an_answer_that_no_limit_has_room_for_is_cut_and_says_which() {
    let tasks = Tasks::default();
    let limits = Limits { tokens_per_day: Some(3000), ..Limits::default() };
    let bench = bench(limits, 100, &tasks).await;
    let mut reply = bench.llm.answer(&request("hello")).await.unwrap();
    let mut read = 0;
    let status = loop {
        match reply.next().await.unwrap() {
            Ok(batch) => read += batch.events.len(),
            Err(status) => break status,
        }
    };
    assert!(read > 5, "{read}");
    assert_eq!(status.code(), Code::ResourceExhausted);
    let told: types::Limited = serde_json::from_slice(status.details()).unwrap();
    assert_eq!((told.limit().as_str(), told.max), ("tokens/day", Some(3000)));
    assert_eq!(status.message(), told.to_string());
    assert!(status.metadata().contains_key("retry-after"));
    assert!(reply.next().await.is_none());
    let used = bench.account.used(Window::Day, 0);
    assert!(used.tokens() <= 3000 && used.tokens() > 2000, "{used:?}");
    assert!(bench.account.held(0).is_zero());
    assert!(bench.metrics().contains("outcome=\"Limited\"} 1"));
}

#[tokio::test]
async fn a_refusal_before_anything_is_sent_is_told_and_counted() {
    let tasks = Tasks::default();
    let limits = Limits { cost_micros_per_day: Some(1), ..Limits::default() };
    let bench = bench(limits, 1, &tasks).await;
    let status = bench.ask(&request("hello")).await.unwrap_err();
    let told: types::Limited = serde_json::from_slice(status.details()).unwrap();
    assert_eq!(told.limit(), "costMicros/day");
    let line = "openclawmu_ledger_refusals_total{dimension=\"costMicros\",window=\"day\",level=\"tenant\",cause=\"limit\"} 1";
    assert!(bench.metrics().contains(line), "{}", bench.metrics());
}
