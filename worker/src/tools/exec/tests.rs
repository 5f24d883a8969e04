//! Programs of a host that does what the test says.

use proto::host::run_request::What as Asked;
use serde_json::json;
use tonic::Status;

use crate::testing::Program;
use crate::tools::testing::{Bench, call, text};
use crate::tools::{Failure, Outcome};

/// Calls `exec` and lets `script` play the program.
async fn play<F: Future<Output = ()>>(
    bench: &mut Bench,
    arguments: serde_json::Value,
    script: impl FnOnce(Program) -> F,
) -> Result<Outcome, Failure> {
    let call = call(bench.context.clone(), "exec", arguments);
    let programs = &mut bench.harness.programs;
    let play = async { script(programs.recv().await.unwrap()).await };
    tokio::join!(call, play).0
}

#[tokio::test]
async fn a_plain_command_is_run_as_words_and_told_with_its_end() {
    let mut bench = Bench::new().await;
    let asked = json!({"command": "ls -l 'a b'", "env": {"A": "1"}, "timeout": 5});
    let outcome = play(&mut bench, asked, |program| async move {
        let command = program.command.clone();
        assert_eq!(command.argv, ["ls", "-l", "a b"]);
        assert_eq!((command.cwd.as_str(), command.timeout_s), ("/workspace", 5));
        assert_eq!((command.agent.as_str(), command.run_id.as_str()), ("main", "run"));
        assert_eq!((command.env[0].name.as_str(), command.files.len()), ("A", 0));
        program.run().await;
        program.print("one\n\x1b[31mtwo\x1b[0m\n").await;
        program.end("exit", 2).await;
    });
    let outcome = outcome.await.unwrap();
    assert_eq!(text(&outcome), "one\ntwo\n\n[exit code 2]");
    assert_eq!(outcome.details["status"], "failed");
    assert_eq!(outcome.details["exitCode"], 2);
    assert_eq!(bench.text("process", json!({"action": "list"})).await, "no programs");
}

#[tokio::test]
async fn shell_syntax_is_for_a_shell_inside() {
    let mut bench = Bench::new().await;
    let outcome =
        play(&mut bench, json!({"command": "ls | wc", "pty": true}), |program| async move {
            assert_eq!(program.command.argv, ["bash", "-c", "ls | wc"]);
            assert_eq!(program.command.terminal.unwrap().columns, 120);
            program.run().await;
            program.end("exit", 0).await;
        });
    assert_eq!(text(&outcome.await.unwrap()), "(no output)");
}

#[tokio::test]
async fn what_must_be_approved_is_bound_to_its_files() {
    let mut bench = Bench::new().await;
    std::fs::write(bench.workspace("run.sh"), "abc").unwrap();
    bench.harness.configure(&json!({"tools": {"exec": {"ask": "always"}}})).await;
    let mut updates = std::mem::replace(&mut bench.updates, tokio::sync::mpsc::channel(1).1);
    let asked = json!({"command": "bash ./run.sh none"});
    let outcome = play(&mut bench, asked, |program| async move {
        let [file] = &program.command.files[..] else { panic!("one file") };
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((file.argument, file.sha256.as_str()), (1, abc));
        program.wait_for_approval("ask-1").await;
        assert_eq!(updates.recv().await.unwrap(), "waiting for approval ask-1");
        program.refuse(Status::permission_denied("denied by Ada")).await;
    });
    assert_eq!(outcome.await, Err(Failure::Refused("denied by Ada".to_owned())));
    let refusal = bench.refusal("exec", json!({"command": "cat x; bash \"run.sh\""})).await;
    assert!(refusal.contains("/workspace/run.sh cannot be: run the file directly"), "{refusal}");
}

#[tokio::test]
async fn who_is_asked_unexpectedly_is_asked_about_the_files_too() {
    let mut bench = Bench::new().await;
    std::fs::write(bench.workspace("run.sh"), "abc").unwrap();
    let asked = json!({"command": "./run.sh"});
    let call = call(bench.context.clone(), "exec", asked);
    let programs = &mut bench.harness.programs;
    let play = async {
        let first = programs.recv().await.unwrap();
        assert!(first.command.files.is_empty());
        first.wait_for_approval("ask-1").await;
        first.is_given_up().await;
        let second = programs.recv().await.unwrap();
        assert_eq!(second.command.files.len(), 1);
        second.wait_for_approval("ask-2").await;
        second.run().await;
        second.end("exit", 0).await;
    };
    assert_eq!(text(&tokio::join!(call, play).0.unwrap()), "(no output)");
}

