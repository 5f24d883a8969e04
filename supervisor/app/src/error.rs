//! Why a gateway could not be started.

/// A gateway that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The records cannot be opened.
    #[error("the records cannot be opened")]
    Records(#[source] records::Error),
    /// Tokens and keys cannot be read.
    #[error("tokens and keys cannot be read")]
    Auth(#[source] auth::Error),
    /// The providers cannot be used.
    #[error("the providers cannot be used")]
    Host(#[source] host::Error),
    /// The way out cannot be made.
    #[error("the way out of tenants cannot be made")]
    Egress(#[source] egress::Error),
    /// The books cannot be opened.
    #[error("the books cannot be opened")]
    Books(#[source] books::Error),
    /// The operator's webhook cannot be used.
    #[error("the operator's webhook cannot be used")]
    Alerts(#[source] alerts::Error),
    /// The tenants cannot be read.
    #[error("the tenants cannot be read")]
    Tenants(#[source] tenants::Error),
    /// A restore that was under way cannot be undone.
    #[error("a restore that was under way cannot be undone")]
    Backups(#[source] backups::Error),
    /// The accounts at chat networks cannot be read.
    #[error("the accounts at chat networks cannot be read")]
    Accounts(#[source] accounts::Error),
    /// A socket cannot be listened on.
    #[error("{what} cannot be listened on")]
    Listen {
        /// Which socket.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The control socket cannot be listened on.
    #[error("the control socket cannot be listened on")]
    Control(#[source] control::Error),
    /// The audit trail cannot be kept.
    #[error("audit")]
    Audit(#[source] audit::Error),
    /// The key under which secrets are sealed.
    #[error("secrets")]
    Seal(#[source] settings::VaultError),
    /// The key under which evidence is signed.
    #[error("the key of evidence")]
    Evidence(#[source] evidence::KeyError),
    /// The machine does not give what the configuration demands.
    #[error("required by the configuration and not given by this machine: {}", .0.join(", "))]
    Required(Vec<String>),
}
