//! The processes of the example `roots`, and hands that put files where a tenant would.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::program;

/// Somebody without root.
pub(super) const ORDINARY: u32 = 54_321;
/// How long one command may take on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a file is: content or target, mode, seconds and nanoseconds.
pub(super) type Seen = BTreeMap<PathBuf, (String, u32, (i64, i64))>;

pub(super) struct House {
    /// None only after the house was begun anew.
    state: Option<tempfile::TempDir>,
    uid: Option<u32>,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    begun: u64,
    ended: BTreeMap<u64, Value>,
}

/// One of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Launcher,
    Supervisor,
    /// Every worker there is.
    Workers,
}

impl House {
    pub(super) fn start() -> Self {
        let state = tempfile::Builder::new().prefix("ocmu-").tempdir().unwrap();
        Self::started(state, None, &program("openclawmu-worker"))
    }

    /// As somebody who is not root, where there are no images.
    pub(super) fn ordinary() -> Self {
        let state = tempfile::Builder::new().prefix("ocmu-").tempdir().unwrap();
        chown(state.path(), Some(ORDINARY), Some(ORDINARY)).unwrap();
        Self::started(state, Some(ORDINARY), &program("openclawmu-worker"))
    }

    fn started(state: tempfile::TempDir, uid: Option<u32>, worker: &Path) -> Self {
        let mut command = match uid {
            None => Command::new(program("roots")),
            Some(uid) => {
                let mut command = Command::new("setpriv");
                command.args([&format!("--reuid={uid}"), &format!("--regid={uid}")]);
                command.arg("--clear-groups").arg(program("roots"));
                command
            }
        };
        command.arg(state.path()).arg(worker);
        let log = state.path().with_extension("log");
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        let house =
            Self { state: Some(state), uid, child, input, lines, begun: 0, ended: BTreeMap::new() };
        let ready = house.lines.recv_timeout(PATIENCE);
        assert!(ready.is_ok(), "{}", house.log());
        house
    }

    /// The same again, after a kill.
    pub(super) fn again(self) -> Self {
        self.again_with(&program("openclawmu-worker"), |_state| ())
    }

    /// The same with another program for the worker, when something was done to the state.
    pub(super) fn again_with(mut self, worker: &Path, between: impl FnOnce(&Path)) -> Self {
        drop(self.input.take());
        self.child.wait().unwrap();
        between(self.state());
        // The log is of all of them.
        Self::started(self.state.take().unwrap(), self.uid, worker)
    }

    fn state(&self) -> &Path {
        self.state.as_ref().unwrap().path()
    }

    fn log_file(&self) -> PathBuf {
        self.state().with_extension("log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Closes the door, and waits until everybody has gone.
    pub(super) fn end(mut self) {
        drop(self.input.take());
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended}: {}", self.log());
        std::fs::remove_file(self.log_file()).unwrap();
    }

    pub(super) fn begin(&mut self, command: &str) -> u64 {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{command}\n").as_bytes()).unwrap();
        self.begun += 1;
        self.begun - 1
    }

    fn hear(&mut self, line: &str) {
        let said: Value = serde_json::from_str(line).unwrap();
        self.ended.insert(said["of"].as_u64().unwrap(), said);
    }

    pub(super) fn has_ended(&mut self, number: u64) -> bool {
        while let Ok(line) = self.lines.try_recv() {
            self.hear(&line);
        }
        self.ended.contains_key(&number)
    }

    /// What a command gave, or why it failed.
    pub(super) fn ended(&mut self, number: u64) -> Value {
        while !self.ended.contains_key(&number) {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.hear(&line),
                Err(err) => panic!("{err}: {}", self.log()),
            }
        }
        self.ended.remove(&number).unwrap()
    }

    pub(super) fn wait(&mut self, number: u64) -> Value {
        let said = self.ended(number);
        assert!(said.get("failed").is_none(), "{said}: {}", self.log());
        said["gave"].clone()
    }

    pub(super) fn run(&mut self, command: &str) -> Value {
        let number = self.begin(command);
        self.wait(number)
    }

    /// Why the command fails.
    pub(super) fn fails(&mut self, command: &str) -> String {
        let number = self.begin(command);
        let said = self.ended(number);
        said["failed"].as_str().unwrap_or_else(|| panic!("{command}: {said}")).to_owned()
    }

