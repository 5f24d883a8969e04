//! Jobs through the worker's own interface, with a clock and a model that the test moves.

use serde_json::{Value, json};

use crate::testing::{Happenings, Harness, NOW, batch, finished, started, text};

const SOON: &str = "2026-11-22T12:00:02Z";

fn turn(schedule: &Value) -> Value {
    json!({
        "name": "news", "schedule": schedule, "sessionTarget": "isolated", "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": "what is new?"},
    })
}

fn once() -> Value {
    turn(&json!({"kind": "at", "at": SOON}))
}

async fn add(harness: &Harness, job: &Value) -> String {
    let added = harness.call("cron.add", job).await.unwrap();
    added["id"].as_str().unwrap().to_owned()
}

/// Lets the model answer the next call with `answer`.
async fn answers(harness: &mut Harness, answer: &str) -> String {
    let call = harness.calls.recv().await.unwrap();
    let asked = format!("{:?}", call.request.messages);
    let reply = call.open();
    reply.send(Ok(batch(vec![started(), text(answer), finished("stop")]))).await.unwrap();
    asked
}

/// The end of whichever run ends next.
async fn end_of_any(events: &mut Happenings) -> Value {
    events.next("cron", |it| it["action"] == "finished").await
}

async fn end_of(events: &mut Happenings, id: &str) -> Value {
    events.next("cron", |it| it["jobId"] == id && it["action"] == "finished").await
}

