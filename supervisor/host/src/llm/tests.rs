//! Calls against providers that the tests play themselves: what is sent, answered and settled.

mod bill;
mod demo;
mod embeddings;
mod failing;
mod fake;
mod languages;
mod limits;

use ledger::{Ledger, MemoryJournal, Price, Prices};
use prometheus_client::registry::Registry;
use proto::host::llm_event::Event;
use proto::host::part::Part as PartKind;
use proto::host::{Finished, Message, Params, Part, Role, Usage};
use runtime::Tasks;
use tokio_stream::StreamExt as _;
use tonic::Code;
use types::{Limits, ManualClock, Secret, Window};

use super::*;
use crate::Host;
use crate::config::{Config, Kind, Model, Provider, Timeouts};
use fake::End;
pub(crate) use fake::{Act, Fake};

const KEY: &str = "sk-canary-0123456789abcdef";

/// Host, account and what owns the fakes' tasks.
struct Bench {
    llm: Llm,
    account: Arc<Account>,
    journal: Arc<MemoryJournal>,
    registry: Registry,
    tasks: Tasks,
}

struct Setup {
    providers: Vec<Provider>,
    fallbacks: Vec<String>,
    timeouts: Timeouts,
    limits: Limits,
}

fn provider(name: &str, kind: Kind, fake: Option<&Fake>) -> Provider {
    let price = Price { input: 1_000_000, output: 2_000_000, ..Price::default() };
    let prices = Prices::always(price, "test");
    Provider {
        name: name.to_owned(),
        kind,
        base_url: fake.map_or_else(String::new, |it| format!("http://{}/v1", it.address)),
        api_key: Some(Secret::from(KEY.to_owned())),
        models: vec![Model { name: "m".to_owned(), prices }],
    }
}

impl Setup {
    fn of(providers: Vec<Provider>) -> Self {
        let fallbacks = providers.iter().skip(1).map(|it| format!("{}/m", it.name)).collect();
        let limits = Limits::default();
        Self { providers, fallbacks, timeouts: Timeouts::default(), limits }
    }

    fn bench(self, tasks: &Tasks) -> Bench {
        let mut registry = Registry::default();
        let config = Config {
            default_model: format!("{}/m", self.providers[0].name),
            providers: self.providers,
            fallbacks: self.fallbacks,
            timeouts: self.timeouts,
        };
        let host = Host::new(config, Arc::new(ManualClock::at(0)), &mut registry).unwrap();
        let journal = Arc::new(MemoryJournal::default());
        let ledger = Arc::new(Ledger::new(Arc::<MemoryJournal>::clone(&journal), &[], 0));
        let tenant = "acme".parse().unwrap();
        let account = Arc::new(Account::new(&ledger, tenant, &self.limits, 0));
        let llm = Llm::new(Arc::clone(&host.0), Arc::clone(&account));
        Bench { llm, account, journal, registry, tasks: tasks.clone() }
    }
}

impl Bench {
    fn used(&self) -> (u64, u64) {
        let used = self.account.used(Window::Day, 0);
        (used.input_tokens, used.output_tokens)
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    async fn ask(&self, request: &LlmRequest) -> Result<Vec<Event>, Status> {
        let mut reply = self.llm.answer(request).await?;
        let mut events = Vec::new();
        while let Some(batch) = reply.next().await {
            events.extend(batch?.events.into_iter().map(|it| it.event.unwrap()));
        }
        Ok(events)
    }
}

fn message(role: Role, text: &str) -> Message {
    let part = Part { part: Some(PartKind::Text(text.to_owned())) };
    Message { role: role.into(), parts: vec![part], ..Message::default() }
}

/// The service of a host whose one provider is `fake`.
pub(crate) fn intake(fake: &Fake, tasks: &Tasks) -> crate::Intake {
    let bench = Setup::of(vec![provider("a", Kind::OpenAi, Some(fake))]).bench(tasks);
    crate::Intake::new(bench.llm)
}

pub(crate) fn request(text: &str) -> LlmRequest {
    LlmRequest {
        model: "m".to_owned(),
        messages: vec![message(Role::User, text)],
        params: Some(Params::default()),
        request_id: format!("req_{:032x}", 1),
        ..LlmRequest::default()
    }
}

/// The text, and how the answer ended.
fn read(events: &[Event]) -> (String, Finished) {
    let (first, rest) = events.split_first().unwrap();
    assert!(matches!(first, Event::Started(_)));
    let (last, rest) = rest.split_last().unwrap();
    let Event::Finished(finished) = last else { panic!("no end: {last:?}") };
    let text = rest.iter().map(|event| match event {
        Event::Text(text) => text.as_str(),
        Event::Started(_) | Event::ToolCall(_) | Event::Finished(_) => panic!("{event:?}"),
    });
    (text.collect(), finished.clone())
}

fn usage(input: u64, output: u64, cached: u64) -> Usage {
    Usage { input_tokens: input, output_tokens: output, cached_tokens: cached, ..Usage::default() }
}

/// An answer of `OpenAI`'s kind that says `Hi there`.
fn hello() -> Act {
    Act::events(&[
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: {\"choices\":[{\"del",
        "ta\":{\"content\":\" there\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":3}}}\n\ndata: [DONE]\n\n",
    ])
}

