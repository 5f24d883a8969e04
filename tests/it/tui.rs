//! The official terminal UI in a terminal of its own: a message is sent, and its answer is shown.

use std::process::{Command, Output};

use tests::{Builder, Official, Provider, until};

/// A terminal that a program runs in; dropped, both are gone.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// Runs `program` in a terminal of the server called `name`.
    fn run(user: &Official, name: &str, mut program: Command) -> Self {
        let terminal = Self { socket: user.home().join(name).display().to_string() };
        program.env_remove("TMUX");
        let mut tmux = Command::new("tmux");
        tmux.args(["-S", &terminal.socket, "new-session", "-d", "-x", "110", "-y", "40", "--"]);
        tmux.arg(program.get_program()).args(program.get_args());
        tmux.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = tmux.output().unwrap();
        assert!(output.status.success(), "{output:?}: run `make clients`");
        terminal
    }

    fn tmux(&self, args: &[&str]) -> Output {
        Command::new("tmux").args(["-S", &self.socket]).args(args).output().unwrap()
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).stdout).into_owned()
    }

    fn waits_for(&self, text: &str) {
        until(text, || self.shown().contains(text));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_answered_on_the_screen() {
    let provider = Provider::start().await;
    let mut config: serde_json::Value = serde_json::from_str(&provider.config()).unwrap();
    config["defaultModel"] = "test/paced".into();
    let gateway = Builder::default().config(config.to_string()).start();
    let user = Official::new(&gateway, &gateway.tenant("acme"));
    let talk = move || {
        let program = user.openclaw(&["tui", "--url", user.url(), "--token", user.token()]);
        let terminal = Terminal::run(&user, "tmux", program);
        terminal.waits_for("session agent:main:main");
        terminal.waits_for("idle");
        terminal.tmux(&["send-keys", "-l", "three quiet words"]);
        terminal.waits_for("three quiet words");
        terminal.tmux(&["send-keys", "Enter"]);
        terminal.waits_for("THREE QUIET WORDS");
    };
    tokio::task::spawn_blocking(talk).await.unwrap();
    assert_eq!(provider.requests(), 1);
}
