//! What a call is charged whose provider reports its use late, never, twice, beyond `max_tokens`,
//! below nothing, or breaks off: one row each, over the whole gateway, and each hold ends once.

use serde_json::{Value, json};
use tests::provider::{Line, bill};
use tests::{Builder, Gateway, Provider, Tenant, until};

/// What a tenant is charged for one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charge {
    /// Input and output tokens, as the provider has reported them.
    Reported(u64, u64),
    /// Input tokens as the gateway has counted them, and so many output tokens, of which the text
    /// that has arrived has as many at least.
    Estimated(u64),
    /// So many, some of them reported and others as the gateway has counted them.
    Mixed(u64, u64),
    /// Nothing: no answer has begun.
    Nothing,
}

use Charge::{Estimated, Mixed, Nothing, Reported};

/// One provider's way to report.
struct Row {
    name: &'static str,
    lines: Vec<Line>,
    /// What the client says of the length of the answer.
    max_tokens: Option<u64>,
    charge: Charge,
    /// The client reads an end with a reason, and not an error.
    whole: bool,
}

fn row(name: &'static str, lines: Vec<Line>, charge: Charge) -> Row {
    let whole = !lines.contains(&Line::Cut) && lines.contains(&Line::Done);
    Row { name, lines, max_tokens: None, charge, whole }
}

/// Eight bytes: two tokens, where the gateway counts.
const WORDS: &str = "two word";

fn words() -> Line {
    Line::say(WORDS)
}

fn figures(usage: Value) -> Line {
    Line::Usage(usage)
}

fn rows() -> Vec<Row> {
    use Line::{Cut, Done, Stop, Wait};
    let used = Line::used;
    vec![
        row("as most do", vec![words(), Stop, used(30, 7), Done], Reported(30, 7)),
        row("before the end", vec![words(), used(30, 7), words(), Stop, Done], Reported(30, 7)),
        row("first of all", vec![used(30, 7), words(), Stop, Done], Reported(30, 7)),
        row("late", vec![words(), Stop, Wait, used(30, 7), Done], Reported(30, 7)),
        row("after the end", vec![words(), Stop, Done, used(30, 7)], Estimated(2)),
        row("never", vec![words(), words(), Stop, Done], Estimated(4)),
        row("nothing", vec![words(), Stop, figures(Value::Null), Done], Estimated(2)),
        row("zero", vec![words(), Stop, used(0, 0), Done], Estimated(2)),
        row(
            "input only",
            vec![words(), Stop, figures(json!({"prompt_tokens": 30})), Done],
            Mixed(30, 2),
        ),
        row("twice the same", vec![words(), Stop, used(30, 7), used(30, 7), Done], Reported(30, 7)),
        row("twice and more", vec![words(), used(30, 2), Stop, used(30, 7), Done], Reported(30, 7)),
        row("twice and less", vec![words(), used(30, 7), Stop, used(30, 5), Done], Reported(30, 5)),
        Row {
            max_tokens: Some(5),
            ..row("beyond max_tokens", vec![words(), Stop, used(30, 900), Done], Reported(30, 900))
        },
        row("below nothing", vec![words(), Stop, used(-30, -7), Done], Estimated(2)),
        row("half below nothing", vec![words(), Stop, used(30, -7), Done], Mixed(30, 2)),
        row(
            "in parts",
            vec![words(), Stop, figures(json!({"prompt_tokens": 30.5})), Done],
            Estimated(2),
        ),
        row("beyond belief", vec![words(), Stop, used(i64::MAX, i64::MAX), Done], Estimated(2)),
        row(
            "in words",
            vec![words(), Stop, figures(json!({"prompt_tokens": "30"})), Done],
            Estimated(2),
        ),
        row("broken off", vec![words(), words(), Cut], Estimated(4)),
        row("broken off after figures", vec![words(), used(30, 7), words(), Cut], Mixed(30, 7)),
        row("broken off before a word", vec![Cut], Nothing),
    ]
}

/// Tokens for a day where there is a limit: some more than is set aside at first.
const LIMIT: u64 = 6000;

