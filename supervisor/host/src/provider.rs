//! One provider, and what its language has in common with the others: a body out, events in.

mod anthropic;
mod demo;
mod embeddings;
mod figure;
mod openai;

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use http::uri::Authority;
use http::{StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use ledger::Hold;
use proto::host::llm_event::Event;
use proto::host::{LlmEvent, LlmRequest, Usage};
use serde::Deserialize;
use types::Secret;

use crate::client::{Answer, Client};
use crate::config::{Error, Kind, Timeouts};
use crate::failure::{Failure, Garbled};
use crate::json;

use figure::Figure;

pub(crate) use demo::Speech;
pub(crate) use embeddings::{MAX_DIMENSIONS, MAX_NUMBERS, demo_vectors, tokens};

/// Bytes of an error's body that are read; what it says stands at its beginning.
const MAX_ERROR_BODY: usize = 64 << 10;

/// The shortest piece of a key whose appearance in a message keeps the message back.
const KEY_PIECE: usize = 8;

/// Anthropic's version of the Messages API; the newest there is.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// One provider.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) way: Way,
}

/// How a provider is asked.
#[derive(Debug)]
pub(crate) enum Way {
    /// Over the network.
    Remote(Box<Remote>),
    /// By calling a function.
    Demo,
}

/// A provider on the network.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) client: Client,
    /// Where embeddings are made, if the provider's language has them.
    embeddings: Option<Client>,
    language: Language,
    api_key: Option<Secret>,
}

#[derive(Debug, Clone, Copy)]
enum Language {
    OpenAi(openai::Bound),
    Anthropic,
}

/// A request that cannot be put into the provider's language.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Invalid {
    /// JSON that is not passed on.
    #[error("`{0}` {1}")]
    Json(&'static str, json::Error),
    /// JSON of another form than `OpenAI`'s.
    #[error("`{0}` is not of the form that OpenAI's API has: {1}")]
    Form(&'static str, serde_json::Error),
    /// A role is missing.
    #[error("a message has no role")]
    Role,
    /// An image that no provider is asked to fetch.
    #[error("an image must be an https: or data: URL")]
    Image,
    /// Something that the model asked for does not have.
    #[error("the model does not have `{0}`")]
    Missing(&'static str),
    /// A provider whose language has no embeddings.
    #[error("the provider of this model makes no embeddings")]
    NoEmbeddings,
    /// A number that JSON does not have.
    #[error("`{0}` must be a finite number")]
    Number(&'static str),
}

/// What one reading of an answer has found.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) events: Vec<LlmEvent>,
    /// The provider's figures so far.
    pub(crate) usage: Option<Usage>,
    /// Why the answer ended, as far as it has.
    pub(crate) reason: Option<&'static str>,
    /// Nothing more will come.
    pub(crate) done: bool,
    /// Bytes of text, arguments and reasoning in this reading.
    pub(crate) bytes: u64,
}

/// The state of reading one answer.
#[derive(Debug)]
pub(crate) enum Reader {
    OpenAi(openai::Reader),
    Anthropic(anthropic::Reader),
}

/// The connector of all providers: TLS with the web's roots; plain HTTP where the operator says so.
pub(crate) fn connector(timeouts: &Timeouts) -> Result<HttpsConnector<HttpConnector>, Error> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(timeouts.connect));
    let builder = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .map_err(Error::Tls)?;
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}

impl Provider {
    pub(crate) fn new(
        provider: &crate::Provider,
        connector: &HttpsConnector<HttpConnector>,
        timeouts: &Timeouts,
    ) -> Result<Self, Error> {
        let (language, tail) = match provider.kind {
            Kind::Demo => return Ok(Self { name: provider.name.clone(), way: Way::Demo }),
            Kind::OpenAi => {
                let bound = openai::Bound::of(&provider.address()?);
                (Language::OpenAi(bound), "/chat/completions")
            }
            Kind::Anthropic => (Language::Anthropic, "/messages"),
        };
        let embeddings = match language {
            Language::OpenAi(_) => Some(client(provider, "/embeddings", connector, timeouts)?),
            Language::Anthropic => None,
        };
        let client = client(provider, tail, connector, timeouts)?;
        let remote = Remote { client, embeddings, language, api_key: provider.api_key.clone() };
        Ok(Self { name: provider.name.clone(), way: Way::Remote(Box::new(remote)) })
    }
}

/// A client of what lies at `tail` under the provider's address.
pub(crate) fn client(
    provider: &crate::Provider,
    tail: &str,
    connector: &HttpsConnector<HttpConnector>,
    timeouts: &Timeouts,
) -> Result<Client, Error> {
    let address = provider.address()?;
    let unusable = |source| Error::Url { name: provider.name.clone(), source };
    let path = format!("{}{tail}", address.path().trim_end_matches('/'));
    let path: Uri = path.parse().map_err(unusable)?;
    let scheme = address.scheme_str().unwrap_or_default();
    let authority = address.authority().map_or("", Authority::as_str);
    let origin: Uri = format!("{scheme}://{authority}").parse().map_err(unusable)?;
    let headers = headers(provider, authority)?;
    Ok(Client::new(connector.clone(), origin, path, headers, timeouts.connect))
}