async fn runs(harness: &Harness, id: &str) -> Vec<Value> {
    let runs = harness.call("cron.runs", &json!({"id": id})).await.unwrap();
    runs["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_job_runs_once_at_its_time_and_tells_the_main_session() {
    let mut harness = Harness::new().await;
    let mut events = harness.events().await;
    let id = add(&harness, &once()).await;
    assert_eq!(harness.alarms.last(), Some(NOW + 2000));
    let status = harness.call("cron.status", &json!({})).await.unwrap();
    assert_eq!((&status["jobs"], &status["nextWakeAtMs"]), (&json!(1), &json!(NOW + 2000)));

    // Woken too early, nothing happens.
    harness.wake(1000).await;
    assert_eq!(runs(&harness, &id).await, Vec::<Value>::new());
    harness.wake(1000).await;
    let asked = answers(&mut harness, "nothing").await;
    assert!(asked.contains("what is new?"), "{asked}");
    let end = end_of(&mut events, &id).await;
    assert_eq!((&end["status"], &end["deliveryStatus"]), (&json!("ok"), &json!("delivered")));
    assert_eq!(end["summary"], "nothing");
    let key = format!("agent:main:cron:{id}:run:{}", NOW + 2000);
    assert_eq!(end["sessionKey"], json!(key));

    // It succeeded, so it is gone; its run is not, and its result is in the main session.
    assert_eq!(runs(&harness, &id).await.len(), 1);
    let all = json!({"includeDisabled": true});
    assert_eq!(harness.call("cron.list", &all).await.unwrap()["total"], 0);
    let history = harness.call("chat.history", &json!({"sessionKey": "main"})).await.unwrap();
    assert!(history["messages"][0].to_string().contains("nothing"), "{history}");
    assert_eq!(harness.alarms.last(), Some(0));
    harness.wake(86_400_000).await;
    assert!(harness.calls.try_recv().is_err());
}

#[tokio::test]
async fn a_job_says_how_much_is_thought_and_which_models_are_tried() {
    let mut harness = Harness::new().await;
    let mut events = harness.events().await;
    let mut job = once();
    job["payload"]["thinking"] = json!("low");
    job["payload"]["fallbacks"] = json!(["mock/gone", "mock/gpt-x"]);
    let id = add(&harness, &job).await;
    harness.wake(2000).await;
    let first = harness.calls.recv().await.unwrap();
    assert_eq!(first.request.model, "mock/demo");
    first.refuse(tonic::Status::unavailable("down"));
    let second = harness.calls.recv().await.unwrap();
    assert_eq!(second.request.model, "mock/gpt-x");
    let params = second.request.params.clone().unwrap();
    assert_eq!(params.reasoning_effort.as_deref(), Some("low"));
    let reply = second.open();
    reply.send(Ok(batch(vec![started(), text("so"), finished("stop")]))).await.unwrap();
    drop(reply);
    assert_eq!(end_of(&mut events, &id).await["summary"], "so");
}

/// A claim is in the file although the write failed: its last step, that the folder is synced, did.
#[tokio::test]
async fn a_claim_whose_write_failed_at_its_end_is_carried_out() {
    let mut harness = Harness::new().await;
    let mut events = harness.events().await;
    let id = add(&harness, &once()).await;
    let file = harness.root.join("cron/jobs.json");
    let mut jobs: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    // A folder in its place: nothing can be written.
    let temporary = harness.root.join("cron/jobs.json.tmp");
    std::fs::create_dir(&temporary).unwrap();
    harness.clock.advance(2000);
    harness.call("cron.run", &json!({"id": id, "mode": "force"})).await.unwrap_err();
    jobs["jobs"][0]["state"] = json!({"runningAtMs": NOW + 2000});
    std::fs::write(&file, serde_json::to_vec(&jobs).unwrap()).unwrap();
    std::fs::remove_dir(&temporary).unwrap();
    for _ in 0..2 {
        harness.call("cron.list", &json!({})).await.unwrap();
    }
    answers(&mut harness, "late").await;
    assert_eq!(end_of(&mut events, &id).await["summary"], "late");
    harness.wake(60_000).await;
    assert!(harness.calls.try_recv().is_err(), "it runs once");
}

#[tokio::test]
async fn what_a_crash_broke_off_goes_on() {
    let mut first = Harness::new().await;
    let at = add(&first, &once()).await;
    let every = add(&first, &turn(&json!({"kind": "every", "everyMs": 2000}))).await;
    first.wake(2000).await;
    let _under_way = (first.calls.recv().await.unwrap(), first.calls.recv().await.unwrap());

    // What is on disk at this moment is all that a killed process leaves.
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("cron")).unwrap();
    std::fs::copy(first.root.join("cron/jobs.json"), directory.path().join("cron/jobs.json"))
        .unwrap();
    let mut harness = Harness::on(directory.path().to_owned()).await;
    let mut events = harness.events().await;
    harness.clock.advance(3000);
    // Whoever looks at the jobs first has what was under way go on.
    harness.call("cron.list", &json!({})).await.unwrap();
    answers(&mut harness, "one").await;
    answers(&mut harness, "two").await;
    for _ in [&at, &every] {
        end_of_any(&mut events).await;
    }
    for id in [&at, &every] {
        let runs = runs(&harness, id).await;
        assert_eq!(runs.len(), 1, "{runs:?}");
        assert_eq!(runs[0]["status"], "ok");
    }
    let job = harness.call("cron.get", &json!({"id": every})).await.unwrap();
    assert!(job["state"].get("runningAtMs").is_none(), "{job}");
    assert!(job["state"].get("resumed").is_none(), "{job}");
    harness.wake(0).await;
    // The recurring one goes on at its next time.
    harness.wake(60_000).await;
    assert!(answers(&mut harness, "again").await.contains("what is new?"));
}