#[tokio::test]
async fn a_call_is_answered_and_settled() {
    let tasks = Tasks::default();
    let fake = Fake::start([hello(), hello()], &tasks).await;
    let bench = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]).bench(&tasks);
    for _ in 0..2 {
        let (text, finished) = read(&bench.ask(&request("hello")).await.unwrap());
        assert_eq!(text, "Hi there");
        assert_eq!(finished, Finished { reason: "stop".to_owned(), usage: Some(usage(7, 2, 3)) });
    }
    assert_eq!(bench.used(), (14, 4));
    assert_eq!(fake.connections(), 1);
    let metrics = bench.metrics();
    let line = "attempts_total{provider=\"a\",model=\"m\",outcome=\"Ok\"} 2";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn what_is_unknown_or_not_allowed_is_not_sent() {
    let tasks = Tasks::default();
    let fake = Fake::start([], &tasks).await;
    let setup = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]);
    let limits = Limits { tokens_per_day: Some(40), ..Limits::default() };
    let bench = Setup { limits, ..setup }.bench(&tasks);
    let check = async |request: LlmRequest, code: Code| {
        assert_eq!(bench.ask(&request).await.unwrap_err().code(), code);
    };
    check(LlmRequest { model: "other".to_owned(), ..request("x") }, Code::NotFound).await;
    let ids = ["", "req", &format!("req_{:031x}\n", 1), &format!("req_{:033x}", 1), "what I said"];
    for id in ids {
        let other = LlmRequest { request_id: id.to_owned(), ..request("x") };
        check(other, Code::InvalidArgument).await;
    }
    check(request(&"too much".repeat(100)), Code::ResourceExhausted).await;
    let params = Params { tools: "[".into(), ..Params::default() };
    check(LlmRequest { params: Some(params), ..request("") }, Code::InvalidArgument).await;
    assert!(fake.seen().is_empty());
    assert_eq!(bench.used(), (0, 0));
}

#[tokio::test]
async fn what_is_left_of_a_limit_bounds_the_answer() {
    let tasks = Tasks::default();
    let fake = Fake::start([hello()], &tasks).await;
    let setup = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]);
    let limits = Limits { tokens_per_day: Some(200), ..Limits::default() };
    let bench = Setup { limits, ..setup }.bench(&tasks);
    bench.ask(&request("hello")).await.unwrap();
    let input = estimate::input(&request("hello"));
    assert_eq!(fake.seen()[0].body["max_tokens"], 200 - input);
}

