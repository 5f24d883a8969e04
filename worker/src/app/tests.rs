//! The whole worker under its production system call profile: a call that the profile does not
//! have kills the process, and with it this test.

use serde_json::json;

use crate::testing::{Harness, finished, started, text, two_pairs};

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
