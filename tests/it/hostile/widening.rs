//! Gaining rights: what the operator forbids stays forbidden through other runs, other names, other
//! settings and other doors.

use std::path::PathBuf;

use serde_json::{Value, json};
use tests::provider::{Step, play};
use tests::ws::Ws;
use tests::{Hands, Toolbox, until};

use super::Score;

/// A tenant whose operator forbids it programs and writing.
struct Bound {
    toolbox: Toolbox,
    hands: Hands,
    operator: Ws,
}

impl Bound {
    /// Files that only a forbidden tool can have made.
    fn made(&self) -> Vec<PathBuf> {
        let files =
            std::fs::read_dir(self.hands.workspace()).unwrap().flatten().map(|it| it.path());
        files.filter(|it| it.to_string_lossy().contains("widened")).collect()
    }

    fn note(&self, name: &str, told: &str, score: &mut Score) {
        let made = self.made();
        score.note(
            name,
            made.is_empty() && !told.contains("uid="),
            format_args!("{made:?} {told}"),
        );
    }
}

/// What the operator forbids, in a play.
fn forbidden() -> Vec<Step> {
    vec![Step::Calls(vec![
        ("exec".to_owned(), json!({"command": "id; touch widened-by-exec"})),
        ("write".to_owned(), json!({"path": "widened-by-write", "content": "x"})),
    ])]
}

pub(super) async fn attempt(score: &mut Score) {
    let tools = json!({"deny": ["exec", "process", "write", "edit", "apply_patch"]});
    let toolbox = Toolbox::start(json!({"tenantDefaults": {"tools": tools}})).await;
    let hands = toolbox.hands("bound").await;
    let operator = toolbox.operator(&hands).await;
    let mut bound = Bound { toolbox, hands, operator };
    by_name(&bound, score).await;
    by_argument(&bound, score).await;
    by_another_run(&bound, score).await;
    by_settings(&mut bound, score).await;
    let told = bound.operator.call("exec.approvals.set", json!({"file": {
        "version": 1, "defaults": {"security": "full", "ask": "off"}, "agents": {"*": {"allowlist": [{"pattern": "*"}]}},
    }}));
    let told = format!("{:?}", told.await);
    let results = bound.hands.play(&forbidden()).await;
    bound.note(
        "the tenant's own file of approvals",
        &format!("{told} {}", results.concat()),
        score,
    );
}

async fn by_name(bound: &Bound, score: &mut Score) {
    for name in [
        "exec",
        "EXEC",
        "Exec",
        " exec",
        "exec ",
        "bash",
        "shell",
        "functions.exec",
        "exec\u{200b}",
        "tools/exec",
        "process",
        "write",
        "Write",
        "edit",
        "apply_patch",
        "gateway",
        "tool_call",
        "code_execution",
        "nodes",
        "../exec",
        "",
    ] {
        let args = json!({
            "command": "id; touch widened", "path": "widened", "content": "x", "action": "start",
            "input": "*** Begin Patch\n*** Add File: widened\n+x\n*** End Patch\n", "name": "exec",
        });
        for args in
            [args.clone(), json!(args.to_string()), json!("{\"command\": \"id; touch widened\"")]
        {
            let told = bound.hands.call(name, args).await;
            bound.note(&format!("a call of {name:?}"), &told, score);
        }
    }
}

async fn by_argument(bound: &Bound, score: &mut Score) {
    for (key, value) in [
        ("elevated", json!(true)),
        ("host", json!("gateway")),
        ("host", json!("node")),
        ("security", json!("full")),
        ("ask", json!("off")),
        ("node", json!("any")),
        ("skill", json!("maps")),
        ("env", json!({"OPENCLAWMU_TENANT": "victim"})),
    ] {
        let mut args = json!({"command": "id; touch widened"});
        args[key] = value;
        let told = bound.hands.call("exec", args).await;
        bound.note(&format!("exec with {key}"), &told, score);
    }
}

async fn by_another_run(bound: &Bound, score: &mut Score) {
    let task = play(&forbidden());
    let job = json!({
        "name": "job", "schedule": {"kind": "every", "everyMs": 86_400_000}, "sessionTarget": "isolated",
        "wakeMode": "now", "payload": {"kind": "agentTurn", "message": task},
        "toolsAllow": ["exec", "write"],
    });
    let plays = [
        ("a sub-agent", Step::call("sessions_spawn", json!({"task": task}))),
        (
            "a sub-agent that is to have tools",
            Step::call(
                "sessions_spawn",
                json!({"task": task, "tools": ["exec", "write"], "sandbox": "inherit"}),
            ),
        ),
        (
            "another session",
            Step::call(
                "sessions_send",
                json!({"sessionKey": "agent:main:other", "message": task, "timeoutSeconds": 20}),
            ),
        ),
        ("a job", Step::call("cron", json!({"action": "add", "job": job}))),
        ("a wake", Step::call("cron", json!({"action": "wake", "text": task, "mode": "now"}))),
    ];
    for (name, step) in plays {
        let told = bound.hands.play(&[step]).await.concat();
        let listed = bound.hands.call("cron", json!({"action": "list"})).await;
        if let Some((_, id)) = listed.split_once("\"id\":") {
            let id = id.trim_start().trim_start_matches('"').split('"').next().unwrap().to_owned();
            bound
                .hands
                .call("cron", json!({"action": "run", "jobId": id, "runMode": "force"}))
                .await;
            bound.hands.call("cron", json!({"action": "remove", "jobId": id})).await;
        }
        settled(bound);
        bound.note(name, &told, score);
    }
}

/// Waits until the model is asked nothing more.
fn settled(bound: &Bound) {
    let mut seen = (bound.toolbox.provider.requests(), std::time::Instant::now());
    tokio::task::block_in_place(|| {
        until("the model has nothing more to do", || {
            let now = bound.toolbox.provider.requests();
            if now != seen.0 {
                seen = (now, std::time::Instant::now());
            }
            seen.1.elapsed() > std::time::Duration::from_millis(500)
        });
    });
}

async fn by_settings(bound: &mut Bound, score: &mut Score) {
    let changes: [Value; 9] = [
        json!({"tools": {"deny": []}}),
        json!({"tools": {"deny": null}}),
        json!({"tools": {"allow": ["exec", "write", "*"]}}),
        json!({"tools": {"profile": "full"}}),
        json!({"tools": {"exec": {"security": "full", "ask": "off", "network": "broker"}}}),
        json!({"tools": {"byProvider": {"test": {"allow": ["*"]}}}}),
        json!({"agents": {"list": [{"id": "main", "tools": {"allow": ["*"], "deny": []}}]}}),
        json!({"tenantDefaults": {"tools": {"deny": []}}}),
        json!({"sandbox": {"mode": "off"}, "tools": {"elevated": {"enabled": true}}}),
    ];
    for change in changes {
        for method in ["config.patch", "config.set", "config.apply"] {
            let hash = bound.operator.ok("config.get", json!({})).await["hash"].take();
            let params = json!({"raw": change.to_string(), "baseHash": hash});
            let said = bound.operator.call(method, params).await;
            let told = bound.hands.play(&forbidden()).await.concat();
            bound.note(&format!("{method} {change}"), &format!("{said:?} {told}"), score);
        }
    }
}
