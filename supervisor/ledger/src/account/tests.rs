//! Single rules. Histories of all rules together are in `tests/model.rs`.

mod counted;

use std::sync::Arc;

use types::{Dimension, Level, Limits, LimitsPatch, UnixMillis, Window};

use super::*;
use crate::window::DAY;
use crate::{Hold, Kind, Ledger, MemoryJournal, Price, Priced, Reserved, Tokens, Want, Why};

const NOON: UnixMillis = DAY / 2;
const MINUTE: UnixMillis = 60_000;

struct Bench {
    journal: Arc<MemoryJournal>,
    account: Arc<Account>,
}

fn limits(texts: &[&str]) -> Limits {
    let quotas = Some(texts.iter().map(|it| (*it).to_owned()).collect());
    Limits::default().with(&LimitsPatch { quotas, ..LimitsPatch::default() }).unwrap()
}

fn bench(limits: &Limits) -> Bench {
    let journal = Arc::new(MemoryJournal::default());
    let ledger = Arc::new(Ledger::new(Arc::<MemoryJournal>::clone(&journal), &[], NOON));
    let account = Account::new(&ledger, "acme".parse().unwrap(), limits, NOON);
    Bench { journal, account: Arc::new(account) }
}

fn id(number: u32) -> String {
    format!("req_{number:032x}")
}

fn name(text: &str) -> Arc<str> {
    text.into()
}

/// A dollar for each token.
fn dollar() -> Priced {
    let rate = 1_000_000_000_000;
    let price = Price { input: rate, output: rate, ..Price::default() };
    Priced { price: Arc::new(price), version: "v1".into() }
}

fn want(input: u64, first: u64) -> Want {
    let price = Some(dollar());
    let (provider, model) = ("p".into(), "m".into());
    Want { provider, model, price, input, first, least: 1, asked: None }
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("a journal in memory has nothing to wait for"),
    }
}

fn written(reserved: Result<Reserved<Hold>, Refusal>) -> Result<Hold, Refusal> {
    ready(reserved?.written())
}

impl Bench {
    fn call(&self, now: UnixMillis) -> Call {
        self.account.begin_call(now, "", (None, None)).unwrap()
    }

    fn reserve(&self, now: UnixMillis, input: u64, first: u64) -> Result<Hold, Refusal> {
        written(self.call(now).reserve(now, &want(input, first)))
    }

    fn tokens(&self, now: UnixMillis) -> (u64, u64) {
        let standings = self.account.standings(now);
        let standing = standings.iter().find(|it| it.dimension == Dimension::Tokens).unwrap();
        (standing.settled, standing.held)
    }
}

fn used(input: u64, output: u64) -> Tokens {
    Tokens { input, output, ..Tokens::default() }
}

fn limit(refusal: &Refusal) -> (String, Level, u64, u64) {
    (refusal.limit(), refusal.level, refusal.remaining, refusal.retry_after_s)
}

#[test]
fn requests_are_counted_by_clock_minute() {
    let limits = Limits { requests_per_minute: Some(2), ..Limits::default() };
    let Bench { account, .. } = bench(&limits);
    drop(account.admit(NOON + 30_000, None).unwrap());
    drop(account.admit(NOON + 59_000, None).unwrap());
    let refusal = account.admit(NOON + 59_000, None).map(drop).unwrap_err();
    assert_eq!(limit(&refusal), ("requests/minute".to_owned(), Level::Tenant, 0, 1));
    assert_eq!((refusal.max, refusal.resets_at), (2, NOON + MINUTE));
    assert_eq!(
        refusal.to_string().split(", at").next().unwrap(),
        "the tenant's limit requests/minute of 2 is reached; it begins anew in 1 s"
    );
    drop(account.admit(NOON + MINUTE, None).unwrap());
    // A clock that goes back opens no minute again.
    drop(account.admit(NOON + 59_000, None).unwrap());
    account.admit(NOON + 59_000, None).map(drop).unwrap_err();
    assert_eq!(account.used(Window::Day, NOON).requests, 4);
}

