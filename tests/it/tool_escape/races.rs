//! A file that somebody approved is exchanged as fast as a program of the tenant's can, while the command
//! that names it is started again and again: what runs is what was approved, or nothing.
//!
//! The approval is an entry of the tenant's list with the file's digest, and nobody is asked. A run has
//! one of three ends: the file was another one when its command was looked at, and no entry is for it;
//! it had changed when the sandbox was about to run it; or it runs. The last two show that there was
//! a race.

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tests::provider::Step;
use tests::{Hands, Toolbox};

/// How a file is exchanged: for another one, for a symbolic link, or its content in its place.
const WAYS: [&str; 3] = ["rename", "link", "rewrite"];
/// How a command names the file: as its program, and as a script of another's.
const COMMANDS: [&str; 2] = ["/workspace/job.sh", "sh /workspace/job.sh"];
/// Runs of each command for each way. Half of them must end by what is looked at first and a quarter
/// by what is looked at last, or there would be no race; none in so many is none.
const RUNS: usize = 48;
/// Commands in one answer of the model.
const BATCH: usize = 8;
/// Bytes of the script: so many pages that a reader meets both contents in one.
const SIZE: usize = 64 << 10;
/// Exchanges that a race must have made, or it was none.
const SWAPS_MIN: u64 = 500;

/// What is told where the file was another one, or a link, when its command was looked at.
const ANOTHER: [&str; 3] = ["not on the agent's allowlist", "is a link", "cannot be used"];

/// How the runs ended.
#[derive(Debug, Default)]
struct Ends {
    ran: usize,
    changed: usize,
    unlisted: usize,
    other: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_file_that_is_exchanged_runs_as_approved_or_not_at_all() {
    if !super::is_root() {
        return;
    }
    for backend in super::BACKENDS {
        let tools = json!({"exec": {"security": "allowlist"}});
        let config = json!({"sandbox": {"backend": backend}, "tenantDefaults": {"tools": tools}});
        let toolbox = Toolbox::start(config).await;
        let hands = toolbox.hands("racer").await;
        hands.put_program("escape_tool");
        let good = script("good");
        hands.put("good.sh", &good, 0o755);
        hands.put("evil.sh", script("evil"), 0o755);
        approve(&toolbox, &hands, &good).await;
        for how in WAYS {
            hands.put("job.sh", &good, 0o755);
            let ends = race(&toolbox, &hands, how).await;
            assert_eq!(ends.other, Vec::<String>::new(), "{backend}, {how}: {ends:?}");
            assert!(
                ends.ran.min(ends.changed).min(ends.unlisted) > 0,
                "{backend}, {how}: {ends:?}"
            );
        }
    }
}

/// Says at its beginning and at its end who it is.
fn script(name: &str) -> String {
    let (mut script, last) =
        (format!("#!/bin/sh\necho {name}-begins $1\n"), format!("\necho {name}-ends\n"));
    while script.len() < SIZE {
        script.push_str("# nothing to see here\n");
    }
    script + &last
}

/// Lists the commands with this content of their file, and has everything else refused.
async fn approve(toolbox: &Toolbox, hands: &Hands, content: &str) {
    let file =
        format!("sha256:{}:/workspace/job.sh", hex(digest(&SHA256, content.as_bytes()).as_ref()));
    let mut list = vec![json!({"pattern": file, "argPattern": "*"})];
    // A shell's arguments are listed to the letter.
    list.extend(
        (0..RUNS).map(|it| json!({"pattern": "sh", "argPattern": format!("{file}\0{it}")})),
    );
    let file = json!({
        "version": 1,
        "defaults": {"security": "allowlist", "ask": "off"},
        "agents": {"main": {"allowlist": list}},
    });
    toolbox.operator(hands).await.ok("exec.approvals.set", json!({"file": file})).await;
}

/// Runs the commands while a terminal of the tenant's exchanges their file.
async fn race(toolbox: &Toolbox, hands: &Hands, how: &str) -> Ends {
    let mut shell = toolbox.shell(hands, 200, 40).await;
    let files = "file=job.sh good=good.sh with=evil.sh stop=stop-race seconds=120";
    shell
        .keys(&format!(
            "rm -f stop-race; ./escape_tool load race how={how} {files}; echo en''ded\r"
        ))
        .await;
    let begun = || hands.workspace().join("job.sh.with").exists();
    tokio::task::block_in_place(|| tests::until("the race has begun", begun));
    let mut ends = Ends::default();
    for command in COMMANDS {
        let runs: Vec<_> = (0..RUNS).map(|it| call(command, it)).collect();
        for batch in runs.chunks(BATCH) {
            hands.play(&[Step::Calls(batch.to_vec())]).await.iter().for_each(|told| ends.add(told));
        }
    }
    hands.put("stop-race", "", 0o644);
    let told = shell.until("ended\r\n").await;
    let swaps = told.split("\"swaps\":").nth(1).and_then(|it| it.split('}').next()?.parse().ok());
    assert!(swaps.is_some_and(|it: u64| it >= SWAPS_MIN), "{how}: {told}");
    std::fs::remove_file(hands.workspace().join("job.sh.with")).unwrap();
    ends
}

fn call(command: &str, number: usize) -> (String, Value) {
    ("exec".to_owned(), json!({"command": format!("{command} {number}"), "yieldMs": 55_000}))
}

impl Ends {
    fn add(&mut self, told: &str) {
        let all_good = told.contains("good-begins") && told.contains("good-ends");
        if told.contains("evil") {
            self.other.push(told.to_owned());
        } else if all_good {
            self.ran += 1;
        } else if told.contains("bound file") {
            self.changed += 1;
        } else if ANOTHER.iter().any(|it| told.contains(it)) {
            self.unlisted += 1;
        } else {
            self.other.push(told.to_owned());
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, it| text + &format!("{it:02x}"))
}
