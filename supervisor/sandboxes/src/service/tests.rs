//! Commands over a real pair, with an init that a thread plays.

mod changes;

use std::io::{Read as _, Write as _};
use std::time::Duration;

use proto::host::run_event::What as Told;
use proto::host::sandbox_client::SandboxClient;
use proto::host::{EndOfInput, Ended};
use runtime::pair;
use serde_json::{Value, json};
use tonic::Code;

use super::*;
use crate::Bounds;
use crate::approvals::By;
use crate::testing::{Script, Stage, World, world};

/// What a worker sees of one command.
struct Seen {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    end: Result<Ended, Status>,
}

struct Worker {
    world: World,
    client: SandboxClient<pair::Client>,
}

async fn worker(script: Script, tools: Value, bounds: Bounds) -> Worker {
    let world = world(script, tools, bounds).await;
    let (near, far) = sandbox::pairs::pair().unwrap();
    let (service, scope) = (world.programs.service(), world.tasks.clone());
    drop(world.tasks.spawn(async move { pair::serve_untrusted(service, far, &scope).await }));
    let client = SandboxClient::new(pair::connect(near, &world.tasks).await.unwrap());
    Worker { world, client }
}

fn command(argv: &[&str]) -> proto::host::Command {
    let argv = argv.iter().map(|it| (*it).to_owned()).collect();
    proto::host::Command { agent: "main".to_owned(), argv, ..proto::host::Command::default() }
}

fn ask(what: What) -> RunRequest {
    RunRequest { what: Some(what) }
}

impl Worker {
    /// Opens a call; more can be asked over the sender.
    async fn call(
        &mut self,
        first: What,
    ) -> Result<(mpsc::Sender<RunRequest>, Streaming<RunEvent>), Status> {
        let (more, requests) = mpsc::channel(8);
        more.send(ask(first)).await.unwrap();
        let events = self.client.run(ReceiverStream::new(requests)).await?.into_inner();
        Ok((more, events))
    }

    async fn run(&mut self, command: proto::host::Command, more: Vec<What>) -> Seen {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (sender, mut events) = match self.call(What::Command(command)).await {
            Ok(call) => call,
            Err(end) => return Seen { stdout, stderr, end: Err(end) },
        };
        for what in more {
            sender.send(ask(what)).await.unwrap();
        }
        let end = loop {
            match events.message().await {
                Err(status) => break Err(status),
                Ok(event) => match event.unwrap().what.unwrap() {
                    Told::Stdout(bytes) => stdout.extend_from_slice(&bytes),
                    Told::Stderr(bytes) => stderr.extend_from_slice(&bytes),
                    Told::Ended(ended) => break Ok(ended),
                    Told::Waiting(_) | Told::Running(_) => {}
                },
            }
        };
        Seen { stdout, stderr, end }
    }

