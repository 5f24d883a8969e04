//! Outliving: what a model leaves behind ends with its tenant, and the next tenant of that name finds
//! nothing of it.

use serde_json::json;
use tests::provider::Step;
use tests::{Toolbox, until};

use super::Score;

/// Programs that a model would leave running, each with `MARK` as its name.
const DAEMONS: [&str; 5] = [
    "setsid sh -c 'exec -a MARK sleep 600' >/dev/null 2>&1 & sleep 0.1",
    "nohup bash -c 'exec -a MARK sleep 600' >/dev/null 2>&1 & disown; sleep 0.1",
    "bash -c '(trap \"\" HUP TERM INT; exec -a MARK sleep 600) &' >/dev/null 2>&1",
    "python3 -c \"import os\nif os.fork()==0:\n os.setsid()\n if os.fork()==0:\n  os.execvp('sleep',['MARK','600'])\"",
    "(crontab -l; echo '* * * * * MARK') | crontab -; echo 'exec -a MARK sleep 600 &' >> ~/.bashrc; at now <<< MARK",
];

pub(super) async fn attempt(toolbox: &Toolbox, score: &mut Score) {
    let hands = toolbox.hands("leaver").await;
    let tenant = hands.tenant().clone();
    for (number, daemon) in DAEMONS.iter().enumerate() {
        let mark = format!("stays-{}-{number}", std::process::id());
        let told = hands.exec(&daemon.replace("MARK", &mark)).await;
        tokio::task::block_in_place(|| ends(&mark));
        score.note(format_args!("after its command: {daemon}"), !is_running(&mark), told);
    }
    // What is still under way when the tenant goes: a command of its own session, and a terminal.
    let mark = format!("stays-{}-session", std::process::id());
    let command = format!("bash -c 'exec -a {mark} sleep 600'");
    hands.call("exec", json!({"command": command, "background": true})).await;
    until("the session runs", || is_running(&mark));
    let mut shell = toolbox.shell(&hands, 80, 24).await;
    let of_shell = format!("stays-{}-shell", std::process::id());
    shell.keys(&format!("bash -c 'exec -a {of_shell} sleep 600'\r")).await;
    until("the shell's program runs", || is_running(&of_shell));
    let plant = "mkdir -p ~/.local/bin && printf '#!/bin/sh\necho planted\n' > ~/.local/bin/ls && chmod +x ~/.local/bin/ls; \
                 echo planted > ~/.profile; echo planted > planted";
    hands.exec(plant).await;
    let job = json!({
        "name": "planted", "schedule": {"kind": "every", "everyMs": 1_000}, "wakeMode": "now",
        "sessionTarget": "isolated", "payload": {"kind": "agentTurn", "message": "planted"},
    });
    hands.play(&[Step::call("cron", json!({"action": "add", "job": job}))]).await;

    toolbox.gateway.json(&["tenants", "delete", &tenant.id, "--yes"]);
    tokio::task::block_in_place(|| [&mark, &of_shell].into_iter().for_each(|it| ends(it)));
    score.note("a session's program after deletion", !is_running(&mark), &mark);
    score.note("a terminal's program after deletion", !is_running(&of_shell), &of_shell);
    let reply = hands.client().chat("mock", "still here").await;
    score.note("its token after deletion", reply.status == 401, reply.text());
    score.note(
        "its files after deletion",
        !hands.root().join("agents").exists(),
        hands.root().display(),
    );

    let again = toolbox.hands("leaver").await;
    for (what, command) in [
        ("a program in the next tenant's path", "ls /nowhere"),
        ("a file of the next tenant's home", "cat ~/.profile ~/.bashrc"),
        ("a file of the next tenant's workspace", "cat planted"),
    ] {
        let told = again.exec(command).await;
        score.note(what, !told.lines().any(|line| line.trim() == "planted"), told);
    }
    let jobs = again.call("cron", json!({"action": "list", "includeDisabled": true})).await;
    score.note("a job of the next tenant", !jobs.contains("planted"), jobs);
}

/// Waits a while until no process has that name; what it finds is looked at afterwards.
fn ends(mark: &str) {
    let begun = std::time::Instant::now();
    while is_running(mark) && begun.elapsed() < std::time::Duration::from_secs(5) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Whether any process of this machine was started under that name, tests apart.
fn is_running(mark: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
    lines.any(|line| line.starts_with(mark.as_bytes()))
}
