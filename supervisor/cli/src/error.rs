//! Why a command failed, what to do about it, and the exit code that says so to a script.

use std::process::ExitCode;

use control_api::{Code, Problem};

use crate::target::Target;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What was asked for is done.
    Done,
    /// It failed.
    Failed,
    /// The request makes no sense.
    Usage,
    /// Authority or a quota forbids it.
    Refused,
    /// What it names does not exist.
    NotFound,
}

impl Outcome {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotFound => 4,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers where the server should be.
    #[error("the gateway does not answer at {target}")]
    Unreachable {
        /// Where the server should be.
        target: Target,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the connection to {target} broke")]
    Connection {
        /// Where the server is.
        target: Target,
        /// How it broke.
        #[source]
        source: hyper::Error,
    },
    /// A request cannot be written.
    #[error("the request cannot be written")]
    Request(#[source] http::Error),
    /// The answer took too long.
    #[error("{target} did not answer within {seconds} s")]
    Timeout {
        /// Where the server is.
        target: Target,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The answer is larger than this client reads.
    #[error("the answer of {0} is larger than this client reads")]
    TooLarge(Target),
    /// The answer is not what this client knows.
    #[error("{target} answered with something else than this client knows")]
    Answer {
        /// Where the server is.
        target: Target,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The control plane refused.
    #[error("{}", .0.message)]
    Control(Problem),
    /// The gateway refused.
    #[error("{message}")]
    Gateway {
        /// The HTTP status.
        status: u16,
        /// The code, for programs.
        code: String,
        /// What it said.
        message: String,
    },
    /// A method of a tenant failed.
    #[error("{message}")]
    Method {
        /// The code of the method's error.
        code: String,
        /// What it said.
        message: String,
    },
    /// The answer ended before it was complete.
    #[error("the answer ended before it was complete")]
    Cut,
    /// A destructive command needs consent.
    #[error("this cannot be undone; repeat it with --yes")]
    Unconfirmed,
    /// A person said no.
    #[error("nothing was changed")]
    Declined,
    /// A token is needed.
    #[error("no token")]
    NoToken,
    /// A file cannot be read or written.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file is no evidence, or was changed.
    #[error("this is no evidence")]
    Evidence(#[source] evidence::Error),
    /// What was given is no public key.
    #[error("the public key cannot be used")]
    PublicKey(#[source] evidence::KeyError),
    /// A report of a boundary that is not as declared.
    #[error("the boundary is not as declared in {complaints} points")]
    NotVerified {
        /// How many.
        complaints: usize,
    },
    /// Workers that are not as ordered.
    #[error("{workers} workers are not as ordered, or could not be looked at")]
    Drift {
        /// How many.
        workers: usize,
    },
    /// Workers that were not replaced.
    #[error("{tenants} workers could not be replaced")]
    NotRestarted {
        /// How many.
        tenants: usize,
    },
    /// The audit trail cannot be read.
    #[error("the audit trail cannot be read")]
    Trail(#[from] trail::Error),
    /// The audit trail is not whole.
    #[error("the audit trail is not whole: wrong in {0} places")]
    NotWhole(u64),
    /// The terminal or pipe failed.
    #[error("the standard input or output failed")]
    Terminal(#[source] std::io::Error),
    /// A price file cannot be read.
    #[error("{path} cannot be read", path = path.display())]
    PriceFile {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A price file is none.
    #[error(transparent)]
    Prices(ledger::PriceError),
}

impl Error {
    /// How the command ended.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Control(problem) => by_status(problem.code.status()),
            Self::Gateway { status, .. } => by_status(*status),
            Self::Method { code, .. } => match code.as_str() {
                "UNAUTHORIZED" | "RESOURCE_EXHAUSTED" => Outcome::Refused,
                "NOT_FOUND" => Outcome::NotFound,
                _ => Outcome::Failed,
            },
            Self::Unconfirmed | Self::NoToken | Self::PublicKey(_) => Outcome::Usage,
            Self::Unreachable { source, .. } if denied(source) => Outcome::Refused,
            Self::Unreachable { .. }
            | Self::Connection { .. }
            | Self::Request(_)
            | Self::Timeout { .. }
            | Self::TooLarge(_)
            | Self::Answer { .. }
            | Self::Cut
            | Self::Declined
            | Self::File { .. }
            | Self::Evidence(_)
            | Self::NotVerified { .. }
            | Self::Drift { .. }
            | Self::NotRestarted { .. }
            | Self::Trail(_)
            | Self::NotWhole(_)
            | Self::PriceFile { .. }
            | Self::Prices(_)
            | Self::Terminal(_) => Outcome::Failed,
        }
    }

    /// The code that `--json` prints.
    pub fn code(&self) -> &str {
        match self {
            Self::Control(problem) => problem.code.as_str(),
            Self::Gateway { code, .. } | Self::Method { code, .. } => code,
            Self::Unreachable { .. } => "unreachable",
            Self::Connection { .. } | Self::Cut => "connection",
            Self::Timeout { .. } => "timeout",
            Self::TooLarge(_) | Self::Answer { .. } => "unknown_answer",
            Self::Unconfirmed => "unconfirmed",
            Self::Declined => "declined",
            Self::NoToken => "no_token",
            Self::Request(_) => "request",
            Self::File { .. } => "file",
            Self::Evidence(_) => "no_evidence",
            Self::PublicKey(_) => "public_key",
            Self::NotVerified { .. } => "not_verified",
            Self::Drift { .. } => "drift",
            Self::NotRestarted { .. } => "not_restarted",
            Self::Trail(_) => "trail",
            Self::NotWhole(_) => "not_whole",
            Self::Terminal(_) => "terminal",
            Self::PriceFile { .. } => "price_file",
            Self::Prices(_) => "invalid_prices",
        }
    }

    /// What the control plane said, where it was the control plane that refused.
    pub(crate) const fn problem(&self) -> Option<&Problem> {
        if let Self::Control(problem) = self { Some(problem) } else { None }
    }

    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable { source, .. } if denied(source) => {
                "run this as root or as the gateway's own user".to_owned()
            }
            Self::Unreachable { .. } => {
                "start it with `openclawmu serve`, or say where it is with --state-dir or --control"
                    .to_owned()
            }
            Self::Control(problem) => return control_hint(problem),
            Self::Gateway { status: 401, .. } => {
                "give a token of this tenant with --token or OPENCLAWMU_TOKEN".to_owned()
            }
            Self::NoToken => {
                "give one with --token or OPENCLAWMU_TOKEN; without one this works only over the gateway's own socket"
                    .to_owned()
            }
            Self::Connection { .. }
            | Self::Request(_)
            | Self::Timeout { .. }
            | Self::TooLarge(_)
            | Self::Answer { .. }
            | Self::Gateway { .. }
            | Self::Method { .. }
            | Self::Cut
            | Self::Unconfirmed
            | Self::Declined
            | Self::File { .. }
            | Self::Evidence(_)
            | Self::PublicKey(_)
            | Self::NotVerified { .. }
            | Self::Drift { .. }
            | Self::NotRestarted { .. }
            | Self::Trail(_)
            | Self::NotWhole(_)
            | Self::PriceFile { .. }
            | Self::Prices(_)
            | Self::Terminal(_) => return None,
        })
    }
}

fn denied(source: &std::io::Error) -> bool {
    source.kind() == std::io::ErrorKind::PermissionDenied
}

fn control_hint(problem: &Problem) -> Option<String> {
    Some(match problem.code {
        Code::Unauthenticated => {
            "give an operator key with OPENCLAWMU_KEY, or use the socket on the gateway's machine"
                .to_owned()
        }
        Code::NotFound => {
            "`tenants list`, `tokens list TENANT` and `keys list` show what there is".to_owned()
        }
        Code::Unavailable | Code::Timeout => {
            format!("look for request {} in the gateway's log", problem.request_id)
        }
        Code::InvalidRequest
        | Code::Forbidden
        | Code::MethodNotAllowed
        | Code::RequestTimeout
        | Code::Conflict
        | Code::PayloadTooLarge
        | Code::InvalidValue
        | Code::RateLimited => return None,
    })
}

const fn by_status(status: u16) -> Outcome {
    match status {
        401 | 403 | 429 => Outcome::Refused,
        404 => Outcome::NotFound,
        422 => Outcome::Usage,
        _ => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        let control = |code| {
            let message = String::new();
            Error::Control(Problem { code, message, field: None, request_id: String::new() })
        };
        let method = |code: &str| Error::Method { code: code.to_owned(), message: String::new() };
        let check = |error: &Error, code: u8| assert_eq!(error.outcome().code(), code, "{error:?}");
        check(&control(Code::Conflict), 1);
        check(&control(Code::Unavailable), 1);
        check(&control(Code::InvalidValue), 2);
        check(&control(Code::Unauthenticated), 3);
        check(&control(Code::Forbidden), 3);
        check(&control(Code::RateLimited), 3);
        check(&control(Code::NotFound), 4);
        check(&method("RESOURCE_EXHAUSTED"), 3);
        check(&method("UNAVAILABLE"), 1);
        check(&Error::Unconfirmed, 2);
        check(&Error::Cut, 1);
    }
}
