//! A writer that is killed at any point: the trail verifies when it is opened again, and has every
//! record that was acknowledged.

#![expect(clippy::disallowed_methods, reason = "a process of its own is killed")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::*;

/// How often the writer is killed.
const KILLS: u32 = 40;

const CHILD: &str = "AUDIT_CRASH_DIR";

/// Not a test by itself: the process that is killed. It says which records are acknowledged.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let audit = Audit::open(Parts {
        dir: Path::new(&dir).join("audit"),
        keys: Path::new(&dir).join("keys"),
        config: Config::default(),
        clock: Arc::new(types::SystemClock),
        registry: &mut Registry::default(),
    });
    let audit = audit.unwrap();
    let write = |caller: u32| {
        let audit = audit.clone();
        async move {
            for number in 0_u32.. {
                let name = format!("{}-{caller}-{number}", std::process::id());
                audit.record(act(&name), Ended::done()).await.unwrap();
                writeln!(std::io::stdout(), "ack {name}").unwrap();
            }
        }
    };
    let callers: Vec<_> = (0..4).map(|caller| runtime.spawn(write(caller))).collect();
    for caller in callers {
        runtime.block_on(caller).unwrap();
    }
}

/// Runs the writer until `lines` acknowledgements were read, and kills it.
fn run(dir: &Path, lines: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::crash::child", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut output = output.lines();
    while acknowledged.len() < lines {
        let line = output.next().unwrap().unwrap();
        acknowledged.extend(line.split_once("ack ").map(|(_, name)| name.to_owned()));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What was said before the kill and not read yet was acknowledged too.
    acknowledged
        .extend(output.filter_map(|line| Some(line.ok()?.split_once("ack ")?.1.to_owned())));
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_record_survives_a_kill_and_the_trail_verifies() {
    let world = World::new();
    let mut acknowledged = Vec::new();
    for kill in 0..KILLS {
        let lines = 1 + usize::try_from(kill * 7919 % 97).unwrap();
        let dir = world.dir.path().to_owned();
        acknowledged.extend(tokio::task::spawn_blocking(move || run(&dir, lines)).await.unwrap());
    }
    let audit = world.audit();
    audit.close().await;
    let report = world.verify();
    assert!(report.is_fine(), "{report:?}");
    let known: std::collections::HashSet<_> =
        all(&audit).await.into_iter().map(|record| record.act.as_str().to_owned()).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|name| !known.contains(*name)).collect();
    assert!(lost.is_empty(), "{lost:?} of {}", acknowledged.len());
}
