//! Spending: runs without end, storms of runs that start runs, and limits that must hold for what a
//! run starts as for what a person asks.

use serde_json::{Value, json};
use tests::provider::{Step, play};
use tests::{Hands, Toolbox};

use super::Score;

/// Requests of a model that one message of a person may cause at most, whatever the model does.
const REQUESTS_MAX: usize = 300;
/// Steps of the play that never ends by itself.
const ENDLESS: usize = 2_000;
/// The tenant's own limit where it has one. The minute may turn once meanwhile.
const PER_MINUTE: usize = 20;

pub(super) async fn attempt(toolbox: &Toolbox, score: &mut Score) {
    let same = vec![Step::call("session_status", json!({})); ENDLESS];
    let other = (0..ENDLESS).map(|it| Step::call("read", json!({"path": format!("no-{it}")})));
    let many: Vec<_> =
        (0..500).map(|it| ("read".to_owned(), json!({"path": format!("no-{it}")}))).collect();
    let plays = [
        ("the same call for ever", same),
        ("another call for ever", other.collect()),
        ("500 calls at once", vec![Step::Calls(many)]),
        ("runs that start runs", storm(3)),
        ("runs that tell each other", vec![echo(4); 40]),
        ("jobs without number", jobs()),
        (
            "commands without number",
            vec![Step::Calls(vec![
                (
                    "exec".to_owned(),
                    json!({"command": "sleep 30", "background": true})
                );
                100
            ])],
        ),
    ];
    for (number, (name, steps)) in plays.into_iter().enumerate() {
        let tenant = format!("spender-{number}");
        let hands = toolbox.hands(&tenant).await;
        let asked = cost(toolbox, &hands, &steps).await;
        score.note(name, asked <= REQUESTS_MAX, format_args!("{asked} requests"));
        let (tenant, limit) = (format!("{tenant}-held"), PER_MINUTE.to_string());
        let hands = toolbox.hands_with(&tenant, &["--requests-per-minute", &limit]).await;
        let asked = cost(toolbox, &hands, &steps).await;
        score.note(
            format_args!("{name}, within the limit"),
            asked <= 2 * PER_MINUTE,
            format_args!("{asked} requests"),
        );
    }
}

/// How often the model was asked for one message that has it play these steps; asked again until it is
/// quiet, for what was started goes on by itself.
async fn cost(toolbox: &Toolbox, hands: &Hands, steps: &[Step]) -> usize {
    let before = toolbox.provider.requests();
    let body = json!({"model": "openclaw", "messages": [{"role": "user", "content": play(steps)}]});
    let reply = hands.client().post("/v1/chat/completions", &body).await;
    assert!(reply.status.as_u16() < 500 || reply.status == 503, "{}", reply.text());
    let mut asked = toolbox.provider.requests();
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        let now = toolbox.provider.requests();
        if now == asked || now - before > 2 * REQUESTS_MAX {
            // The tenant goes, and with it what it still has under way.
            toolbox.gateway.json(&["tenants", "delete", &hands.tenant().id, "--yes"]);
            return now - before;
        }
        asked = now;
    }
}

/// Ten runs, each of which starts ten, to this depth.
fn storm(depth: u32) -> Vec<Step> {
    let task = if depth == 0 { "nothing".to_owned() } else { play(&storm(depth - 1)) };
    let spawn = |it: u32| {
        ("sessions_spawn".to_owned(), json!({"task": task, "label": format!("run {depth} {it}")}))
    };
    vec![Step::Calls((0..10).map(spawn).collect())]
}

/// A message to a session whose model sends one to the next.
fn echo(depth: u32) -> Step {
    let message = if depth == 0 { "nothing".to_owned() } else { play(&[echo(depth - 1)]) };
    let args = json!({"sessionKey": format!("agent:main:echo-{depth}"), "message": message, "timeoutSeconds": 0});
    Step::call("sessions_send", args)
}

fn jobs() -> Vec<Step> {
    let job = |it: u32| -> (String, Value) {
        let job = json!({
            "name": format!("job {it}"), "schedule": {"kind": "every", "everyMs": 1_000}, "wakeMode": "now",
            "sessionTarget": "isolated", "payload": {"kind": "agentTurn", "message": "again"},
        });
        ("cron".to_owned(), json!({"action": "add", "job": job}))
    };
    (0..10).map(|round| Step::Calls((0..50).map(|it| job(round * 50 + it)).collect())).collect()
}
