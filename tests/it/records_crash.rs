//! The records after a crash: a writer that is killed at random moments, and power cuts put
//! together from what it wrote and what it synced.
//!
//! A cut is a model, not a pulled plug: the file may be any mixture of pages that the kernel could
//! have written by then, but sectors, file sizes and sled's snapshots are not torn.

mod trace;

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use records::SledStore;
use records::store::{Op, Store as _};
use tests::program;
use types::SystemClock;

use trace::Trace;

/// Kills, and cuts of each kind.
const ROUNDS: usize = 20;

/// What [`ROUNDS`] kills must have let through at least, or they were all too early to mean much.
const ENOUGH: u64 = 200;

/// What each writer of `crash_writer` was told to be durable.
type Acknowledged = BTreeMap<usize, u64>;

fn acknowledged(lines: &str) -> Acknowledged {
    let mut counts = Acknowledged::new();
    // The last line may be cut off by the kill.
    let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let (writer, n) = line.split_once(' ').unwrap();
        counts.insert(writer.parse().unwrap(), n.parse().unwrap());
    }
    counts
}

/// Opens the store and compares it with what was acknowledged. Gives the number of commits.
async fn check(dir: &Path, acknowledged: &Acknowledged) -> u64 {
    let store = SledStore::open(dir, Arc::new(SystemClock)).await.unwrap();
    let mut names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let rebuilt = names.any(|name| name.to_string_lossy().starts_with("damaged"));
    assert!(!rebuilt, "the database could not be opened and was rebuilt from a dump");
    let mut commits = 0;
    for writer in 0..4 {
        let count = store.get(format!("{writer}/count").as_bytes()).await.unwrap();
        let count = count.map_or(0, |item| text(&item.value).parse().unwrap());
        let least = acknowledged.get(&writer).copied().unwrap_or(0);
        assert!(count >= least, "writer {writer}: {least} acknowledged, {count} found");
        let expected: Vec<_> = (count.saturating_sub(49).max(1)..=count).collect();
        for half in ["a", "b"] {
            let prefix = format!("{writer}/{half}/");
            let (items, _) = store.range(prefix.as_bytes(), None, 100).await.unwrap();
            let number = |key: &[u8]| text(key).strip_prefix(&prefix).unwrap().parse().unwrap();
            let found: Vec<u64> = items.iter().map(|item| number(&item.key)).collect();
            assert_eq!(found, expected, "a torn commit of writer {writer}, {half}");
            for (n, item) in found.iter().zip(&items) {
                assert!(text(&item.value).starts_with(&format!("{writer}:{n};")));
            }
        }
        commits += count;
    }
    store.commit(Vec::new(), vec![Op::put("after", "the crash")]).await.unwrap();
    commits
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// Random numbers that differ from run to run; what failed says which moment it was.
fn random(below: usize) -> usize {
    let number = RandomState::new().hash_one(());
    usize::try_from(number % u64::try_from(below).unwrap()).unwrap()
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "starts the writer; a random moment is the point")]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut commits) = (Acknowledged::new(), 0);
    for round in 0..ROUNDS {
        let mut writer = Command::new(program("crash_writer"));
        let mut writer = writer.arg(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        // Early kills hit the opening, late ones the writing.
        let wait = if round % 4 == 0 { 30 } else { 400 };
        std::thread::sleep(Duration::from_millis(u64::try_from(random(wait)).unwrap()));
        writer.kill().unwrap();
        let mut lines = String::new();
        writer.stdout.take().unwrap().read_to_string(&mut lines).unwrap();
        writer.wait().unwrap();
        acknowledged.append(&mut self::acknowledged(&lines));
        commits = check(dir.path(), &acknowledged).await;
    }
    assert!(commits >= ENOUGH, "only {commits} commits in {ROUNDS} rounds");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut() {
    let dir = tempfile::tempdir().unwrap();
    let trace = Trace::record(dir.path());
    let mut most = 0;
    for round in 0..2 * ROUNDS {
        let moment = random(trace.moments());
        let pages = round % 2 == 0;
        let cut = tempfile::tempdir().unwrap();
        let image = if pages { trace.with_pages(moment, random) } else { trace.synced(moment) };
        trace.put(&image, cut.path());
        let lines = trace.acknowledged(moment);
        println!("the power goes at moment {moment} of {}, pages: {pages}", trace.moments());
        most = most.max(check(cut.path(), &acknowledged(&lines)).await);
    }
    assert!(most >= ENOUGH, "no cut came after more than {most} commits");
}