    /// One turn of a session, to its end.
    pub(super) fn say(&mut self, tenant: &str, session: &str, text: &str) {
        let key = format!("{tenant}-{}-{}", self.child.id(), self.begun);
        let params = json!({"sessionKey": session, "message": text, "idempotencyKey": key});
        let asked = self.run(&format!("call {tenant} agent {params}"));
        let wait = json!({"runId": asked["runId"], "timeoutMs": 60_000});
        let ended = self.run(&format!("call {tenant} agent.wait {wait}"));
        assert_eq!(ended["status"], "ok", "{ended}");
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    pub(super) fn root(&self, tenant: &str) -> PathBuf {
        self.path("tenants").join(tenant)
    }

    /// A file that the supervisor can read.
    pub(super) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// Whether there is nothing beside the tenant's root.
    pub(super) fn is_alone(&self, tenant: &str) {
        let beside = |name: &String| {
            name.split_once('.').is_some_and(|(id, rest)| id == tenant && rest != "img")
        };
        let names = self.path("tenants").read_dir().unwrap();
        let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
        let found: Vec<_> = names.filter(beside).collect();
        assert!(found.is_empty(), "{found:?}");
    }

    fn hand_over(&self, tenant: &str, path: &Path) {
        let owner = std::fs::metadata(self.root(tenant)).unwrap();
        std::os::unix::fs::lchown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    fn wake(&mut self, tenant: &str) -> PathBuf {
        self.run(&format!("call {tenant} sessions.list {{}}"));
        self.root(tenant).join("agents/main/workspace")
    }

    /// Bytes that cannot be compressed, in files of a megabyte.
    pub(super) fn noise(&mut self, tenant: &str, bytes: usize) {
        let folder = self.wake(tenant);
        for n in 0..bytes >> 20 {
            let mut state = u64::try_from(n).unwrap() + 1;
            let next = |_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            };
            let path = folder.join(format!("noise{n}"));
            std::fs::write(&path, (0..(1 << 20) / 8).flat_map(next).collect::<Vec<u8>>()).unwrap();
            self.hand_over(tenant, &path);
        }
    }

    /// Files, directories and links with modes and times of all kinds.
    pub(super) fn fill(&mut self, tenant: &str, count: usize) {
        let folder = self.wake(tenant);
        for n in 0..count {
            let inner = folder.join(format!("{count}-{}", n % 7)).join(format!("d{}", n % 3));
            std::fs::create_dir_all(&inner).unwrap();
            for made in [inner.parent().unwrap(), &inner] {
                self.hand_over(tenant, made);
            }
            let path = inner.join(format!("f{n} ü{}", "x".repeat(n % 180)));
            std::fs::write(&path, vec![u8::try_from(n % 251).unwrap(); n * n % 70_000]).unwrap();
            let mode = [0o644, 0o600, 0o755, 0o400, 0o1777][n % 5];
            self.hand_over(tenant, &path);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let time = TimeSpec::new(1_000_000_000 + i64::try_from(n).unwrap() * 7919, 123_456_789);
            utimensat(nix::fcntl::AT_FDCWD, &path, &time, &time, UtimensatFlags::NoFollowSymlink)
                .unwrap();
            if n % 10 == 0 {
                let link = inner.join(format!("l{n}"));
                std::os::unix::fs::symlink(format!("../d{}/f{n}", n % 3), &link).unwrap();
                self.hand_over(tenant, &link);
            }
        }
    }

    /// Everything in the tenant's root but its indexes of memory and the mark that it was restored, which
    /// goes once its worker has looked at its jobs.
    pub(super) fn seen(&self, tenant: &str) -> Seen {
        let root = self.root(tenant);
        let (mut seen, mut open) = (Seen::new(), vec![PathBuf::new()]);
        while let Some(folder) = open.pop() {
            for entry in root.join(&folder).read_dir().unwrap() {
                let path = folder.join(entry.unwrap().file_name());
                if path.as_os_str() == ".restored" {
                    continue;
                }
                let at = root.join(&path);
                let stat = at.symlink_metadata().unwrap();
                let what = if stat.is_dir() {
                    open.push(path.clone());
                    "directory".to_owned()
                } else if stat.is_symlink() {
                    format!("to {:?}", at.read_link().unwrap())
                } else {
                    let content = std::fs::read(&at).unwrap();
                    let digest = ring::digest::digest(&ring::digest::SHA256, &content);
                    format!("{} bytes {digest:?}", content.len())
                };
                let time = (stat.mtime(), stat.mtime_nsec());
                seen.insert(path, (what, stat.mode() & 0o7777, time));
            }
        }
        seen
    }

    /// Kills without a warning.
    pub(super) fn kill(&self, who: Who) {
        let launcher = self.child.id();
        match who {
            Who::Launcher => kill_one(launcher),
            // The first; the others are spare processes of the launcher.
            Who::Supervisor => {
                children(launcher, "roots").into_iter().min().into_iter().for_each(kill_one);
            }
            Who::Workers => children(launcher, "memfd:openclawm").into_iter().for_each(kill_one),
        }
    }
}

fn kill_one(pid: u32) {
    // It may have ended by itself.
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap_or_default();
}

/// The children of a process that run a program of this name.
fn children(of: u32, program: &str) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let (name, rest) = stat.rsplit_once(')').unwrap_or_default();
        let parent = rest.split_ascii_whitespace().nth(1).and_then(|it| it.parse().ok());
        parent == Some(of) && name.split_once('(').is_some_and(|(_, name)| name == program)
    };
    let names = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = names.filter_map(|it| it.file_name().to_str().and_then(|it| it.parse().ok()));
    pids.filter(is_child).collect()
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.input.take());
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.child.wait().unwrap();
        }
    }
}
