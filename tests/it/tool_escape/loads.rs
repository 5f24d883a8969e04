//! One tenant's programs use up what they can; another tenant's answers take hardly longer.
//!
//! What is measured: the 99th percentile of plain chat completions of the second tenant, asked one after
//! the other over the mock provider, in several rounds, quiet and under attack in turn. The median of
//! the rounds under attack must be within twice the median of the quiet ones; a floor keeps the noise
//! of a busy machine out of very short times.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Client, Hands, Toolbox, until};

/// Quiet rounds and rounds under attack, of each.
const ROUNDS: usize = 3;
/// Questions of one round.
const QUESTIONS: usize = 120;
/// How much longer answers may always take: two time slices of a kernel with two busy cores.
const FLOOR: Duration = Duration::from_millis(12);
/// Seconds of one attack; longer than a round.
const SECONDS: u32 = 6;

/// The loads: a name, the command, and what the command line tells of a load that was held.
const LOADS: [(&str, &str, &[&str]); 7] = [
    ("fork bomb", "./escape_tool load forks seconds=SECONDS", &["EAGAIN"]),
    (
        "memory bomb",
        "for i in $(seq 9); do ./escape_tool load memory; echo code $?; done",
        &["code 137", "ENOMEM"],
    ),
    (
        "disk of the workspace",
        "./escape_tool load disk folder=. seconds=SECONDS",
        &["ENOSPC", "EDQUOT"],
    ),
    (
        "disk of /tmp",
        "./escape_tool load disk folder=/tmp seconds=SECONDS",
        &["ENOSPC", "ENOMEM", "EDQUOT"],
    ),
    ("64 MiB of output", "./escape_tool load output mib=64", &[""]),
    ("flood of lines", "./escape_tool load lines seconds=SECONDS", &[""]),
    ("busy processors", "./escape_tool load spin seconds=SECONDS", &[""]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_hardly_notices_what_programs_use_up() {
    if !super::is_root() {
        return;
    }
    for backend in super::BACKENDS {
        let toolbox = super::toolbox(backend).await;
        let (hostile, neighbour) =
            (toolbox.hands("hostile").await, toolbox.hands("neighbour").await);
        hostile.put_program("escape_tool");
        p99(neighbour.client()).await;
        for (name, command, held) in LOADS {
            let command = command.replace("SECONDS", &SECONDS.to_string());
            let (mut quiet, mut attacked, mut told) = (Vec::new(), Vec::new(), String::new());
            for _ in 0..ROUNDS {
                quiet.push(p99(neighbour.client()).await);
                let attack = attack(&hostile, &command);
                attacked.push(p99(neighbour.client()).await);
                told = attack.await.unwrap();
            }
            let (quiet, attacked) = (median(quiet), median(attacked));
            let most = (quiet * 2).max(quiet + FLOOR);
            assert!(attacked <= most, "{backend}, {name}: {attacked:?} after {quiet:?}");
            assert!(held.iter().any(|it| told.contains(it)), "{backend}, {name}: {told}");
        }
        works_again(&toolbox, &hostile).await;
    }
}

/// Starts it, and gives what the model was told when it is over.
fn attack(hostile: &Hands, command: &str) -> tokio::task::JoinHandle<String> {
    let begun = hostile.workspace().join("begun");
    drop(std::fs::remove_file(&begun));
    let (hands, command) = (hostile.clone(), format!("touch begun; {command}"));
    let attack = tokio::spawn(async move { hands.exec(&command).await });
    tokio::task::block_in_place(|| until("the attack has begun", || begun.exists()));
    attack
}

async fn p99(client: &Client) -> Duration {
    let mut times = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let begun = Instant::now();
        client.chat("mock", "a question").await.answer();
        times.push(begun.elapsed());
    }
    times.sort();
    times[times.len() * 99 / 100]
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The tenant that did it has its tools, its disk and its answers back.
async fn works_again(toolbox: &Toolbox, hostile: &Hands) {
    assert!(hostile.exec("echo again > after && cat after").await.contains("again"));
    hostile.call("write", json!({"path": "after-all", "content": "there is room"})).await;
    assert_eq!(hostile.read("after-all"), "there is room");
    let left = toolbox.gateway.json(&["tenants", "inspect", &hostile.tenant().id]);
    assert!(left["pid"].is_u64(), "{left}");
}

/// A program that fills the disk fills none that its worker needs: the conversation about it is stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_programs_filled_still_takes_the_conversation() {
    if !super::is_root() {
        return;
    }
    let toolbox = super::toolbox("native").await;
    let hands = toolbox.hands_with("acme", &["--disk-max", "32M"]).await;
    let told = hands.exec("head -c 64M /dev/zero > big; ls -l big").await;
    assert!(told.contains("No space") || told.contains("quota"), "{told}");
    let told = hands.call("exec", json!({"command": "rm big"})).await;
    assert!(!told.contains("No space"), "{told}");
    assert!(hands.exec("echo room > after; cat after").await.contains("room"));
}
