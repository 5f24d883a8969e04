//! Each of the processes is killed while an archive is made, while one is unpacked, when it is
//! unpacked, and while roots are exchanged. One whole root is there afterwards, and nothing else.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use records::Records;
use records::restores::{Phase, Replacement, RestoreRow};

use super::house::{House, ORDINARY, Seen, Who};

/// How often the exchange is interrupted, each time a little later.
const ROUNDS: u32 = 5;

/// A house with a tenant whose archive `one.tar.zst` differs from what it has now, which is given
/// before and after.
fn prepared(start: impl FnOnce() -> House) -> (House, Seen, Seen) {
    let mut house = start();
    house.run("create a");
    house.fill("a", 60);
    house.noise("a", 4 << 20);
    let archived = house.seen("a");
    house.run("export a one.tar.zst");
    house.fill("a", 20);
    let now = house.seen("a");
    (house, archived, now)
}

fn after(house: House, who: Who) -> House {
    house.kill(who);
    if who == Who::Workers { house } else { house.again() }
}

/// Wakes the tenant and gives what it has.
fn woken(house: &mut House) -> Seen {
    // A call that was on its way to a worker that is killed, or whose end is not seen yet, has no answer.
    tests::until("the tenant answers", || {
        let number = house.begin("call a sessions.list {}");
        house.ended(number).get("failed").is_none()
    });
    house.seen("a")
}

fn is_undisturbed(who: Who, command: &str) {
    let (mut house, _, now) = prepared(House::start);
    if command.ends_with("stall") {
        house.begin(command);
        // Until the staged root is there and its worker has begun to fill it.
        let begun = house.path("tenants/a.staged/agents");
        while !begun.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
    } else {
        house.run(command);
    }
    let mut house = after(house, who);
    assert_eq!(woken(&mut house), now, "{who:?} {command}");
    if who != Who::Workers || command.ends_with("stall") {
        for _ in 0..100 {
            if !house.path("tenants/a.staged").exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        house.is_alone("a");
    }
    // And it can be done then.
    if who != Who::Workers {
        house.run("export a two.tar.zst");
        house.run("stage a two.tar.zst commit");
        assert_eq!(house.seen("a"), now);
    }
    house.end();
}

#[test]
fn killed_while_an_archive_is_made() {
    for who in [Who::Launcher, Who::Supervisor, Who::Workers] {
        is_undisturbed(who, "export a held.tar.zst hold");
    }
}

#[test]
fn killed_while_an_archive_is_unpacked() {
    for who in [Who::Launcher, Who::Supervisor, Who::Workers] {
        is_undisturbed(who, "stage a one.tar.zst stall");
    }
}

#[test]
fn killed_when_it_is_unpacked() {
    for who in [Who::Launcher, Who::Supervisor] {
        is_undisturbed(who, "stage a one.tar.zst hold");
    }
}

fn exchanged(start: fn() -> House, who: Who) {
    let (mut house, archived, mut now) = prepared(start);
    let took = house.run("stage a one.tar.zst discard")["micros"].as_u64().unwrap();
    let mut replaced = 0;
    for round in 0..ROUNDS {
        house.begin("stage a one.tar.zst commit");
        // From a little before the exchange to a little after.
        let part = took.saturating_mul(2 * u64::from(round) + 6) / 10;
        std::thread::sleep(Duration::from_micros(part));
        house = after(house, who);
        let found = woken(&mut house);
        assert!(found == now || found == archived, "{who:?}, round {round}");
        house.is_alone("a");
        if found == archived {
            replaced += 1;
            house.fill("a", 20);
            now = house.seen("a");
        }
    }
    println!("{who:?}: {replaced} of {ROUNDS} had been replaced");
    house.end();
}

#[test]
fn killed_while_roots_are_exchanged() {
    for who in [Who::Launcher, Who::Supervisor] {
        exchanged(House::start, who);
    }
}

#[test]
fn killed_while_roots_are_exchanged_without_images() {
    exchanged(House::ordinary, Who::Supervisor);
}

/// What is there when the gateway was killed after the exchange: the old root, marked as such, and the
/// restore in the records, decided or not.
fn left_by_a_kill(state: &Path, kept: &Path, is_decided: bool) {
    let staged = state.join("tenants/a.staged");
    std::fs::rename(kept, &staged).unwrap();
    let inode = std::fs::metadata(&staged).unwrap().ino();
    std::fs::write(state.join("tenants/a.swap"), inode.to_le_bytes()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let records = Records::open(&state.join("records")).await.unwrap();
        let row = RestoreRow {
            tenant: "a".parse().unwrap(),
            backup: "a.20261129T073000Z.0123456789abcdef".to_owned(),
            made: false,
            phase: Phase::Begun,
            started_at: 1,
        };
        records.begin_restore(&row).await.unwrap();
        records.switch_restore(&row.tenant, Replacement::default()).await.unwrap();
        if is_decided {
            records.decide_restore(&row.tenant).await.unwrap();
        }
    });
    let owner = format!("{ORDINARY}:{ORDINARY}");
    let given = Command::new("chown").args(["-R", &owner]).arg(state.join("records")).status();
    assert!(given.unwrap().success());
}

#[test]
fn a_root_that_has_served_stays_even_where_its_next_worker_does_not_start() {
    for is_decided in [true, false] {
        let (mut house, archived, now) = prepared(House::ordinary);
        let kept = house.path("kept");
        let copied = Command::new("cp").arg("-a").args([&house.root("a"), &kept]).status();
        assert!(copied.unwrap().success());
        house.run("stage a one.tar.zst commit");
        assert_eq!(house.seen("a"), archived);
        let mut house = house.again_with(Path::new("/bin/false"), |state| {
            left_by_a_kill(state, &kept, is_decided);
        });
        house.fails("call a sessions.list {}");
        house.is_alone("a");
        let mut house = house.again();
        let expected = if is_decided { archived } else { now };
        assert_eq!(woken(&mut house), expected, "decided: {is_decided}");
        house.end();
    }
}
