//! A real gateway: the program as it is installed, in a state directory of its own.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::failure;
use crate::log::Log;

/// How long a gateway may take to listen, or to end.
const PATIENCE: Duration = Duration::from_secs(40);

/// A running gateway; dropped, it is stopped, and its log and its leavings are checked.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    options: Builder,
    state: TempDir,
    log: Log,
    address: SocketAddr,
    control: SocketAddr,
    killed: bool,
}

/// What a gateway is started with.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    config: Option<String>,
    uid: Option<u32>,
    listen: Option<IpAddr>,
    program: Option<PathBuf>,
    args: Vec<String>,
}

/// A tenant with a token that holds every scope of it.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its token.
    pub token: String,
}

/// A program or example of this workspace, built in the profile of the running test.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let found = [profile.join(name), profile.join("examples").join(name)];
    let found = found.into_iter().find(|path| path.exists());
    found
        .unwrap_or_else(|| panic!("{name} is not built: cargo build --workspace --bins --examples"))
}

impl Builder {
    /// The configuration file's text.
    pub fn config(mut self, json5: impl Into<String>) -> Self {
        self.config = Some(json5.into());
        self
    }

    /// Runs the gateway as this uid instead of root.
    pub const fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Listens for clients at this address of the loopback network instead of 127.0.0.1: nobody's
    /// outgoing connection can take a port of it while the gateway is started again.
    pub const fn listen(mut self, address: Ipv4Addr) -> Self {
        self.listen = Some(IpAddr::V4(address));
        self
    }

    /// Another program in place of `openclawmu`, with these arguments before `serve`'s.
    pub fn program(mut self, program: PathBuf, args: &[&str]) -> Self {
        self.program = Some(program);
        self.args = args.iter().map(|&arg| arg.to_owned()).collect();
        self
    }

    /// Starts it.
    pub fn start(self) -> Gateway {
        failure::note();
        let state = tempfile::Builder::new().prefix("ocmu-").tempdir().unwrap();
        if let Some(config) = &self.config {
            std::fs::write(state.path().join("openclawmu.json5"), config).unwrap();
        }
        if let Some(uid) = self.uid {
            for path in [state.path().to_owned(), state.path().join("openclawmu.json5")] {
                match std::os::unix::fs::chown(&path, Some(uid), Some(uid)) {
                    Ok(()) => {}
                    Err(err) => assert!(!path.exists(), "{err}"),
                }
            }
        }
        let log = Log::default();
        let address = self.listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let anywhere = SocketAddr::from((address, 0));
        let (child, address, control) = self.spawn(state.path(), &log, anywhere);
        Gateway { child, options: self, state, log, address, control, killed: false }
    }

    fn command(&self) -> Command {
        let program = self.program.clone().unwrap_or_else(|| program("openclawmu"));
        let Some(uid) = self.uid else { return Command::new(program) };
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups"]);
        command.arg(program);
        command
    }

    fn spawn(
        &self,
        state: &Path,
        log: &Log,
        listen: SocketAddr,
    ) -> (Child, SocketAddr, SocketAddr) {
        let mut child = self
            .command()
            .args(&self.args)
            .args(["serve", "--listen", &listen.to_string(), "--control-listen", "127.0.0.1:0"])
            .args(["--log-level", "debug", "--state-dir"])
            .arg(state)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        log.follow(child.stderr.take().unwrap());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listening: Value = serde_json::from_str(&line).unwrap_or_else(|err| {
            log.finish();
            panic!("the gateway said {line:?} ({err}); its log:\n{}", log.lines().join("\n"))
        });
        let address = |key: &str| listening[key].as_str().unwrap().parse().unwrap();
        (child, address("gateway"), address("control"))
    }
}

impl Gateway {
    /// A gateway with the built-in `demo` model alone.
    pub fn start() -> Self {
        Builder::default().start()
    }

