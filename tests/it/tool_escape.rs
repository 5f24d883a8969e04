//! A hostile program in a tenant's sandbox, started by a tool call and from a terminal, on both ways to
//! make sandboxes: what it attempts fails, what it uses up is its own, and what it leaves behind is gone.
//!
//! The program is an example of the sandbox crate; here is what it must report, and what must be seen
//! from outside. Tests of boundaries of root's are for root.

mod loads;
mod races;
mod weights;

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;

use serde_json::{Value, json};
use tests::{Hands, Toolbox, program, until};

/// The ways to make sandboxes.
const BACKENDS: [&str; 2] = ["native", "bwrap"];
/// Fewer attempts than this would mean that the list was lost.
const ATTEMPTS_MIN: usize = 240;
/// What an attempt on a host without any sandbox gets away with at least, as an ordinary user.
const UNBOUND_MIN: u64 = 50;
/// Somebody without root.
const ORDINARY: u32 = 54_321;

/// Things that really exist outside for the program to reach for, alive as long as this is.
struct Canary {
    words: String,
    _folder: tempfile::TempDir,
    _listeners: (TcpListener, UnixListener, UnixListener),
}

impl Canary {
    fn new(toolbox: &Toolbox, hostile: &Hands, neighbour: &Hands) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, name) = (folder.path().join("canary"), format!("canary-{}", std::process::id()));
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = UnixListener::bind(&path).unwrap();
        let unnamed =
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        neighbour.put("secret", "the neighbour's", 0o644);
        let words = format!(
            "other={0}/secret own={1} state={2} socket={3} abstract={name} port={4} control={5} \
             supervisor={6} host={7}",
            neighbour.workspace().display(),
            hostile.root().display(),
            toolbox.gateway.state_dir().display(),
            path.display(),
            tcp.local_addr().unwrap().port(),
            toolbox.gateway.control().port(),
            toolbox.gateway.supervisor_pid(),
            nix::unistd::gethostname().unwrap().to_string_lossy(),
        );
        Self { words, _folder: folder, _listeners: (tcp, own, unnamed) }
    }
}

/// A tenant with the program in its workspace, one beside it, and what it may reach for.
struct Scene {
    toolbox: Toolbox,
    hostile: Hands,
    neighbour: Hands,
    canary: Canary,
}

