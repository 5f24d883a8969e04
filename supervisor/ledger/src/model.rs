//! All rules together: every history of a few steps over two tenants, and random long ones, each step
//! followed by a look at every limit of every level.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::*;
use types::{Dimension, Level, Limits, LimitsPatch, Quota, UnixMillis, Window};

use crate::{
    Account, Admission, Amount, Call, Day, Hold, Kind, Lease, Ledger, MemoryJournal, Price, Priced,
    Refusal, Reserved, Standing, Tokens, Want,
};

const START: UnixMillis = 1_795_391_999_000 - 86_400_000;
const TENANTS: usize = 2;

/// What can be done, each to one of two tenants.
#[derive(Debug, Clone, Copy)]
enum Step {
    Admit { tenant: usize, token: usize },
    Leave { tenant: usize },
    Reserve { tenant: usize, session: usize, input: u64, priced: bool },
    TopUp { tenant: usize },
    Settle { tenant: usize, percent: u64 },
    Release { tenant: usize },
    Lease { tenant: usize },
    Stop { tenant: usize },
    Leaves { tenant: usize },
    Pass { millis: u64 },
    Journal { works: bool },
}

struct Side {
    account: Arc<Account>,
    admissions: Vec<Admission>,
    holds: Vec<(Hold, Call)>,
    leases: Vec<Lease>,
    requests: u32,
}

struct World {
    ledger: Arc<Ledger>,
    journal: Arc<MemoryJournal>,
    sides: Vec<Side>,
    now: UnixMillis,
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a journal in memory has nothing to wait for"),
    }
}

fn written<T>(reserved: Result<Reserved<T>, Refusal>) -> Option<T> {
    ready(reserved.ok()?.written()).ok()
}

impl World {
    fn new(house: &[&str], tenant: &[&str]) -> Self {
        let journal = Arc::new(MemoryJournal::default());
        let quotas: Vec<_> = house.iter().map(|it| Quota::installation(it).unwrap()).collect();
        let ledger = Arc::new(Ledger::new(Arc::<MemoryJournal>::clone(&journal), &quotas, START));
        let quotas = Some(tenant.iter().map(|it| (*it).to_owned()).collect());
        let patch = LimitsPatch { quotas, concurrency: Some(3), ..LimitsPatch::default() };
        let limits = Limits::default().with(&patch).unwrap();
        let side = |number: usize| Side {
            account: Arc::new(Account::new(
                &ledger,
                format!("t{number}").parse().unwrap(),
                &limits,
                START,
            )),
            admissions: Vec::new(),
            holds: Vec::new(),
            leases: Vec::new(),
            requests: 0,
        };
        Self { sides: (0..TENANTS).map(side).collect(), ledger, journal, now: START }
    }

