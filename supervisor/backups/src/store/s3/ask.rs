//! One request to the service: signed by the library, sent by a client of our own. It follows no
//! redirect, asks no proxy that the environment names, and takes no more of an answer than it was told to.

use std::time::Duration;

use ::s3::Bucket;
use ::s3::command::{Command, HttpMethod};
use ::s3::error::S3Error;
use ::s3::request::request_trait::Request as _;
use ::s3::request::tokio_backend::ReqwestRequest;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;

use super::super::Error;

/// Bytes that are read of what a service says of a failure.
const MAX_FAILURE: usize = 64 << 10;

/// Tries of one request, and the pause before the second, doubled for each further one.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(250);

/// A bucket, and the client that reaches it.
#[derive(Debug, Clone)]
pub(super) struct Line {
    bucket: Box<Bucket>,
    client: reqwest::Client,
    patience: Duration,
}

/// What a service has answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The request cannot be made.
    #[error("the request cannot be signed")]
    Sign(#[source] S3Error),
    /// Nothing came back, or not all of it.
    #[error("the service was not reached")]
    Line(#[source] reqwest::Error),
    /// The service refuses, or sends elsewhere.
    #[error("the service answered {0}: {1}")]
    Status(u16, String),
    /// The answer is longer than it may be.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The answer is none of this request.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

impl Line {
    pub(super) fn new(bucket: Box<Bucket>, patience: Duration) -> Result<Self, Failure> {
        let client = reqwest::Client::builder().redirect(Policy::none()).no_proxy().build();
        Ok(Self { bucket, client: client.map_err(Failure::Line)?, patience })
    }

    /// The same, with so long for one request.
    #[cfg(test)]
    pub(super) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Asks until it succeeds or it is clear that it will not. What has no effect when it is done twice
    /// is asked again where the service was not reachable.
    ///
    /// # Errors
    /// When the service refuses, is not there, or answers more than `max` bytes.
    pub(super) async fn ask(
        &self,
        (what, path): (&'static str, &str),
        command: Command<'_>,
        max: usize,
    ) -> Result<Answer, Error> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.once(path, command.clone(), max).await {
                Err(err) if err.may_pass() => {
                    tracing::debug!(what, error = %types::Chain(&err), "asked again");
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "a pause is time that must pass"
                    )]
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                done => return done.map_err(|err| err.judged(what)),
            }
        }
        self.once(path, command, max).await.map_err(|err| err.judged(what))
    }

    async fn once(&self, path: &str, command: Command<'_>, max: usize) -> Result<Answer, Failure> {
        let method = match command.http_verb() {
            HttpMethod::Delete => reqwest::Method::DELETE,
            HttpMethod::Get => reqwest::Method::GET,
            HttpMethod::Post => reqwest::Method::POST,
            HttpMethod::Put => reqwest::Method::PUT,
            HttpMethod::Head => reqwest::Method::HEAD,
        };
        let signed = ReqwestRequest::new(&self.bucket, path, command).await;
        let signed = signed.map_err(Failure::Sign)?;
        let headers = signed.headers().await.map_err(Failure::Sign)?;
        let url = signed.url().map_err(Failure::Sign)?;
        let body = signed.request_body().map_err(Failure::Sign)?;
        let request = self.client.request(method, url.as_str()).headers(headers).body(body);
        let answer = request.timeout(self.patience).send().await.map_err(Failure::Line)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status.is_success() {
            let (body, whole) = start(answer, max).await?;
            return if whole {
                Ok(Answer { status, headers, body })
            } else {
                Err(Failure::TooLong(max))
            };
        }
        let (said, _) = start(answer, MAX_FAILURE).await?;
        Err(Failure::Status(status.as_u16(), String::from_utf8_lossy(&said).into_owned()))
    }
}

/// The first bytes of an answer, and whether they are all.
async fn start(mut answer: reqwest::Response, max: usize) -> Result<(Bytes, bool), Failure> {
    let mut body = BytesMut::new();
    while let Some(piece) = answer.chunk().await.map_err(Failure::Line)? {
        let room = max.saturating_sub(body.len());
        body.extend_from_slice(piece.get(..piece.len().min(room)).unwrap_or_default());
        if piece.len() > room {
            return Ok((body.freeze(), false));
        }
    }
    Ok((body.freeze(), true))
}

impl Answer {
    /// The document in it.
    ///
    /// # Errors
    /// When it is another one.
    pub(super) fn document<T: DeserializeOwned>(&self, what: &'static str) -> Result<T, Error> {
        let read = quick_xml::de::from_reader(&*self.body);
        let unreadable = |err: quick_xml::DeError| Failure::Unreadable(err.to_string());
        read.map_err(|err| unreadable(err).judged(what))
    }
}

impl Failure {
    /// Whether the same request may do better a moment later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Status(status, _) => matches!(status, 408 | 429 | 500 | 502..=504),
            // A line on which one part takes that long is no faster the next time.
            Self::Line(err) => !err.is_timeout() || err.is_connect(),
            Self::Sign(_) | Self::TooLong(_) | Self::Unreadable(_) => false,
        }
    }

    /// What it means.
    pub(super) fn judged(self, what: &'static str) -> Error {
        match &self {
            Self::Status(401 | 403, _) => Error::Refused(self.into()),
            Self::Status(404, text) if text.contains("NoSuchBucket") => {
                Error::NoBucket(self.into())
            }
            Self::Status(404, _) => Error::NotFound,
            Self::Status(507, _) => Error::Full(self.into()),
            Self::TooLong(max) => Error::TooLarge { max: u64::try_from(*max).unwrap_or(u64::MAX) },
            Self::Status(..) | Self::Sign(_) | Self::Line(_) | Self::Unreadable(_) => {
                Error::Failed { what, source: self.into() }
            }
        }
    }
}
