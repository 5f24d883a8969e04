//! The seccomp programs, compiled from `profiles/*.json` when the crate is built.
//!
//! What a rule means is said in the JSON; who runs under which program is said in the README.
//! Nothing here chooses or changes a rule at run time, and no build has another program than the
//! next.

#[cfg(test)]
mod compile;
#[cfg(test)]
mod source;
#[cfg(test)]
mod tests;

/// A seccomp program by who runs under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// One tenant's worker: an allow list, everything else kills.
    Worker,
    /// The supervisor: a deny list.
    Supervisor,
    /// The launcher, and with it every child: a deny list.
    Launcher,
    /// A command or a terminal: an allow list, everything else does not exist.
    Tool,
    /// A command or a terminal with a way out.
    ToolEgress,
}

struct Program {
    instructions: &'static [libc::sock_filter],
    digest: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/programs.rs"));

impl Profile {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Worker, Self::Supervisor, Self::Launcher, Self::Tool, Self::ToolEgress];

    /// The program of a command or a terminal.
    pub(crate) fn of(egress: bool) -> Self {
        if egress { Self::ToolEgress } else { Self::Tool }
    }

    /// The file of `profiles/` that it comes from, without `.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Supervisor => "supervisor",
            Self::Launcher => "launcher",
            Self::Tool => "tool",
            Self::ToolEgress => "tool-egress",
        }
    }

    /// SHA-256 of the program in hexadecimal.
    pub fn digest(self) -> &'static str {
        self.program().digest
    }

    /// The program's length; the kernel's limit is 4096.
    pub fn instructions(self) -> usize {
        self.program().instructions.len()
    }

    pub(crate) fn code(self) -> &'static [libc::sock_filter] {
        self.program().instructions
    }

    fn program(self) -> &'static Program {
        match self {
            Self::Worker => &WORKER,
            Self::Supervisor => &SUPERVISOR,
            Self::Launcher => &LAUNCHER,
            Self::Tool => &TOOL,
            Self::ToolEgress => &TOOL_EGRESS,
        }
    }
}
