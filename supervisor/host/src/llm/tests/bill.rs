//! Providers that count wrong, late, twice, never or too much, and what is charged; and answers that a
//! limit ends.

use ledger::{Amount, Kind as Line};

use super::*;

const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"12345678\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn figures(input: &str, output: &str) -> String {
    format!(
        "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{output},\
         \"prompt_tokens_details\":{{\"cached_tokens\":1}},\
         \"completion_tokens_details\":{{\"reasoning_tokens\":2}}}}}}\n\n"
    )
}

/// What the books say at the end of one call that a provider answers so.
async fn settled(act: Act, limits: Limits) -> (Amount, Amount, bool) {
    let tasks = Tasks::default();
    let fake = Fake::start([act], &tasks).await;
    let setup = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]);
    let bench = Setup { limits, ..setup }.bench(&tasks);
    drop(bench.ask(&asking(16)).await);
    let lines = bench.journal.entries();
    let settled: Vec<_> = lines.iter().filter(|it| it.kind == Line::Settle).collect();
    let [line] = settled.as_slice() else { panic!("settled {} times", settled.len()) };
    assert_eq!(
        (line.provider.as_deref(), line.price_version.as_deref()),
        (Some("a"), Some("test"))
    );
    (line.amount, line.unbilled, line.estimated)
}

fn asking(max_tokens: u32) -> LlmRequest {
    let params = Params { max_tokens: Some(max_tokens), ..Params::default() };
    LlmRequest { params: Some(params), ..request("hello") }
}

#[tokio::test]
async fn what_is_charged_of_what_a_provider_says() {
    let input = estimate::input(&asking(16));
    let check = async |name: &str, pieces: &[&str], end: End, want: (u64, u64, bool)| {
        let (amount, unbilled, estimated) =
            settled(Act::events(pieces).end(end), Limits::default()).await;
        let found = (amount.input_tokens, amount.output_tokens, estimated);
        assert_eq!(found, want, "{name}");
        assert!(unbilled.is_zero(), "{name}");
        let price = Price { input: 1_000_000, output: 2_000_000, ..Price::default() };
        let tokens = ledger::Tokens {
            input: amount.input_tokens,
            output: amount.output_tokens,
            ..ledger::Tokens::default()
        };
        assert_eq!(amount.cost_micros, price.cost(&tokens), "{name}");
    };
    let whole = End::Whole;
    let (seven, nine) = (figures("7", "5"), figures("9", "6"));
    check("in time", &[TEXT, STOP, &seven, DONE], whole, (7, 5, false)).await;
    check("early", &[&seven, TEXT, STOP, DONE], whole, (7, 5, false)).await;
    check("too late", &[TEXT, STOP, DONE, &seven], whole, (input, 2, true)).await;
    check("never", &[TEXT, STOP, DONE], whole, (input, 2, true)).await;
    check("twice", &[TEXT, &seven, STOP, &nine, DONE], whole, (9, 6, false)).await;
    check("more", &[TEXT, STOP, &figures("7", "500"), DONE], whole, (7, 500, false)).await;
    let negative = figures("-7", "-5");
    check("negative", &[TEXT, STOP, &negative, DONE], whole, (input, 2, true)).await;
    let absurd = figures("7", "18446744073709551615");
    check("absurd", &[TEXT, STOP, &absurd, DONE], whole, (7, 2, true)).await;
    let words = figures("\"7\"", "null");
    check("no numbers", &[TEXT, STOP, &words, DONE], whole, (input, 2, true)).await;
    check("breaks off", &[TEXT], End::Cut, (input, 2, true)).await;
    check("ends early", &[TEXT], whole, (input, 2, true)).await;
    check("breaks off late", &[TEXT, &seven], End::Cut, (7, 5, true)).await;
}

#[tokio::test]
async fn cached_and_reasoning_tokens_are_counted_apart() {
    let act = Act::events(&[TEXT, STOP, &figures("7", "5"), DONE]);
    let (amount, ..) = settled(act, Limits::default()).await;
    assert_eq!((amount.cached_tokens, amount.reasoning_tokens), (1, 2));
}

#[tokio::test]
async fn what_no_limit_leaves_room_for_is_the_operators_loss() {
    let input = estimate::input(&asking(16));
    let limits = Limits { tokens_per_day: Some(input + 40), ..Limits::default() };
    let said = figures("7", "500");
    let (amount, unbilled, _) = settled(Act::events(&[TEXT, STOP, &said, DONE]), limits).await;
    assert_eq!((amount.input_tokens, amount.output_tokens), (7, input + 33));
    assert_eq!(unbilled.output_tokens, 500 - input - 33);
}

#[tokio::test]
async fn an_answer_that_is_complete_is_not_ended_by_what_it_has_cost() {
    let tasks = Tasks::default();
    let said = figures("7", "5000");
    let fake = Fake::start([Act::events(&[TEXT, STOP, &said, DONE])], &tasks).await;
    let input = estimate::input(&request("hello"));
    let limits = Limits { tokens_per_day: Some(input + 2000), ..Limits::default() };
    let setup = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]);
    let bench = Setup { limits, ..setup }.bench(&tasks);
    let (bytes, failed) = heard(&bench, &request("hello")).await;
    assert!(failed.is_none() && bytes == 8, "{failed:?}");
    assert_eq!(bench.used().0 + bench.used().1, input + 2000);
}

