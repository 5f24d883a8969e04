//! The same rush at limits on tokens and on money, where what is set aside counts as well as what is
//! used: with holds that are as large as the use, and with holds that are larger.

use serde_json::json;
use tests::{Amount, Client, Crowd, Gateway, MAX_TOKENS, Provider, until};
use tokio::task::JoinSet;

use super::{ADMITTED, CROWD, DUE, JOBS, Jobs, asked, check_answered, check_books, gateway};

/// Callers that ask one question after the other.
const CALLERS: usize = 32;

/// How often it is looked whether a turn that was taken has still to ask its model.
const PATIENCE: usize = 200;

/// One rush of everybody, jobs among them, at a limit that `name` says and of which every call takes
/// `each`.
async fn rush(provider: &Provider, gateway: &Gateway, (name, each): (&str, u64)) -> String {
    let id = name.to_lowercase().replace('/', "-");
    let tenant = gateway.tenant_with(&id, &["--concurrency", "4096"]);
    let mut jobs = Jobs::new(gateway, &tenant, JOBS).await;
    let mut crowd = Crowd::gather(gateway, &tenant, "fixed", CROWD).await;
    let limit = each * ADMITTED;
    gateway.set_quotas(&tenant, &[&format!("{name}={limit}")]);
    jobs.wind(DUE).await;
    let seen = asked(provider);
    tokio::time::sleep(DUE).await;
    let tally = crowd.rush().await;
    check_answered(&tally);
    let well = jobs.rung().await;
    // Some were refused for what others had set aside and have given back: it is there for the next.
    let mut after = 0;
    for _ in 0..PATIENCE {
        until("nothing is held", || gateway.standing(&tenant, name).1 == 0);
        after += until_refused(gateway.client(&tenant), Some(MAX_TOKENS)).await;
        if gateway.standing(&tenant, name) == (limit, 0) {
            break;
        }
    }
    let what = format!("{name}: {tally:?}, jobs {well}, {after} after them");
    assert_eq!(gateway.standing(&tenant, name), (limit, 0), "{what}");
    assert_eq!(asked(provider), seen + ADMITTED, "{what}");
    check_books(gateway, &tenant);
    what
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_calls_of_known_size_fill_a_limit_on_tokens_or_money() {
    let (provider, gateway) = gateway().await;
    // A completion takes what it sets aside, to the token; a turn sets more aside.
    provider.charge(0, MAX_TOKENS);
    for name in ["outputTokens/month", "costMicros/day"] {
        println!("{}", rush(&provider, &gateway, (name, MAX_TOKENS)).await);
    }
}

/// Calls of one text under a limit on all tokens together, whose holds are `hold` and of which each
/// uses `used` of input and of output.
struct Calls<'a> {
    provider: &'a Provider,
    gateway: &'a Gateway,
    hold: Amount,
}

impl Calls<'_> {
    /// Many callers at once, each until it is refused, and one more after them until it is refused:
    /// never more than the limit, and at the end less than one hold is left.
    async fn check(&self, id: &str, (input, output): (u64, u64)) -> u64 {
        let tenant = self.gateway.tenant_with(id, &["--concurrency", "4096"]);
        let limit = self.hold.tokens() * ADMITTED;
        self.gateway.set_quotas(&tenant, &[&format!("tokens/day={limit}")]);
        self.provider.charge(input, output);
        let mut calling = JoinSet::new();
        for _ in 0..CALLERS {
            calling.spawn(until_refused(self.gateway.client(&tenant), None));
        }
        let mut answered = 0;
        while !calling.is_empty() {
            let (settled, held) = self.gateway.standing(&tenant, "tokens/day");
            assert!(settled + held <= limit, "{id}: {settled} and {held} of {limit}");
            while let Some(done) = calling.try_join_next() {
                answered += done.unwrap();
            }
        }
        answered += until_refused(self.gateway.client(&tenant), None).await;
        let (settled, held) = self.gateway.standing(&tenant, "tokens/day");
        assert_eq!(held, 0, "{id}: {answered}");
        // What the last ones reported beyond what was left is charged to nobody.
        let used = answered * (input + output);
        let adds_up = settled == used || (used > limit && settled <= limit);
        assert!(adds_up, "{id}: {settled} for {used}");
        assert!(limit < settled + self.hold.tokens(), "{id}: {settled} of {limit}");
        check_books(self.gateway, &tenant);
        answered
    }
}

/// How many questions are answered before one is refused.
async fn until_refused(client: Client, max_tokens: Option<u64>) -> u64 {
    let mut answered = 0;
    loop {
        let body = json!({"model": "fixed", "max_tokens": max_tokens,
            "messages": [{"role": "user", "content": "go"}]});
        let reply = client.post("/v1/chat/completions", &body).await;
        if reply.status == 429 {
            return answered;
        }
        assert_eq!(reply.answer(), "ok");
        answered += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_that_are_larger_than_the_use_leave_less_than_one_of_them_unused() {
    let (provider, gateway) = gateway().await;
    let probe = gateway.tenant("probe");
    provider.charge(1, 1);
    gateway.client(&probe).chat("fixed", "go").await.answer();
    let life = *gateway.lives(&probe).values().next().unwrap();
    let calls = Calls { provider: &provider, gateway: &gateway, hold: life.held };
    let (input, output) = (life.held.input_tokens, life.held.output_tokens);
    for (id, used) in
        [("all", (input, output)), ("half", (input, output / 2)), ("tenth", (1, output / 10))]
    {
        let answered = calls.check(id, used).await;
        println!("a hold of {input}+{output}, {id} of it used: {answered} calls answered");
    }
}
