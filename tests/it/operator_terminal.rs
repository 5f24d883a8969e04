//! The operator's command line as the keys of a shell in a tenant's sandbox, on a terminal that is one:
//! raw while it lasts and then as it was found, with every key passed on and the shell's exit code.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tests::{Gateway, Hands, Toolbox, until};

/// What a shell on the terminal runs: which terminal it is and how it is set, the command line, and
/// how the terminal is set afterwards.
const SCRIPT: &str = "tty > tty; stty -g > before; \"$PROGRAM\" --state-dir \"$STATE\" tenants terminal \
                      \"$TENANT\"; echo $? > code; stty -g > after";

/// A terminal with the command line on it. `script` makes the terminal; its input is the keyboard.
struct Desk {
    folder: tempfile::TempDir,
    script: Child,
    keyboard: ChildStdin,
    screen: Arc<Mutex<String>>,
}

impl Desk {
    fn sit_down(gateway: &Gateway, hands: &Hands) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("script");
        command.args(["--quiet", "--flush", "--return", "--command", SCRIPT, "/dev/null"]);
        command.env("PROGRAM", tests::program("openclawmu")).env("STATE", gateway.state_dir());
        command.env("TENANT", &hands.tenant().id).env("SHELL", "/bin/sh");
        command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = command.spawn().unwrap();
        let (keyboard, mut output) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let screen = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                seen.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        });
        Self { folder, script, keyboard, screen }
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    fn sees(&self, text: &str) {
        until(text, || self.screen.lock().unwrap().contains(text));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap().trim().to_owned()
    }

    fn end(&mut self) -> ExitStatus {
        until("the command line ends", || self.script.try_wait().unwrap().is_some());
        self.script.wait().unwrap()
    }

    /// How the terminal is set now.
    fn modes(&self) -> String {
        let tty = self.read("tty");
        let output = Command::new("stty").args(["-a", "-F", &tty]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Has ended where the test has passed.
        self.script.kill().unwrap_or_default();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_raw_while_it_lasts_and_every_key_is_the_shells() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let toolbox = Toolbox::start(json!({})).await;
    let hands = toolbox.hands("acme").await;
    tokio::task::block_in_place(|| {
        let mut desk = Desk::sit_down(&toolbox.gateway, &hands);
        desk.types("echo re''ady; tty -s && echo a-t''ty\r");
        desk.sees("ready\r\n");
        desk.sees("a-tty");
        let modes = desk.modes();
        for off in ["-icanon", "-isig", "-echo ", "-ixon"] {
            assert!(modes.contains(off), "{off}: {modes}");
        }
        // The key that interrupts does it to the program inside, and to nothing here.
        // It speaks when it is what the terminal's keys go to, which the shell is until then.
        desk.types("sh -c 'echo wa\"\"its; exec sleep 600'; echo code $?\r");
        desk.sees("waits\r\n");
        desk.types("\x03");
        desk.types("\recho st''ill here; exit 7\r");
        desk.sees("still here");
        let status = desk.end();
        assert_eq!((status.code(), desk.read("code").as_str()), (Some(0), "7"));
        assert_eq!(desk.read("before"), desk.read("after"));
        let screen = desk.screen.lock().unwrap().clone();
        assert!(!screen.contains("code 0"), "{screen}");
    });
}
