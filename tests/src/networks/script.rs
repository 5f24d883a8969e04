//! A script of `networks/` that drives a counterpart with a vendor's own library, step by step: it says
//! how far it is, and goes on when it is told to.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;
use tokio::sync::mpsc;

use super::PATIENCE;

/// Lines of a script that nobody has read yet; each step is one.
const MAX_UNREAD: usize = 256;

/// A script that runs; dropped, it is killed.
#[derive(Debug)]
pub struct Script {
    name: String,
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::Receiver<Value>,
    errors: tempfile::NamedTempFile,
}

impl Script {
    /// Starts one; `args` is what it is given to know.
    pub fn start(name: &str, args: &Value) -> Self {
        let errors = tempfile::NamedTempFile::new().unwrap();
        let log = File::options().append(true).open(errors.path()).unwrap();
        let mut command = Command::new(super::tool("python"));
        command.arg(super::folder().join(name)).arg(args.to_string()).env("PYTHONUNBUFFERED", "1");
        command.env_remove("HTTP_PROXY").env_remove("http_proxy");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel(MAX_UNREAD);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line);
                let value = value.unwrap_or_else(|_| serde_json::json!({"step": line}));
                if sender.blocking_send(value).is_err() {
                    return;
                }
            }
        });
        Self { name: name.to_owned(), child, stdin, lines, errors }
    }

    /// Waits until it is at that step, and gives what it says of it.
    pub async fn at(&mut self, step: &str) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await.ok().flatten();
        let line = line.unwrap_or_else(|| panic!("never at {step}: {}", self.told()));
        assert_eq!(line["step"], step, "{line}: {}", self.told());
        line
    }

    /// Lets it go on.
    pub fn go_on(&mut self, with: &Value) {
        writeln!(self.stdin, "{with}").unwrap_or_else(|err| panic!("{err}: {}", self.told()));
    }

    /// Waits for its end, at which every check must hold; gives how many there were.
    pub async fn done(mut self) -> usize {
        let report = self.at("done").await;
        let checks = report["checks"].as_array().unwrap();
        let failed: Vec<_> = checks.iter().filter(|check| check["ok"] != true).collect();
        assert!(failed.is_empty() && !checks.is_empty(), "{failed:#?}: {}", self.told());
        assert!(self.child.wait().unwrap().success(), "{}", self.told());
        checks.len()
    }

    /// What it wrote for people.
    fn told(&self) -> String {
        let text = std::fs::read_to_string(self.errors.path()).unwrap_or_default();
        format!("{} wrote: {text}", self.name)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