#[tokio::test]
async fn hanging_up_closes_the_connection_and_is_paid_for() {
    let tasks = Tasks::default();
    let piece = "data: {\"choices\":[{\"delta\":{\"content\":\"12345678\"}}]}\n\n";
    let script = [Act::events(&[piece]).end(End::Hang), Act::silence()];
    let mut fake = Fake::start(script, &tasks).await;
    let bench = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]).bench(&tasks);

    let mut reply = bench.llm.answer(&request("hello")).await.unwrap();
    reply.next().await.unwrap().unwrap();
    drop(reply);
    fake.hung_up_on().await;
    let input = estimate::input(&request("hello"));
    let (asked, made) = bench.used();
    // The provider has not said what it was, so it counts as more than it looks like.
    assert_eq!(asked, 2 * input);
    assert!(made >= 4, "{made}");

    // Before the answer has begun as well.
    let asked = request("hello");
    let mut waiting = Box::pin(bench.llm.answer(&asked));
    while fake.seen().len() < 2 {
        assert!(futures_util::poll!(&mut waiting).is_pending());
        tokio::task::yield_now().await;
    }
    drop(waiting);
    fake.hung_up_on().await;
    assert_eq!(bench.used().0, 4 * input);
}

#[tokio::test]
async fn a_kept_connection_that_the_provider_closed_is_replaced_in_silence() {
    let tasks = Tasks::default();
    let fake = Fake::start([hello().end(End::Bye), hello(), hello()], &tasks).await;
    let bench = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]).bench(&tasks);
    for _ in 0..3 {
        assert_eq!(read(&bench.ask(&request("hello")).await.unwrap()).0, "Hi there");
    }
    assert_eq!((fake.seen().len(), fake.connections()), (3, 2));
    assert!(bench.metrics().contains("outcome=\"Ok\"} 3"));
    drop(bench.tasks);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_ends_in_time_and_is_paid_for() {
    let tasks = Tasks::default();
    let piece = "data: {\"choices\":[{\"delta\":{\"content\":\"12345678\"}}]}\n\n";
    let mut fake = Fake::start([Act::events(&[piece]).end(End::Hang)], &tasks).await;
    let setup = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]);
    let timeouts = Timeouts { total: Duration::from_millis(500), ..Timeouts::default() };
    let bench = Setup { timeouts, ..setup }.bench(&tasks);
    let mut reply = bench.llm.answer(&request("hello")).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), fake.hung_up_on());
    ended.await.unwrap();
    assert!(bench.used().0 > 0);
    assert_eq!(reply.next().await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
    assert!(reply.next().await.is_none());
}

#[tokio::test]
async fn calls_under_way_are_bounded_by_the_account() {
    let tasks = Tasks::default();
    let piece = "data: {\"choices\":[{\"delta\":{\"content\":\"1\"}}]}\n\n";
    let script = std::iter::repeat_n(Act::events(&[piece]).end(End::Hang), 3);
    let fake = Fake::start(script, &tasks).await;
    let limits = Limits { concurrency: 1, ..Limits::default() };
    let setup = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]);
    let bench = Setup { limits, ..setup }.bench(&tasks);
    let call = || llm_server::Llm::stream(&bench.llm, Request::new(request("hello")));
    let first = call().await.unwrap();
    let _second = call().await.unwrap();
    let status = call().await.map(drop).unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(fake.seen().len(), 2);
    drop(first);
    call().await.unwrap();
}

#[tokio::test]
async fn every_attempt_that_the_provider_may_charge_for_is_paid_for() {
    let tasks = Tasks::default();
    let early = || Act::events(&[]);
    let script = [early(), early(), hello(), Act::silence().end(End::Cut), hello()];
    let fake = Fake::start(script, &tasks).await;
    let bench = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]).bench(&tasks);
    let input = estimate::input(&request("hello"));
    bench.ask(&request("hello")).await.unwrap();
    assert_eq!((fake.seen().len(), bench.used()), (3, (2 * input + 7, 2)));
    // Sent over the kept connection, which breaks, and then once more.
    bench.ask(&request("hello")).await.unwrap();
    assert_eq!((fake.seen().len(), bench.used()), (5, (3 * input + 14, 4)));
}

#[tokio::test]
async fn a_further_attempt_needs_a_hold_of_its_own() {
    let tasks = Tasks::default();
    let fake = Fake::start([Act::events(&[]), hello()], &tasks).await;
    let setup = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]);
    let input = estimate::input(&request("hello"));
    let limits = Limits { tokens_per_day: Some(2 * input + 15), ..Limits::default() };
    let bench = Setup { limits, ..setup }.bench(&tasks);
    let status = bench.ask(&request("hello")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!((fake.seen().len(), bench.used()), (1, (input, 0)));
}
