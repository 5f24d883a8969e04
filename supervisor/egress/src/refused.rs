//! Why something was not reached: a status for the worker, another for the proxy's client, a
//! sentence for both and for the tenant's log.

use std::io;

use http::StatusCode;
use tonic::{Code, Status};
use types::Chain;

use crate::address::Class;
use crate::target::BadTarget;

/// Why something was not reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{0}")]
    Malformed(&'static str),
    #[error("the address cannot be used")]
    Target(#[from] BadTarget),
    #[error("the tenant's settings forbid web_fetch")]
    Tool,
    #[error(
        "the tenant's settings have an entry of tools.egress.deny that is no rule: all is denied"
    )]
    Fault,
    #[error("no egress rule of the operator's allows it")]
    NoRule,
    #[error("none of the tenant's own tools.egress.allow allows it")]
    Narrowed,
    #[error("the tenant's own tools.egress.deny forbids it: {rule}")]
    Denied { rule: String },
    #[error("the host's address is not public: {class}")]
    Address { class: Class },
    #[error("the host's address is this machine's own")]
    Own,
    #[error("a redirect leads from https to http")]
    Downgrade,
    #[error("the server name in the TLS greeting is not the host of the tunnel")]
    ServerName,
    #[error("what was sent through the tunnel is not TLS")]
    NotTls,
    #[error("more than {most} redirects")]
    Redirects { most: u32 },
    #[error("too many requests of this tenant are under way")]
    Busy,
    #[error("this tenant has used up its bytes of today")]
    Budget,
    #[error("{0}")]
    Limit(Box<ledger::Refusal>),
    #[error("it took too long")]
    Slow,
    #[error("the host's name was not resolved")]
    Names(#[source] io::Error),
    #[error("the host has more addresses than are looked at")]
    Addresses,
    #[error("the host could not be connected to")]
    Connect(#[source] io::Error),
    #[error("no TLS with the host")]
    Tls(#[source] io::Error),
    #[error("the certificate of the host is no good: no TLS with it")]
    Certificate(#[source] io::Error),
    #[error("the connection to the host broke")]
    Cut(#[source] hyper::Error),
    #[error("the host compresses what was asked for as it is")]
    Encoding,
    #[error("the body has more than {most} bytes: the rest was not read")]
    Long { most: usize },
}

/// How a request ended, in metrics.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, prometheus_client::encoding::EncodeLabelValue,
)]
pub(crate) enum Outcome {
    Ok,
    Invalid,
    Refused,
    Limited,
    Slow,
    Failed,
}

impl Refused {
    pub(crate) const fn outcome(&self) -> Outcome {
        match self {
            Self::Malformed(_) | Self::Target(_) => Outcome::Invalid,
            Self::Tool
            | Self::Fault
            | Self::NoRule
            | Self::Narrowed
            | Self::Denied { .. }
            | Self::Address { .. }
            | Self::Own
            | Self::Downgrade
            | Self::ServerName
            | Self::NotTls
            | Self::Certificate(_) => Outcome::Refused,
            Self::Redirects { .. }
            | Self::Busy
            | Self::Budget
            | Self::Limit(_)
            | Self::Long { .. } => Outcome::Limited,
            Self::Slow => Outcome::Slow,
            Self::Names(_)
            | Self::Addresses
            | Self::Connect(_)
            | Self::Tls(_)
            | Self::Cut(_)
            | Self::Encoding => Outcome::Failed,
        }
    }

    /// What the proxy answers.
    pub(crate) const fn status(&self) -> StatusCode {
        match self.outcome() {
            Outcome::Ok => StatusCode::OK,
            Outcome::Invalid => StatusCode::BAD_REQUEST,
            Outcome::Refused => StatusCode::FORBIDDEN,
            Outcome::Limited => StatusCode::TOO_MANY_REQUESTS,
            Outcome::Slow => StatusCode::GATEWAY_TIMEOUT,
            Outcome::Failed => StatusCode::BAD_GATEWAY,
        }
    }

    /// What the tenant's log calls it: a decision or a mishap.
    pub(crate) fn word(&self) -> &'static str {
        if self.outcome() == Outcome::Failed { "failed" } else { "refused" }
    }

    /// Why there is no TLS with a host.
    pub(crate) fn tls(err: io::Error) -> Self {
        let cause = err.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::InvalidCertificate(_)) => Self::Certificate(err),
            _ => Self::Tls(err),
        }
    }
}

impl From<&Refused> for Status {
    fn from(refused: &Refused) -> Self {
        let code = match refused.outcome() {
            Outcome::Ok => Code::Ok,
            Outcome::Invalid => Code::InvalidArgument,
            Outcome::Refused => Code::PermissionDenied,
            Outcome::Limited => Code::ResourceExhausted,
            Outcome::Slow => Code::DeadlineExceeded,
            Outcome::Failed => Code::Unavailable,
        };
        Self::new(code, Chain(refused).to_string())
    }
}
