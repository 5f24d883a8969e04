//! Everything that can go wrong in this crate, one variant per thing that was attempted.

/// A failure of the launcher, of a confinement step or of a look at a process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed where the caller names nothing better.
    #[error("a system call failed")]
    Io(#[from] std::io::Error),
    /// A step of the worker's own confinement failed; the worker must end.
    #[error("confinement step `{step}` failed")]
    Confine {
        /// The step, a word of `confine`.
        step: &'static str,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// The process is not what confinement may start from, or is not confined after it.
    #[error("confinement check `{check}` failed: {found}")]
    Unconfined {
        /// The check, a word of `confine`.
        check: &'static str,
        /// What was found instead.
        found: String,
    },
    /// Landlock refused the rules.
    #[error("Landlock could not be enforced")]
    Landlock(#[source] landlock::RulesetError),
    /// A directory or node that Landlock must name could not be opened.
    #[error("`{path}` could not be opened for Landlock")]
    LandlockPath {
        /// The path inside the worker's root.
        path: &'static str,
        /// Why.
        #[source]
        source: landlock::PathFdError,
    },
    /// A file of `/proc/<pid>` could not be read.
    #[error("`{what}` of process {pid} could not be read")]
    Facts {
        /// The process looked at.
        pid: u32,
        /// The file, relative to `/proc/<pid>`.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What was read of a process has not the form that the kernel documents, or is too long.
    #[error("`{what}` of the process is malformed")]
    Malformed {
        /// The file or field.
        what: &'static str,
    },
    /// The launcher could not be started, or a privileged step of the gateway's own start failed.
    #[error("{what} failed")]
    Start {
        /// What was attempted.
        what: &'static str,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// The host or the options are not what the launcher can work with.
    #[error("the launcher cannot start: {reason}")]
    Unusable {
        /// What is wrong, and with what.
        reason: String,
    },
    /// A step of a worker's launch failed; the process is gone.
    #[error("launch step `{step}` failed with errno {errno}")]
    Step {
        /// The step's name, see [`crate::Step::name`].
        step: String,
        /// What the kernel said.
        errno: i32,
    },
    /// The launcher tried what was asked and failed.
    #[error("the launcher could not {what}")]
    Failed {
        /// What was attempted.
        what: String,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// The launcher does not do what was asked.
    #[error("the launcher refused: {reason}")]
    Refused {
        /// Why, in one sentence.
        reason: String,
    },
    /// The tenant has no such agent, or its worker has not made its workspace yet.
    #[error("the agent has no workspace")]
    NoWorkspace,
    /// The process was killed and is not gone yet. Whoever asked asks again.
    #[error("the process is killed and not gone yet")]
    Dying,
    /// The launcher is gone, or its socket is not usable.
    #[error("the launcher does not answer")]
    Gone(#[source] std::io::Error),
    /// A record on the launcher's socket has not the agreed form.
    #[error("a record of the launcher is malformed: {0}")]
    Record(&'static str),
}

impl Error {
    /// What is not done, and why.
    pub(crate) fn refused(reason: &str) -> Self {
        Self::Refused { reason: reason.to_owned() }
    }
}