#[tokio::test]
async fn a_run_whose_end_was_logged_is_not_ended_twice() {
    let mut first = Harness::new().await;
    let mut events = first.events().await;
    let id = add(&first, &once()).await;
    first.wake(2000).await;
    let running = std::fs::read(first.root.join("cron/jobs.json")).unwrap();
    answers(&mut first, "done").await;
    end_of(&mut events, &id).await;
    // As if the process had ended between the line of the log and the table.
    let directory = tempfile::tempdir().unwrap();
    let (line, folder) = (format!("cron/runs/{id}.jsonl"), directory.path().join("cron/runs"));
    std::fs::create_dir_all(folder).unwrap();
    std::fs::copy(first.root.join(&line), directory.path().join(&line)).unwrap();
    std::fs::write(directory.path().join("cron/jobs.json"), running).unwrap();

    let mut harness = Harness::on(directory.path().to_owned()).await;
    let all = json!({"includeDisabled": true});
    assert_eq!(harness.call("cron.list", &all).await.unwrap()["total"], 0);
    assert_eq!(runs(&harness, &id).await.len(), 1);
    harness.wake(10_000).await;
    assert!(harness.calls.try_recv().is_err());
}

#[tokio::test]
async fn changes_move_the_timer_at_once() {
    let harness = Harness::new().await;
    let id = add(&harness, &turn(&json!({"kind": "every", "everyMs": 600_000}))).await;
    assert_eq!(harness.alarms.last(), Some(NOW + 600_000));
    let patch = async |patch: Value| {
        harness.call("cron.update", &json!({"id": id, "patch": patch})).await.unwrap()
    };
    patch(json!({"schedule": {"kind": "every", "everyMs": 60_000}})).await;
    assert_eq!(harness.alarms.last(), Some(NOW + 60_000));
    patch(json!({"enabled": false})).await;
    assert_eq!(harness.alarms.last(), Some(0));
    assert_eq!(harness.call("cron.list", &json!({})).await.unwrap()["total"], 0);
    let on = patch(json!({"enabled": true})).await;
    assert_eq!(harness.alarms.last(), Some(NOW + 60_000));
    harness.configure(&json!({"cron": {"enabled": false}})).await;
    while harness.alarms.last() != Some(0) {
        harness.call("cron.status", &json!({})).await.unwrap();
    }
    harness.configure(&json!({})).await;
    while harness.alarms.last() != Some(NOW + 60_000) {
        harness.call("cron.status", &json!({})).await.unwrap();
    }
    let stale = json!({"id": id, "patch": {"name": "x"}, "expectedConfigRevision": "0"});
    assert!(harness.call("cron.update", &stale).await.unwrap_err().contains("changed since"));
    let fresh =
        json!({"id": id, "patch": {"name": "x"}, "expectedConfigRevision": on["configRevision"]});
    assert_eq!(harness.call("cron.update", &fresh).await.unwrap()["name"], "x");
    let removed = harness.call("cron.remove", &json!({"jobId": id})).await.unwrap();
    assert_eq!(removed, json!({"ok": true, "removed": true, "jobId": id}));
    assert_eq!(harness.alarms.last(), Some(0));
    let again = harness.call("cron.remove", &json!({"id": id})).await.unwrap();
    assert_eq!(again["removed"], false);
    assert!(harness.root.join("cron/jobs.json.bak").exists());
}

#[tokio::test]
async fn a_run_that_is_asked_for() {
    let mut harness = Harness::new().await;
    let mut events = harness.events().await;
    let id = add(&harness, &turn(&json!({"kind": "every", "everyMs": 600_000}))).await;
    let run = async |harness: &Harness, mode: &str| {
        harness.call("cron.run", &json!({"id": id, "mode": mode})).await.unwrap()
    };
    assert_eq!(run(&harness, "due").await["reason"], "not-due");
    let begun = run(&harness, "force").await;
    assert_eq!(begun["enqueued"], true);
    assert!(begun["runId"].as_str().unwrap().starts_with("manual:"), "{begun}");
    assert_eq!(run(&harness, "force").await["reason"], "already-running");
    answers(&mut harness, "HEARTBEAT_OK").await;
    let end = end_of(&mut events, &id).await;
    assert_eq!((&end["runId"], &end["deliveryStatus"]), (&begun["runId"], &json!("not-requested")));
    harness.call("cron.update", &json!({"id": id, "patch": {"enabled": false}})).await.unwrap();
    assert_eq!(run(&harness, "if-enabled").await["reason"], "disabled");
    let unknown = harness.call("cron.run", &json!({"id": "../../x"})).await.unwrap_err();
    assert!(unknown.contains("cron job not found"), "{unknown}");
    let none = harness.call("cron.runs", &json!({"id": "../../x"})).await.unwrap();
    assert_eq!(none["total"], 0);
}

