//! How much programs may take: of the machine, and of the supervisor that passes their bytes on.
//! The operator may change what is in [`Bounds`]; the rest is what the protocol promises.

use std::time::Duration;

/// Words of one command line.
pub(crate) const MAX_WORDS: usize = 1024;

/// Bytes of one command line.
pub(crate) const MAX_ARGV: usize = 128 << 10;

/// Variables of one command.
pub(crate) const MAX_VARIABLES: usize = 128;

/// Bytes of the variables of one command, names included.
pub(crate) const MAX_ENV: usize = 64 << 10;

/// Bytes of a working directory.
pub(crate) const MAX_CWD: usize = 4096;

/// Files that one command line may be bound to.
pub(crate) const MAX_FILES: usize = 16;

/// Bytes of a word that only says what a command is for: a session, a run, a call, a skill.
pub(crate) const MAX_NOTE: usize = 512;

/// Bytes of one message of a worker: a command with everything that it may have, or input.
pub(crate) const MAX_MESSAGE: usize = 320 << 10;

/// Bytes of one message to a worker: a frame of output and a little around it.
pub(crate) const MAX_EVENT: usize = FRAME + (4 << 10);

/// Bytes of output in one message.
pub(crate) const FRAME: usize = 32 << 10;

/// Messages that wait for one worker's reader; then the program's own pipe fills and it waits.
pub(crate) const FRAMES: usize = 4;

/// Bytes of input that wait for one program. More is not read from the worker.
pub(crate) const MAX_INPUT: usize = 512 << 10;

/// Calls of one worker that are open at once: those that run, and those that wait for an approver.
pub(crate) const CALLS: usize = 64;

/// How long a call may take to say what it wants.
pub(crate) const FIRST_MESSAGE: Duration = Duration::from_secs(10);

/// How long a command waits for a place where all of the installation's are taken.
pub(crate) const PLACE: Duration = Duration::from_secs(20);

/// How long a sandbox may take from the order to run it until it is ready.
pub(crate) const READY: Duration = Duration::from_secs(10);

/// How long what a program has left in its pipes may take to be read by its worker.
pub(crate) const LAST_BYTES: Duration = Duration::from_secs(30);

/// Seconds that a command may take where nobody says how long.
pub(crate) const TIMEOUT_S: u32 = 600;

/// Seconds that no operator lets a command take more than: what runs for a day is a service.
pub(crate) const MAX_TIMEOUT_S: u32 = 24 * 60 * 60;

/// Bytes of the largest file that one process may write; the tenant's disk bounds the rest.
pub(crate) const FILE_SIZE: u64 = 4 << 30;

/// Descriptors of one process: what tools that watch a source tree take.
pub(crate) const OPEN_FILES: u64 = 4096;

/// Columns of a terminal.
pub(crate) const COLUMNS: std::ops::RangeInclusive<u32> = 1..=2000;

/// Rows of a terminal.
pub(crate) const ROWS: std::ops::RangeInclusive<u32> = 1..=2000;

/// What the operator may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of memory of one sandbox.
    pub memory_max: u64,
    /// Processes and threads of one sandbox.
    pub pids_max: u32,
    /// CPU time of one sandbox, in thousandths of one core.
    pub cpu_millis: u32,
    /// Seconds that a command may take, whoever says more.
    pub timeout_s: u32,
    /// Commands that one tenant may run at once.
    pub concurrency: usize,
    /// Commands, and terminals, of all tenants at once.
    pub total: usize,
    /// Terminals that one tenant may have open.
    pub terminals: usize,
    /// Bytes of output of one command that are passed on.
    pub output_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            // A compiler or a headless tool fits; eight of them are as much as a small machine has.
            memory_max: 512 << 20,
            pids_max: 256,
            cpu_millis: 1000,
            timeout_s: 30 * 60,
            concurrency: 8,
            total: 64,
            terminals: 4,
            // More than anybody reads, less than a loop that prints makes in a minute.
            output_bytes: 64 << 20,
        }
    }
}

impl Bounds {
    /// What is wrong with them, by the names that the configuration has for them.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut within = |name: &str, value: u64, low: u64, high: u64| {
            if !(low..=high).contains(&value) {
                mistakes.push(format!("sandbox.{name}: from {low} to {high}"));
            }
        };
        let count = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
        within("memoryMax", self.memory_max, 16 << 20, 1 << 40);
        within("pidsMax", u64::from(self.pids_max), 8, 32_768);
        within("cpuMillis", u64::from(self.cpu_millis), 50, 1_024_000);
        within("timeoutSeconds", u64::from(self.timeout_s), 1, u64::from(MAX_TIMEOUT_S));
        within("concurrency", count(self.concurrency), 1, 256);
        within("total", count(self.total), 1, 4096);
        within("terminals", count(self.terminals), 0, 64);
        within("outputBytes", self.output_bytes, 4096, 1 << 40);
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_may_set() {
        let check = |change: fn(&mut Bounds), wrong: Option<&str>| {
            let mut bounds = Bounds::default();
            change(&mut bounds);
            let mistakes = bounds.mistakes();
            assert_eq!(mistakes.len(), usize::from(wrong.is_some()), "{mistakes:?}");
            assert!(wrong.is_none_or(|it| mistakes.concat().contains(it)), "{mistakes:?}");
        };
        check(|_| {}, None);
        check(|it| it.memory_max = 1 << 20, Some("sandbox.memoryMax"));
        check(|it| it.timeout_s = MAX_TIMEOUT_S + 1, Some("sandbox.timeoutSeconds"));
        check(|it| it.terminals = 0, None);
        check(|it| it.concurrency = 0, Some("sandbox.concurrency: from 1 to 256"));
    }
}