impl Scene {
    async fn new(backend: &str) -> Self {
        let toolbox = toolbox(backend).await;
        let (hostile, neighbour) =
            (toolbox.hands("hostile").await, toolbox.hands("neighbour").await);
        let canary = Canary::new(&toolbox, &hostile, &neighbour);
        hostile.put_program("escape_tool");
        Self { toolbox, hostile, neighbour, canary }
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

async fn toolbox(backend: &str) -> Toolbox {
    Toolbox::start(json!({"sandbox": {"backend": backend}})).await
}

/// What the program reported, which is whole: complaints are attempts with another outcome than an
/// accepted one.
fn complaints(report: &str) -> Vec<String> {
    let lines: Vec<Value> = report.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let (last, attempts) = lines.split_last().expect("a report");
    assert_eq!(last["attempts"], attempts.len(), "the list broke off: {last}");
    assert!(attempts.len() >= ATTEMPTS_MIN, "{}", attempts.len());
    let violations = attempts.iter().filter(|it| it["ok"] != true);
    violations.map(|it| format!("{}: {}", it["attempt"], it["outcome"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_of_a_command_fails() {
    for backend in BACKENDS {
        if !is_root() {
            return;
        }
        let Scene { toolbox: _alive, hostile, neighbour, canary } = Scene::new(backend).await;
        let command = format!("./escape_tool {} > report; echo code $?", canary.words);
        let told = hostile.exec(&command).await;
        assert_eq!(complaints(&hostile.read("report")), Vec::<String>::new(), "{backend}");
        assert!(told.contains("code 0"), "{backend}: {told}");
        // The gateway and the neighbour are as before.
        assert!(neighbour.exec("cat secret").await.contains("the neighbour's"), "{backend}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_from_a_terminal_fails() {
    for backend in BACKENDS {
        if !is_root() {
            return;
        }
        let Scene { toolbox, hostile, canary, .. } = Scene::new(backend).await;
        let mut shell = toolbox.shell(&hostile, 120, 40).await;
        let words = format!("{} terminal=1", canary.words);
        let told = shell.run(&format!("./escape_tool {words} > report; echo code $?")).await;
        assert_eq!(complaints(&hostile.read("report")), Vec::<String>::new(), "{backend}");
        assert!(told.contains("code 0"), "{backend}: {told}");
    }
}

/// Attempts that only a sandbox refuses succeed without one: the list is not vacuous.
#[test]
fn the_list_notices_that_there_is_no_sandbox() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(ORDINARY), Some(ORDINARY)).unwrap();
    let mut command = Command::new("setpriv");
    command.args([
        &format!("--reuid={ORDINARY}"),
        &format!("--regid={ORDINARY}"),
        "--clear-groups",
    ]);
    let output = command.arg(program("escape_tool")).arg("skip=res.").current_dir(folder.path());
    let output = output.env_clear().env("LD_PRELOAD", "").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert!(last["violations"].as_u64().unwrap() >= UNBOUND_MIN, "{last}");
    assert!(!output.status.success());
    for name in ["ns.unshare_user", "cred.seccomp_unset", "leak.loader", "sys.io_uring"] {
        let row = format!("\"attempt\":\"{name}\",\"ok\":false");
        assert!(text.contains(&row), "{name}: {text}");
    }
}

/// Words reach a program as they are, whatever a shell would make of them, and of the environment it
/// has what the gateway says and nothing that the gateway has.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_the_words_and_the_environment_that_it_is_meant_to_get() {
    let toolbox = toolbox("native").await;
    let hands = toolbox.hands("acme").await;
    hands.put_program("escape_tool");
    let words = ["$HOME", "`id`", "*", "a;b", "|", ">x", "~", "{a,b}", "\\", "a\tb", "ü", ""];
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let told = hands.exec(&format!("./escape_tool show {}", quoted.join(" "))).await;
    let line = told.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{told}"));
    let shown: Value = serde_json::from_str(line).unwrap();
    assert_eq!(shown["argv"], json!(words));
    assert_eq!(shown["cwd"], "/workspace");
    assert_eq!(shown["fds"], json!([0, 1, 2]));
    let names: Vec<_> = shown["env"].as_object().unwrap().keys().map(String::as_str).collect();
    let known = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "SHELL", "TMPDIR", "TERM", "PWD"];
    let more = ["OPENCLAW_SHELL", "SHLVL", "_", "OLDPWD"];
    for name in names {
        assert!(known.contains(&name) || more.contains(&name), "{name}: {shown}");
    }
    assert_eq!(shown["env"]["HOME"], "/home/agent");
    assert!(!hands.workspace().join("x").exists(), "a word was a redirection");
    // It waits for a core rather than push aside who has one, and cannot change that.
    let told = hands.exec("awk '{print \"policy\", $41}' /proc/self/stat; chrt -o -p 0 $$").await;
    assert!(told.contains(&format!("policy {}", nix::libc::SCHED_BATCH)), "{told}");
    assert!(told.contains("Operation not permitted"), "{told}");
}

/// `PATH`, `LD_PRELOAD` and their like through every parameter that takes variables.
#[tokio::test(flavor = "multi_thread")]
async fn no_parameter_lets_a_variable_choose_what_is_loaded() {
    let toolbox = toolbox("native").await;
    let hands = toolbox.hands("acme").await;
    let mut operator = toolbox.operator(&hands).await;
    for name in [
        "PATH",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "GLIBC_TUNABLES",
        "BASH_ENV",
        "ENV",
        "PYTHONPATH",
        "NODE_OPTIONS",
        "PERL5OPT",
        "GIT_SSH_COMMAND",
        "IFS",
        "HOME",
        "SHELLOPTS",
        "HTTPS_PROXY",
        "ld_preload",
        "A=B",
        "LD_PRELOAD\0",
        "",
    ] {
        let args = json!({"command": "env", "env": {name: "/workspace/evil"}});
        let told = hands.call("exec", args).await;
        assert!(
            !told.contains("/workspace/evil\n") && !told.contains("=/workspace/evil"),
            "{name}: {told}"
        );
        let spawn = json!({"cols": 80, "rows": 24, "env": {name: "/workspace/evil"}});
        let refused = operator.call("terminal.spawn", spawn).await;
        assert!(refused.is_err(), "{name} reached a terminal: {refused:?}");
    }
    for shell in ["/workspace/evil", "../workspace/evil", "/bin/bash -c id", "/proc/self/exe", "-c"]
    {
        hands.put("evil", "#!/bin/sh\necho evil\n", 0o755);
        let refused = operator.call("terminal.spawn", json!({"shell": shell})).await;
        assert!(refused.is_err(), "{shell} is a shell: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_leaves_behind_is_gone() {
    for backend in BACKENDS {
        let toolbox = toolbox(backend).await;
        let hands = toolbox.hands("acme").await;
        hands.put_program("escape_tool");
        let mark = format!("left-{}", std::process::id() % 100_000);
        let told = hands
            .exec(&format!("./escape_tool load daemon mark={mark}; sleep 0.2; cat /proc/*/comm"))
            .await;
        assert!(told.contains(&mark), "{backend}: it was never there: {told}");
        until("what was left behind is gone", || !is_running(&mark));
        // Everything of its own sandbox is what a command may kill, itself and its init apart.
        hands.exec("./escape_tool load kill").await;
        assert!(hands.exec("echo well").await.contains("well"), "{backend}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_is_closed_takes_everything_along() {
    let toolbox = toolbox("native").await;
    let hands = toolbox.hands("acme").await;
    hands.put_program("escape_tool");
    let mark = format!("tty-{}", std::process::id() % 100_000);
    let mut shell = toolbox.shell(&hands, 80, 24).await;
    shell.run(&format!("./escape_tool load daemon mark={mark}")).await;
    until("it is there", || is_running(&mark));
    let id = shell.id().to_owned();
    shell.ws().ok("terminal.close", json!({"terminalId": id})).await;
    until("what was left behind is gone", || !is_running(&mark));
}

/// Whether any process of this machine has that name.
fn is_running(name: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut names = processes.filter_map(|it| std::fs::read_to_string(it.path().join("comm")).ok());
    names.any(|it| it.trim() == name)
}

/// Files that a sandbox leaves in the workspace are the worker's, whoever runs there.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_workspace_have_one_owner() {
    let toolbox = toolbox("native").await;
    let hands = toolbox.hands("acme").await;
    hands.exec("mkdir made && echo x > made/by-a-command").await;
    hands.call("write", json!({"path": "by-the-worker", "content": "x"})).await;
    let owner = |name: &str| std::fs::metadata(hands.workspace().join(name)).unwrap().uid();
    assert_eq!(owner("made/by-a-command"), owner("by-the-worker"));
    let told =
        hands.call("edit", json!({"path": "made/by-a-command", "oldText": "x", "newText": "y"}));
    told.await;
    assert_eq!(hands.read("made/by-a-command").trim(), "y");
}