    fn step(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Admit { tenant, token } => {
                let side = &mut self.sides[tenant];
                let token: Arc<str> = format!("tok{token}").into();
                side.requests += 1;
                let id = format!("req_{:032x}", side.requests);
                let admitted = side.account.admit(now, Some(&token)).ok();
                side.admissions.extend(admitted.map(|it| it.named(&id).lingering()));
            }
            Step::Leave { tenant } => drop(self.sides[tenant].admissions.pop()),
            Step::Reserve { tenant, session, input, priced } => {
                let side = &mut self.sides[tenant];
                let id = format!("req_{:032x}", side.requests);
                let who = (Some("main".into()), Some(format!("s{session}").into()));
                let Ok(call) = side.account.begin_call(now, &id, who) else { return };
                let hold = written(call.reserve(now, &want(input, priced)));
                side.holds.extend(hold.map(|hold| (hold, call)));
            }
            Step::TopUp { tenant } => {
                if let Some((hold, _)) = self.sides[tenant].holds.last_mut() {
                    drop(hold.top_up(now, 3).map(ready));
                }
            }
            Step::Settle { tenant, percent } => {
                if let Some((hold, _call)) = self.sides[tenant].holds.pop() {
                    let output = hold.output() * percent / 100;
                    let used = Tokens { input: percent / 10, output, cached: 1, reasoning: output };
                    hold.settle(now, &used, false);
                }
            }
            Step::Release { tenant } => drop(self.sides[tenant].holds.pop()),
            Step::Lease { tenant } => {
                let side = &mut self.sides[tenant];
                side.leases.extend(written(side.account.lease(now, Some("main".into()), 1500)));
            }
            Step::Stop { tenant } => {
                if let Some(lease) = self.sides[tenant].leases.pop() {
                    lease.settle(now, 1700);
                }
            }
            Step::Leaves { tenant } => {
                let bytes = Amount { egress_bytes: 40, ..Amount::ZERO };
                drop(self.sides[tenant].account.spend(now, &bytes));
            }
            Step::Pass { millis } => self.now += millis,
            Step::Journal { works } => self.journal.set_writable(works),
        }
    }

    /// What holds at every instant.
    fn check(&self) {
        let sides = self.sides.iter().flat_map(|side| side.account.standings(self.now));
        let all: Vec<_> = sides.chain(self.ledger.standings(self.now)).collect();
        for it in &all {
            assert!(it.settled + it.held <= it.max, "{it:?}");
        }
        // The installation has what all tenants have together.
        // Of sandboxes, each shows whole seconds.
        let whole = |it: &&Standing| it.dimension != Dimension::SandboxSeconds;
        let houses = all.iter().filter(|it| it.level == Level::Installation);
        for house in houses.filter(whole) {
            let same = |it: &&Standing| {
                it.level == Level::Tenant
                    && (it.dimension, it.window) == (house.dimension, house.window)
            };
            let sum = all
                .iter()
                .filter(same)
                .fold((0, 0), |sum, it| (sum.0 + it.settled, sum.1 + it.held));
            if all.iter().any(|it| same(&it)) {
                assert_eq!((house.settled, house.held), sum, "{house:?}");
            }
        }
    }

    /// Nothing leaks, and the books have what the account has: no line is missing and none is double.
    fn end(mut self) {
        self.journal.set_writable(true);
        for side in &mut self.sides {
            side.holds.clear();
            side.leases.clear();
            side.admissions.clear();
            side.account.post_uses(self.now);
        }
        self.check();
        for side in &self.sides {
            let standings = side.account.standings(self.now);
            assert!(standings.iter().all(|it| it.held == 0), "{standings:?}");
        }
        let mut open: HashMap<u64, Kind> = HashMap::new();
        let mut days: HashMap<(String, Day), Amount> = HashMap::new();
        for entry in self.journal.entries() {
            match entry.kind {
                Kind::Hold => assert!(open.insert(entry.id, entry.kind).is_none()),
                Kind::TopUp => assert!(open.contains_key(&entry.id)),
                // A hold that could not be written is released all the same.
                Kind::Release => drop(open.remove(&entry.id)),
                Kind::Settle => assert!(open.remove(&entry.id).is_some(), "settled twice"),
                Kind::Use | Kind::Carried => {}
            }
            if entry.kind.counts() {
                let key = (entry.tenant.to_string(), entry.day);
                days.entry(key).or_default().add(&entry.amount);
            }
        }
        assert!(open.is_empty(), "{open:?}");
        for side in &self.sides {
            let key = (side.account.tenant().to_string(), Day::of(self.now));
            let written = days.get(&key).copied().unwrap_or_default();
            assert_eq!(side.account.used(Window::Day, self.now), written);
        }
    }
}

fn want(input: u64, priced: bool) -> Want {
    let price = Price { input: 1_000_000, output: 2_000_000, ..Price::default() };
    let price = Priced { price: Arc::new(price), version: "v".into() };
    Want {
        provider: "p".into(),
        model: "m".into(),
        price: priced.then_some(price),
        input,
        first: 4,
        least: 1,
        asked: None,
    }
}

