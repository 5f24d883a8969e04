//! What the operator says about providers, checked before anything is sent to one.

use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use ledger::Prices;
use types::Secret;

/// The longest model name, in bytes; it becomes a metric label and part of every reply.
const MAX_MODEL_NAME: usize = 128;

/// The longest provider name, in bytes.
const MAX_PROVIDER_NAME: usize = 32;

/// Providers and what to do when one fails.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whom to ask, in the operator's order.
    pub providers: Vec<Provider>,
    /// `PROVIDER/MODEL`: what an agent turn uses where its agent names none.
    pub default_model: String,
    /// `PROVIDER/MODEL` each: asked in this order when the model asked for fails for a reason that
    /// another may not share.
    pub fallbacks: Vec<String>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// One provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name in `PROVIDER/MODEL`, in metrics and in logs.
    pub name: String,
    /// The language that it speaks.
    pub kind: Kind,
    /// Where it is; ends in `/v1`. Read for [`Kind::Demo`] by nobody.
    pub base_url: String,
    /// What it knows the operator by.
    pub api_key: Option<Secret>,
    /// What may be asked of it; anything else is not sent.
    pub models: Vec<Model>,
}

/// The language that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `POST {base_url}/chat/completions`.
    OpenAi,
    /// `POST {base_url}/messages`.
    Anthropic,
    /// Built in, deterministic, without a model and without a network.
    Demo,
}

/// One model of a provider.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name at the provider.
    pub name: String,
    /// What it costs; a tenant with a limit on cost may only use models that have a price.
    pub prices: Prices,
}

/// How long to wait for what. Each counts from the moment that it names.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// From the start of a connection until it can be used, TLS included.
    pub connect: Duration,
    /// From the start of an attempt until the first event of the answer; models that reason may
    /// think for minutes.
    pub first_byte: Duration,
    /// Between two reads of an answer.
    pub idle: Duration,
    /// From the start of a request to the end of its answer, all attempts included.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_mins(2),
            idle: Duration::from_mins(1),
            total: Duration::from_mins(15),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A provider's name is not usable or not its own.
    #[error(
        "provider {name:?}: the name must match ^[a-z0-9][a-z0-9_-]*$, have at most 32 characters, and be used once"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A provider's address cannot be read.
    #[error("provider {name}: baseUrl cannot be read as a URL")]
    Url {
        /// The provider.
        name: String,
        /// What is wrong with it.
        #[source]
        source: http::uri::InvalidUri,
    },
    /// A provider's address is of the wrong kind.
    #[error(
        "provider {name}: baseUrl must be http:// or https:// with a host, without user, password or query"
    )]
    Address {
        /// The provider.
        name: String,
    },
    /// A provider's key holds characters that no HTTP header can carry.
    #[error("provider {name}: apiKey holds characters that a header cannot carry")]
    Key {
        /// The provider.
        name: String,
        /// What is wrong with it; says nothing of the key.
        #[source]
        source: http::header::InvalidHeaderValue,
    },
    /// A provider without models, or with a name of a model that cannot be used.
    #[error(
        "provider {name}: models must name at least one model, each of 1 to 128 visible characters"
    )]
    Models {
        /// The provider.
        name: String,
    },
    /// A reference to a model that no provider lists.
    #[error("{what} names {model:?}, which no provider lists")]
    Unlisted {
        /// The setting.
        what: &'static str,
        /// The model.
        model: String,
    },
    /// The TLS library refuses its own settings.
    #[error("TLS to providers cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl Provider {
    /// Whether name and models can be used.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let name = || self.name.clone();
        let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = self.name.as_bytes();
        let named = bytes.len() <= MAX_PROVIDER_NAME
            && bytes.first().is_some_and(plain)
            && bytes.iter().all(|byte| plain(byte) || matches!(byte, b'_' | b'-'));
        if !named {
            return Err(Error::Name { name: name() });
        }
        let usable = |model: &Model| {
            (1..=MAX_MODEL_NAME).contains(&model.name.len())
                && model.name.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if self.models.is_empty() || !self.models.iter().all(usable) {
            return Err(Error::Models { name: name() });
        }
        Ok(())
    }

    /// The address, without a slash at its end.
    pub(crate) fn address(&self) -> Result<Uri, Error> {
        let name = || self.name.clone();
        let text = self.base_url.trim_end_matches('/');
        let uri: Uri = text.parse().map_err(|source| Error::Url { name: name(), source })?;
        let scheme = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().is_some_and(|host| !host.is_empty());
        let user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if scheme && host && !user && uri.query().is_none() {
            Ok(uri)
        } else {
            Err(Error::Address { name: name() })
        }
    }
}
