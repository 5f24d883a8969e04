//! `sandbox` of the configuration: how programs of tenants are run, and how much they may take.

use sandboxes::{Bounds, Choice};
use serde::Deserialize;

/// How programs are run. What is absent is as `sandboxes` has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Sandbox {
    /// `native`, `bwrap`, or `auto` for the first.
    pub backend: Choice,
    /// Bytes of memory of one sandbox.
    pub memory_max: Option<u64>,
    /// Processes and threads of one sandbox.
    pub pids_max: Option<u32>,
    /// CPU time of one sandbox in thousandths of one core.
    pub cpu_millis: Option<u32>,
    /// Seconds that no command may take more than.
    pub timeout_seconds: Option<u32>,
    /// Commands that one tenant may run at once.
    pub concurrency: Option<usize>,
    /// Commands, and terminals, of all tenants at once.
    pub total: Option<usize>,
    /// Terminals that one tenant may have open.
    pub terminals: Option<usize>,
    /// Bytes of output of one command that are passed on.
    pub output_bytes: Option<u64>,
}

impl Sandbox {
    /// What is wrong with it.
    pub(crate) fn mistakes(&self, mistakes: &mut Vec<String>) {
        mistakes.extend(self.config().bounds.mistakes());
    }

    /// As it is used.
    pub(crate) fn config(&self) -> sandboxes::Config {
        let usual = Bounds::default();
        let bounds = Bounds {
            memory_max: self.memory_max.unwrap_or(usual.memory_max),
            pids_max: self.pids_max.unwrap_or(usual.pids_max),
            cpu_millis: self.cpu_millis.unwrap_or(usual.cpu_millis),
            timeout_s: self.timeout_seconds.unwrap_or(usual.timeout_s),
            concurrency: self.concurrency.unwrap_or(usual.concurrency),
            total: self.total.unwrap_or(usual.total),
            terminals: self.terminals.unwrap_or(usual.terminals),
            output_bytes: self.output_bytes.unwrap_or(usual.output_bytes),
        };
        sandboxes::Config { choice: self.backend, bounds }
    }
}
