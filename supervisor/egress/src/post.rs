//! One POST for a tenant: by its rules, to an address that was checked, and told apart by whether
//! anything can have arrived.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use types::Chain;

use crate::exchange;
use crate::metrics::Way;
use crate::outlet::{Outlet, UNREADABLE};
use crate::refused::Refused;
use crate::rule::Ask;
use crate::target::Target;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(20);

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// The far end has answered with this status.
    Answered(u16),
    /// No rule allows it, or the address is none: nothing was sent, nor ever will be.
    Forbidden(String),
    /// Nothing was sent.
    Unsent(String),
    /// Nobody knows whether it arrived.
    Unknown(String),
}

impl Outlet {
    /// Sends JSON to `url` with one header more. Follows no redirect, and reads no answer but its
    /// status.
    pub async fn post(self: &Arc<Self>, url: &str, header: (&str, &str), body: Bytes) -> Posted {
        let mut origin = UNREADABLE.to_owned();
        let posted = tokio::time::timeout(TIMEOUT, self.try_post(url, header, body, &mut origin));
        let (posted, refused) = match posted.await {
            Ok(posted) => posted,
            Err(_elapsed) => (Posted::Unknown("it took too long".to_owned()), Some(Refused::Slow)),
        };
        self.ended(Way::Fetch, &origin, refused.as_ref().map_or(Ok(()), Err));
        posted
    }

    async fn try_post(
        self: &Arc<Self>,
        url: &str,
        header: (&str, &str),
        body: Bytes,
        origin: &mut String,
    ) -> (Posted, Option<Refused>) {
        let forbidden = |err: Refused| (Posted::Forbidden(Chain(&err).to_string()), Some(err));
        let target = match Target::parse(url) {
            Ok(target) => target,
            Err(err) => return forbidden(err.into()),
        };
        *origin = target.origin();
        let ask = Ask::request(&Method::POST, &target);
        let rules = self.rules();
        let grant = match rules.check(&ask) {
            Ok(grant) => grant,
            Err(err) => return forbidden(err),
        };
        let request = match request(&target, header, body) {
            Ok(request) => request,
            Err(err) => return forbidden(err),
        };
        let line = match self.broker.dialler.open(&ask, grant, self, IDLE).await {
            Ok(line) => line,
            Err(err) => return (Posted::Unsent(Chain(&err).to_string()), Some(err)),
        };
        match exchange::send(line, request, &self.broker.tasks).await {
            Ok(response) => (Posted::Answered(response.status().as_u16()), None),
            Err(err) => {
                let err = self.broken(err);
                (Posted::Unknown(Chain(&err).to_string()), Some(err))
            }
        }
    }
}

fn request(
    target: &Target,
    (name, own): (&str, &str),
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Refused> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    let path = target.path_and_query();
    *request.uri_mut() = path.parse().map_err(|_bad| Refused::Malformed("the path is no path"))?;
    let bad = || Refused::Malformed("a header is no header");
    let name = HeaderName::try_from(name).map_err(|_bad| bad())?;
    let own = HeaderValue::from_str(own).map_err(|_bad| bad())?;
    let host = HeaderValue::from_str(&target.authority()).map_err(|_bad| bad())?;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(name, own);
    Ok(request)
}
