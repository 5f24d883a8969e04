//! Why a request failed: a code and a sentence for the operator, the chain of causes for the log.

use std::path::PathBuf;

use control_api::Code;
use sandboxes::Refusal;

/// Why a request, or the control plane itself, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller is not known.
    #[error(transparent)]
    Unauthenticated(#[from] auth::Unauthenticated),
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] auth::Denied),
    /// There is no such path.
    #[error("there is no such path")]
    NoPath,
    /// The path has other methods than this.
    #[error("this path does not have this method")]
    NoMethod,
    /// The path or the query cannot be read.
    #[error("{0}")]
    Address(String),
    /// The body came too slowly.
    #[error("the body did not arrive in time")]
    Slow,
    /// The body is too large.
    #[error("the body is larger than {} bytes", control_api::MAX_BODY)]
    TooLarge,
    /// The connection broke while the body came.
    #[error("the body did not arrive")]
    Broken(#[source] axum::Error),
    /// The body is not what this operation takes.
    #[error("the body is not valid: {0}")]
    Body(serde_json::Error),
    /// A value cannot be used.
    #[error("{field} must be {what}")]
    Value {
        /// Where it stands.
        field: &'static str,
        /// What it must be.
        what: &'static str,
    },
    /// An egress rule cannot be used.
    #[error("allow: {0}")]
    Rule(String),
    /// The idempotency key stands for another request.
    #[error("this idempotency key was used with another request")]
    KeyReused,
    /// Tokens or keys could not be changed.
    #[error(transparent)]
    Auth(#[from] auth::Error),
    /// A tenant could not do it.
    #[error(transparent)]
    Tenants(#[from] tenants::Error),
    /// A backup could not be made or restored.
    #[error(transparent)]
    Backups(#[from] backups::Error),
    /// An account at a network could not be made or changed.
    #[error(transparent)]
    Accounts(#[from] accounts::Error),
    /// A terminal could not be served.
    #[error(transparent)]
    Programs(#[from] sandboxes::Error),
    /// The records failed.
    #[error("the records of idempotency keys failed")]
    Records(#[from] records::Error),
    /// What was asked for cannot be recorded, and is not done.
    #[error(transparent)]
    Unrecorded(#[from] audit::Unrecorded),
    /// The audit trail cannot be read.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// Nothing is recorded yet.
    #[error("nothing is recorded yet")]
    NoRecord,
    /// A reply has no JSON form.
    #[error("a reply could not be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// Evidence could not be signed.
    #[error("evidence could not be written")]
    Evidence(#[source] evidence::Error),
    /// The metrics have no text form.
    #[error("the metrics could not be written")]
    Metrics(#[source] std::fmt::Error),
    /// A handler panicked.
    #[error("a handler ended in a panic")]
    Panic(#[source] tokio::task::JoinError),
    /// The Unix socket could not be made.
    #[error("the control socket {} could not be made", path.display())]
    Socket {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Another gateway serves this state directory.
    #[error("another gateway answers at {}", .0.display())]
    SocketInUse(PathBuf),
}

impl Error {
    /// The code for programs.
    pub fn code(&self) -> Code {
        match self {
            Self::Unauthenticated(auth::Unauthenticated::LockedOut { .. }) => Code::RateLimited,
            Self::Unauthenticated(_) => Code::Unauthenticated,
            Self::Denied(denied) => denied_code(*denied),
            Self::NoPath | Self::NoRecord => Code::NotFound,
            Self::NoMethod => Code::MethodNotAllowed,
            Self::Address(_) | Self::Broken(_) | Self::Body(_) => Code::InvalidRequest,
            Self::Slow => Code::RequestTimeout,
            Self::TooLarge => Code::PayloadTooLarge,
            Self::Value { .. } | Self::Rule(_) => Code::InvalidValue,
            Self::KeyReused => Code::Conflict,
            Self::Auth(error) => auth_code(error),
            Self::Tenants(error) => Code::from_status(error.http_status()),
            Self::Backups(error) => Code::from_status(error.http_status()),
            Self::Accounts(error) => account_code(error),
            Self::Programs(error) => program_code(error),
            Self::Records(_)
            | Self::Unrecorded(_)
            | Self::Audit(_)
            | Self::Encode(_)
            | Self::Evidence(_)
            | Self::Metrics(_)
            | Self::Panic(_)
            | Self::Socket { .. }
            | Self::SocketInUse(_) => Code::Unavailable,
        }
    }

    /// The sentence for people: no path, no cause, no secret.
    pub fn public(&self) -> String {
        match self {
            Self::Tenants(error) => error.public(),
            Self::Backups(error) => error.public(),
            Self::Accounts(error) => error.public(),
            Self::Auth(auth::Error::Records(_) | auth::Error::Random(_))
            | Self::Records(_)
            | Self::Audit(_)
            | Self::Encode(_)
            | Self::Evidence(_)
            | Self::Metrics(_)
            | Self::Panic(_)
            | Self::Socket { .. }
            | Self::SocketInUse(_) => "the gateway cannot do this now".to_owned(),
            Self::Unauthenticated(auth::Unauthenticated::Missing) => {
                "an operator key is required: Authorization: Bearer ak_...".to_owned()
            }
            Self::Unauthenticated(_)
            | Self::Denied(_)
            | Self::NoPath
            | Self::NoMethod
            | Self::NoRecord
            | Self::Unrecorded(_)
            | Self::Address(_)
            | Self::Slow
            | Self::TooLarge
            | Self::Broken(_)
            | Self::Body(_)
            | Self::Value { .. }
            | Self::Rule(_)
            | Self::KeyReused
            | Self::Programs(_)
            | Self::Auth(_) => self.to_string(),
        }
    }

    /// The field of the request that is wrong, where it is one.
    pub fn field(&self) -> Option<String> {
        if let Self::Tenants(tenants::Error::InvalidLimit(error)) = self {
            // The sentence begins with the name of the field.
            return error.to_string().split(' ').next().map(|field| format!("limits.{field}"));
        }
        let field = if let Self::Value { field, .. } = self {
            *field
        } else if matches!(self, Self::Rule(_)) {
            "allow"
        } else if matches!(self, Self::Auth(auth::Error::NoScopes)) {
            "scopes"
        } else if matches!(self, Self::Auth(auth::Error::Label { .. })) {
            "label"
        } else if matches!(self, Self::Auth(auth::Error::Expiry)) {
            "expiresAt"
        } else {
            return None;
        };
        Some(field.to_owned())
    }

    /// Seconds after which trying again may help.
    pub const fn retry_after_s(&self) -> Option<u64> {
        if let Self::Tenants(error) = self {
            return error.retry_after_s();
        }
        if let Self::Backups(error) = self {
            return error.retry_after_s();
        }
        if let Self::Unrecorded(_) = self {
            return Some(1);
        }
        let Self::Unauthenticated(auth::Unauthenticated::LockedOut { retry_after_s }) = self else {
            return None;
        };
        Some(*retry_after_s)
    }
}

fn account_code(error: &accounts::Error) -> Code {
    use accounts::Error::{Changed, LoggedOut, Taken};
    if error.is_not_found() {
        return Code::NotFound;
    }
    if matches!(error, Taken(_) | Changed | LoggedOut) {
        return Code::Conflict;
    }
    if error.is_callers() { Code::InvalidValue } else { Code::Unavailable }
}

fn program_code(error: &sandboxes::Error) -> Code {
    match error.refusal() {
        Refusal::Invalid => Code::InvalidValue,
        Refusal::Forbidden => Code::Forbidden,
        Refusal::Missing => Code::NotFound,
        Refusal::Full => Code::RateLimited,
        Refusal::Unavailable => Code::Unavailable,
    }
}

const fn denied_code(denied: auth::Denied) -> Code {
    match denied {
        auth::Denied::Ended => Code::Unauthenticated,
        auth::Denied::Scope { .. }
        | auth::Denied::Role { .. }
        | auth::Denied::Suspended
        | auth::Denied::OtherTenant
        | auth::Denied::Wider
        | auth::Denied::LivesLonger => Code::Forbidden,
    }
}

const fn auth_code(error: &auth::Error) -> Code {
    match error {
        auth::Error::Denied(denied) => denied_code(*denied),
        auth::Error::NoTenant | auth::Error::NotFound => Code::NotFound,
        auth::Error::NoScopes | auth::Error::Label { .. } | auth::Error::Expiry => {
            Code::InvalidValue
        }
        auth::Error::TooMany { .. } => Code::Conflict,
        auth::Error::Records(_) | auth::Error::Random(_) => Code::Unavailable,
    }
}
