//! A tenant's root as an archive and back, with a launcher and confined workers: everything is as it
//! was, turns go on, and what does not fit or is no archive changes nothing.
//!
//! The processes are those of the example `roots` of the crate `tenants`, which has no network.

mod house;
mod kills;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use house::House;

/// Milliseconds for which a session's write may be held up by an archive, on a machine that does
/// other things too.
const HELD: u64 = 1000;

/// The members of an archive with what is in the files.
fn members(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let decoder = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut archive = tar::Archive::new(decoder);
    let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().into_owned(), content)
    };
    archive.entries().unwrap().map(read).collect()
}

#[test]
fn a_root_that_was_unpacked_takes_the_place_of_the_old_one_with_every_file_mode_and_time() {
    there_and_back(House::start());
}

#[test]
fn it_does_so_without_root_and_images() {
    there_and_back(House::ordinary());
}

fn there_and_back(mut house: House) {
    house.run("create a");
    house.say("a", "main", "hello");
    house.fill("a", 300);
    let before = house.seen("a");
    let made = house.run("export a one.tar.zst");
    assert_eq!((&made["leftOut"], &made["changed"]), (&json!(0), &json!(0)), "{made}");
    assert!(made["largestPart"].as_u64().unwrap() <= 256 << 10, "{made}");
    // What comes later goes with the old root.
    house.fill("a", 10);
    house.say("a", "later", "lost");
    assert_ne!(house.seen("a"), before);
    let unpacked = house.run("stage a one.tar.zst discard");
    assert_eq!(unpacked["files"], made["files"]);
    house.is_alone("a");
    house.run("stage a one.tar.zst commit");
    house.is_alone("a");
    assert_eq!(house.seen("a"), before);
    let sessions = house.run("call a sessions.list {}");
    assert_eq!(sessions["count"], 1, "{sessions}");
    house.say("a", "main", "again");
    // Another tenant can be made of it, and its own root is as large as its own limit.
    house.run("create b");
    house.run("stage b one.tar.zst commit");
    assert_eq!(house.seen("b"), before);
    house.end();
}

#[test]
fn turns_go_on_while_an_archive_is_made_and_it_refers_to_nothing_that_is_not_in_it() {
    let mut house = House::start();
    house.run("create a");
    for n in 0..20 {
        house.say("a", &format!("before{n}"), "hello");
    }
    house.noise("a", 60 << 20);
    let export = house.begin("export a one.tar.zst");
    let mut turns = 0;
    while !house.has_ended(export) {
        house.say("a", &format!("during{turns}"), "hello");
        house.say("a", "before0", "more");
        house.run(&format!(
            "call a sessions.delete {}",
            json!({"key": format!("before{}", 1 + turns % 19)})
        ));
        turns += 1;
    }
    let made = house.wait(export);
    assert!(turns >= 3, "only {turns} turns in {made}");
    assert!(made["heldMicros"].as_u64().unwrap() < HELD * 1000, "{made}");
    let members = members(&house.path("one.tar.zst"));
    let folder = Path::new("agents/main/sessions");
    let sessions = &members[&folder.join("sessions.json")];
    let sessions: BTreeMap<String, Value> = serde_json::from_slice(sessions).unwrap();
    assert!(sessions.len() >= 20, "{sessions:?}");
    for (key, session) in &sessions {
        let name = format!("{}.jsonl", session["sessionId"].as_str().unwrap());
        let transcript = members.get(&folder.join(name)).unwrap_or_else(|| panic!("{key}"));
        assert_eq!(transcript.last(), Some(&b'\n'), "{key}");
        for line in transcript.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            serde_json::from_slice::<Value>(line).unwrap();
        }
    }
    house.end();
}

#[test]
fn what_does_not_fit_and_what_is_no_archive_changes_nothing() {
    let mut house = House::start();
    house.run("create large");
    house.noise("large", 80 << 20);
    house.run("export large large.tar.zst");
    house.run(&format!("create small {}", 64 << 20));
    house.say("small", "main", "hello");
    let before = house.seen("small");
    let refused = |house: &mut House, file: &str, why: &str| {
        let failed = house.fails(&format!("stage small {file} commit"));
        assert!(failed.contains(why), "{failed}");
        house.is_alone("small");
        assert_eq!(house.seen("small"), before);
    };
    refused(&mut house, "large.tar.zst", "does not fit");
    let whole = std::fs::read(house.path("large.tar.zst")).unwrap();
    house.write("cut.tar.zst", &whole[..whole.len() / 3]);
    refused(&mut house, "cut.tar.zst", "cut off");
    house.write("none.tar.zst", &vec![7; 3 << 20]);
    refused(&mut house, "none.tar.zst", "damaged");
    house.write("empty.tar.zst", b"");
    refused(&mut house, "empty.tar.zst", "cut off");
    house.say("small", "main", "again");
    house.end();
}

#[test]
fn one_archive_of_a_tenant_is_made_at_a_time_and_one_root_is_staged() {
    let mut house = House::start();
    house.run("create a");
    house.noise("a", 20 << 20);
    house.run("export a one.tar.zst");
    house.run("export a two.tar.zst hold");
    assert!(house.fails("export a three.tar.zst").contains("already"));
    house.run("stage a one.tar.zst hold");
    assert!(house.fails("stage a one.tar.zst commit").contains("already"));
    // Others are not concerned.
    house.run("create b");
    house.run("export b four.tar.zst");
    house.run("stage b four.tar.zst commit");
    house.end();
}
