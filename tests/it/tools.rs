//! Every tool in one conversation, driven over the chat completions of `OpenAI`, over `chat.send` and in a
//! job: what the model is given back, what the transcript keeps, and what those who watch are told.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::farm::FINE;
use tests::provider::{CURTAIN, Step, play};
use tests::ws::Ws;
use tests::{Farm, Hands, Toolbox, until};

/// The smallest picture: one dot, as PNG.
const DOT: [u8; 67] = [
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0,
    1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 10, b'I', b'D', b'A', b'T',
    0x78, 0x9c, 0x63, 0, 1, 0, 0, 5, 0, 1, 0x0d, 0x0a, 0x2d, 0xb4, 0, 0, 0, 0, b'I', b'E', b'N',
    b'D', 0xae, 0x42, 0x60, 0x82,
];

/// Every tool that agents have; each is called at least once.
const TOOLS: [&str; 18] = [
    "agents_list",
    "apply_patch",
    "cron",
    "edit",
    "exec",
    "image",
    "memory_get",
    "memory_search",
    "message",
    "process",
    "read",
    "session_status",
    "sessions_history",
    "sessions_list",
    "sessions_send",
    "sessions_spawn",
    "web_fetch",
    "write",
];

/// One call, and what must be in what the model is given back.
type Line = (&'static str, Value, &'static str);

/// The conversation of one door, in folders and sessions of that name.
fn lines(door: &str, page: &str) -> Vec<Line> {
    let file = |name: &str| format!("{door}/{name}");
    let patch = format!("*** Begin Patch\n*** Add File: {door}/added.txt\n+delta\n*** End Patch\n");
    let other = play(&[Step::say("pong")]);
    let job = json!({
        "name": format!("job of {door}"), "schedule": {"kind": "every", "everyMs": 86_400_000},
        "sessionTarget": "isolated", "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": "later"},
    });
    vec![
        ("write", json!({"path": file("notes.md"), "content": "alpha\nbeta\n"}), "notes.md"),
        ("read", json!({"path": file("notes.md")}), "beta"),
        (
            "edit",
            json!({"path": file("notes.md"), "oldText": "beta", "newText": "gamma"}),
            "notes.md",
        ),
        ("apply_patch", json!({"input": patch}), "added.txt"),
        (
            "exec",
            json!({"command": format!("cat {door}/notes.md {door}/added.txt | tr a-z A-Z")}),
            "GAMMA",
        ),
        ("exec", json!({"command": "sleep 45", "background": true}), ""),
        ("process", json!({"action": "list"}), "sleep 45"),
        ("memory_search", json!({"query": "gate opens"}), "noon"),
        ("memory_get", json!({"path": "MEMORY.md"}), "noon"),
        ("web_fetch", json!({"url": page}), FINE),
        ("sessions_list", json!({}), "agent:main:"),
        (
            "sessions_history",
            json!({"sessionKey": "agent:main:elsewhere"}),
            "a word from elsewhere",
        ),
        (
            "sessions_send",
            json!({"sessionKey": "agent:main:elsewhere", "message": other, "timeoutSeconds": 20}),
            "pong",
        ),
        ("sessions_spawn", json!({"task": play(&[Step::say("done below")])}), "accepted"),
        ("session_status", json!({}), "script"),
        ("cron", json!({"action": "add", "job": job}), "job of"),
        (
            "message",
            json!({"action": "send", "target": "agent:main:elsewhere", "message": "a message"}),
            "messageId",
        ),
        ("agents_list", json!({}), "main"),
        ("image", json!({"prompt": "what is it?", "image": "dot.png"}), CURTAIN),
    ]
}

struct Stage {
    farm: Farm,
    toolbox: Toolbox,
    hands: Hands,
    operator: Ws,
}

async fn stage() -> Stage {
    let farm = Farm::start().await;
    let open = farm.open().to_string();
    farm.names().set("farm.test", &[&[&open]]);
    let rule = format!("http://farm.test:{}", farm.http());
    let toolbox = Toolbox::start(json!({"egress": farm.config(&[rule])})).await;
    let hands = toolbox.hands("acme").await;
    hands.play_in("agent:main:elsewhere", &[Step::say("a word from elsewhere")]).await;
    hands.put("MEMORY.md", "# Memory\n\nThe gate opens at noon.\n", 0o644);
    hands.put("dot.png", DOT, 0o644);
    let operator = toolbox.operator(&hands).await;
    Stage { farm, toolbox, hands, operator }
}

impl Stage {
    fn lines(&self, door: &str) -> Vec<Line> {
        lines(door, &format!("http://farm.test:{}/ok", self.farm.http()))
    }
}

fn steps(lines: &[Line]) -> Vec<Step> {
    lines.iter().map(|(name, args, _)| Step::call(name, args.clone())).collect()
}

/// The model was given what it must be given, call for call.
fn check_results(lines: &[Line], results: &[String]) {
    assert_eq!(results.len(), lines.len(), "{results:#?}");
    let wrong = lines.iter().zip(results).filter(|((_, _, wanted), told)| !told.contains(wanted));
    let wrong: Vec<_> = wrong.map(|((name, ..), told)| format!("{name}: {told}")).collect();
    assert_eq!(wrong, Vec::<String>::new());
}

