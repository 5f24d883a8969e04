//! How much memory the machine has left, as its kernel says.

/// Where it says so.
const MEMORY: &str = "/proc/meminfo";

/// Where it says how long programs waited for memory; not every kernel does.
const STALLS: &str = "/proc/pressure/memory";

/// The machine's memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Machine {
    /// Bytes.
    pub(super) total: u64,
    /// Bytes that could be used without swapping.
    pub(super) available: u64,
    /// Hundredths of the last ten seconds in which something waited for memory.
    pub(super) stalled: f64,
}

impl Machine {
    /// As it is now; none where the kernel does not say.
    pub(super) async fn read() -> Option<Self> {
        let read = || {
            let memory = std::fs::read_to_string(MEMORY).ok()?;
            let stalls = std::fs::read_to_string(STALLS).unwrap_or_default();
            Self::parse(&memory, &stalls)
        };
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    fn parse(memory: &str, stalls: &str) -> Option<Self> {
        let (total, available) = (bytes(memory, "MemTotal:")?, bytes(memory, "MemAvailable:")?);
        let some = stalls.lines().find_map(|line| line.strip_prefix("some avg10="));
        let stalled = some.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0.0);
        Some(Self { total, available, stalled })
    }
}

fn bytes(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says() {
        let memory = "MemTotal:       100 kB\nMemFree:   1 kB\nMemAvailable:    40 kB\n";
        let stalls = "some avg10=12.50 avg60=0.00 avg300=0.00 total=7\nfull avg10=1.00\n";
        let expected = Machine { total: 102_400, available: 40_960, stalled: 12.5 };
        assert_eq!(Machine::parse(memory, stalls), Some(expected));
        let quiet = Machine { stalled: 0.0, ..expected };
        assert_eq!(Machine::parse(memory, ""), Some(quiet));
        assert_eq!(Machine::parse("MemTotal: 100 kB\n", stalls), None);
    }

    #[tokio::test]
    async fn this_machine_says_it() {
        let machine = Machine::read().await.unwrap();
        assert!(machine.available > 0 && machine.available <= machine.total, "{machine:?}");
    }
}
