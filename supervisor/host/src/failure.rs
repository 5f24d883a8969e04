//! Why a model call failed: what the tenant is told, what is counted, and whether another try may
//! help. The causes stay in the log.

use std::time::Duration;

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use types::{Cause, Limited};

use crate::metrics::Outcome;
use crate::sse;

/// The longest message of a provider that is passed on, in characters.
const MAX_MESSAGE: usize = 500;

/// How long a provider's wish to be left alone may be for the request to wait for it.
const SHORT_RETRY_AFTER: Duration = Duration::from_secs(2);

/// Seconds after which trying again may help where the provider does not say.
const DEFAULT_RETRY_AFTER_S: u64 = 5;

/// A model call that failed. The words are public: none of them holds an address or a key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection.
    #[error("the model's provider cannot be reached")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The connection broke.
    #[error("the connection to the model's provider broke")]
    Cut(#[source] hyper::Error),
    /// Too slow.
    #[error("the model's provider did not {} in time", .0.name())]
    Slow(Wait),
    /// The provider has a limit of its own.
    #[error("the model's provider takes no more requests at the moment")]
    Busy {
        /// What the provider asked for.
        retry_after: Option<Duration>,
    },
    /// The provider failed.
    #[error("the model's provider failed")]
    Broken {
        /// HTTP status; 0 where it was said within a stream.
        status: u16,
    },
    /// The provider does not know the gateway: a person must act.
    #[error("the model's provider cannot be used at the moment")]
    Credentials {
        /// HTTP status.
        status: u16,
    },
    /// The provider does not know the model that the operator lists.
    #[error("the model's provider does not have this model")]
    Unknown,
    /// The provider refuses the request itself.
    #[error("{message}")]
    Refused {
        /// In the provider's words, cut and cleaned.
        message: String,
    },
    /// The answer is not what it should be.
    #[error("the answer of the model's provider cannot be read")]
    Garbled(#[source] Garbled),
    /// The answer ended before it was complete.
    #[error("the model's provider ended its answer early")]
    Early,
    /// A limit leaves nothing for the rest of the answer.
    #[error("{0}")]
    Limit(Box<ledger::Refusal>),
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Garbled {
    /// Not an event stream.
    #[error("it is not an event stream")]
    Type,
    /// Not a vector of usable numbers for each text.
    #[error("it does not hold one vector for each text, or too much")]
    Vectors,
    /// Not bounded.
    #[error(transparent)]
    TooLong(#[from] sse::TooLong),
    /// Not the JSON that the provider's language has.
    ///
    /// Only the place is kept: the parser's own words may quote what a tenant said or was told.
    #[error("an event cannot be parsed at column {column}")]
    Json {
        /// Where in the event's data.
        column: usize,
    },
}

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Connect,
    FirstByte,
    Idle,
    Total,
}

/// What to do after a failure as long as nothing was streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask the same provider again, not before so long.
    Again(Duration),
    /// Ask another provider.
    Other,
    /// Every provider would answer the same.
    Stop,
}

impl Wait {
    const fn name(self) -> &'static str {
        match self {
            Self::Connect => "accept a connection",
            Self::FirstByte => "begin its answer",
            Self::Idle => "go on with its answer",
            Self::Total => "finish its answer",
        }
    }
}

impl From<sse::TooLong> for Failure {
    fn from(err: sse::TooLong) -> Self {
        Self::Garbled(err.into())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(err: serde_json::Error) -> Self {
        Self::Garbled(Garbled::Json { column: err.column() })
    }
}

impl Failure {
    /// What an HTTP status other than success means; `message` is the provider's, for people.
    pub(crate) fn from_status(
        status: u16,
        retry_after: Option<Duration>,
        message: Option<&str>,
    ) -> Self {
        match status {
            401 | 402 | 403 | 407 => Self::Credentials { status },
            404 => Self::Unknown,
            429 => Self::Busy { retry_after },
            408 | 409 | 425 => Self::Broken { status },
            400..=499 => Self::Refused { message: clean(message) },
            // Redirects among them: nobody but the operator says where a key goes.
            0..=399 => Self::Garbled(Garbled::Type),
            _ => Self::Broken { status },
        }
    }

