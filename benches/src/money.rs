//! The books: a month of them, and what a hold costs beside a plain append of the same bytes.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use books::{Books, Group, Month, Query};
use futures_util::future::join_all;
use ledger::{Amount, Day, Entry, Journal as _, Kind};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use types::{Clock as _, ManualClock, SystemClock};

/// 2026-11-01, eight o'clock.
const FIRST: u64 = 1_793_520_000_000;
const DAY: u64 = 86_400_000;
const DAYS: u64 = 30;

/// Entries between two that are waited for, so that what waits is bounded.
const BLOCK: u64 = 1000;

/// All of it: a month of `calls` calls of 100 tenants, and `pairs` holds one after the other.
pub async fn measure(calls: u64, pairs: u64) -> Value {
    json!({"month": month(calls).await, "holdAndSettle": holds(pairs).await})
}

fn entry(kind: Kind, id: u64, now: u64, cost_micros: u64) -> Entry {
    let text = |text: String| Some(Arc::from(text));
    Entry {
        token: text(format!("tok_{:016x}", id % 300)),
        agent: text(format!("agent{}", id % 7)),
        session: text(format!("agent:main:{}", id % 5000)),
        provider: text("openai".to_owned()),
        model: text(format!("model-{}", id % 5)),
        price_version: text("2026-11-01".to_owned()),
        amount: Amount { input_tokens: 1000, output_tokens: 200, cost_micros, ..Amount::ZERO },
        ..Entry::new(kind, id, now, format!("tenant{:02}", id % 100).parse().unwrap())
    }
}

async fn month(calls: u64) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let cost = write(dir.path(), calls).await;
    let written = begun.elapsed();
    let mut reports = serde_json::Map::new();
    for by in [Group::Tenant, Group::Day, Group::Token, Group::Agent, Group::Model] {
        let (begun, memory) = (Instant::now(), Peak::begin());
        let query = Query::month(Month::of(Day::of(FIRST)), by);
        let rows = books::rows(dir.path(), &query).unwrap();
        let sum: u64 = rows.iter().map(|row| row.used.cost_micros).sum();
        assert_eq!(sum, cost, "the report by {}", by.as_str());
        let seconds = begun.elapsed().as_secs_f64();
        let found = json!({"seconds": seconds, "rows": rows.len(), "memory": memory.end()});
        reports.insert(by.as_str().to_owned(), found);
    }
    let (begun, memory) = (Instant::now(), Peak::begin());
    let checked = books::verify(dir.path(), None).unwrap();
    assert_eq!(checked.differences, [], "snapshots are not what the lines come to");
    assert_eq!((checked.days, checked.months), (DAYS, 1));
    let verify = json!({"seconds": begun.elapsed().as_secs_f64(), "memory": memory.end()});
    let begun = Instant::now();
    let clock = Arc::new(ManualClock::at(FIRST + (DAYS + 1) * DAY));
    let books = Books::open(dir.path(), clock, &mut Registry::default()).unwrap();
    let total = books.months(&"tenant00".parse().unwrap(), 3);
    assert_eq!(total.len(), 1);
    json!({
        "tenants": 100,
        "entries": checked.entries,
        "microDollars": cost,
        "writeSeconds": written.as_secs_f64(),
        "report": reports,
        "verify": verify,
        "startSeconds": begun.elapsed().as_secs_f64(),
    })
}

/// Writes the month through the journal, and gives what it comes to.
async fn write(dir: &Path, calls: u64) -> u64 {
    let clock = Arc::new(ManualClock::at(FIRST));
    let books = Books::open(dir, Arc::<ManualClock>::clone(&clock), &mut Registry::default());
    let (books, mut sum) = (books.unwrap(), 0);
    for _ in 0..DAYS {
        for n in 0..calls / DAYS {
            let (id, now) = (books.next_id(), clock.now());
            let cost = id * 7919 % 50_000;
            sum += cost;
            books.post(entry(Kind::Hold, id, now, 50_000));
            let settle = entry(Kind::Settle, id, now, cost);
            if n % BLOCK == 0 {
                books.write(settle).await.unwrap();
            } else {
                books.post(settle);
            }
        }
        // All of the day is written before the next one begins.
        let last = entry(Kind::Release, 0, clock.now(), 0);
        books.write(last).await.unwrap();
        clock.advance(DAY);
    }
    books.close().await;
    sum
}

/// What a pass over the files may take: one buffer and the sums. All lines are some hundred times that.
const MAX_PASS_KIB: u64 = 32 << 10;

/// Memory that is resident when something begins, and the most until it ends.
struct Peak(u64);

impl Peak {
    fn begin() -> Self {
        // Sets the high-water mark back to what is resident now.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        Self(status("VmRSS:"))
    }

    fn end(self) -> Value {
        let peak = status("VmHWM:");
        let more = peak.saturating_sub(self.0);
        assert!(more < MAX_PASS_KIB, "{more} KiB more than before");
        json!({"beforeKiB": self.0, "peakKiB": peak})
    }
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Callers at once that share the blocks of the journal.
const CALLERS: u64 = 32;

async fn holds(pairs: u64) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let plain = plain(&dir.path().join("plain"), pairs);
    let journal = dir.path().join("ledger");
    let books = Books::open(&journal, Arc::new(SystemClock), &mut Registry::default()).unwrap();
    let begun = Instant::now();
    run(&books, pairs).await;
    let one = begun.elapsed().as_secs_f64() / pairs as f64;
    let begun = Instant::now();
    join_all((0..CALLERS).map(|_| run(&books, pairs / CALLERS))).await;
    let many = begun.elapsed().as_secs_f64() / pairs as f64;
    books.close().await;
    json!({
        "pairs": pairs,
        "plainAppendUs": plain * 1e6,
        "oneCallerUs": one * 1e6,
        "oneCallerOverPlain": one / plain,
        "callers": CALLERS,
        "callersUs": many * 1e6,
        "callersOverPlain": many / plain,
    })
}

async fn run(books: &Books, pairs: u64) {
    for _ in 0..pairs {
        let (id, now) = (books.next_id(), SystemClock.now());
        books.write(entry(Kind::Hold, id, now, 50_000)).await.unwrap();
        books.post(entry(Kind::Settle, id, now, 7));
    }
}

/// Seconds of a pair that is made into the same bytes and appended by the thread that makes it.
fn plain(path: &Path, pairs: u64) -> f64 {
    let mut file = File::create(path).unwrap();
    let begun = Instant::now();
    for id in 0..pairs {
        for (kind, cost) in [(Kind::Hold, 50_000), (Kind::Settle, 7)] {
            let mut line = serde_json::to_vec(&entry(kind, id, SystemClock.now(), cost)).unwrap();
            line.push(b'\n');
            file.write_all(&line).unwrap();
        }
    }
    begun.elapsed().as_secs_f64() / pairs as f64
}
