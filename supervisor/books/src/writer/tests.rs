//! The writer, turn by turn, with a clock that a test moves and without its thread.

use ledger::{Amount, Journal as _};
use prometheus_client::registry::Registry;
use types::{ManualClock, TenantId};

use super::*;
use crate::start::Loaded;
use crate::{Books, Month, verify};

/// Ten seconds before the end of 2026-11-29.
const EVENING: u64 = 1_795_996_790_000;
const HOUR: u64 = 3_600_000;

struct Bench {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    writer: Writer,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(EVENING));
        let writer = start(dir.path(), &clock);
        Self { dir, clock, writer }
    }

    /// A kill, and the next start.
    fn restart(&mut self) {
        self.writer = start(self.dir.path(), &self.clock);
        self.writer.reconcile().unwrap();
        self.writer.close_what_is_due();
    }

    fn entry(&self, kind: Kind, id: u64, cost_micros: u64) -> Entry {
        let mut entry = Entry::new(kind, id, self.clock.now(), tenant());
        entry.session = Some("s".into());
        entry.amount = Amount { requests: 1, cost_micros, ..Amount::ZERO };
        entry
    }

    /// Posts an entry of `day`.
    fn put(&mut self, kind: Kind, id: u64, cost_micros: u64, day: Day) {
        let entry = Entry { day, ..self.entry(kind, id, cost_micros) };
        self.writer.turn(vec![Item { entry, told: None }]);
    }

    /// The costs of each day, closed ones from their snapshots.
    fn costs(&self) -> Vec<(String, u64)> {
        let from = Day::of(EVENING).first_of_month();
        let days = crate::days(&self.writer.shared, &tenant(), from, from_days(from, 60)).unwrap();
        days.into_iter().map(|row| (row.day.to_string(), row.sums.total.cost_micros)).collect()
    }

    fn exists(&self, name: &str) -> bool {
        self.dir.path().join(name).exists()
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    fn assert_verified(&self, days: u64, months: u64) {
        let checked = verify(self.dir.path(), None).unwrap();
        assert_eq!(checked.differences, []);
        assert_eq!((checked.days, checked.months), (days, months));
    }
}

fn start(dir: &std::path::Path, clock: &Arc<ManualClock>) -> Writer {
    let folder = Folder::at(dir);
    let Loaded { live, open, last_id, last_file } = Loaded::read(&folder, clock.now()).unwrap();
    let day = Day::of(clock.now()).max(last_file.unwrap_or(Day::of(0)));
    let clock = Arc::<ManualClock>::clone(clock);
    let shared = Shared::new(folder, clock, Metrics::default(), (live, last_id));
    Writer::new(Arc::new(shared), day, open)
}

fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

fn today() -> Day {
    Day::of(EVENING)
}

fn from_days(day: Day, count: u64) -> Day {
    Day::of(day.start() + count * 24 * HOUR)
}

fn costs(rows: &[(&str, u64)]) -> Vec<(String, u64)> {
    rows.iter().map(|(day, cost)| ((*day).to_owned(), *cost)).collect()
}