    /// Waits until nothing of the tenant runs.
    async fn quiet(&self) {
        while self.world.programs.running() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn prints(stage: &mut Stage) {
    stage.ready();
    stage.stdout.write_all(b"out").unwrap();
    stage.stderr.write_all(b"err").unwrap();
    stage.end(3, 0);
}

fn waits(stage: &mut Stage) {
    stage.ready();
    stage.killed.recv().unwrap();
}

#[tokio::test]
async fn a_command_runs_and_both_ends_are_in_the_log() {
    let mut worker = worker(prints, json!({}), Bounds::default()).await;
    let seen = worker.run(command(&["/usr/bin/cat", "secret"]), Vec::new()).await;
    assert_eq!((seen.stdout, seen.stderr), (b"out".to_vec(), b"err".to_vec()));
    let end = seen.end.unwrap();
    assert_eq!((end.reason.as_str(), end.code, end.cpu_ms, end.dropped_bytes), ("exit", 3, 42, 0));
    worker.quiet().await;
    assert_eq!(worker.world.killed(), [1]);
    let [begun, ended] = worker.world.notes.lines().try_into().unwrap();
    assert_eq!(begun, "exec 1 begins: cat of agent main");
    assert!(ended.starts_with("exec 1 ends: exit, code 3, "), "{ended}");
    let orders = worker.world.orders();
    assert_eq!((orders[0].index, orders[0].egress), (3, false));
}

#[tokio::test]
async fn input_arrives_in_order_and_ends() {
    fn echoes(stage: &mut Stage) {
        stage.ready();
        let mut all = Vec::new();
        stage.stdin.read_to_end(&mut all).unwrap();
        stage.stdout.write_all(&all).unwrap();
        stage.end(0, 0);
    }
    let mut worker = worker(echoes, json!({}), Bounds::default()).await;
    let pieces: Vec<Vec<u8>> = (0..40_u8).map(|it| vec![it; 20_000]).collect();
    let mut asked: Vec<_> = pieces.iter().map(|it| What::Input(it.clone().into())).collect();
    asked.push(What::EndOfInput(EndOfInput {}));
    let seen = worker.run(command(&["cat"]), asked).await;
    assert_eq!(seen.end.unwrap().reason, "exit");
    assert!(seen.stdout == pieces.concat());
}

#[tokio::test]
async fn what_is_refused_starts_nothing() {
    let check = async |tools: Value, first: What, code: Code, part: &str| {
        let mut worker = worker(prints, tools, Bounds::default()).await;
        let status = match worker.call(first).await {
            Err(status) => status,
            Ok((_more, mut events)) => events.message().await.unwrap_err(),
        };
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(part), "{status}");
        assert!(worker.world.orders().is_empty());
        assert!(worker.world.notes.lines().concat().contains(part));
    };
    let ls = || What::Command(command(&["ls"]));
    check(json!({"deny": ["exec"]}), ls(), Code::PermissionDenied, "tools.deny").await;
    let deny = json!({"exec": {"security": "deny"}});
    check(deny, ls(), Code::PermissionDenied, "tools.exec.security").await;
    let list = json!({"exec": {"security": "allowlist"}});
    check(list, ls(), Code::PermissionDenied, "allowlist").await;
    let none = What::Command(command(&[]));
    check(json!({}), none, Code::InvalidArgument, "argv: ").await;
    let input = What::Input(vec![1].into());
    check(json!({}), input, Code::InvalidArgument, "begins with its command").await;
    let skill = proto::host::Command { skill: "weather".to_owned(), ..command(&["ls"]) };
    let path = proto::host::Variable { name: "LD_PRELOAD".to_owned(), value: "x".to_owned() };
    let env = proto::host::Command { env: vec![path], ..skill };
    check(json!({}), What::Command(env), Code::PermissionDenied, "env.LD_PRELOAD").await;
}

#[tokio::test]
async fn a_message_that_is_longer_than_a_command_is_not_read() {
    let mut worker = worker(prints, json!({}), Bounds::default()).await;
    let long = command(&["ls", &"x".repeat(MAX_MESSAGE)]);
    let status = worker.call(What::Command(long)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
}

fn killed(stage: &mut Stage) {
    stage.ready();
    stage.end(128 + 9, 9);
}

fn gone(stage: &mut Stage) {
    stage.ready();
}

fn floods(stage: &mut Stage) {
    stage.ready();
    while stage.killed.try_recv().is_err() {
        // Whoever kills it has closed nothing yet, so that this cannot fail.
        stage.stdout.write_all(&[b'x'; 1000]).unwrap();
    }
}

// A command that ended well in spite of a killed child has ended by itself.
fn survives(stage: &mut Stage) {
    stage.ready();
    stage.end(0, 0);
}

#[tokio::test]
async fn what_ends_a_command_is_told() {
    let check = async |script: Script, bounds: Bounds, oom_kills: u64, reason: &str| {
        let mut worker = worker(script, json!({}), bounds).await;
        worker.world.fake.state.lock().unwrap().oom_kills = oom_kills;
        let wire = proto::host::Command { timeout_s: 1, ..command(&["x"]) };
        let seen = worker.run(wire, Vec::new()).await;
        let end = seen.end.unwrap();
        assert_eq!(end.reason, reason);
        assert_eq!(worker.world.killed(), [1]);
        (end, seen.stdout.len())
    };
    assert_eq!(check(waits, Bounds::default(), 0, "timeout").await.0.code, 137);
    assert_eq!(check(killed, Bounds::default(), 0, "signal").await.0.code, 137);
    check(killed, Bounds::default(), 1, "memory").await;
    check(gone, Bounds::default(), 2, "memory").await;
    let (end, _) = check(gone, Bounds::default(), 0, "failed").await;
    assert_eq!(end.detail, "the sandbox ended before its command");
    check(survives, Bounds::default(), 1, "exit").await;
    let small = Bounds { output_bytes: 5000, ..Bounds::default() };
    let (end, passed) = check(floods, small, 0, "output").await;
    assert_eq!(passed, 5000);
    assert!(end.dropped_bytes > 0);
}

#[tokio::test]
async fn an_init_that_refuses_says_which_step() {
    let check = async |script: Script, part: &str, code: Code| {
        let mut worker = worker(script, json!({}), Bounds::default()).await;
        let status = worker.run(command(&["x"]), Vec::new()).await.end.unwrap_err();
        assert_eq!(status.code(), code);
        assert!(status.message().contains(part), "{status}");
        worker.quiet().await;
        assert_eq!(worker.world.killed(), [1]);
    };
    let limits: Script = |stage| stage.refused("limits", 22);
    check(limits, "limits", Code::Unavailable).await;
    let changed: Script = |stage| stage.refused("bound file 1 has changed", 116);
    check(changed, "bound file 1", Code::PermissionDenied).await;
    check(|stage| stage.refused("directory", 2), "directory", Code::InvalidArgument).await;
}

#[tokio::test]
async fn hanging_up_ends_the_command() {
    let mut worker = worker(waits, json!({}), Bounds::default()).await;
    let (more, mut events) = worker.call(What::Command(command(&["x"]))).await.unwrap();
    assert!(matches!(events.message().await.unwrap().unwrap().what, Some(Told::Running(_))));
    drop((more, events));
    worker.quiet().await;
    assert_eq!(worker.world.killed(), [1]);
}

#[tokio::test]
async fn signals_go_to_the_program_and_others_are_no_signals() {
    fn hears(stage: &mut Stage) {
        stage.ready();
        let told = stage.told();
        stage.end(i32::from(told[1]), 0);
    }
    let check = async |number: u32| {
        let mut worker = worker(hears, json!({}), Bounds::default()).await;
        let seen = worker.run(command(&["x"]), vec![What::Signal(number)]).await;
        seen.end.map(|it| it.code).map_err(|it| it.code())
    };
    assert_eq!(check(15).await, Ok(15));
    assert_eq!(check(2).await, Ok(2));
}

#[tokio::test]
async fn what_no_worker_may_ask_ends_the_command() {
    let check = async |asked: What, part: &str| {
        let mut worker = worker(waits, json!({}), Bounds::default()).await;
        let status = worker.run(command(&["x"]), vec![asked]).await.end.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(part), "{status}");
        worker.quiet().await;
        assert_eq!(worker.world.killed(), [1]);
        let last = worker.world.notes.lines().pop().unwrap();
        assert!(last.starts_with("exec 1 ends: stopped") && last.contains(part), "{last}");
    };
    check(What::Signal(64), "signal: ").await;
    check(What::Command(command(&["y"])), "one command").await;
}

#[tokio::test]
async fn a_tenant_runs_so_many_and_no_more() {
    let bounds = Bounds { concurrency: 2, ..Bounds::default() };
    let mut worker = worker(waits, json!({}), bounds).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let (more, mut events) = worker.call(What::Command(command(&["x"]))).await.unwrap();
        assert!(events.message().await.unwrap().is_some());
        held.push((more, events));
    }
    let status = worker.run(command(&["x"]), Vec::new()).await.end.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    held.pop();
    while worker.world.killed().is_empty() {
        tokio::task::yield_now().await;
    }
    while worker.world.programs.running() > 1 {
        tokio::task::yield_now().await;
    }
    let (_more, mut events) = worker.call(What::Command(command(&["x"]))).await.unwrap();
    assert!(events.message().await.unwrap().is_some());
}