#[test]
fn requests_under_way_are_bounded_and_refused_ones_do_not_count() {
    let limits = Limits { concurrency: 2, requests_per_minute: Some(3), ..Limits::default() };
    let Bench { account, .. } = bench(&limits);
    let (one, two) = (account.admit(NOON, None).unwrap(), account.admit(NOON, None).unwrap());
    let refusal = account.admit(NOON, None).map(drop).unwrap_err();
    assert_eq!(limit(&refusal), ("concurrentRuns".to_owned(), Level::Tenant, 0, 1));
    drop(one);
    let three = account.admit(NOON, None).unwrap();
    account.set_limits(&Limits { concurrency: 1, requests_per_minute: None, ..limits });
    drop(two);
    account.admit(NOON, None).map(drop).unwrap_err();
    drop(three);
    drop(account.admit(NOON, None).unwrap());
}

#[test]
fn model_calls_under_way_are_bounded_by_the_concurrency() {
    let bench = bench(&Limits { concurrency: 2, ..Limits::default() });
    let mut calls: Vec<_> = (0..4).map(|_| bench.call(NOON)).collect();
    let refused = || bench.account.begin_call(NOON, "", (None, None)).map(drop).unwrap_err();
    assert_eq!(refused().limit(), "concurrentRuns");
    calls.pop();
    calls.push(bench.call(NOON));
    refused();
}

#[test]
fn a_request_pays_for_one_model_call_and_the_others_count_as_requests() {
    let limits = Limits { requests_per_minute: Some(3), ..Limits::default() };
    let Bench { account, .. } = bench(&limits);
    let call = |now: UnixMillis, number: u32| {
        let begun = account.begin_call(now, &id(number), (None, None));
        begun.map(drop).map_err(|it| it.limit())
    };
    let over = Err("requests/minute".to_owned());
    let client = account.admit(NOON, None).unwrap().named(&id(1));
    assert_eq!(call(NOON, 1), Ok(()), "the client's own");
    assert_eq!(call(NOON, 2), Ok(()), "a job's");
    assert_eq!(call(NOON, 1), Ok(()), "what an agent asks beyond");
    assert_eq!([call(NOON, 1), call(NOON, 2)], [over.clone(), over.clone()]);
    assert_eq!(account.admit(NOON, None).map(drop).unwrap_err().limit(), "requests/minute");
    drop(client);
    let later = NOON + MINUTE;
    for number in 4..7 {
        drop(account.admit(later, None).unwrap().named(&id(number)).lingering());
    }
    assert_eq!([call(later, 4), call(later, 5), call(later, 6)], [Ok(()), Ok(()), Ok(())]);
    assert_eq!(call(later, 4), over, "each request paid for one");
}

#[test]
fn a_token_that_asks_is_charged_and_no_other() {
    let limits = limits(&["token:* tokens/day=100", "token:big tokens/day=300", "tokens/day=350"]);
    let bench = bench(&limits);
    let (small, big) = (name("small"), name("big"));
    let one = bench.account.admit(NOON, Some(&small)).unwrap().named(&id(1)).lingering();
    let two = bench.account.admit(NOON, Some(&big)).unwrap().named(&id(2));
    let reserve = |number: u32, first: u64| {
        let call = bench.account.begin_call(NOON, &id(number), (None, None)).unwrap();
        written(call.reserve(NOON, &want(0, first)))
    };
    reserve(1, 100).unwrap().settle(NOON, &used(0, 100), false);
    drop(one);
    let refused = reserve(1, 1).unwrap_err();
    assert_eq!((refused.level, refused.subject.as_deref()), (Level::Token, Some("small")));
    assert_eq!(
        refused.to_string().split(';').next().unwrap(),
        "the token's (small) limit tokens/day of 100 is reached"
    );
    reserve(2, 240).unwrap().settle(NOON, &used(0, 240), false);
    let refused = reserve(2, 20).map(|hold| hold.output()).unwrap();
    assert_eq!(refused, 10, "what the tenant has left");
    drop(two);
    assert_eq!(reserve(2, 20).unwrap().output(), 10, "counts for no token any more");
    let lines = bench.journal.entries();
    let settled: Vec<_> = lines.iter().filter(|it| it.kind == Kind::Settle).collect();
    assert_eq!(settled[0].token.as_deref(), Some("small"));
    assert_eq!(settled[1].token.as_deref(), Some("big"));
}