fn headers(provider: &crate::Provider, host: &str) -> Result<HeaderMap, Error> {
    let unusable = |source| Error::Key { name: provider.name.clone(), source };
    let secret = |text: &str| {
        let mut value = HeaderValue::from_str(text).map_err(unusable)?;
        value.set_sensitive(true);
        Ok::<_, Error>(value)
    };
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(HOST, HeaderValue::from_str(host).map_err(unusable)?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let agent = concat!("openclawmu/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    if provider.kind == Kind::Anthropic {
        headers.insert("anthropic-version", HeaderValue::from_static(ANTHROPIC_VERSION));
    }
    match (&provider.api_key, provider.kind) {
        (Some(key), Kind::Anthropic) => {
            headers.insert("x-api-key", secret(key.expose())?);
        }
        (Some(key), Kind::OpenAi | Kind::Demo) => {
            headers.insert(AUTHORIZATION, secret(&format!("Bearer {}", key.expose()))?);
        }
        (None, _) => {}
    }
    Ok(headers)
}

impl Remote {
    /// The request in the provider's language.
    pub(crate) fn body(
        &self,
        request: &LlmRequest,
        model: &str,
        max_tokens: Option<u64>,
    ) -> Result<Bytes, Invalid> {
        match self.language {
            Language::OpenAi(bound) => openai::body(request, model, bound, max_tokens),
            Language::Anthropic => anthropic::body(request, model, max_tokens),
        }
    }

    /// Sends a body and waits for the head of an answer that is a stream of events.
    pub(crate) async fn send(
        &self,
        covered: &Hold,
        body: Bytes,
        again: &mut bool,
    ) -> Result<(Answer, Reader), Failure> {
        let answer = self.client.send(covered, body, again).await?;
        if answer.head.status != StatusCode::OK {
            return Err(self.failure(answer).await);
        }
        let kind =
            answer.head.headers.get(CONTENT_TYPE).map_or(b"".as_slice(), HeaderValue::as_bytes);
        if !kind.starts_with(b"text/event-stream") {
            return Err(Failure::Garbled(Garbled::Type));
        }
        let reader = match self.language {
            Language::OpenAi(_) => Reader::OpenAi(openai::Reader::default()),
            Language::Anthropic => Reader::Anthropic(anthropic::Reader::default()),
        };
        Ok((answer, reader))
    }

    async fn failure(&self, answer: Answer) -> Failure {
        let status = answer.head.status.as_u16();
        let retry_after = answer.head.headers.get(RETRY_AFTER).and_then(retry_after);
        let body = match answer.read_up_to(MAX_ERROR_BODY).await {
            Ok(body) => body,
            Err(err) => {
                tracing::debug!(error = %types::Chain(&err), "no body of a provider's error");
                Bytes::new()
            }
        };
        let message = message(&body).filter(|message| !self.shows_key(message));
        Failure::from_status(status, retry_after, message.as_deref())
    }

    /// Whether `text` holds the key or a piece of it.
    fn shows_key(&self, text: &str) -> bool {
        let Some(key) = &self.api_key else { return false };
        let key = key.expose().as_bytes();
        let text = text.as_bytes();
        let piece = KEY_PIECE.min(key.len()).max(1);
        key.windows(piece).any(|piece| text.windows(piece.len()).any(|it| it == piece))
    }
}

impl Reader {
    /// Reads the data of one event.
    pub(crate) fn read(&mut self, data: &[u8], reading: &mut Reading) -> Result<(), Failure> {
        match self {
            Self::OpenAi(reader) => reader.read(data, reading),
            Self::Anthropic(reader) => reader.read(data, reading),
        }
    }
}

impl Reading {
    fn push(&mut self, event: Event, bytes: usize) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.events.push(LlmEvent { event: Some(event) });
    }

    fn text(&mut self, text: String) {
        if !text.is_empty() {
            let bytes = text.len();
            self.push(Event::Text(text), bytes);
        }
    }

    /// Counts what is not passed on, but has to be paid for.
    fn unseen(&mut self, text: Option<&str>) {
        let bytes = text.map_or(0, str::len);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// Seconds. HTTP allows a date as well, which no known provider sends; it counts as not said.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// What a provider's error says, in any of the forms that are in use.
fn message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: Option<ErrorField>,
        message: Option<String>,
        detail: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum ErrorField {
        Text(String),
        Object { message: Option<String> },
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    match body.error {
        Some(ErrorField::Text(text)) => Some(text),
        Some(ErrorField::Object { message }) => message,
        None => body.message.or(body.detail),
    }
}