#[tokio::test]
async fn closing_ends_everything_and_lets_nothing_in_until_opened() {
    let mut worker = worker(waits, json!({}), Bounds::default()).await;
    let (_more, mut events) = worker.call(What::Command(command(&["x"]))).await.unwrap();
    assert!(events.message().await.unwrap().is_some());
    worker.world.programs.close().await;
    assert_eq!(worker.world.killed(), [1]);
    let Some(Told::Ended(ended)) = events.message().await.unwrap().unwrap().what else { panic!() };
    assert_eq!(ended.reason, "stopped");
    let status = worker.run(command(&["x"]), Vec::new()).await.end.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    worker.world.programs.open();
    let (_more, mut events) = worker.call(What::Command(command(&["x"]))).await.unwrap();
    assert!(events.message().await.unwrap().is_some());
}

#[tokio::test]
async fn somebody_is_asked_where_the_settings_say_so() {
    let tools = json!({"exec": {"ask": "always"}});
    let mut worker = worker(prints, tools, Bounds::default()).await;
    let (_person, _outbox) = worker.world.person();
    let (_more, mut events) = worker.call(What::Command(command(&["cat", "x"]))).await.unwrap();
    let Some(Told::Waiting(waiting)) = events.message().await.unwrap().unwrap().what else {
        panic!()
    };
    assert!(worker.world.orders().is_empty());
    let by = By::Token("t".to_owned());
    let approvals = &worker.world.programs.owner.approvals;
    let once = api::approvals::Decision::AllowOnce;
    assert!(approvals.resolve(&waiting.approval_id, once, by).await.unwrap());
    assert!(matches!(events.message().await.unwrap().unwrap().what, Some(Told::Running(_))));
    let noted = worker.world.notes.lines().concat();
    assert!(noted.contains(&format!("approved as {}", waiting.approval_id)), "{noted}");
}

#[tokio::test]
async fn whoever_hangs_up_while_somebody_is_asked_runs_nothing() {
    let tools = json!({"exec": {"ask": "always"}});
    let mut worker = worker(prints, tools, Bounds::default()).await;
    let (more, mut events) = worker.call(What::Command(command(&["x"]))).await.unwrap();
    assert!(events.message().await.unwrap().is_some());
    drop((more, events));
    tokio::time::timeout(Duration::from_secs(5), worker.quiet()).await.unwrap();
    assert!(worker.world.orders().is_empty());
}
