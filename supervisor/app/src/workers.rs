//! `workers` of the configuration: how many workers there may be, and when they sleep.

use serde::Deserialize;
use types::Sleep;

/// The most that may be started at once: each is a share of a processor.
const MAX_AT_ONCE: usize = 256;

/// The longest wait for a worker to be let in, in seconds: no client waits longer for an answer.
const MAX_WAIT: u32 = 300;

/// The least memory that all workers together may be bounded by, in bytes: one worker.
const MIN_MEMORY: u64 = 16 << 20;

/// How many workers there may be, and when they sleep.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Workers {
    /// What holds for tenants that have no policy of their own: seconds without work as text, `never`, or
    /// `warm`; 900 seconds where nothing is said.
    pub sleep: Sleep,
    /// The most workers that are awake at once.
    pub max_awake: Option<usize>,
    /// The most memory of all workers together, in bytes.
    pub max_memory: Option<u64>,
    /// Memory of the machine that is left free, in bytes.
    pub min_available: Option<u64>,
    /// The most starts at once.
    pub starts_at_once: Option<usize>,
    /// How long a request waits for its tenant's worker to be let in, in seconds.
    pub wait_seconds: Option<u32>,
}

impl Workers {
    /// What is wrong with it.
    pub(crate) fn mistakes(&self, mistakes: &mut Vec<String>) {
        if self.max_awake == Some(0) {
            mistakes.push("workers.maxAwake: at least 1".to_owned());
        }
        if self.max_memory.is_some_and(|most| most < MIN_MEMORY) {
            mistakes.push(format!("workers.maxMemory: at least {MIN_MEMORY}"));
        }
        if self.starts_at_once.is_some_and(|it| !(1..=MAX_AT_ONCE).contains(&it)) {
            mistakes.push(format!("workers.startsAtOnce: from 1 to {MAX_AT_ONCE}"));
        }
        if self.wait_seconds.is_some_and(|it| it > MAX_WAIT) {
            mistakes.push(format!("workers.waitSeconds: from 0 to {MAX_WAIT}"));
        }
    }

    /// As the tenants' part takes it.
    pub(crate) const fn read(&self) -> tenants::Workers {
        tenants::Workers {
            sleep: self.sleep,
            max_awake: self.max_awake,
            max_memory: self.max_memory,
            min_available: self.min_available,
            starts_at_once: self.starts_at_once,
            wait_seconds: self.wait_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_told() {
        let check = |text: &str, wrong: usize| {
            let workers: Workers = json5::from_str(text).unwrap();
            let mut found = Vec::new();
            workers.mistakes(&mut found);
            assert_eq!(found.len(), wrong, "{text}: {found:?}");
        };
        check("{}", 0);
        check("{ sleep: 'warm', maxAwake: 1, maxMemory: 16777216, waitSeconds: 0 }", 0);
        check("{ maxAwake: 0, maxMemory: 1, startsAtOnce: 0, waitSeconds: 301 }", 4);
        json5::from_str::<Workers>("{ sleep: 'soon' }").unwrap_err();
    }
}