    /// What to do next where nothing was streamed yet.
    pub(crate) fn next(&self) -> Next {
        match self {
            Self::Busy { retry_after: Some(wait) } if *wait > SHORT_RETRY_AFTER => Next::Other,
            Self::Busy { retry_after } => Next::Again(retry_after.unwrap_or_default()),
            Self::Connect(_) | Self::Cut(_) | Self::Broken { .. } | Self::Early => {
                Next::Again(Duration::ZERO)
            }
            Self::Slow(Wait::Total) | Self::Refused { .. } | Self::Limit(_) => Next::Stop,
            Self::Slow(_) | Self::Credentials { .. } | Self::Unknown | Self::Garbled(_) => {
                Next::Other
            }
        }
    }

    /// Whether the provider is known to have done nothing that it will charge for.
    pub(crate) const fn is_free(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Slow(Wait::Connect)
            | Self::Busy { .. }
            | Self::Credentials { .. }
            | Self::Unknown
            | Self::Refused { .. } => true,
            Self::Broken { status } => *status != 0,
            Self::Cut(_) | Self::Slow(_) | Self::Garbled(_) | Self::Early | Self::Limit(_) => false,
        }
    }

    /// The provider's HTTP status, where that is what failed; for the log.
    pub(crate) const fn http_status(&self) -> Option<u16> {
        match self {
            Self::Broken { status } | Self::Credentials { status } => Some(*status),
            Self::Unknown => Some(404),
            Self::Busy { .. } => Some(429),
            Self::Connect(_)
            | Self::Cut(_)
            | Self::Slow(_)
            | Self::Refused { .. }
            | Self::Garbled(_)
            | Self::Early
            | Self::Limit(_) => None,
        }
    }

    /// How it is counted.
    pub(crate) const fn outcome(&self) -> Outcome {
        match self {
            Self::Slow(_) => Outcome::Timeout,
            Self::Busy { .. } => Outcome::RateLimited,
            Self::Refused { .. } => Outcome::Invalid,
            Self::Limit(_) => Outcome::Limited,
            Self::Connect(_)
            | Self::Cut(_)
            | Self::Broken { .. }
            | Self::Credentials { .. }
            | Self::Unknown
            | Self::Garbled(_)
            | Self::Early => Outcome::Unavailable,
        }
    }

    /// What the worker is told.
    pub(crate) fn status(&self) -> Status {
        let (code, retry_after_s) = match self {
            Self::Limit(refusal) => return refused(refusal),
            Self::Slow(_) => (Code::DeadlineExceeded, None),
            Self::Refused { .. } => (Code::InvalidArgument, None),
            Self::Unknown => (Code::NotFound, None),
            Self::Busy { retry_after } => {
                let seconds = retry_after.map(|wait| wait.as_secs().max(1));
                (Code::ResourceExhausted, Some(seconds.unwrap_or(DEFAULT_RETRY_AFTER_S)))
            }
            Self::Connect(_)
            | Self::Cut(_)
            | Self::Broken { .. }
            | Self::Credentials { .. }
            | Self::Garbled(_)
            | Self::Early => (Code::Unavailable, None),
        };
        status(code, self.to_string(), retry_after_s)
    }
}

/// A refusal of a limit. The worker is told all of it, to tell its client the same as the supervisor
/// would.
pub(crate) fn refused(refusal: &ledger::Refusal) -> Status {
    let limited = Limited::from(refusal);
    let code = match limited.cause {
        Cause::Reached | Cause::PriceUnknown => Code::ResourceExhausted,
        Cause::Unwritable => Code::Unavailable,
    };
    let details = serde_json::to_vec(&limited).unwrap_or_default();
    let wait = limited.retry_after_seconds;
    let status = Status::with_details(code, limited.to_string(), details.into());
    after(status, (wait > 0).then_some(wait))
}

/// Too much of one tenant is under way at this moment.
pub(crate) fn busy(message: &str) -> Status {
    status(Code::ResourceExhausted, message.to_owned(), Some(1))
}

fn status(code: Code, message: String, retry_after_s: Option<u64>) -> Status {
    after(Status::new(code, message), retry_after_s)
}

fn after(mut status: Status, retry_after_s: Option<u64>) -> Status {
    if let Some(seconds) = retry_after_s {
        status.metadata_mut().insert("retry-after", MetadataValue::from(seconds));
    }
    status
}

/// A provider's message in a form that can be shown: one line, bounded.
fn clean(message: Option<&str>) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let message: String =
        message.unwrap_or_default().chars().map(plain).take(MAX_MESSAGE).collect();
    let message = message.trim();
    if message.is_empty() {
        "the model's provider refuses the request".to_owned()
    } else {
        message.to_owned()
    }
}