    /// A gateway whose one provider is `provider`, with the models `mock` and `slow`.
    pub fn with_provider(provider: &crate::Provider) -> Self {
        Builder::default().config(provider.config()).start()
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators connect.
    pub const fn control(&self) -> SocketAddr {
        self.control
    }

    /// The state directory.
    pub fn state_dir(&self) -> &Path {
        self.state.path()
    }

    /// The process that was started: the launcher.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// The supervisor's process id: the launcher's first child.
    pub fn supervisor_pid(&self) -> i32 {
        let pid = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Runs the command line against this gateway.
    pub fn cli(&self, args: &[&str]) -> Output {
        let mut command = self.options.command();
        command.args(["--state-dir".as_ref(), self.state.path().as_os_str()]);
        command.args(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs the command line with `--json` and expects it to succeed.
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<_> = args.iter().copied().chain(["--json"]).collect();
        let output = self.cli(&args);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{args:?}: {} {text} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_str(&text).unwrap_or_else(|err| panic!("{args:?}: {text:?}: {err}"))
    }

    /// Creates a tenant.
    pub fn tenant(&self, id: &str) -> Tenant {
        self.tenant_with(id, &[])
    }

    /// Creates a tenant with limits.
    pub fn tenant_with(&self, id: &str, limits: &[&str]) -> Tenant {
        let args: Vec<_> =
            ["tenants", "create", id].into_iter().chain(limits.iter().copied()).collect();
        let created = self.json(&args);
        Tenant { id: id.to_owned(), token: created["token"].as_str().unwrap().to_owned() }
    }

    /// A client with this tenant's token.
    pub fn client(&self, tenant: &Tenant) -> Client {
        Client::new(self.address, Some(tenant.token.clone()))
    }

    /// The tenant's worker's process id, starting one if it sleeps.
    pub fn worker_pid(&self, tenant: &Tenant) -> i32 {
        let inspection = self.json(&["tenants", "inspect", &tenant.id]);
        inspection["pid"].as_i64().unwrap().try_into().unwrap()
    }

    /// The tenant's root, as the operator sees it.
    pub fn root(&self, tenant: &Tenant) -> PathBuf {
        self.state.path().join("tenants").join(&tenant.id)
    }

    /// Warnings and errors that contain `text` are part of the test.
    pub fn announce(&self, text: &str) {
        self.log.announce(text);
    }

    /// Every line of the log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Kills the supervisor, waits until everything is gone, and starts the gateway again over the
    /// same state.
    pub fn kill_supervisor_and_restart(&mut self) {
        self.announce("the supervisor was ended by signal 9");
        self.announce_what_a_kill_leaves();
        kill(Pid::from_raw(self.supervisor_pid()), Signal::SIGKILL).unwrap();
        self.wait();
        self.restart();
    }

    /// Waits until everything of a supervisor that was killed is gone, and starts the gateway again over
    /// the same state.
    pub fn gone_and_restart(&mut self) {
        self.announce("the supervisor was ended by signal 9");
        self.announce_what_a_kill_leaves();
        self.wait();
        self.restart();
    }

    /// A record whose head was not signed any more, and calls and programs that were under way.
    fn announce_what_a_kill_leaves(&self) {
        self.announce("were not signed when the gateway ended");
        self.announce("holds of an earlier run are settled in full");
    }

    /// Kills the launcher and starts the gateway again over the same state.
    pub fn kill_launcher_and_restart(&mut self) {
        self.announce_what_a_kill_leaves();
        self.announce("worker not reaped");
        let supervisor = self.supervisor_pid();
        kill(Pid::from_raw(self.pid()), Signal::SIGKILL).unwrap();
        self.wait();
        until("the supervisor is gone", || !is_alive(supervisor));
        self.restart();
    }

    /// Starts the gateway again over the same state, at the address that its clients know.
    pub fn restart(&mut self) {
        self.log.finish();
        let (child, address, control) =
            self.options.spawn(self.state.path(), &self.log, self.address);
        (self.child, self.address, self.control) = (child, address, control);
        self.killed = false;
    }

    /// Asks the gateway to end, waits, and gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        kill(Pid::from_raw(self.pid()), Signal::SIGTERM).unwrap();
        self.wait()
    }

    fn wait(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.killed = true;
                return status.code();
            }
            assert!(started.elapsed() < PATIENCE, "the gateway did not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Waits until `condition` holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether there is a process of this id that has not ended.
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// The memory of a process that is in RAM, in bytes.
pub fn resident(pid: i32) -> u64 {
    memory(pid, "VmRSS:")
}

/// The most memory that a process ever had in RAM, in bytes.
pub fn peak(pid: i32) -> u64 {
    memory(pid, "VmHWM:")
}

fn memory(pid: i32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if !self.killed {
            self.stop();
        }
        self.log.finish();
        let state = self.state.path().to_string_lossy().into_owned();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let left: Vec<_> = mounts.lines().filter(|line| line.contains(&state)).collect();
        let surprises = self.log.surprises();
        if std::thread::panicking() {
            failure::print(&self.log.lines());
        } else {
            assert!(left.is_empty(), "mounts left behind: {left:#?}");
            assert!(surprises.is_empty(), "unannounced: {surprises:#?}");
        }
    }
}