/// One answer, and what it is charged.
async fn check(provider: &Provider, gateway: &Gateway, tenant: &Tenant, row: &Row) {
    let Row { name, lines, max_tokens, charge, whole } = row;
    let before = gateway.lives(tenant);
    let mut body = json!({"model": "bill", "stream": true,
        "messages": [{"role": "user", "content": bill(lines)}]});
    if let Some(max) = max_tokens {
        body["max_tokens"] = json!(max);
    }
    provider.go_on(lines.iter().filter(|line| **line == Line::Wait).count());
    let text = gateway.client(tenant).post("/v1/chat/completions", &body).await.text();
    let finished = text.contains("\"finish_reason\":\"stop\"") && !text.contains("\"error\"");
    assert_eq!(finished, *whole, "{name}: {text}");
    until("the hold has ended", || gateway.lives(tenant).values().all(|life| life.ended > 0));
    let mut lives = gateway.lives(tenant);
    lives.retain(|id, _| !before.contains_key(id));
    let asked = provider.bodies().len();
    assert!(!lives.is_empty(), "{name}: nothing was set aside for {asked} questions");
    for life in lives.values() {
        assert_eq!((life.begun, life.ended), (1, 1), "{name}: {life:?}");
        let (input, output) = (life.settled.input_tokens, life.settled.output_tokens);
        let charged = match charge {
            Reported(of_input, of_output) => {
                (input, output) == (*of_input, *of_output) && !life.estimated
            }
            Estimated(least) => input > 0 && output == *least && life.estimated,
            Mixed(of_input, of_output) => {
                (input, output) == (*of_input, *of_output) && life.estimated
            }
            Nothing => life.estimated || (input, output) == (0, 0),
        };
        assert!(charged, "{name} is {charge:?}, charged {input} and {output}: {life:?}");
        let cost = input + 2 * output;
        assert_eq!(life.settled.cost_micros, cost, "{name}: {life:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_is_charged_however_its_use_is_reported() {
    let provider = Provider::start().await;
    let config = provider.config_priced((1_000_000, 2_000_000), json!({}));
    let gateway = Builder::default().config(config).start();
    gateway.announce("a model call failed");
    gateway.announce("an answer broke off");
    let tenant = gateway.tenant("acme");
    for row in rows() {
        check(&provider, &gateway, &tenant, &row).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_pays_for_what_was_made_and_not_less() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let text = bill(&[words(), words(), Line::Wait]);
    let mut stream = gateway.client(&tenant).stream("bill", &text).await;
    while !stream.next().await.unwrap().contains(WORDS) {}
    until("the provider waits", || provider.waiting() == 1);
    drop(stream);
    until("the provider hears of it", || provider.cancelled() == 1);
    until("the hold has ended", || gateway.lives(&tenant).values().all(|life| life.ended == 1));
    let life = *gateway.lives(&tenant).values().next().unwrap();
    assert!(life.estimated && life.settled.output_tokens >= 4, "{life:?}");
    assert!(life.settled.input_tokens > 0, "{life:?}");
}

/// What a provider reports beyond what a limit leaves is the operator's loss, and is written down.
#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_nobody_is_charged() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    gateway.set_quotas(&tenant, &[&format!("tokens/day={LIMIT}")]);
    let dear = bill(&[words(), Line::Stop, Line::used(30, 9000), Line::Done]);
    assert_eq!(gateway.client(&tenant).chat("bill", &dear).await.answer(), WORDS);
    until("it is settled", || gateway.standing(&tenant, "tokens/day") == (LIMIT, 0));
    let life = *gateway.lives(&tenant).values().next().unwrap();
    assert_eq!(life.settled.tokens(), LIMIT, "{life:?}");
    assert_eq!(life.unbilled.tokens(), 9030 - LIMIT, "{life:?}");
    let refused = gateway.client(&tenant).chat("bill", &dear).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(provider.requests(), 1);
}

/// A stream that outgrows the limit is cut with a last event that says so. The bill is what was used,
/// up to the limit; what a provider sends that heeds no bound is the operator's loss.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_cut_where_the_limit_is() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    gateway.set_quotas(&tenant, &[&format!("tokens/day={LIMIT}")]);
    // 4 KiB a word, and no end.
    let stream = gateway.client(&tenant).stream("flood", "go").await;
    let (text, events) = stream.rest().await;
    assert!(!text.is_empty() && text.len() < 128 << 10, "{} bytes", text.len());
    assert_eq!(events.last().unwrap(), "[DONE]");
    let told = &events[events.len().saturating_sub(3)..];
    let said = told.iter().any(|event| event.contains("\"length\"") || event.contains("tokens"));
    assert!(said, "{told:?}");
    until("it is settled", || gateway.standing(&tenant, "tokens/day").1 == 0);
    let life = *gateway.lives(&tenant).values().next().unwrap();
    let (charged, lost) = (life.settled.tokens(), life.unbilled.tokens());
    let arrived = u64::try_from(text.len()).unwrap() / 4;
    assert_eq!(gateway.standing(&tenant, "tokens/day").0, charged);
    assert!(charged <= LIMIT && charged + lost >= arrived, "{charged} and {lost} of {arrived}");
}

/// What is left bounds what a provider is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_what_a_provider_may_write() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    gateway.set_quotas(&tenant, &["outputTokens/day=77"]);
    for (asked, told) in [(None, 77), (Some(500), 77), (Some(20), 20)] {
        let mut body = json!({"model": "fixed", "messages": [{"role": "user", "content": "hi"}]});
        if let Some(asked) = asked {
            body["max_tokens"] = json!(asked);
        }
        provider.charge(1, 0);
        gateway.client(&tenant).post("/v1/chat/completions", &body).await.answer();
        let sent = provider.bodies().pop().unwrap();
        let bound = sent["max_tokens"].as_u64().or_else(|| sent["max_completion_tokens"].as_u64());
        assert_eq!(bound, Some(told), "{asked:?}: {sent}");
        gateway.set_quotas(&tenant, &[]);
        let used = gateway.used(&tenant).output_tokens;
        gateway.set_quotas(&tenant, &[&format!("outputTokens/day={}", used + 77)]);
    }
}