fn run(house: &[&str], tenant: &[&str], steps: &[Step]) {
    let mut world = World::new(house, tenant);
    for step in steps {
        world.step(*step);
        world.check();
    }
    world.end();
}

/// Every history of five of these, over limits that most of them meet.
#[test]
fn every_short_history_keeps_every_limit() {
    let reserve = |tenant| Step::Reserve { tenant, session: 0, input: 3, priced: true };
    let steps = [
        Step::Admit { tenant: 0, token: 0 },
        reserve(0),
        reserve(1),
        Step::TopUp { tenant: 0 },
        Step::Settle { tenant: 0, percent: 200 },
        Step::Settle { tenant: 1, percent: 50 },
        Step::Release { tenant: 0 },
        Step::Pass { millis: 60_000 },
    ];
    let house = ["tokens/minute=16", "costMicros/day=40", "requests/minute=4"];
    let tenant =
        ["tokens/minute=12", "costMicros/day=30", "requests/minute=3", "session:* tokens/hour=14"];
    let depth = 5;
    let count = steps.len().pow(depth);
    for number in 0..count {
        let mut rest = number;
        let history: Vec<_> = (0..depth)
            .map(|_| {
                let step = steps[rest % steps.len()];
                rest /= steps.len();
                step
            })
            .collect();
        run(&house, &tenant, &history);
    }
}

fn step() -> impl Strategy<Value = Step> {
    let tenant = 0..TENANTS;
    let pass = prop_oneof![
        Just(1_000_u64),
        Just(60_000),
        Just(3_600_000),
        Just(86_400_000),
        Just(31 * 86_400_000)
    ];
    prop_oneof![
        4 => (tenant.clone(), 0..3_usize).prop_map(|(tenant, token)| Step::Admit { tenant, token }),
        3 => tenant.clone().prop_map(|tenant| Step::Leave { tenant }),
        6 => (tenant.clone(), 0..3_usize, 0..20_u64, any::<bool>()).prop_map(
            |(tenant, session, input, priced)| Step::Reserve { tenant, session, input, priced }
        ),
        4 => tenant.clone().prop_map(|tenant| Step::TopUp { tenant }),
        4 => (tenant.clone(), 0..300_u64)
            .prop_map(|(tenant, percent)| Step::Settle { tenant, percent }),
        2 => tenant.clone().prop_map(|tenant| Step::Release { tenant }),
        2 => tenant.clone().prop_map(|tenant| Step::Lease { tenant }),
        2 => tenant.clone().prop_map(|tenant| Step::Stop { tenant }),
        1 => tenant.prop_map(|tenant| Step::Leaves { tenant }),
        3 => pass.prop_map(|millis| Step::Pass { millis }),
        1 => any::<bool>().prop_map(|works| Step::Journal { works }),
    ]
}

/// Quotas of which each history has some.
const QUOTAS: [&str; 14] = [
    "requests/minute=4",
    "tokens/minute=30",
    "tokens/hour=60",
    "tokens/day=100",
    "tokens/month=150",
    "costMicros/day=150",
    "outputTokens/hour=20",
    "cachedTokens/day=25",
    "reasoningTokens/day=30",
    "sandboxSeconds/day=4",
    "egressBytes/day=100",
    "token:* tokens/day=40",
    "agent:main tokens/month=90",
    "session:* tokens/hour=25",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]
    #[test]
    fn every_long_history_keeps_every_limit(
        steps in vec(step(), 1..150),
        tenant in vec(any::<bool>(), QUOTAS.len()),
        house in vec(any::<bool>(), 11),
    ) {
        let chosen = |marks: &[bool]| -> Vec<&str> {
            QUOTAS.iter().zip(marks).filter(|(_, mark)| **mark).map(|(quota, _)| *quota).collect()
        };
        run(&chosen(&house), &chosen(&tenant), &steps);
    }
}
