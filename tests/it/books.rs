//! A month of the books: what their lines, their snapshots and their reports say is the same, and what
//! a model says that was computed apart.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use books::{Books, Format, Group, Month, Query};
use ledger::{Amount, Day, Entry, Journal as _, Kind};
use prometheus_client::registry::Registry;
use serde_json::Value;
use types::{Clock as _, ManualClock, TenantId};

/// 2026-11-01.
const FIRST: u64 = 1_793_491_200_000;
const SECOND: u64 = 1000;
const HOUR: u64 = 3_600_000;
const DAYS: u64 = 30;
/// Calls of a day; each has two or three lines: 20,000 in all.
const CALLS: u64 = 300;

/// What each name of each tenant should come to, by kind of name.
#[derive(Debug, Default)]
struct Model {
    costs: BTreeMap<(&'static str, String, String), u64>,
    lines: u64,
}

impl Model {
    fn add(&mut self, day: &str, entry: &Entry) {
        let name = |it: &Option<Arc<str>>| it.as_deref().unwrap_or_default().to_owned();
        let model = entry.model.as_deref().map(|model| format!("p/{model}")).unwrap_or_default();
        let names = [
            ("tenant", String::new()),
            ("day", day.to_owned()),
            ("token", name(&entry.token)),
            ("agent", name(&entry.agent)),
            ("model", model),
        ];
        for (kind, name) in names {
            let key = (kind, entry.tenant.to_string(), name);
            *self.costs.entry(key).or_default() += entry.amount.cost_micros;
        }
    }

