//! Programs have little of the cores beside the gateway and its workers, and always something.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tests::until;

/// A program that nobody else starts: `sleep` with these words.
const SLEEPER: &[u8] = b"sleep\x0054.321\x00";

/// Processes that want a core for themselves.
struct Greedy(Vec<Child>);

impl Greedy {
    /// One for each core, in this cgroup.
    fn start(group: &Path) -> Self {
        let cores = std::thread::available_parallelism().unwrap().get();
        let start = |_| {
            let mut shell = Command::new("sh");
            let child = shell.args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn();
            let child = child.unwrap();
            std::fs::write(group.join("cgroup.procs"), child.id().to_string()).unwrap();
            child
        };
        Self((0..cores).map(start).collect())
    }
}

impl Drop for Greedy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// The cgroup in which the process has its share of the cores, and the file of its weight.
fn group(pid: i32) -> (PathBuf, &'static str) {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let find = |kind: &str, option: &str| {
        let mounts = mounts.lines().map(|it| it.split(' ').collect::<Vec<_>>());
        let mut mounts = mounts.filter(|it| it[2] == kind);
        let mount =
            mounts.find(|it| option.is_empty() || it[3].split(',').any(|it| it == option))?;
        let mut groups = groups.lines().map(|it| it.splitn(3, ':').collect::<Vec<_>>());
        let own = groups.find(|it| it[1].split(',').any(|it| it == option))?;
        Some(Path::new(mount[1]).join(own[2].trim_start_matches('/')))
    };
    let first = find("cgroup", "cpu").map(|it| (it, "cpu.shares"));
    first.or_else(|| find("cgroup2", "").map(|it| (it, "cpu.weight"))).unwrap()
}

fn sleeper() -> Option<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut pids = processes.filter_map(|it| it.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|it| it == SLEEPER))
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_have_little_weight_and_are_not_starved() {
    if !super::is_root() {
        return;
    }
    let mut toolbox = super::toolbox("native").await;
    let hands = toolbox.hands("acme").await;
    let sleeping = tokio::spawn({
        let hands = hands.clone();
        async move { hands.exec("sleep 54.321").await }
    });
    tokio::task::block_in_place(|| until("the program runs", || sleeper().is_some()));
    let gateway = &toolbox.gateway;
    let named = |launcher: i32, group: &str| format!("openclawmu-{launcher}{group}");
    let (own, weight) = group(gateway.pid());
    let (worker, _) = group(gateway.worker_pid(hands.tenant()));
    let (program, _) = group(sleeper().unwrap());
    let (workers, programs) = (worker.parent().unwrap(), program.parent().unwrap());
    assert_eq!(workers.file_name().unwrap(), named(gateway.pid(), "").as_str());
    assert_eq!(programs, workers.with_file_name(named(gateway.pid(), "-programs")));
    let weight = |group: &Path| {
        std::fs::read_to_string(group.join(weight)).unwrap().trim().parse::<u32>().unwrap()
    };
    assert!(weight(programs) * 10 <= weight(workers), "{}", weight(programs));

    // Who has the precedence takes all that there is: even so a program comes to its end.
    let greedy = Greedy::start(&own);
    assert!(hands.exec("echo still there").await.contains("still there"));
    drop(greedy);

    toolbox.gateway.kill_launcher_and_restart();
    let left = [workers, programs].into_iter().find(|it| it.exists());
    assert_eq!(left, None, "outlives its launcher");
    sleeping.abort();
    let pid = toolbox.gateway.pid();
    assert_eq!(toolbox.gateway.stop(), Some(0));
    let own = ["", "-programs"].map(|group| workers.with_file_name(named(pid, group)));
    assert_eq!(own.iter().find(|it| it.exists()), None, "outlives its gateway");
}
