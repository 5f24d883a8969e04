//! The books after a crash: a writer that is killed at random moments, a reconciliation that is cut
//! off at any byte, and a disk that is full for a while.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use books::Books;
use ledger::{Amount, Day, Entry, Journal as _, Kind};
use prometheus_client::registry::Registry;
use tests::program;
use types::{Clock as _, SystemClock, TenantId};

/// Kills.
const ROUNDS: usize = 20;

/// Holds that those must have let through at least, or they were all too early to mean much.
const ENOUGH: usize = 1000;

/// What `books_writer` sets aside and settles.
const fn held(id: u64) -> u64 {
    100 + id % 7
}

const fn used(id: u64) -> u64 {
    id % 90
}

fn open(dir: &Path) -> Books {
    Books::open(dir, Arc::new(SystemClock), &mut Registry::default()).unwrap()
}

fn tenant(writer: u64) -> TenantId {
    format!("t{writer}").parse().unwrap()
}

/// Every entry, in the order of the files.
fn entries(dir: &Path) -> Vec<Entry> {
    let paths = fs::read_dir(dir).unwrap().map(|it| it.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "jsonl")).collect();
    paths.sort();
    let texts = paths.iter().map(|path| fs::read_to_string(path).unwrap());
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    texts.flat_map(|text| text.lines().map(parse).collect::<Vec<Entry>>()).collect()
}

/// One hold's lines.
#[derive(Debug, Default)]
struct Life {
    holds: usize,
    set_aside: u64,
    endings: Vec<Entry>,
}

/// Opens the books, which settles what was left open, and compares every line with what it must be.
/// Gives how many holds there are.
async fn check(dir: &Path, acknowledged: &[u64]) -> usize {
    drop(open(dir));
    let all = entries(dir);
    let mut lives = BTreeMap::<u64, Life>::new();
    for entry in &all {
        let life = lives.entry(entry.id).or_default();
        match entry.kind {
            Kind::Hold => (life.holds, life.set_aside) = (life.holds + 1, held(entry.id)),
            Kind::TopUp => life.set_aside += 1000,
            Kind::Settle | Kind::Release => life.endings.push(entry.clone()),
            Kind::Use | Kind::Carried => {}
        }
    }
    for id in acknowledged {
        assert!(lives.contains_key(id), "hold {id} was acknowledged and is not there");
    }
    let mut sums = BTreeMap::<TenantId, u64>::new();
    for (id, life) in &lives {
        assert_eq!((life.holds, life.endings.len()), (1, 1), "hold {id}: {life:?}");
        let ending = &life.endings[0];
        let expected = match (ending.kind, ending.reconciled) {
            (Kind::Release, _) => 0,
            (_, true) => life.set_aside,
            (_, false) => used(*id),
        };
        assert_eq!(ending.amount.cost_micros, expected, "hold {id}: {life:?}");
        *sums.entry(ending.tenant.clone()).or_default() += expected;
    }
    // Once more: nothing is settled twice, and the books say what their lines say.
    let books = open(dir);
    assert_eq!(entries(dir).len(), all.len());
    for writer in 0..4 {
        let today = Day::of(SystemClock.now());
        let days = books.days(&tenant(writer), today.previous(), today).await.unwrap();
        let sum: u64 = days.iter().map(|day| day.sums.total.cost_micros).sum();
        assert_eq!(sum, sums.get(&tenant(writer)).copied().unwrap_or_default());
    }
    lives.len()
}

fn numbers(lines: &str, what: &str) -> Vec<u64> {
    // The last line may be cut off by the kill.
    let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let number = |line: &str| line.strip_prefix(what).map(|id| id.trim().parse().unwrap());
    whole.lines().filter_map(number).collect()
}

fn random(below: usize) -> usize {
    let number = RandomState::new().hash_one(());
    usize::try_from(number % u64::try_from(below).unwrap()).unwrap()
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "starts the writer; a random moment is the point")]
async fn no_hold_is_stranded_and_none_is_charged_twice_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut holds) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        let mut writer = Command::new(program("books_writer"));
        let mut writer = writer.arg(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        // Early kills hit the opening, late ones the writing.
        let wait = if round % 4 == 0 { 20 } else { 150 };
        std::thread::sleep(Duration::from_millis(u64::try_from(random(wait)).unwrap()));
        writer.kill().unwrap();
        let mut lines = String::new();
        writer.stdout.take().unwrap().read_to_string(&mut lines).unwrap();
        writer.wait().unwrap();
        acknowledged.append(&mut numbers(&lines, "hold "));
        holds = check(dir.path(), &acknowledged).await;
    }
    assert!(holds >= ENOUGH, "only {holds} holds in {ROUNDS} rounds");
}

#[tokio::test]
async fn a_reconciliation_that_is_cut_off_anywhere_ends_as_if_it_had_not_been() {
    let dir = tempfile::tempdir().unwrap();
    let books = open(dir.path());
    let mut ids = Vec::new();
    for n in 0..100 {
        let id = books.next_id();
        let amount = Amount { cost_micros: held(id), ..Amount::ZERO };
        let entry = Entry::new(Kind::Hold, id, SystemClock.now(), tenant(n % 4));
        books.write(Entry { amount, ..entry }).await.unwrap();
        ids.push(id);
    }
    drop(books);
    let file = format!("{}.jsonl", Day::of(SystemClock.now()));
    let before = fs::read(dir.path().join(&file)).unwrap().len();
    drop(open(dir.path()));
    let whole = fs::read(dir.path().join(&file)).unwrap();
    assert!(whole.len() > 2 * before, "settled in full");
    for cut in (0..40).map(|_| before + random(whole.len() - before)).chain([before, whole.len()]) {
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join(&file), &whole[..cut]).unwrap();
        assert_eq!(check(copy.path(), &ids).await, ids.len(), "cut at {cut} of {}", whole.len());
    }
}

/// Reads lines until one begins with `what`, and gives all of them.
fn until(lines: &mut impl Iterator<Item = std::io::Result<String>>, what: &str) -> String {
    let mut read = String::new();
    for line in lines {
        let line = line.unwrap();
        read.push_str(&line);
        read.push('\n');
        if line.starts_with(what) {
            return read;
        }
    }
    panic!("the writer ended before it said {what:?}")
}

/// Ends the writer when the test fails.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "starts the writer under a limit")]
async fn a_full_disk_refuses_holds_and_the_books_recover_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    // A file that may not grow stands for a disk without room; the soft limit can be lifted again.
    shell.args(["-c", r#"trap "" XFSZ; ulimit -S -f 64; exec "$0" "$1""#]);
    shell.arg(program("books_writer")).arg(dir.path()).stdout(Stdio::piped());
    let mut writer = Writer(shell.spawn().unwrap());
    let mut lines = BufReader::new(writer.0.stdout.take().unwrap()).lines();
    let mut said = until(&mut lines, "refused ");
    let pid = writer.0.id().to_string();
    let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
    assert!(lifted.unwrap().success());
    said.push_str(&until(&mut lines, "hold "));
    // Long enough for the lines that were kept to be followed by others.
    for _ in 0..100 {
        said.push_str(&until(&mut lines, "hold "));
    }
    drop(writer);
    check(dir.path(), &numbers(&said, "hold ")).await;
}