#[tokio::test]
async fn as_many_run_at_once_as_there_are_slots() {
    let mut harness = Harness::new().await;
    harness.configure(&json!({"cron": {"maxConcurrentRuns": 1}})).await;
    let mut events = harness.events().await;
    let (one, two) = (add(&harness, &once()).await, add(&harness, &once()).await);
    harness.wake(2000).await;
    let first = harness.calls.recv().await.unwrap();
    harness.wake(30_000).await;
    assert!(harness.calls.try_recv().is_err());
    let reply = first.open();
    reply.send(Ok(batch(vec![started(), text("1"), finished("stop")]))).await.unwrap();
    drop(reply);
    answers(&mut harness, "2").await;
    let mut ended = Vec::new();
    for _ in 0..2 {
        let end = events.next("cron", |it| it["action"] == "finished").await;
        ended.push(end["jobId"].as_str().unwrap().to_owned());
    }
    ended.sort_unstable();
    let mut both = [one, two];
    both.sort_unstable();
    assert_eq!(ended, both);
}

#[tokio::test]
async fn a_webhook_is_known_to_be_delivered_only_where_it_went_and_a_refusal_is_told() {
    for (to, status, error) in [
        ("https://example.org/x", json!("unknown"), Value::Null),
        ("https://me@example.org/x", json!("not-delivered"), json!("url has a user's name in it")),
    ] {
        let mut harness = Harness::new().await;
        let mut events = harness.events().await;
        let mut job = once();
        job["delivery"] = json!({"mode": "webhook", "to": to});
        let id = add(&harness, &job).await;
        harness.wake(2000).await;
        answers(&mut harness, "news").await;
        let end = end_of(&mut events, &id).await;
        assert_eq!((&end["status"], &end["deliveryStatus"]), (&json!("ok"), &status), "{end}");
        assert_eq!(end["deliveryError"], error, "{end}");
    }
}

#[tokio::test]
async fn an_event_of_a_job_is_a_turn_of_the_main_session() {
    let mut harness = Harness::new().await;
    let mut events = harness.events().await;
    let job = json!({
        "name": "tea", "schedule": {"kind": "at", "at": SOON}, "sessionTarget": "main",
        "wakeMode": "now", "payload": {"kind": "systemEvent", "text": "tea is ready"},
    });
    let id = add(&harness, &job).await;
    harness.wake(2000).await;
    assert!(answers(&mut harness, "good").await.contains("tea is ready"));
    let end = end_of(&mut events, &id).await;
    assert_eq!((&end["status"], &end["sessionKey"]), (&json!("ok"), &json!("agent:main:main")));
}

#[tokio::test]
async fn jobs_are_bounded_and_a_declared_one_is_one() {
    let harness = Harness::new().await;
    let mut job = turn(&json!({"kind": "cron", "expr": "0 9 * * *", "tz": "Europe/Berlin"}));
    job["declarationKey"] = json!("daily");
    let first = harness.call("cron.add", &job).await.unwrap();
    let again = harness.call("cron.add", &job).await.unwrap();
    assert_eq!((&first["created"], &again["created"]), (&json!(true), &json!(false)));
    assert_eq!((&again["updated"], &again["job"]["id"]), (&json!(false), &first["job"]["id"]));
    let plain = turn(&json!({"kind": "every", "everyMs": 600_000}));
    for _ in 1..super::MAX_JOBS {
        add(&harness, &plain).await;
    }
    let refused = harness.call("cron.add", &plain).await.unwrap_err();
    assert!(refused.starts_with("RESOURCE_EXHAUSTED"), "{refused}");
    let page = harness.call("cron.list", &json!({"limit": 200, "compact": true})).await.unwrap();
    assert_eq!(page["jobs"].as_array().unwrap().len(), super::MAX_JOBS);
    assert!(page["jobs"][0].get("payload").is_none());
}