#[tokio::test]
async fn a_program_goes_on_in_the_background_and_is_worked_on() {
    let mut bench = Bench::new().await;
    let (given, mut taken) = tokio::sync::mpsc::channel(1);
    let asked = json!({"command": "cat", "background": true, "pty": true});
    let outcome = play(&mut bench, asked, |program| async move {
        program.run().await;
        given.send(program).await.ok().unwrap();
    });
    let outcome = outcome.await.unwrap();
    let mut program = taken.recv().await.unwrap();
    let id = outcome.details["sessionId"].as_str().unwrap().to_owned();
    let listed = bench.text("process", json!({"action": "list"})).await;
    assert_eq!(listed, format!("{id} running 0s: cat"));
    let send = |action: &str, more: serde_json::Value| {
        let mut asked = json!({"action": action, "sessionId": id});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    let told = bench.text("process", send("send-keys", json!({"keys": ["C-c", "Up"]}))).await;
    assert_eq!(told, format!("sent 4 bytes to {id}"));
    assert_eq!(program.asked().await, Asked::Input(b"\x03\x1b[A".as_slice().into()));
    bench.text("process", send("write", json!({"data": "x", "eof": true}))).await;
    assert_eq!(program.asked().await, Asked::Input(b"x".as_slice().into()));
    assert!(matches!(program.asked().await, Asked::EndOfInput(_)));
    let mut without = bench.context.clone();
    without.allowed = without.allowed.without(&["exec"]);
    for action in ["write", "send-keys", "submit", "paste"] {
        let written = call(without.clone(), "process", send(action, json!({"data": "x"}))).await;
        assert!(matches!(written, Err(Failure::Refused(_))), "{action}: {written:?}");
    }
    let poll = bench.call("process", send("poll", json!({"timeout": 20_000})));
    let (polled, ()) = tokio::join!(poll, program.print("hello"));
    assert_eq!(text(&polled.unwrap()), "hello\n\n[running]");
    let poll = bench.call("process", send("poll", json!({"timeout": 20_000})));
    let (polled, ()) = tokio::join!(poll, program.end("exit", 3));
    assert_eq!(text(&polled.unwrap()), "(no new output)\n\n[exit code 3]");
    assert_eq!(bench.text("process", send("log", json!({}))).await, "hello");
    bench.text("process", send("remove", json!({}))).await;
    let gone = bench.refusal("process", send("poll", json!({}))).await;
    assert_eq!(gone, "sessionId names no program: see list");
}

#[tokio::test]
async fn a_call_that_is_given_up_takes_its_program_with_it() {
    let mut bench = Bench::new().await;
    let program = {
        let call = call(bench.context.clone(), "exec", json!({"command": "sleep 9"}));
        let programs = &mut bench.harness.programs;
        tokio::select! {
            _ = call => panic!("it goes on"),
            program = programs.recv() => program.unwrap(),
        }
    };
    program.is_given_up().await;
}

#[tokio::test]
async fn programs_at_once_are_bounded() {
    let mut bench = Bench::new().await;
    let mut programs = Vec::new();
    let asked = json!({"command": "sleep 9", "background": true});
    for _ in 0..16 {
        let call = call(bench.context.clone(), "exec", asked.clone());
        let started = async {
            let program = bench.harness.programs.recv().await.unwrap();
            program.run().await;
            program
        };
        let (outcome, program) = tokio::join!(call, started);
        outcome.unwrap();
        programs.push(program);
    }
    let refusal = bench.refusal("exec", asked).await;
    assert!(refusal.starts_with("16 programs of this agent run already"), "{refusal}");
}

#[tokio::test]
async fn a_folder_must_be_there_and_in_reach() {
    let bench = Bench::new().await;
    let check = async |folder: &str, want: &str| {
        let asked = json!({"command": "ls", "workdir": folder});
        assert_eq!(bench.refusal("exec", asked).await, want);
    };
    check("none", "/workspace/none does not exist").await;
    check("/etc", "workdir must be in /workspace or /home/agent").await;
    std::os::unix::fs::symlink("/etc", bench.workspace("link")).unwrap();
    let is_link = "/workspace/link is a link, and links are not followed: name its target";
    check("link", is_link).await;
}

#[tokio::test]
async fn what_was_said_is_shown_where_the_program_is_lost() {
    let mut bench = Bench::new().await;
    let outcome = play(&mut bench, json!({"command": "make"}), |program| async move {
        program.run().await;
        program.print("half way\n").await;
        program.refuse(Status::unavailable("the sandbox is gone")).await;
    });
    let wanted = "half way\n\n[the sandbox is gone]".to_owned();
    assert_eq!(outcome.await, Err(Failure::Failed(wanted)));
}

#[tokio::test]
async fn programs_of_an_agent_are_stopped_together() {
    let mut bench = Bench::new().await;
    let asked = json!({"command": "sleep 9", "background": true});
    let started = call(bench.context.clone(), "exec", asked);
    let programs = &mut bench.harness.programs;
    let play = async {
        let program = programs.recv().await.unwrap();
        program.run().await;
        program
    };
    let (outcome, program) = tokio::join!(started, play);
    outcome.unwrap();
    let (core, agent) = (&bench.context.core, bench.context.key.agent());
    assert!(core.programs.stop_all_of(&"other".parse().unwrap(), core.store.now()).await);
    let listed = bench.text("process", json!({"action": "list"})).await;
    assert!(listed.contains("running"), "{listed}");
    assert!(core.programs.stop_all_of(agent, core.store.now()).await);
    program.is_given_up().await;
    assert_eq!(bench.text("process", json!({"action": "list"})).await, "no programs");
}
