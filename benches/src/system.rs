//! The real gateway under measurement: started as its users start it, its processes' CPU time and
//! memory read from the kernel.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::load::{self, Target};
use crate::stats::Spread;

/// A running gateway.
#[derive(Debug)]
pub struct System {
    child: Child,
    state: TempDir,
    gateway: SocketAddr,
}

fn program() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name("openclawmu")
}

impl System {
    /// Starts a gateway whose provider is at `provider`.
    pub fn start(provider: SocketAddr) -> Self {
        Self::start_with(provider, &json!({}))
    }

    /// The same with further members in its configuration.
    pub fn start_with(provider: SocketAddr, more: &Value) -> Self {
        let state = tempfile::tempdir().unwrap();
        let price = |name: &str| json!({"name": name, "inputMicrosPerMillion": 1_000_000, "outputMicrosPerMillion": 1_000_000});
        let mut config = json!({"providers": {"bench": {
            "kind": "openai", "baseUrl": format!("http://{provider}/v1"),
            "models": [price("bench"), price("flood")],
        }}});
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        std::fs::write(state.path().join("openclawmu.json5"), config.to_string()).unwrap();
        let mut child = Command::new(program())
            .args(["serve", "--listen", "127.0.0.1:0", "--control-listen", "127.0.0.1:0"])
            .arg("--state-dir")
            .arg(state.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listening: Value = serde_json::from_str(&line).unwrap();
        let gateway = listening["gateway"].as_str().unwrap().parse().unwrap();
        Self { child, state, gateway }
    }

    /// Runs the command line.
    pub fn json(&self, args: &[&str]) -> Value {
        let output = Command::new(program())
            .arg("--state-dir")
            .arg(self.state.path())
            .args(args)
            .arg("--json")
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?} {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A tenant's target for load.
    pub fn tenant(&self, id: &str) -> Target {
        self.tenant_with(id, &["--concurrency", "4096", "--cpu-max", "2"])
    }

    /// The same with other limits.
    pub fn tenant_with(&self, id: &str, limits: &[&str]) -> Target {
        let made = self.json(&[&["tenants", "create", id], limits].concat());
        Target { address: self.gateway, token: Some(made["token"].as_str().unwrap().to_owned()) }
    }

    fn processes(&self) -> Vec<u32> {
        family(self.child.id())
    }

    /// Memory of every sandbox that runs.
    pub fn sandboxes(&self) -> Vec<Held> {
        let inits = self.processes().into_iter().filter(|pid| is_called(*pid, b"openclawmu-init"));
        inits.map(Held::of).collect()
    }

    /// CPU time of all processes of the gateway so far.
    pub fn cpu(&self) -> Duration {
        let ticks: u64 = self.processes().iter().map(|pid| ticks(*pid)).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The supervisor's resident memory, in bytes.
    pub fn supervisor_rss(&self) -> u64 {
        let supervisor = self.processes()[1];
        let status = std::fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap();
        field(&status, "VmRSS:") * 1024
    }

    /// Proportional memory of every worker, in bytes.
    pub fn workers_pss(&self) -> Vec<u64> {
        let workers = self.processes().into_iter().filter(|pid| is_worker(*pid));
        workers.filter_map(pss).collect()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
    }
}

/// A process and all that descend from it.
fn family(first: u32) -> Vec<u32> {
    let mut found = vec![first];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        found.extend(children.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()));
        next += 1;
    }
    found
}

/// The proportional set size of a process, in bytes; none of one that has ended.
fn pss(pid: u32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    Some(field(&rollup, "Pss:") * 1024)
}

/// What one sandbox holds, in bytes.
#[derive(Debug)]
pub struct Held {
    /// Proportional set size of its init and of all that runs below it.
    pub pss: u64,
    /// What its control group is charged, where it has one that can be read.
    pub charged: Option<u64>,
}

impl Held {
    fn of(init: u32) -> Self {
        Self { pss: family(init).into_iter().filter_map(pss).sum(), charged: charged(init) }
    }
}

/// What the control group of a process is charged; a file of version 1 or of version 2.
fn charged(pid: u32) -> Option<u64> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let file = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        match (parts.next()?, parts.next()?) {
            ("memory", path) => Some(format!("memory{path}/memory.usage_in_bytes")),
            ("", path) => Some(format!("{}/memory.current", path.trim_start_matches('/'))),
            _ => None,
        }
    })?;
    std::fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse().ok()
}

/// The launcher also keeps prepared processes that are nobody's worker yet.
fn is_worker(pid: u32) -> bool {
    is_called(pid, b"openclawmu-worker")
}

fn is_called(pid: u32, name: &[u8]) -> bool {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.starts_with(name)
}

fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let field = |n: usize| fields.get(n).map_or(0, |it| it.parse::<u64>().unwrap());
    field(11) + field(12)
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A request to a sleeping tenant beside one to a warm one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ColdStart {
    /// To a tenant without a worker.
    pub cold: Spread,
    /// To the same tenant right after.
    pub warm: Spread,
}

/// Measures `rounds` cold starts of one tenant.
pub async fn cold_start(system: &System, rounds: usize) -> ColdStart {
    let target = system.tenant("sleeper");
    let body = load::body("bench", false);
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        system.json(&["tenants", "suspend", "sleeper"]);
        system.json(&["tenants", "resume", "sleeper"]);
        for times in [&mut cold, &mut warm] {
            let started = Instant::now();
            load::once(&target, &body).await;
            times.push(u64::try_from(started.elapsed().as_nanos()).unwrap());
        }
    }
    // The first start makes the tenant's disk.
    cold.remove(0);
    ColdStart { cold: Spread::of(cold), warm: Spread::of(warm) }
}

/// Memory with a number of workers alive.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Workers alive.
    pub workers: usize,
    /// Mean proportional set size of a worker, in KiB.
    pub pss_kib: f64,
    /// The supervisor's resident memory, in MiB.
    pub supervisor_rss_mib: f64,
}

/// How long workers rest before their memory is read.
pub(crate) const REST: Duration = Duration::from_secs(5);

/// What the gateway and the workers that are alive hold, after a rest.
pub async fn memory(system: &System) -> Memory {
    tokio::time::sleep(REST).await;
    let pss = system.workers_pss();
    let mean = pss.iter().sum::<u64>() as f64 / pss.len() as f64 / 1024.0;
    Memory {
        workers: pss.len(),
        pss_kib: mean,
        supervisor_rss_mib: system.supervisor_rss() as f64 / 1_048_576.0,
    }
}
