//! Why a tenant's request was not answered, with the two faces of each reason: what the client is
//! told, and the chain of causes for the log.

use sandbox::Finding;

use crate::starts::RETRY_AFTER_S;

/// A request to or about a tenant that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such tenant.
    #[error("there is no such tenant")]
    NotFound,
    /// A tenant of that name exists.
    #[error("a tenant of this id exists already")]
    Exists,
    /// An operator suspended the tenant.
    #[error("the tenant is suspended")]
    Suspended,
    /// The worker crashed too often.
    #[error("the tenant's worker crashed repeatedly and is parked for {retry_after_s} s")]
    Parked {
        /// Seconds until the next start is tried.
        retry_after_s: u64,
    },
    /// All workers that there may be are at work, or too many are about to start.
    #[error("all workers are busy; try again in {RETRY_AFTER_S} s")]
    Full,
    /// A limit of the tenant is reached.
    #[error("{0}")]
    Refused(Box<ledger::Refusal>),
    /// A limit is outside what can be enforced.
    #[error("{0}")]
    InvalidLimit(types::InvalidLimit),
    /// The kernel does not describe the worker as it should be.
    #[error("the worker's confinement differs from what was ordered in {} points", .0.len())]
    Unverified(Vec<Finding>),
    /// The worker answered with another version than the supervisor's.
    #[error("the worker is of another version")]
    Version,
    /// The launcher failed.
    #[error("the launcher could not do it")]
    Launcher(#[source] sandbox::Error),
    /// A system call of the supervisor failed.
    #[error("the worker's sockets could not be made")]
    Sockets(#[source] std::io::Error),
    /// The pair to the worker failed.
    #[error("the worker could not be reached")]
    Pair(#[source] runtime::pair::Error),
    /// The worker refused to start.
    #[error("the worker did not start")]
    Start(#[source] Box<tonic::Status>),
    /// The worker ended before the answer did.
    #[error("the tenant's worker ended before the answer did")]
    WorkerGone,
    /// The worker answered with a failure.
    #[error("the worker failed")]
    Worker(#[source] Box<tonic::Status>),
    /// Evidence of the tenant's boundary is being gathered already.
    #[error("evidence of this tenant is being gathered already")]
    Busy,
    /// An archive of the tenant is being made, or one is being unpacked, already.
    #[error("an archive of this tenant is being made or unpacked already")]
    Archiving,
    /// The worker refused to unpack the archive; its reason, shortened.
    #[error("{0}")]
    BadArchive(String),
    /// What is in the archive does not fit on the tenant's disk.
    #[error("the archive does not fit on the tenant's disk")]
    NoRoom,
    /// The worker's archive is longer than anything that it could have, or has no end.
    #[error("the worker's archive is not whole")]
    NotWhole,
    /// Whoever brings the archive failed.
    #[error("the archive could not be read")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What probes are to reach for cannot be made ready.
    #[error("the probes could not be prepared")]
    Outside(#[source] std::io::Error),
    /// The answer took too long.
    #[error("the tenant's worker did not answer in time")]
    Timeout,
    /// The gateway is going down.
    #[error("the gateway is shutting down")]
    ShuttingDown,
    /// The records failed.
    #[error("the records could not be read or written")]
    Records(#[source] records::Error),
    /// The books failed.
    #[error("the books could not be read")]
    Books(#[source] books::Error),
    /// The tenant's settings failed.
    #[error("the tenant's settings could not be read")]
    Settings(#[source] settings::Error),
    /// Programs cannot be run as the operator says.
    #[error("programs cannot be run as configured")]
    Sandboxes(#[source] sandboxes::StartError),
    /// What came for the tenant, or what it sends, could not be kept.
    #[error("it could not be kept")]
    Delivery(#[from] delivery::Error),
    /// The same, as whoever brought it together with somebody else is told.
    #[error("it could not be kept; send it again")]
    NotKept,
    /// It had come before, and was given up.
    #[error("the event {event} was given up: {why}; {then}")]
    GivenUp {
        /// Its id.
        event: String,
        /// Why.
        why: String,
        /// What may be done about it.
        then: &'static str,
    },
    /// The certificate of an erasure cannot be made or kept.
    #[error("the erasure cannot be certified")]
    Certificate(#[source] std::io::Error),
    /// The audit trail cannot be written.
    #[error("the erasure cannot be recorded")]
    Unrecorded(#[source] audit::Unrecorded),
    /// A task of the supervisor ended in a panic.
    #[error("an internal task failed")]
    Task(#[source] tokio::task::JoinError),
}

impl Error {
    /// The HTTP status that says it to a client.
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::NotFound | Self::Delivery(delivery::Error::NotFound) => 404,
            Self::Exists
            | Self::Busy
            | Self::Archiving
            | Self::GivenUp { .. }
            | Self::Delivery(delivery::Error::State { .. }) => 409,
            Self::Suspended => 403,
            Self::Refused(refusal) if matches!(refusal.why, ledger::Why::Unwritable) => 503,
            Self::Refused(_) => 429,
            Self::InvalidLimit(_) | Self::BadArchive(_) | Self::NoRoom => 422,
            Self::Timeout => 504,
            Self::Delivery(delivery::Error::TooLarge { .. }) => 413,
            Self::Parked { .. }
            | Self::Full
            | Self::Unverified(_)
            | Self::Version
            | Self::Launcher(_)
            | Self::Sockets(_)
            | Self::Outside(_)
            | Self::NotWhole
            | Self::Source(_)
            | Self::Pair(_)
            | Self::Start(_)
            | Self::WorkerGone
            | Self::Worker(_)
            | Self::ShuttingDown
            | Self::Records(_)
            | Self::Books(_)
            | Self::Settings(_)
            | Self::Sandboxes(_)
            | Self::Delivery(_)
            | Self::NotKept
            | Self::Certificate(_)
            | Self::Unrecorded(_)
            | Self::Task(_) => 503,
        }
    }

    /// What a client is told: no path, no cause, no other tenant.
    pub fn public(&self) -> String {
        match self {
            Self::NotFound
            | Self::Exists
            | Self::Suspended
            | Self::Parked { .. }
            | Self::Full
            | Self::Refused(_)
            | Self::InvalidLimit(_)
            | Self::WorkerGone
            | Self::Busy
            | Self::Archiving
            | Self::BadArchive(_)
            | Self::NoRoom
            | Self::NotWhole
            | Self::Source(_)
            | Self::Timeout
            | Self::NotKept
            | Self::GivenUp { .. }
            | Self::ShuttingDown => self.to_string(),
            Self::Delivery(
                err @ (delivery::Error::Full { .. }
                | delivery::Error::TooLarge { .. }
                | delivery::Error::NotFound
                | delivery::Error::State { .. }),
            ) => err.to_string(),
            Self::Unverified(_)
            | Self::Version
            | Self::Launcher(_)
            | Self::Sockets(_)
            | Self::Pair(_)
            | Self::Start(_)
            | Self::Worker(_) => "the tenant's worker could not be started or reached".to_owned(),
            Self::Records(_)
            | Self::Books(_)
            | Self::Settings(_)
            | Self::Sandboxes(_)
            | Self::Outside(_)
            | Self::Delivery(_)
            | Self::Certificate(_)
            | Self::Unrecorded(_)
            | Self::Task(_) => "the gateway cannot do this now".to_owned(),
        }
    }

    /// Seconds after which trying again may help.
    pub const fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Parked { retry_after_s } => Some(*retry_after_s),
            Self::Refused(refusal) => Some(refusal.retry_after_s),
            Self::Full => Some(RETRY_AFTER_S),
            Self::WorkerGone
            | Self::Busy
            | Self::Archiving
            | Self::ShuttingDown
            | Self::Worker(_)
            | Self::NotKept
            | Self::Pair(_) => Some(1),
            Self::Unverified(_)
            | Self::Version
            | Self::Launcher(_)
            | Self::Sockets(_)
            | Self::Outside(_)
            | Self::Start(_)
            | Self::Records(_)
            | Self::Books(_)
            | Self::Settings(_)
            | Self::Sandboxes(_)
            | Self::Delivery(
                delivery::Error::Full { .. }
                | delivery::Error::Records(_)
                | delivery::Error::Sealed(_),
            )
            | Self::Certificate(_)
            | Self::Unrecorded(_)
            | Self::Task(_) => Some(5),
            Self::NotFound
            | Self::Exists
            | Self::Suspended
            | Self::InvalidLimit(_)
            | Self::BadArchive(_)
            | Self::NoRoom
            | Self::NotWhole
            | Self::Source(_)
            | Self::GivenUp { .. }
            | Self::Delivery(
                delivery::Error::TooLarge { .. }
                | delivery::Error::NotFound
                | delivery::Error::State { .. },
            )
            | Self::Timeout => None,
        }
    }
}
