//! What the processes of a gateway hold in memory, as the kernel says.

use crate::Gateway;

/// A gateway's processes that are alive: the launcher, the supervisor, workers, and what is kept ready for them.
pub fn processes(gateway: &Gateway) -> Vec<i32> {
    let mut found = vec![gateway.pid()];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        found.extend(children.split_whitespace().map(|pid| pid.parse::<i32>().unwrap()));
        next += 1;
    }
    found
}

/// How many workers of a gateway are alive.
pub fn workers(gateway: &Gateway) -> usize {
    worker_pids(gateway).len()
}

/// The workers of a gateway that are alive.
pub fn worker_pids(gateway: &Gateway) -> Vec<i32> {
    let is_worker = |pid: &i32| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.starts_with(b"openclawmu-worker")
    };
    processes(gateway).into_iter().filter(is_worker).collect()
}

/// The proportional set size of all of a gateway's processes together, in bytes.
pub fn held(gateway: &Gateway) -> u64 {
    let one = |pid: &i32| {
        // One that has ended meanwhile holds nothing.
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().unwrap() * 1024)
    };
    processes(gateway).iter().filter_map(one).sum()
}
