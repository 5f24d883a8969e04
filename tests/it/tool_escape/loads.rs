//! One tenant's programs use up what they can; another tenant's answers take hardly longer.
//!
//! What is measured: the 99th percentile of plain chat completions of the second tenant, asked one after
//! the other. They go through all that a tenant shares with others, gateway, supervisor and worker, and
//! the mock provider answers at once, so that nothing hides what a load adds. Questions are asked in
//! turns, under attack and quiet, as many of the one as of the other, and only those count as attacked
//! that were asked while the attack went on.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Client, Hands, Toolbox, until};

/// Questions of each kind at least: seven are above the percentile.
const QUESTIONS: usize = 600;
/// Questions of one turn: they end before an attack does.
const TURN: usize = 200;
/// Turns in which a load must have lasted for all questions.
const TURNS: usize = 12;
/// Where the p99s of so few answers are too far apart, more are measured, and those of all together
/// count: six of six hundred are beyond a p99, and one stray one moves it.
const ROUNDS: usize = 3;
/// How often the quiet p99 an attacked one may be.
const MOST: u32 = 2;
/// Seconds of one attack.
const SECONDS: u32 = 4;

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
    ("64 MiB of output", "timeout SECONDS ./escape_tool load output mib=64", &[""]),
    ("flood of lines", "./escape_tool load lines seconds=SECONDS", &[""]),
    ("busy processors", "./escape_tool load spin seconds=SECONDS", &[""]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_hardly_notices_what_programs_use_up() {
    if !super::is_root() {
        return;
    }
    let mut late = Vec::new();
    for backend in super::BACKENDS {
        let toolbox = super::toolbox(backend).await;
        let (hostile, neighbour) =
            (toolbox.hands("hostile").await, toolbox.hands("neighbour").await);
        hostile.put_program("escape_tool");
        ask(neighbour.client(), |_| true).await;
        for load in LOADS {
            let (figures, is_late) = compare(&hostile, neighbour.client(), load).await;
            println!("{backend}, {figures}");
            late.extend(is_late.then(|| format!("{backend}, {figures}")));
        }
        works_again(&toolbox, &hostile).await;
    }
    assert!(late.is_empty(), "{late:#?}");
}

/// One load's figures, and whether they are too far apart.
async fn compare(
    hostile: &Hands,
    client: &Client,
    (name, command, held): (&str, &str, &[&str]),
) -> (String, bool) {
    let command = command.replace("SECONDS", &SECONDS.to_string());
    let (mut quiet, mut attacked) = (Vec::new(), Vec::new());
    let mut figures = String::new();
    for round in 1..=ROUNDS {
        let told = measure(hostile, client, &command, (&mut quiet, &mut attacked)).await;
        assert!(held.iter().any(|it| told.contains(it)), "{name}: {told}");
        let (before, during) = (p99(&mut quiet), p99(&mut attacked));
        figures = format!("{name}: {during:?} after {before:?} ({round})");
        if during <= before * MOST {
            return (figures, false);
        }
    }
    (figures, true)
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

/// Adds as many more times of answers, quiet and under attack, and gives what the model was told of the
/// last attack.
async fn measure(
    hostile: &Hands,
    client: &Client,
    command: &str,
    (quiet, attacked): (&mut Vec<Duration>, &mut Vec<Duration>),
) -> String {
    let (mut told, enough) = (String::new(), attacked.len() + QUESTIONS);
    for _ in 0..TURNS {
        let attack = attack(hostile, command);
        let times = ask(client, |_| !attack.is_finished()).await;
        told = attack.await.unwrap();
        quiet.extend(ask(client, |asked| asked < times.len()).await);
        attacked.extend(times);
        if attacked.len() >= enough {
            return told;
        }
    }
    panic!("{command}: the attacks were over after {} questions: {told}", attacked.len());
}

/// How long the answers took to the questions of a turn, asked as long as `more` of their number.
async fn ask(client: &Client, more: impl Fn(usize) -> bool) -> Vec<Duration> {
    let mut times = Vec::with_capacity(TURN);
    while times.len() < TURN && more(times.len()) {
        let begun = Instant::now();
        client.chat("mock", "a question").await.answer();
        times.push(begun.elapsed());
    }
    times
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() * 99 / 100]
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
