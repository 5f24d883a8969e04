//! Why a program was not run, or a terminal not served: what a worker or a client is told, and what
//! is counted. Causes stay in the log.

use tonic::Status;

use crate::approvals::Denied;

/// How init calls its steps that fail for what the command names, not for what the machine is.
const BOUND_FILE: &str = "bound file";
const DIRECTORY: &str = "directory";

/// A bound that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Calls of one worker.
    Calls,
    /// Commands of one tenant.
    Commands,
    /// Programs of all tenants.
    Total,
    /// Terminals of one tenant.
    Terminals,
    /// Connections that see one terminal.
    Viewers,
    /// What is typed into a program that does not read it.
    Input,
}

/// A program that was not run, or a terminal that was not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field and its limit.
    #[error("{0}")]
    Invalid(String),
    /// A variable that may not be set.
    #[error("env.{name} may not be set: {why}")]
    Variable {
        /// Which.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// A setting forbids it.
    #[error("forbidden by {0}")]
    Forbidden(&'static str),
    /// The settings are others than when it was agreed to.
    #[error("settings changed while it waited")]
    Changed,
    /// Nobody approved.
    #[error("{0}")]
    Unapproved(Denied),
    /// A bound is reached.
    #[error("{}", .0.words())]
    Full(Bound),
    /// A limit of the tenant's account leaves no time.
    #[error("{0}")]
    Limit(Box<ledger::Refusal>),
    /// No such agent, or it has no workspace yet.
    #[error("there is no such agent, or its workspace is not made yet")]
    NoAgent,
    /// No such terminal.
    #[error("Terminal session not found")]
    NoTerminal,
    /// The tenant is suspended, or the gateway ends.
    #[error("no program may be started now")]
    Closed,
    /// The program's first step refused.
    #[error("the sandbox could not be made: {step}")]
    Refused {
        /// Which step.
        step: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It was not ready in time, or ended before it was.
    #[error("the sandbox did not come up")]
    NotReady,
    /// The launcher failed.
    #[error("the sandbox could not be made")]
    Launcher(#[source] sandbox::Error),
    /// A system call of the supervisor failed.
    #[error("the sandbox's descriptors could not be made")]
    Descriptors(#[source] std::io::Error),
    /// The settings could not be read.
    #[error("the settings could not be read")]
    Settings(#[source] settings::Error),
    /// The settings are of another version.
    #[error("the settings could not be read")]
    Shape(#[source] serde_json::Error),
}

/// What a failure is for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// What was asked cannot be.
    Invalid,
    /// It is not allowed.
    Forbidden,
    /// What it is about is not there.
    Missing,
    /// A bound is reached.
    Full,
    /// It cannot be done now.
    Unavailable,
}

/// An installation that cannot have sandboxes as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Bounds that cannot be.
    #[error("{}", .0.join("; "))]
    Bounds(Vec<String>),
    /// The backend that was asked for is not there.
    #[error("sandbox.backend: {0} is asked for and does not work on this machine")]
    Backend(&'static str),
}

impl Bound {
    const fn words(self) -> &'static str {
        match self {
            Self::Calls => "too many commands of this tenant wait or run",
            Self::Commands => "the tenant runs as many commands as it may",
            Self::Total => "the gateway runs as many programs as it may",
            Self::Terminals => "the tenant has as many terminals as it may",
            Self::Viewers => "as many connections as may be see this terminal",
            Self::Input => "the program does not read what is typed",
        }
    }
}

impl Error {
    /// A word for what is counted.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Invalid(_) | Self::NoAgent | Self::NoTerminal => Reason::Invalid,
            Self::Variable { .. } => Reason::Variable,
            Self::Forbidden(_) | Self::Changed => Reason::Policy,
            Self::Full(_) | Self::Limit(_) | Self::Unapproved(Denied::Full) => Reason::Bound,
            Self::Unapproved(
                Denied::Policy
                | Denied::Missed
                | Denied::Decided
                | Denied::Expired
                | Denied::Withdrawn
                | Denied::Taken,
            ) => Reason::Approval,
            Self::Refused { .. } => match self.refusal() {
                Refusal::Forbidden => Reason::Approval,
                Refusal::Invalid => Reason::Invalid,
                Refusal::Missing | Refusal::Full | Refusal::Unavailable => Reason::Failed,
            },
            Self::Unapproved(Denied::Book(_))
            | Self::Closed
            | Self::NotReady
            | Self::Launcher(_)
            | Self::Descriptors(_)
            | Self::Settings(_)
            | Self::Shape(_) => Reason::Failed,
        }
    }

    /// What it is for whoever asked.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Invalid(_) => Refusal::Invalid,
            Self::Limit(refusal) if refusal.why == ledger::Why::Unwritable => Refusal::Unavailable,
            Self::Full(_) | Self::Limit(_) | Self::Unapproved(Denied::Full) => Refusal::Full,
            Self::Unapproved(Denied::Book(_)) => Refusal::Unavailable,
            Self::Variable { .. } | Self::Forbidden(_) | Self::Changed | Self::Unapproved(_) => {
                Refusal::Forbidden
            }
            Self::NoAgent | Self::NoTerminal => Refusal::Missing,
            // What was agreed to is not there any more.
            Self::Refused { step, .. } if step.starts_with(BOUND_FILE) => Refusal::Forbidden,
            Self::Refused { step, .. } if step == DIRECTORY => Refusal::Invalid,
            Self::Closed
            | Self::Refused { .. }
            | Self::NotReady
            | Self::Launcher(_)
            | Self::Descriptors(_)
            | Self::Settings(_)
            | Self::Shape(_) => Refusal::Unavailable,
        }
    }

    /// As a worker is told.
    pub(crate) fn status(&self) -> Status {
        let text = self.to_string();
        match self.refusal() {
            Refusal::Invalid => Status::invalid_argument(text),
            Refusal::Forbidden => Status::permission_denied(text),
            Refusal::Missing => Status::not_found(text),
            Refusal::Full => Status::resource_exhausted(text),
            Refusal::Unavailable => Status::unavailable(text),
        }
    }
}

/// Why programs were refused, as it is counted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, prometheus_client::encoding::EncodeLabelValue,
)]
pub(crate) enum Reason {
    Invalid,
    Variable,
    Policy,
    Approval,
    Bound,
    Failed,
}