#[test]
fn agents_and_sessions_have_limits_of_their_own() {
    let limits = limits(&[
        "agent:main requests/hour=1",
        "session:* tokens/minute=10",
        "agent:* concurrentRuns=1",
    ]);
    let bench = bench(&limits);
    let begin = |agent: &str, session: &str| {
        bench.account.begin_call(NOON, "", (Some(name(agent)), Some(name(session))))
    };
    let first = begin("main", "s1").unwrap();
    assert_eq!(begin("main", "s2").map(drop).unwrap_err().whose(), "agent main");
    let other = begin("other", "s1").unwrap();
    assert_eq!(begin("other", "s1").map(drop).unwrap_err().limit(), "concurrentRuns");
    let hold = written(first.reserve(NOON, &want(0, 10))).unwrap();
    let refused = written(other.reserve(NOON, &want(0, 1))).unwrap_err();
    assert_eq!((refused.level, refused.subject.as_deref()), (Level::Session, Some("s1")));
    drop(hold);
    drop(other);
    drop(begin("other", "s1").unwrap());
    drop(written(first.reserve(NOON, &want(0, 1))).unwrap());
}

#[test]
fn a_hold_is_written_topped_up_settled_and_released() {
    let bench = bench(&Limits { tokens_per_day: Some(100), ..Limits::default() });
    let mut hold = bench.reserve(NOON, 40, 20).unwrap();
    assert_eq!((hold.output(), hold.most(), bench.tokens(NOON)), (20, Some(60), (0, 60)));
    assert_eq!(ready(hold.top_up(NOON, 30).unwrap()), Ok(30));
    assert_eq!(ready(hold.top_up(NOON, 30).unwrap()), Ok(10), "what is left");
    let refused = hold.top_up(NOON, 30).map(drop).unwrap_err();
    assert_eq!((limit(&refused).0, refused.remaining), ("tokens/day".to_owned(), 0));
    assert_eq!(bench.tokens(NOON), (0, 100));
    let settled = hold.settle(NOON, &used(10, 20), false);
    assert_eq!((settled.charged.tokens(), settled.charged.cost_micros), (30, 30_000_000));
    assert!(settled.unbilled.is_zero());
    drop(bench.reserve(NOON, 69, 0).unwrap());
    assert_eq!(bench.tokens(NOON), (30, 0));
    let lines = bench.journal.entries();
    let kinds: Vec<_> = lines.iter().map(|it| (it.kind, it.amount.tokens())).collect();
    let want = [
        (Kind::Hold, 60),
        (Kind::TopUp, 30),
        (Kind::TopUp, 10),
        (Kind::Settle, 30),
        (Kind::Hold, 70),
        (Kind::Release, 0),
    ];
    assert_eq!(kinds, want);
    assert_eq!(lines[3].price_version.as_deref(), Some("v1"));
    assert_eq!((lines[0].id, lines[3].id), (lines[2].id, lines[2].id));
}

#[test]
fn what_a_provider_counts_beyond_is_charged_as_far_as_there_is_room() {
    let bench = bench(&Limits { tokens_per_day: Some(100), ..Limits::default() });
    let other = bench.reserve(NOON, 30, 10).unwrap();
    let hold = bench.reserve(NOON, 10, 10).unwrap();
    let settled = hold.settle(NOON, &used(20, 60), false);
    assert_eq!((settled.charged.input_tokens, settled.charged.output_tokens), (20, 40));
    assert_eq!((settled.unbilled.output_tokens, settled.unbilled.cost_micros), (20, 0));
    assert_eq!(bench.tokens(NOON), (60, 40));
    let settled = other.settle(NOON, &used(u64::MAX, u64::MAX), true);
    assert_eq!(settled.charged.tokens(), 40);
    assert_eq!(bench.tokens(NOON), (100, 0));
    let last = bench.journal.entries().pop().unwrap();
    assert!(last.estimated && last.unbilled.input_tokens > 0);
}

