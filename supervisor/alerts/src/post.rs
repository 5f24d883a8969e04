//! One `POST` over a connection of its own, and nothing but the status of its answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tower::Service as _;

use crate::Error;

/// How long all of it may take: a receiver that takes longer should answer first and work later.
const WITHIN: Duration = Duration::from_secs(10);

/// Bytes of the head of an answer.
const MAX_HEAD: usize = 16 << 10;

/// Where to, and over what.
#[derive(Debug)]
pub(crate) struct Post {
    connector: HttpsConnector<HttpConnector>,
    uri: Uri,
    path: Uri,
    host: HeaderValue,
}

/// An alert that did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("no connection")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the connection broke")]
    Cut(#[source] hyper::Error),
    #[error("no answer in time")]
    Slow,
    #[error("answered with {0}")]
    Status(StatusCode),
}

impl Post {
    pub(crate) fn new(url: &str) -> Result<Self, Error> {
        let uri: Uri = url.parse().map_err(|err| Error::Url(Some(err)))?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().filter(|it| known && !it.as_str().contains('@'));
        let host = authority.and_then(|it| HeaderValue::from_str(it.as_str()).ok());
        let host = host.ok_or(Error::Url(None))?;
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let path = path.parse().map_err(|err| Error::Url(Some(err)))?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .map_err(|err| Error::Tls(std::io::Error::other(err)))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self { connector, uri, path, host })
    }

    /// Sends `body`. Any status of success will do; what else the answer says is not read, and a
    /// redirection is not followed.
    pub(crate) async fn send(&self, headers: HeaderMap, body: Bytes) -> Result<(), Failure> {
        match tokio::time::timeout(WITHIN, self.exchange(headers, body)).await {
            Ok(Ok(status)) if status.is_success() => Ok(()),
            Ok(Ok(status)) => Err(Failure::Status(status)),
            Ok(Err(failure)) => Err(failure),
            Err(_elapsed) => Err(Failure::Slow),
        }
    }

    async fn exchange(&self, headers: HeaderMap, body: Bytes) -> Result<StatusCode, Failure> {
        let mut connector = self.connector.clone();
        let io = connector.call(self.uri.clone()).await.map_err(Failure::Connect)?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEAD);
        let (mut sender, connection) = builder.handshake(io).await.map_err(Failure::Cut)?;
        let request = self.request(headers, body);
        let answered = async move {
            let response = sender.send_request(request).await;
            // With the sender gone the connection ends, and so does the wait for it.
            drop(sender);
            response.map(|it| it.status())
        };
        let (answered, ended) = tokio::join!(answered, connection);
        if let Err(err) = ended {
            tracing::debug!(error = %types::Chain(&err), "the connection to the webhook ended");
        }
        answered.map_err(Failure::Cut)
    }

    fn request(&self, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        let sent = request.headers_mut();
        *sent = headers;
        sent.insert(HOST, self.host.clone());
        sent.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        sent.insert(USER_AGENT, HeaderValue::from_static("openclawmu"));
        sent.insert(CONNECTION, HeaderValue::from_static("close"));
        request
    }
}

impl Failure {
    /// Whether the same may arrive another time. A receiver that does not want it says so for good.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Cut(_) | Self::Slow => true,
            Self::Status(status) => {
                status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 425 | 429)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_address() {
        let check = |url: &str, good: bool| assert_eq!(Post::new(url).is_ok(), good, "{url}");
        check("http://127.0.0.1:9/hook?x=1", true);
        check("https://alerts.example", true);
        check("ftp://alerts.example", false);
        check("https://name:word@alerts.example/", false);
        check("/hook", false);
        check("alerts.example", false);
        check("", false);
    }
}