    fn of(&self, group: &str) -> BTreeMap<(String, String), u64> {
        let of = self.costs.iter().filter(|((kind, ..), _)| *kind == group);
        of.map(|((_, tenant, name), cost)| ((tenant.clone(), name.clone()), *cost)).collect()
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// A call that was granted, and what it will cost.
fn call(books: &Books, dice: &mut Dice, now: u64) -> Entry {
    let some = |name: String| Some(Arc::from(name));
    Entry {
        token: (dice.roll(5) > 0).then(|| format!("tok{}", dice.roll(3)).into()),
        agent: some(format!("agent{}", dice.roll(4))),
        session: some(format!("s{}", dice.roll(50))),
        provider: some("p".to_owned()),
        model: some(format!("m{}", dice.roll(3))),
        price_version: some("1".to_owned()),
        amount: Amount { cost_micros: 1 + dice.roll(100_000), ..Amount::ZERO },
        ..Entry::new(
            Kind::Hold,
            books.next_id(),
            now,
            format!("t{}", dice.roll(10)).parse().unwrap(),
        )
    }
}

async fn month(dir: &Path) -> Model {
    let clock = Arc::new(ManualClock::at(FIRST + 8 * HOUR));
    let books = Books::open(dir, Arc::<ManualClock>::clone(&clock), &mut Registry::default());
    let (books, mut dice, mut model) = (books.unwrap(), Dice(7), Model::default());
    for _ in 0..DAYS {
        let day = Day::of(clock.now()).to_string();
        let mut open = Vec::new();
        for n in 0..CALLS {
            let hold = call(&books, &mut dice, clock.now());
            books.write(hold.clone()).await.unwrap();
            model.lines += 1;
            if dice.roll(4) == 0 {
                books.write(Entry { kind: Kind::TopUp, ..hold.clone() }).await.unwrap();
                model.lines += 1;
            }
            let amount = Amount { cost_micros: dice.roll(hold.amount.cost_micros), ..hold.amount };
            let settle = Entry { kind: Kind::Settle, amount, ..hold };
            if n % 50 == 0 {
                open.push(settle);
            } else {
                model.add(&day, &settle);
                books.write(settle).await.unwrap();
                model.lines += 1;
            }
        }
        // Past midnight, and what is still under way ends in the name of the day before.
        clock.advance(16 * HOUR + SECOND);
        for settle in open {
            model.add(&day, &settle);
            // It is also among those that the next file begins with.
            model.lines += 2;
            books.write(settle).await.unwrap();
        }
        clock.advance(8 * HOUR - SECOND);
    }
    books.close().await;
    model
}

fn costs(dir: &Path, by: Group) -> BTreeMap<(String, String), u64> {
    let month = Month::of(Day::of(FIRST));
    let rows = books::rows(dir, &Query::month(month, by)).unwrap();
    rows.into_iter().map(|row| ((row.tenant.to_string(), row.name), row.used.cost_micros)).collect()
}

/// What the snapshot of a period says of one kind of names.
fn closed(dir: &Path, period: &str, sums: &str) -> BTreeMap<(String, String), u64> {
    let text = fs::read(dir.join(format!("{period}.closed.json"))).unwrap();
    let snapshot: Value = serde_json::from_slice(&text).unwrap();
    let mut found = BTreeMap::new();
    for record in snapshot["tenants"].as_array().unwrap() {
        let tenant = record["tenant"].as_str().unwrap();
        for (name, sum) in record["sums"][sums].as_object().unwrap() {
            let cost = sum["costMicros"].as_u64().unwrap_or_default();
            found.insert((tenant.to_owned(), name.clone()), cost);
        }
    }
    found
}

#[tokio::test]
async fn lines_snapshots_and_reports_come_to_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let model = month(dir).await;
    assert!(model.lines >= 20_000, "{} lines", model.lines);
    for by in [Group::Tenant, Group::Day, Group::Token, Group::Agent, Group::Model] {
        assert_eq!(costs(dir, by), model.of(by.as_str()), "the report by {}", by.as_str());
    }
    assert_eq!(closed(dir, "2026-11", "byToken"), model.of("token"));
    assert_eq!(closed(dir, "2026-11", "byAgent"), model.of("agent"));
    assert_eq!(closed(dir, "2026-11", "byModel"), model.of("model"));
    let checked = books::verify(dir, None).unwrap();
    assert_eq!(checked.differences, []);
    assert_eq!((checked.days, checked.months, checked.entries), (DAYS, 1, model.lines));

    // What the gateway answers after its next start.
    let clock = Arc::new(ManualClock::at(FIRST + 40 * 24 * HOUR));
    let books = Books::open(dir, clock, &mut Registry::default()).unwrap();
    let tenant: TenantId = "t3".parse().unwrap();
    let days = books.days(&tenant, Day::of(FIRST), Day::of(FIRST + 39 * 24 * HOUR)).await.unwrap();
    let of_days: u64 = days.iter().map(|day| day.sums.total.cost_micros).sum();
    let of_month = model.of("tenant")[&("t3".to_owned(), String::new())];
    assert!(days.iter().all(|day| day.closed));
    assert_eq!((of_days, books.months(&tenant, 2)[0].used.cost_micros), (of_month, of_month));

    // The same in the form that goes to whoever pays.
    let mut csv = Vec::new();
    let query = Query::month(Month::of(Day::of(FIRST)), Group::Agent);
    books::report(dir, &query, Format::Csv, &mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let column = csv.lines().next().unwrap().split(',').position(|it| it == "costMicros").unwrap();
    let cost = |line: &str| line.split(',').nth(column).unwrap().parse::<u64>().unwrap();
    let all: u64 = model.of("tenant").values().sum();
    assert_eq!(csv.lines().skip(1).map(cost).sum::<u64>(), all);
}

/// Changes one file, and gives what verification says of it.
fn tampered(dir: &Path, name: &str, change: impl Fn(&str) -> String) -> Vec<String> {
    let path = dir.join(name);
    let before = fs::read_to_string(&path).unwrap();
    let after = change(&before);
    assert_ne!(before, after);
    fs::write(&path, after).unwrap();
    let found = books::verify(dir, None).unwrap().differences;
    fs::write(&path, before).unwrap();
    found.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn whatever_was_changed_afterwards_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    month(dir).await;
    let (lines, snapshot) = ("2026-11-09.jsonl", "2026-11-09.closed.json");
    let check = |name: &str, what: &str, change: &dyn Fn(&str) -> String| {
        let found = tampered(dir, name, change);
        assert!(found.iter().any(|it| it.contains(what)), "{what:?} is not in {found:#?}");
    };
    let without = |text: &str, n: usize| {
        let lines = text.lines().enumerate().filter(|(at, _)| *at != n);
        lines.flat_map(|(_, line)| [line, "\n"]).collect::<String>()
    };
    let settled = |text: &str| text.lines().position(|line| line.contains("\"settle\"")).unwrap();
    check(lines, "costMicros closed as", &|text| without(text, settled(text)));
    check(lines, "and there are", &|text| without(text, 0));
    check(lines, "come to the same", &|text| {
        text.replacen("\"session\":\"s", "\"session\":\"x", 1)
    });
    check(lines, "sums by name", &|text| {
        let line = text.lines().nth(settled(text)).unwrap();
        text.replacen(line, &line.replacen(":\"agent", ":\"agenda", 1), 1)
    });
    check(lines, "is damaged", &|text| text.replacen('{', "(", 1));
    check(lines, "is cut off", &|text| text.trim_end().to_owned());
    check("2026-11-20.jsonl", "its snapshot does not know", &|text| {
        let (own, other) = ("\"day\":\"2026-11-20\"", "\"day\":\"2026-11-09\"");
        let late = text.lines().find(|line| line.contains(own)).unwrap().replace(own, other);
        format!("{text}{late}\n")
    });
    check(snapshot, "2026-11-09: t", &|text| {
        text.replacen("\"costMicros\":1", "\"costMicros\":2", 1)
    });
    check(snapshot, "of the snapshot", &|text| text.trim_end().trim_end_matches("]}").to_owned());
    check("2026-11.closed.json", "2026-11: t", &|text| {
        text.replacen("\"digest\":\"", "\"digest\":\"0", 1)
    });
    fs::remove_file(dir.join(lines)).unwrap();
    let found = books::verify(dir, None).unwrap().differences;
    assert!(found.iter().any(|it| it.period == "2026-11-09"), "{found:?}");
}