#[test]
fn money_needs_a_price() {
    let limits = Limits { cost_micros_per_day: Some(10_000_000), ..Limits::default() };
    let bench = bench(&limits);
    let unknown = || {
        let want = Want { price: None, ..want(1, 1) };
        written(bench.call(NOON).reserve(NOON, &want))
    };
    let refused = unknown().unwrap_err();
    assert_eq!(refused.why, Why::PriceUnknown);
    assert_eq!(
        refused.to_string(),
        "money is limited here, and the price of this model is not known; the operator can add it to the price table"
    );
    bench.reserve(NOON, 10, 1).unwrap_err();
    let hold = bench.reserve(NOON, 4, 9).unwrap();
    assert_eq!((hold.output(), hold.most()), (6, Some(6)));
    hold.settle(NOON, &used(3, 0), false);
    assert_eq!(bench.account.used(Window::Day, NOON).cost_micros, 3_000_000);
    bench.account.set_limits(&Limits { cost_micros_per_day: None, ..limits });
    drop(unknown().unwrap());
}

#[test]
fn nothing_is_granted_that_cannot_be_written() {
    let bench = bench(&Limits { tokens_per_day: Some(100), ..Limits::default() });
    let mut hold = bench.reserve(NOON, 10, 10).unwrap();
    let reserved = bench.call(NOON).reserve(NOON, &want(10, 10)).unwrap();
    let call = bench.call(NOON);
    bench.journal.set_writable(false);
    let refused = written(call.reserve(NOON, &want(1, 1))).unwrap_err();
    assert_eq!((refused.why, refused.retry_after_s), (Why::Unwritable, 5));
    assert_eq!(hold.top_up(NOON, 1).map(drop).unwrap_err().why, Why::Unwritable);
    bench.account.admit(NOON, None).map(drop).unwrap();
    // It was written before, so it stands.
    drop(ready(reserved.written()).unwrap());
    hold.settle(NOON, &used(10, 1), false);
    assert_eq!(bench.tokens(NOON), (11, 0));
    bench.account.post_uses(NOON);
    bench.journal.set_writable(true);
    bench.account.post_uses(NOON);
    let lines = bench.journal.entries();
    let uses = lines.iter().filter(|it| it.kind == Kind::Use);
    // Three calls that nobody has paid for, and a request.
    assert_eq!(uses.map(|it| it.amount.requests).sum::<u64>(), 4);
}

#[test]
fn a_late_bill_goes_to_its_own_day_and_a_later_minute_to_its_own() {
    let limits = limits(&["tokens/day=100", "tokens/minute=50"]);
    let bench = bench(&limits);
    let late = DAY - 1;
    let mut hold = bench.reserve(late, 0, 40).unwrap();
    // The day of its beginning, and the minute of now.
    assert_eq!(ready(hold.top_up(DAY, 60).unwrap()), Ok(50));
    assert_eq!(bench.tokens(DAY), (0, 0), "the new day has nothing in it");
    assert_eq!(hold.top_up(DAY, 60).map(drop).unwrap_err().limit(), "tokens/minute");
    let other = bench.reserve(DAY + MINUTE, 0, 50).unwrap();
    hold.settle(DAY + MINUTE, &used(0, 95), false);
    assert_eq!(bench.tokens(DAY + MINUTE), (0, 50));
    drop(other);
    let days: Vec<_> = bench.journal.entries().iter().map(|it| it.day.to_string()).collect();
    assert_eq!(days, ["1970-01-01", "1970-01-01", "1970-01-02", "1970-01-01", "1970-01-02"]);
}
