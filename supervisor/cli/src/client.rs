//! The control plane as a set of calls: JSON out, JSON in, its failures as errors.

use std::time::Duration;

use bytes::Bytes;
use control_api::{Code, Failure, Problem};
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use types::Secret;

use crate::error::Error;
use crate::http as wire;
use crate::options::Options;
use crate::target::Target;

/// How long an ordinary answer may take; starting a worker is the slowest of them.
const PATIENCE: Duration = Duration::from_mins(1);

/// A client of one control plane.
#[derive(Debug, Clone)]
pub struct Client {
    target: Target,
    key: Option<Secret>,
}

impl Client {
    /// A client of the control plane that the options name.
    pub fn new(options: &Options) -> Self {
        Self { target: options.control(), key: options.key().cloned() }
    }

    /// Where the control plane is.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// `GET path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.call(Method::GET, path, Bytes::new(), PATIENCE).await
    }

    /// `DELETE path`.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.call(Method::DELETE, path, Bytes::new(), PATIENCE).await
    }

    /// `POST path` with a body.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.send(Method::POST, path, body, PATIENCE).await
    }

    /// `PUT path` with a body.
    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.send(Method::PUT, path, body, PATIENCE).await
    }

    /// `PATCH path` with a body.
    pub async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.send(Method::PATCH, path, body, PATIENCE).await
    }

    /// `POST path` with a body, for what may take `longer` than other requests.
    pub async fn post_patiently<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        longer: Duration,
    ) -> Result<T, Error> {
        self.send(Method::POST, path, body, PATIENCE + longer).await
    }

    /// `POST path` with bytes.
    pub(crate) async fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        bytes: Bytes,
    ) -> Result<T, Error> {
        self.call(Method::POST, path, bytes, PATIENCE).await
    }

    /// `GET path` whose answer comes in pieces.
    pub(crate) async fn stream(&self, path: &str) -> Result<wire::Answer, Error> {
        let mut answer = self.answer(Method::GET, path, Bytes::new(), PATIENCE).await?;
        if answer.status() == 200 {
            return Ok(answer);
        }
        let status = answer.status();
        Err(Error::Control(problem(status, &answer.rest().await?)))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|source| self.unknown(source))?;
        self.call(method, path, body.into(), patience).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<T, Error> {
        let mut answer = self.answer(method, path, body, patience).await?;
        let status = answer.status();
        let body = answer.rest().await?;
        if (200..300).contains(&status) {
            return serde_json::from_slice(&body).map_err(|source| self.unknown(source));
        }
        Err(Error::Control(problem(status, &body)))
    }

    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<wire::Answer, Error> {
        let mut request = http::Request::builder().method(method).uri(path);
        if !body.is_empty() {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        if let Some(key) = &self.key {
            let bearer = format!("Bearer {}", key.expose());
            request = request.header(http::header::AUTHORIZATION, bearer);
        }
        wire::send(&self.target, request, body, patience).await
    }

    fn unknown(&self, source: serde_json::Error) -> Error {
        Error::Answer { target: self.target.clone(), source }
    }
}

/// The failure that a body tells of; a body of something else than our control plane tells its
/// status.
fn problem(status: u16, body: &[u8]) -> Problem {
    serde_json::from_slice(body).map_or_else(
        |_| Problem {
            code: Code::from_status(status),
            message: format!("the control plane answered with status {status}"),
            field: None,
            request_id: String::new(),
        },
        |failure: Failure| failure.error,
    )
}

#[cfg(test)]
mod tests;