/// The transcript has each call and its result, joined by the call's id, in order.
fn check_history(lines: &[Line], history: &Value) {
    let messages = history["messages"].as_array().unwrap();
    let mut calls = Vec::new();
    let mut results = BTreeMap::new();
    for message in messages {
        for part in message["content"].as_array().unwrap() {
            if part["type"] == "toolCall" {
                let name = part["name"].as_str().unwrap();
                calls.push((part["id"].as_str().unwrap().to_owned(), name.to_owned()));
            }
        }
        if message["role"] == "toolResult" {
            let id = message["toolCallId"].as_str().unwrap().to_owned();
            results.insert(id, message["content"].to_string());
        }
    }
    let names: Vec<_> = calls.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, lines.iter().map(|it| it.0).collect::<Vec<_>>(), "{history}");
    for ((id, name), (_, _, wanted)) in calls.iter().zip(lines) {
        assert!(
            results.get(id).is_some_and(|it| it.contains(wanted)),
            "{name}: {:?}",
            results.get(id)
        );
    }
}

#[test]
fn the_conversation_has_every_tool() {
    let named: Vec<_> = lines("x", "http://x/").iter().map(|it| it.0).collect();
    assert!(TOOLS.iter().all(|it| named.contains(it)), "{named:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_over_chat_completions() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let mut stage = stage().await;
    let lines = stage.lines("completions");
    let results = stage.hands.play_in("agent:main:completions", &steps(&lines)).await;
    check_results(&lines, &results);
    let params = json!({"sessionKey": "agent:main:completions", "limit": 500});
    let history = stage.operator.ok("chat.history", params).await;
    check_history(&lines, &history);
    assert_eq!(stage.hands.read("completions/notes.md"), "alpha\ngamma\n");
    assert_eq!(stage.hands.read("completions/added.txt").trim(), "delta");
    let last = history["messages"].as_array().unwrap().last().unwrap().to_string();
    assert!(last.contains(CURTAIN), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_over_chat_send_with_its_events() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let mut stage = stage().await;
    let lines = stage.lines("sent");
    let key = "agent:main:sent";
    stage.operator.ok("sessions.subscribe", json!({})).await;
    let send = json!({
        "sessionKey": key, "message": format!("mark-of-sent {}", play(&steps(&lines))),
        "idempotencyKey": "sent", "deliver": false,
    });
    stage.operator.ok("chat.send", send).await;
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    loop {
        let frame = stage.operator.next_of(&["agent", "chat"]).await;
        let payload = &frame["payload"];
        if payload["runId"] != "sent" {
            continue;
        }
        if frame["event"] == "chat" && payload["state"] == "final" {
            break;
        }
        if frame["event"] == "agent" && payload["stream"] == "tool" {
            let data = &payload["data"];
            let call = (data["toolCallId"].to_string(), data["name"].as_str().unwrap().to_owned());
            match data["phase"].as_str().unwrap() {
                "start" => begun.push(call),
                "result" => ended.push(call),
                _ => {}
            }
        }
    }
    assert_eq!(begun, ended, "each call begins and ends, in order");
    let names: Vec<_> = begun.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, lines.iter().map(|it| it.0).collect::<Vec<_>>());
    check_results(&lines, &stage.toolbox.provider.results("mark-of-sent"));
    let history = stage.operator.ok("chat.history", json!({"sessionKey": key, "limit": 500})).await;
    check_history(&lines, &history);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_in_a_job() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let mut stage = stage().await;
    let lines = stage.lines("job");
    let message = format!("mark-of-job {}", play(&steps(&lines)));
    let job = json!({
        "name": "every tool", "schedule": {"kind": "every", "everyMs": 86_400_000}, "wakeMode": "now",
        "sessionTarget": "isolated", "payload": {"kind": "agentTurn", "message": message},
    });
    let job = stage.operator.ok("cron.add", job).await;
    stage.operator.ok("cron.run", json!({"id": job["id"], "mode": "force"})).await;
    until("the job has ended", || {
        stage.toolbox.provider.results("mark-of-job").len() == lines.len()
    });
    check_results(&lines, &stage.toolbox.provider.results("mark-of-job"));
    assert_eq!(stage.hands.read("job/notes.md"), "alpha\ngamma\n");
}

/// Calls of one answer run all, and their results come back in the order of the calls.
#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_answer() {
    let toolbox = Toolbox::start(json!({})).await;
    let hands = toolbox.hands("acme").await;
    let write = |it: u32| {
        ("write".to_owned(), json!({"path": format!("f{it}"), "content": it.to_string()}))
    };
    let read = |it: u32| ("read".to_owned(), json!({"path": format!("f{it}")}));
    let wrong = vec![
        ("read".to_owned(), json!({"path": "f3"})),
        ("no_such_tool".to_owned(), json!({})),
        ("read".to_owned(), json!("{\"path\": ")),
        ("read".to_owned(), json!({"path": "f4", "unknown": 1})),
        ("read".to_owned(), json!({"path": "f5"})),
    ];
    let steps = [
        Step::Calls((0..8).map(write).collect()),
        Step::Calls((0..8).map(read).collect()),
        Step::Calls(wrong),
    ];
    let results = hands.play(&steps).await;
    assert_eq!(results.len(), 21, "{results:#?}");
    for (it, told) in results[8..16].iter().enumerate() {
        assert!(told.contains(&it.to_string()), "{it}: {told}");
    }
    // One that cannot be made spoils none of the others.
    assert!(results[16].contains('3') && results[20].contains('5'), "{results:#?}");
}
