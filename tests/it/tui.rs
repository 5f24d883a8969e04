//! `OpenClaw`'s terminal UI, unmodified, on a screen of its own: a conversation as a user has it.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::ws::Connect;
use tests::{Gateway, Official, is_alive, until};

const SCOPES: &[&str] = &["operator.read", "operator.write"];

/// How long the screen may take to show something: Node starts in a second, on a busy machine in many.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_in_the_terminal() {
    let gateway = Gateway::start();
    let (mine, theirs) = (gateway.tenant("acme"), gateway.tenant("other"));
    let machine = Official::new(&gateway, &mine);
    let screen =
        Screen::open(&machine, &["tui", "--url", machine.url(), "--token", machine.token()]);
    screen.shows("connected | idle");
    screen.types("what do whales eat");
    screen.shows("Message 1 of this conversation. You said: what do whales eat");

    // What another client says in the same conversation is shown as it comes.
    let mut client = Connect::new(gateway.address(), &mine.token, SCOPES).open().await;
    let message = json!({"sessionKey": "main", "message": "and dolphins", "idempotencyKey": "d"});
    client.ok("chat.send", message).await;
    screen.shows("Message 2 of this conversation. You said: and dolphins");
    let main = json!({"sessionKey": "main"});
    let history = client.ok("chat.history", main.clone()).await;
    assert_eq!(history["messages"].as_array().unwrap().len(), 4, "{history}");
    let mut stranger = Connect::new(gateway.address(), &theirs.token, SCOPES).open().await;
    assert_eq!(stranger.ok("chat.history", main).await["messages"], json!([]));

    screen.types("/exit");
    until("the program ends", || !is_alive(screen.program));
    client.close().await;
    stranger.close().await;
}

/// A terminal with one program in it; dropped, both are gone.
struct Screen<'a> {
    home: &'a Path,
    program: i32,
}

impl<'a> Screen<'a> {
    fn open(machine: &'a Official, args: &[&str]) -> Self {
        let home = machine.home();
        let openclaw = machine.openclaw(args);
        let mut command = tmux(home);
        for (name, value) in openclaw.get_envs() {
            command.env(name, value.unwrap());
        }
        command.args(["new-session", "-d", "-x", "120", "-y", "40", "-P", "-F", "#{pane_pid}"]);
        command.arg(openclaw.get_program()).args(openclaw.get_args());
        Self { home, program: text(&command.output().unwrap()).trim().parse().unwrap() }
    }

    fn types(&self, line: &str) {
        // Text that comes together with the key counts as pasted.
        text(&self.ask(&["send-keys", "-l", line]));
        self.shows(line);
        text(&self.ask(&["send-keys", "Enter"]));
    }

    fn shows(&self, wanted: &str) {
        let started = Instant::now();
        loop {
            let output = self.ask(&["capture-pane", "-p"]);
            let shown = String::from_utf8_lossy(&output.stdout).into_owned();
            if shown.contains(wanted) {
                return;
            }
            assert!(
                output.status.success() && started.elapsed() < PATIENCE,
                "no {wanted:?}: {shown} {}",
                String::from_utf8_lossy(&output.stderr)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ask(&self, args: &[&str]) -> Output {
        tmux(self.home).args(args).output().unwrap()
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // Where the program has ended, so has its terminal.
        drop(self.ask(&["kill-server"]));
        if !std::thread::panicking() {
            until("the program is gone", || !is_alive(self.program));
        }
    }
}

/// tmux with a socket in `home`, so that no other terminal is touched.
fn tmux(home: &Path) -> Command {
    let mut command = Command::new("tmux");
    command.args(["-f", "/dev/null", "-S"]).arg(home.join("screen"));
    command.current_dir(home).env_remove("TMUX").env("TERM", "xterm-256color");
    command
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}: is tmux installed? run `make clients`");
    String::from_utf8(output.stdout.clone()).unwrap()
}
