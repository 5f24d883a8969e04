//! Why something cannot be done with an account.

/// Something that was asked of an account.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no network of this name.
    #[error("unknown channel: {0}")]
    Channel(String),
    /// There is no such account.
    #[error("there is no account {name} of {channel}")]
    Account {
        /// Of which network.
        channel: String,
        /// Called how.
        name: String,
    },
    /// A field is not as it should be.
    #[error("{field}: {problem}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Something of the account is another's.
    #[error("{0} is registered already")]
    Taken(&'static str),
    /// Somebody else has changed the account meanwhile.
    #[error("the account was changed meanwhile; try again")]
    Changed,
    /// The network does not know the credential, or cannot be asked.
    #[error("{0}")]
    Probe(String),
    /// Nobody was told this code, or it is too old.
    #[error("no request waits with this code")]
    Code,
    /// The account has no credentials.
    #[error("the account is logged out; remove it and add it again")]
    LoggedOut,
    /// The records failed.
    #[error("the records of channels failed")]
    Records(#[source] records::Error),
    /// A credential cannot be sealed or opened.
    #[error("a credential cannot be sealed or opened")]
    Sealed(#[source] settings::VaultError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl Error {
    /// Whether it is the caller's mistake, whose sentence it may read; else it is ours.
    pub const fn is_callers(&self) -> bool {
        match self {
            Self::Records(err) => {
                matches!(err, records::Error::TooLarge { .. } | records::Error::NotFound)
            }
            Self::Sealed(_) | Self::Random => false,
            Self::Channel(_)
            | Self::Account { .. }
            | Self::Field { .. }
            | Self::Taken(_)
            | Self::Changed
            | Self::Probe(_)
            | Self::Code
            | Self::LoggedOut => true,
        }
    }

    /// Whether there is nothing of the name that was asked for.
    pub const fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Channel(_)
                | Self::Account { .. }
                | Self::Code
                | Self::Records(records::Error::NotFound)
        )
    }

    /// What the caller is told.
    pub fn public(&self) -> String {
        if !self.is_callers() {
            return "the records of channels failed".to_owned();
        }
        if let Self::Records(err) = self { err.to_string() } else { self.to_string() }
    }
}

impl From<records::Error> for Error {
    fn from(err: records::Error) -> Self {
        Self::Records(err)
    }
}

impl From<settings::VaultError> for Error {
    fn from(err: settings::VaultError) -> Self {
        Self::Sealed(err)
    }
}