#[tokio::test]
async fn a_ring_after_which_no_time_can_be_set_is_not_answered() {
    let mut harness = Harness::new().await;
    let mut events = harness.events().await;
    let id = add(&harness, &turn(&json!({"kind": "every", "everyMs": 60_000}))).await;
    let due = harness.alarms.last().unwrap();
    harness.clock.advance(60_000);
    // Whoever rings keeps the time of a ring that failed, and rings again.
    harness.alarms.refuse(true);
    harness.ring(due).await.unwrap_err();
    answers(&mut harness, "one").await;
    assert_eq!(end_of(&mut events, &id).await["status"], "ok");
    harness.ring(due).await.unwrap_err();
    harness.alarms.refuse(false);
    harness.ring(due).await.unwrap();
    assert_eq!(harness.alarms.last(), Some(due + 60_000));
    assert!(harness.calls.try_recv().is_err());
    assert_eq!(runs(&harness, &id).await.len(), 1);
}

#[tokio::test]
async fn the_end_of_a_run_is_written_as_soon_as_it_can_be() {
    let mut harness = Harness::new().await;
    let mut events = harness.events().await;
    let id = add(&harness, &turn(&json!({"kind": "every", "everyMs": 60_000}))).await;
    harness.wake(60_000).await;
    let call = harness.calls.recv().await.unwrap();
    // A folder in its place: the table cannot be written.
    let (table, aside) = (harness.root.join("cron/jobs.json"), harness.root.join("cron/aside"));
    std::fs::rename(&table, &aside).unwrap();
    std::fs::create_dir(&table).unwrap();
    let reply = call.open();
    reply.send(Ok(batch(vec![started(), text("late"), finished("stop")]))).await.unwrap();
    drop(reply);
    events.next("chat", |it| it["state"] == "final").await;
    std::fs::remove_dir(&table).unwrap();
    std::fs::rename(&aside, &table).unwrap();
    assert_eq!(end_of(&mut events, &id).await["status"], "ok");
    assert_eq!(runs(&harness, &id).await.len(), 1);
    let job = harness.call("cron.get", &json!({"id": id})).await.unwrap();
    assert!(job["state"]["runningAtMs"].is_null(), "{job}");
}

#[tokio::test]
async fn a_root_that_was_restored_repeats_nothing_that_was_due_before() {
    let harness = Harness::new().await;
    let missed = add(&harness, &once()).await;
    let daily = add(&harness, &turn(&json!({"kind": "every", "everyMs": 60_000}))).await;
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("cron")).unwrap();
    let jobs = "cron/jobs.json";
    std::fs::copy(harness.root.join(jobs), root.path().join(jobs)).unwrap();
    // The copy is what a backup was unpacked into, a while after it was made.
    let mark = std::fs::File::create(root.path().join(".restored")).unwrap();
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(NOW + 90_000);
    mark.set_modified(at).unwrap();
    let mut harness = Harness::on(root.path().to_owned()).await;
    harness.clock.advance(100_000);
    harness.ring(NOW + 2000).await.unwrap();
    assert!(harness.calls.try_recv().is_err(), "nothing has begun");
    let lines = runs(&harness, &missed).await;
    assert_eq!((lines.len(), &lines[0]["status"]), (1, &json!("skipped")), "{lines:?}");
    let job = harness.call("cron.get", &json!({"id": missed})).await.unwrap();
    assert_eq!(job["enabled"], false);
    assert!(!root.path().join(".restored").exists());
    // What comes again does, from then on.
    harness.wake(30_000).await;
    let mut events = harness.events().await;
    answers(&mut harness, "one").await;
    assert_eq!(end_of(&mut events, &daily).await["status"], "ok");
}