/// Everything that a call gives, and how it ends.
async fn heard(bench: &Bench, request: &LlmRequest) -> (usize, Option<Status>) {
    let mut reply = match bench.llm.answer(request).await {
        Ok(reply) => reply,
        Err(status) => return (0, Some(status)),
    };
    let mut bytes = 0;
    while let Some(batch) = reply.next().await {
        let events = match batch {
            Ok(batch) => batch.events,
            Err(status) => return (bytes, Some(status)),
        };
        bytes += events.iter().map(text).sum::<usize>();
    }
    (bytes, None)
}

fn text(event: &proto::host::LlmEvent) -> usize {
    match &event.event {
        Some(Event::Text(text)) => text.len(),
        Some(Event::Started(_) | Event::ToolCall(_) | Event::Finished(_)) | None => 0,
    }
}

fn long(bytes: usize) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "x".repeat(bytes))
}

#[tokio::test]
async fn a_long_answer_is_topped_up_as_it_comes() {
    let tasks = Tasks::default();
    let piece = long(4000);
    let mut pieces = vec![piece.as_str(); 20];
    let end = figures("7", "20000");
    pieces.extend([STOP, &end, DONE]);
    let fake = Fake::start([Act::events(&pieces)], &tasks).await;
    let bench = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]).bench(&tasks);
    let (bytes, failed) = heard(&bench, &request("hello")).await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!((bytes, bench.used()), (80_000, (7, 20_000)));
    let lines = bench.journal.entries();
    let of = |kind: Line| lines.iter().filter(move |it| it.kind == kind);
    assert_eq!(of(Line::Hold).next().unwrap().amount.output_tokens, 1024);
    assert!((3..10).contains(&of(Line::TopUp).count()), "{}", of(Line::TopUp).count());
    assert!(fake.seen()[0].body.get("max_tokens").is_none());
}

#[tokio::test]
async fn an_answer_that_meets_a_limit_ends_after_what_had_come() {
    let tasks = Tasks::default();
    let piece = long(400);
    let pieces = vec![piece.as_str(); 40];
    let fake = Fake::start([Act::events(&pieces).end(End::Hang)], &tasks).await;
    let input = estimate::input(&request("hello"));
    let limits = Limits { tokens_per_day: Some(input + 500), ..Limits::default() };
    let setup = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]);
    let bench = Setup { limits, ..setup }.bench(&tasks);
    let (bytes, failed) = heard(&bench, &request("hello")).await;
    let failed = failed.unwrap();
    assert_eq!(failed.code(), Code::ResourceExhausted);
    assert!(failed.message().contains("tokens/day"), "{failed}");
    assert!(bytes >= 2000, "{bytes}");
    assert_eq!(fake.seen()[0].body["max_tokens"], 500);
    // The limit is used up to the last token and no further; what came beyond is nobody's bill.
    assert_eq!(bench.used(), (input, 500));
    let settled = bench.journal.entries().into_iter().find(|it| it.kind == Line::Settle).unwrap();
    assert!(settled.unbilled.output_tokens > 0 && settled.estimated);
}

#[tokio::test]
async fn nothing_is_sent_while_nothing_can_be_written() {
    let tasks = Tasks::default();
    let piece = long(4000);
    let script = [Act::events(&[piece.as_str(); 20]).end(End::Hang), hello()];
    let fake = Fake::start(script, &tasks).await;
    let bench = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]).bench(&tasks);
    bench.journal.set_writable(false);
    let (_, failed) = heard(&bench, &request("hello")).await;
    let failed = failed.unwrap();
    assert_eq!((failed.code(), fake.seen().len()), (Code::Unavailable, 0));
    assert_eq!(failed.metadata().get("retry-after").unwrap(), "5");
    bench.journal.set_writable(true);
    let mut reply = bench.llm.answer(&request("hello")).await.unwrap();
    bench.journal.set_writable(false);
    let failed = loop {
        match reply.next().await.unwrap() {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(failed.code(), Code::Unavailable);
    assert!(bench.used().1 > 0);
    bench.journal.set_writable(true);
    assert!(heard(&bench, &request("hello")).await.1.is_none());
}

#[tokio::test]
async fn who_is_named_is_charged_and_names_of_another_form_are_refused() {
    let tasks = Tasks::default();
    let fake = Fake::start([hello(), hello()], &tasks).await;
    let bench = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]).bench(&tasks);
    let (agent, session) = ("main".to_owned(), "agent:main:main".to_owned());
    let asked = LlmRequest { agent, session_key: session, ..request("hello") };
    let admission = bench.account.admit(0, Some(&"tok_1".into())).unwrap();
    let admission = admission.named(&asked.request_id);
    bench.ask(&asked).await.unwrap();
    drop(admission);
    bench.ask(&asked).await.unwrap();
    let lines = bench.journal.entries();
    let tokens = lines.iter().filter(|it| it.kind == Line::Settle).map(|it| it.token.as_deref());
    assert_eq!(tokens.collect::<Vec<_>>(), [Some("tok_1"), None]);
    assert_eq!(lines[0].agent.as_deref(), Some("main"));
    assert_eq!(lines[0].session.as_deref(), Some("agent:main:main"));
    let check = async |agent: &str, session: &str| {
        let (agent, session_key) = (agent.to_owned(), session.to_owned());
        let status =
            bench.ask(&LlmRequest { agent, session_key, ..request("") }).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    };
    check("No Agent", "").await;
    check("", "a\nb").await;
    check("", &"s".repeat(513)).await;
}
