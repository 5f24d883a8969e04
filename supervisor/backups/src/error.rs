//! Why a backup was not made or not restored, with a face for the client and one for the log.

use types::TenantId;

use crate::format::Broken;
use crate::store;

/// A backup or restore that failed. Nothing is half done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator has named no store.
    #[error("no store for backups is configured; set backup.store")]
    NoStore,
    /// There is no such tenant.
    #[error("there is no such tenant")]
    NoTenant,
    /// There is no such backup of this tenant.
    #[error("there is no such backup")]
    NotFound,
    /// The tenant is there, and nobody said that it is to be replaced.
    #[error("the tenant {0} exists; say with force that it is to be replaced")]
    Exists(TenantId),
    /// A backup or restore of the tenant is under way.
    #[error("a backup or restore of this tenant is under way")]
    Busy,
    /// The tenant asks too often.
    #[error("too many backups; try again in {retry_after_s} s")]
    TooOften {
        /// Seconds until the next one may be made.
        retry_after_s: u64,
    },
    /// The tenant has as many backups as it may have.
    #[error("the tenant has {max} backups already; remove old ones first")]
    TooMany {
        /// How many it may have.
        max: usize,
    },
    /// The key that the backup was sealed with is not here.
    #[error("the backup was sealed with a key that is not here; restore it with the exported key")]
    NoKey,
    /// A file is no exported key, or that of another tenant.
    #[error("this is not the exported key of the backup's tenant")]
    KeyFile,
    /// The backup is not as it was written.
    #[error("the backup cannot be used: {0}")]
    Broken(#[from] Broken),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The archive in it cannot be unpacked.
    #[error("the archive in the backup cannot be unpacked: {0}")]
    Archive(String),
    /// The tenant does not work with what was restored; it has again what it had.
    #[error("the tenant does not start with what was restored and was left as it was")]
    Unproven(#[source] tenants::Error),
    /// The tenant's worker failed.
    #[error("the tenant's data could not be read or written")]
    Tenants(#[source] tenants::Error),
    /// The records failed.
    #[error("the records of the tenant could not be read or written")]
    Records(#[source] records::Error),
    /// The secrets failed.
    #[error("the secrets of the tenant could not be opened or sealed")]
    Settings(#[source] settings::Error),
    /// Tokens failed.
    #[error("the tokens of the tenant could not be read or made")]
    Auth(#[source] auth::Error),
    /// It cannot be recorded, and is not done.
    #[error(transparent)]
    Unrecorded(#[from] audit::Unrecorded),
    /// The system gave no random bytes.
    #[error("no random bytes")]
    Random(#[source] ring::error::Unspecified),
    /// The gateway is going down.
    #[error("the gateway is shutting down")]
    ShuttingDown,
    /// A task of the supervisor ended in a panic.
    #[error("an internal task failed")]
    Task(#[source] tokio::task::JoinError),
}

impl Error {
    /// The HTTP status that says it to a client.
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::NoTenant | Self::NotFound | Self::Store(store::Error::NotFound) => 404,
            Self::Exists(_)
            | Self::Busy
            | Self::TooMany { .. }
            | Self::Broken(_)
            | Self::Archive(_) => 409,
            Self::TooOften { .. } => 429,
            Self::NoKey | Self::KeyFile => 422,
            Self::Tenants(error) | Self::Unproven(error) => error.http_status(),
            Self::NoStore
            | Self::Store(_)
            | Self::Records(_)
            | Self::Settings(_)
            | Self::Auth(_)
            | Self::Unrecorded(_)
            | Self::Random(_)
            | Self::ShuttingDown
            | Self::Task(_) => 503,
        }
    }

    /// What a client is told: no path, no address, no cause, no other tenant.
    pub fn public(&self) -> String {
        match self {
            Self::Tenants(error) => error.public(),
            Self::Store(store::Error::Failed { .. }) => "the store for backups failed".to_owned(),
            Self::Records(_)
            | Self::Settings(_)
            | Self::Auth(_)
            | Self::Random(_)
            | Self::Task(_) => "the gateway cannot do this now".to_owned(),
            Self::NoStore
            | Self::NoTenant
            | Self::NotFound
            | Self::Exists(_)
            | Self::Busy
            | Self::TooOften { .. }
            | Self::TooMany { .. }
            | Self::NoKey
            | Self::KeyFile
            | Self::Broken(_)
            | Self::Store(_)
            | Self::Archive(_)
            | Self::Unproven(_)
            | Self::Unrecorded(_)
            | Self::ShuttingDown => self.to_string(),
        }
    }

    /// Seconds after which trying again may help.
    pub const fn retry_after_s(&self) -> Option<u64> {
        if let Self::TooOften { retry_after_s } = self {
            return Some(*retry_after_s);
        }
        if matches!(self, Self::Busy) { Some(5) } else { None }
    }

    /// Whether it is the caller's mistake, of which nobody else need hear.
    pub const fn is_callers(&self) -> bool {
        matches!(
            self,
            Self::NoStore
                | Self::NoTenant
                | Self::NotFound
                | Self::Exists(_)
                | Self::Busy
                | Self::TooOften { .. }
                | Self::NoKey
                | Self::KeyFile
        )
    }

    /// One word for metrics, alerts and the audit trail.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NoStore => "no_store",
            Self::NoTenant | Self::NotFound => "not_found",
            Self::Exists(_) => "exists",
            Self::Busy | Self::TooOften { .. } | Self::TooMany { .. } => "too_many",
            Self::NoKey | Self::KeyFile => "no_key",
            Self::Broken(_) => "broken",
            Self::Store(store::Error::Full(_)) => "store_full",
            Self::Store(store::Error::Refused(_)) => "store_refused",
            Self::Store(store::Error::NoBucket(_)) => "store_missing",
            Self::Store(_) => "store_failed",
            Self::Archive(_) => "archive",
            Self::Unproven(_) => "unproven",
            Self::Tenants(_) => "worker",
            Self::Unrecorded(_) => "unrecorded",
            Self::Records(_)
            | Self::Settings(_)
            | Self::Auth(_)
            | Self::Random(_)
            | Self::Task(_) => "internal",
            Self::ShuttingDown => "shutting_down",
        }
    }
}