#[test]
fn a_day_is_closed_once_its_holds_are_settled() {
    let mut it = Bench::new();
    it.put(Kind::Hold, 1, 50, today());
    it.put(Kind::TopUp, 1, 20, today());
    it.clock.advance(15_000);
    it.put(Kind::Use, 2, 5, today().next());
    assert!(!it.exists("2026-11-29.closed.json"), "a hold of that day is open");
    assert!(it.text("2026-11-30.jsonl").starts_with(r#"{"kind":"carried","id":1,"#));
    it.put(Kind::Settle, 1, 60, today());
    assert!(it.exists("2026-11-29.closed.json"));
    assert_eq!(it.costs(), costs(&[("2026-11-29", 60), ("2026-11-30", 5)]));
    it.assert_verified(1, 0);
    it.restart();
    assert_eq!(it.costs(), costs(&[("2026-11-29", 60), ("2026-11-30", 5)]));
}

#[test]
fn a_day_does_not_wait_for_ever_and_what_comes_later_counts_for_the_current_one() {
    let mut it = Bench::new();
    it.put(Kind::Hold, 1, 50, today());
    it.clock.advance(HOUR + 15_000);
    it.writer.turn(Vec::new());
    assert!(it.exists("2026-11-29.closed.json"));
    it.put(Kind::Settle, 1, 60, today());
    assert!(it.text("2026-11-30.jsonl").contains(r#""bookedFrom":"2026-11-29""#));
    assert_eq!(it.costs(), costs(&[("2026-11-29", 0), ("2026-11-30", 60)]));
    let month = it.writer.shared.live().month(&tenant(), Month::of(today()));
    assert_eq!(month.cost_micros, 60);
    it.restart();
    assert_eq!(it.costs(), costs(&[("2026-11-29", 0), ("2026-11-30", 60)]));
    assert!(it.writer.open.is_empty());
    it.assert_verified(1, 0);
}

#[test]
fn a_hold_that_outlives_its_day_is_found_by_the_next_start() {
    let mut it = Bench::new();
    it.put(Kind::Hold, 1, 50, today());
    it.clock.advance(HOUR + 15_000);
    it.writer.turn(Vec::new());
    it.restart();
    assert_eq!(it.costs(), costs(&[("2026-11-29", 0), ("2026-11-30", 50)]));
    let line = r#""reconciled":true"#;
    assert_eq!(it.text("2026-11-30.jsonl").matches(line).count(), 1);
    it.restart();
    assert_eq!(it.text("2026-11-30.jsonl").matches(line).count(), 1);
}

#[test]
fn a_gateway_that_was_off_for_days_settles_and_closes_what_was_left() {
    let mut it = Bench::new();
    it.put(Kind::Hold, 1, 50, today());
    it.put(Kind::Use, 2, 3, today());
    it.clock.advance(5 * 24 * HOUR);
    it.restart();
    assert_eq!(it.costs(), costs(&[("2026-11-29", 53)]));
    assert!(it.exists("2026-11.closed.json"));
    assert!(it.text("2026-11-29.closed.json").contains(r#""files":["2026-11-29","2026-12-04"]"#));
    it.assert_verified(1, 1);
    assert_eq!(it.writer.shared.queue.next_id(), 3);
    let month = it.writer.shared.live().month(&tenant(), Month::of(today()));
    assert_eq!(month.cost_micros, 53);
    it.put(Kind::Use, 3, 4, from_days(today(), 5));
    it.restart();
    assert_eq!(it.costs(), costs(&[("2026-11-29", 53), ("2026-12-04", 4)]));
    assert_eq!(it.writer.shared.live().month(&tenant(), Month::of(today())).cost_micros, 53);
}

#[test]
fn what_an_account_begins_with() {
    let mut it = Bench::new();
    it.put(Kind::Use, 1, 100, today().previous());
    it.clock.advance(24 * HOUR);
    it.put(Kind::Use, 2, 5, today().next());
    it.clock.advance(70_000 - 60_000);
    it.writer.turn(Vec::new());
    it.restart();
    let live = it.writer.shared.live();
    let opening = live.opening(&tenant(), it.clock.now() - 1);
    assert_eq!(opening.day.total.cost_micros, 5);
    assert_eq!(opening.day.by_session["s"].cost_micros, 5);
    assert_eq!(opening.month.total.cost_micros, 105);
    let all = live.installation(it.clock.now() - 1);
    assert_eq!((all.day.total, all.month.total), (opening.day.total, opening.month.total));
}

#[test]
fn a_torn_line_is_cut_off_and_kept_aside() {
    let mut it = Bench::new();
    it.put(Kind::Use, 1, 5, today());
    let path = it.dir.path().join("2026-11-29.jsonl");
    let mut text = std::fs::read(&path).unwrap();
    text.extend_from_slice(b"{\"kind\":\"use\",\"id\":2,");
    std::fs::write(&path, text).unwrap();
    it.restart();
    assert_eq!(it.text("2026-11-29.torn"), "{\"kind\":\"use\",\"id\":2,\n");
    it.put(Kind::Use, 2, 6, today());
    it.restart();
    assert_eq!(it.costs(), costs(&[("2026-11-29", 11)]));
}

#[test]
fn a_damaged_line_is_named_and_nothing_starts() {
    let mut it = Bench::new();
    it.put(Kind::Use, 1, 5, today());
    it.put(Kind::Use, 2, 5, today());
    let path = it.dir.path().join("2026-11-29.jsonl");
    let text = it.text("2026-11-29.jsonl").replacen("use", "gift", 1);
    std::fs::write(&path, text).unwrap();
    let refused = |dir: &std::path::Path| {
        let clock = Arc::new(ManualClock::at(EVENING));
        Books::open(dir, clock, &mut Registry::default()).unwrap_err().to_string()
    };
    let message = refused(it.dir.path());
    assert!(message.starts_with("line 1 of ") && message.contains("2026-11-29.jsonl"), "{message}");
    assert!(message.contains("put the file back"), "{message}");
    // Only the last file can have been cut off by a crash.
    std::fs::write(&path, "{").unwrap();
    std::fs::write(it.dir.path().join("2026-11-30.jsonl"), "").unwrap();
    assert!(refused(it.dir.path()).contains("is cut off"));
}

#[test]
fn a_lost_snapshot_of_an_earlier_day_is_named() {
    let mut it = Bench::new();
    for _ in 0..3 {
        let day = Day::of(it.clock.now());
        it.put(Kind::Use, 1, 5, day);
        it.clock.advance(24 * HOUR);
        it.writer.turn(Vec::new());
    }
    std::fs::remove_file(it.dir.path().join("2026-11-30.closed.json")).unwrap();
    let found = Loaded::read(&Folder::at(it.dir.path()), it.clock.now()).unwrap_err();
    assert!(found.to_string().contains("2026-11-30.closed.json"), "{found}");
    let named = verify(it.dir.path(), None).unwrap().differences;
    assert!(named.iter().any(|it| it.period == "2026-11-30"), "{named:?}");
}

#[test]
fn what_cannot_be_written_is_refused_or_kept() {
    let mut it = Bench::new();
    it.put(Kind::Hold, 1, 50, today());
    // A folder where the file of the next day should be.
    std::fs::create_dir(it.dir.path().join("2026-11-30.jsonl")).unwrap();
    it.clock.advance(15_000);
    let (told, mut answer) = oneshot::channel();
    let hold = it.entry(Kind::Hold, 2, 1);
    it.writer.turn(vec![Item { entry: hold, told: Some(told) }]);
    assert_eq!(answer.try_recv(), Ok(Err(Unwritten)));
    assert!(!it.writer.shared.queue.is_writable());
    it.put(Kind::Settle, 1, 40, today());
    assert!(!it.exists("2026-11-29.closed.json"));
    std::fs::remove_dir(it.dir.path().join("2026-11-30.jsonl")).unwrap();
    it.writer.retry_at = Some(Instant::now());
    it.writer.turn(Vec::new());
    assert!(it.writer.shared.queue.is_writable());
    assert_eq!(it.costs(), costs(&[("2026-11-29", 40)]));
    assert!(it.exists("2026-11-29.closed.json"));
    it.restart();
    assert_eq!(it.costs(), costs(&[("2026-11-29", 40)]));
}

#[test]
fn a_text_of_any_length_is_written() {
    let mut it = Bench::new();
    let mut entry = it.entry(Kind::Use, 1, 1);
    entry.agent = Some("\u{1}é".repeat(5000).into());
    it.writer.turn(vec![Item { entry, told: None }]);
    it.restart();
    assert_eq!(it.costs(), costs(&[("2026-11-29", 1)]));
}

#[tokio::test]
async fn the_last_handle_waits_until_everything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(EVENING));
    let open = || {
        let clock = Arc::<ManualClock>::clone(&clock);
        Books::open(dir.path(), clock, &mut Registry::default())
    };
    let books = open().unwrap();
    assert!(matches!(open(), Err(Error::Locked { .. })));
    let id = books.next_id();
    let hold = Entry::new(Kind::Hold, id, EVENING, tenant());
    books.write(hold.clone()).await.unwrap();
    let amount = Amount { cost_micros: 7, ..Amount::ZERO };
    books.post(Entry { kind: Kind::Settle, amount, ..hold.clone() });
    books.close().await;
    assert_eq!(books.write(hold).await, Err(Unwritten));
    drop(books);
    let books = open().unwrap();
    assert_eq!(books.opening(&tenant()).day.total, amount);
    assert!(books.next_id() > id);
}
