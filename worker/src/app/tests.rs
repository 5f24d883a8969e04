//! The whole worker under its production system call profile: a call that the profile does not
//! have kills the process, and with it this test.

use serde_json::json;

use crate::testing::{Harness, finished, started, text, two_pairs};
use crate::tools::testing::{Bench, call};

#[test]
fn everything_that_a_worker_does_is_in_its_profile() {
    let directory = tempfile::tempdir().unwrap();
    let pairs = two_pairs();
    // Binds this thread, and the blocking threads that it starts.
    sandbox::confine::worker_filter().unwrap();
    let runtime = super::runtime().unwrap();
    runtime.block_on(async {
        let mut harness = Harness::assemble(directory.path().to_owned(), pairs).await;
        harness.start().await.unwrap();
        converse(&mut harness).await;
        manage(&harness).await;
        use_tools(Bench::over(harness)).await;
    });
}

async fn converse(harness: &mut Harness) {
    for (model, stream) in [("openclaw", true), ("openclaw", false), ("demo", true)] {
        let body = json!({"model": model, "stream": stream, "messages": [
            {"role": "user", "content": "hi"}]});
        let batches = vec![vec![started(), text("a")], vec![finished("stop")]];
        let (answer, _) = harness.ask("main", &body, batches).await;
        assert_eq!(answer.head.status, 200);
    }
    let folder = harness.root.join("agents/main/sessions");
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let transcript = names.into_iter().find(|path| path.extension() == Some("jsonl".as_ref()));
    let transcript = transcript.unwrap();
    let mut torn = std::fs::read(&transcript).unwrap();
    torn.truncate(torn.len() - 5);
    std::fs::write(&transcript, torn).unwrap();
    let body = json!({"model": "openclaw", "messages": [{"role": "user", "content": "on"}]});
    let (answer, _) = harness.ask("main", &body, vec![vec![started(), finished("stop")]]).await;
    assert_eq!(answer.head.status, 200);
}

async fn manage(harness: &Harness) {
    let calls = [
        ("health", json!({})),
        ("sessions.list", json!({})),
        ("sessions.preview", json!({"keys": ["main"]})),
        ("chat.history", json!({"sessionKey": "main"})),
        ("chat.abort", json!({"sessionKey": "main"})),
        ("sessions.delete", json!({"key": "main"})),
    ];
    for (method, params) in calls {
        harness.call(method, &params).await.unwrap();
    }
}

async fn use_tools(mut bench: Bench) {
    let patch = "*** Begin Patch\n*** Update File: notes/a.md\n@@\n-b\n+c\n*** Delete File: b\n\
                 *** End Patch";
    for (tool, arguments) in [
        ("write", json!({"path": "notes/a.md", "content": "a\n"})),
        ("write", json!({"path": "memory/a.md", "content": "The cat is called Minka."})),
        ("write", json!({"path": "b", "content": "a"})),
        ("edit", json!({"path": "notes/a.md", "oldText": "a", "newText": "b"})),
        ("apply_patch", json!({"input": patch})),
        ("read", json!({"path": "notes/a.md"})),
        ("memory_search", json!({"query": "cat"})),
        ("write", json!({"path": "memory/a.md", "content": "dogs\n".repeat(100_000)})),
        ("memory_search", json!({"query": "cat dogs"})),
        ("memory_get", json!({"path": "memory/a.md", "lines": 1})),
    ] {
        bench.text(tool, arguments).await;
    }
    let core = &bench.harness.core;
    core.memory.close(core).await;
    let index = bench.harness.root.join("memory/main.sqlite");
    std::fs::write(&index, "damaged ".repeat(100)).unwrap();
    bench.text("memory_search", json!({"query": "dogs"})).await;
    bench.harness.configure(&json!({"tools": {"exec": {"ask": "always"}}})).await;
    let run = call(bench.context.clone(), "exec", json!({"command": "cat notes/a.md"}));
    let programs = &mut bench.harness.programs;
    let program = async { programs.recv().await.unwrap().end("exit", 0).await };
    tokio::join!(run, program).0.unwrap();
}
