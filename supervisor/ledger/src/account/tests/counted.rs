//! Warnings, what is counted beside tokens, how many subjects are remembered, and many threads.

use super::*;

#[test]
fn half_most_and_all_of_a_limit_is_told_once_in_a_window() {
    let bench = bench(&Limits { tokens_per_day: Some(100), ..Limits::default() });
    let spend = |now: UnixMillis, tokens: u64| {
        let hold = bench.reserve(now, tokens, 0);
        let ended = hold.map(|hold| hold.settle(now, &used(tokens, 0), false));
        let told: Vec<_> = bench.account.take_warnings().iter().map(|it| it.percent).collect();
        (ended.is_ok(), told)
    };
    assert_eq!(spend(NOON, 49), (true, vec![]));
    assert_eq!(spend(NOON, 1), (true, vec![50]));
    assert_eq!(spend(NOON, 31), (true, vec![80]));
    assert_eq!(spend(NOON, 40), (false, vec![100]));
    assert_eq!(spend(NOON, 40), (false, vec![]));
    assert_eq!(spend(DAY, 99), (true, vec![80]));
}

#[test]
fn bytes_and_seconds_have_limits_too() {
    let bench = bench(&limits(&["egressBytes/day=100", "agent:main sandboxSeconds/hour=2"]));
    let account = &bench.account;
    let bytes = |count: u64| account.spend(NOON, &Amount { egress_bytes: count, ..Amount::ZERO });
    bytes(60).unwrap();
    account.allows(NOON, Dimension::EgressBytes).unwrap();
    assert_eq!(bytes(60).unwrap_err().limit(), "egressBytes/day");
    assert_eq!(account.used(Window::Day, NOON).egress_bytes, 100);
    account.allows(NOON, Dimension::EgressBytes).unwrap_err();
    let lease = |millis: u64| ready(account.lease(NOON, Some(name("main")), millis)?.written());
    let first = lease(1500).unwrap();
    assert_eq!(first.millis(), 1500);
    assert_eq!(lease(1500).unwrap().millis(), 500);
    assert_eq!(first.settle(NOON, 1800).charged.sandbox_ms, 1800);
    assert_eq!(lease(1500).unwrap().settle(NOON, 900).charged.sandbox_ms, 200);
    let refused = lease(1).map(drop).unwrap_err();
    assert_eq!((refused.limit(), refused.max), ("sandboxSeconds/hour".to_owned(), 2));
    account.post_uses(NOON);
    let last = bench.journal.entries().pop().unwrap();
    assert_eq!((last.amount.egress_bytes, last.unbilled.egress_bytes), (100, 20));
}

#[test]
fn no_more_subjects_are_remembered_than_there_is_room_for() {
    let bench = bench(&limits(&["session:* requests/minute=5"]));
    let begin = |now: UnixMillis, number: usize| {
        bench.account.begin_call(now, "", (None, Some(name(&format!("s{number}"))))).map(drop)
    };
    for number in 0..1024 {
        begin(NOON, number).unwrap();
    }
    let refused = begin(NOON, 1024).unwrap_err();
    assert_eq!((refused.level, refused.retry_after_s), (Level::Session, 60));
    begin(NOON, 7).unwrap();
    begin(NOON + MINUTE, 1024).unwrap();
    assert!(bench.account.standings(NOON + MINUTE).len() < 10);
}

#[test]
fn what_was_used_before_is_carried_on() {
    let texts = ["tokens/month=100", "token:t tokens/day=50", "agent:* tokens/day=60"];
    let bench = bench(&limits(&texts));
    let amount = |tokens: u64| Amount { input_tokens: tokens, ..Amount::ZERO };
    let carry = |whose: (Level, Option<&Arc<str>>), window, tokens| {
        bench.account.carry(whose, window, &amount(tokens), NOON);
    };
    carry((Level::Tenant, None), Window::Month, 30);
    carry((Level::Token, Some(&"t".into())), Window::Day, 50);
    carry((Level::Token, Some(&"u".into())), Window::Day, 50);
    carry((Level::Agent, Some(&"main".into())), Window::Day, 60);
    let standings = bench.account.standings(NOON);
    let of = |level| standings.iter().filter(move |it| it.level == level).map(|it| it.settled);
    assert_eq!(of(Level::Tenant).sum::<u64>(), 30);
    assert_eq!(of(Level::Token).collect::<Vec<_>>(), [50]);
    assert_eq!(of(Level::Agent).collect::<Vec<_>>(), [60]);
    let call = bench.account.begin_call(NOON, "", (Some(name("main")), None)).unwrap();
    assert_eq!(written(call.reserve(NOON, &want(1, 0))).unwrap_err().level, Level::Agent);
}

#[test]
fn eight_threads_share_one_limit_to_the_last_token() {
    let bench = &bench(&Limits { tokens_per_day: Some(5000), concurrency: 4, ..Limits::default() });
    let granted = std::sync::atomic::AtomicU64::new(0);
    let work = |thread: u64| {
        for round in 0..1000_u64 {
            drop(bench.account.admit(NOON, None));
            let Ok(call) = bench.account.begin_call(NOON, "", (None, None)) else { continue };
            let want = Want { least: 1, ..want(2, 1) };
            let Ok(hold) = written(call.reserve(NOON, &want)) else { continue };
            let (settled, open) = bench.tokens(NOON);
            assert!(settled + open <= 5000);
            if !(thread + round).is_multiple_of(3) {
                hold.settle(NOON, &used(0, 1), false);
                granted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
    assert_eq!(bench.tokens(NOON), (granted.into_inner(), 0));
}

#[test]
fn near_a_limit_many_calls_that_need_little_fit_beside_each_other() {
    let bench = bench(&Limits { tokens_per_day: Some(100_000), ..Limits::default() });
    bench.reserve(NOON, 95_000, 0).unwrap().settle(NOON, &used(95_000, 0), false);
    let holds: Vec<_> = (0..32).map(|_| bench.reserve(NOON, 10, 1024).unwrap()).collect();
    assert!(holds.iter().all(|hold| hold.output() >= 64));
    for hold in holds {
        assert!(hold.settle(NOON, &used(10, 110), false).unbilled.is_zero());
    }
    assert_eq!(bench.tokens(NOON), (98_840, 0));
}
