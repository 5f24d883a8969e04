//! `Egress.Fetch`: one `GET` or `HEAD` for a worker, which may have been taken over. Each redirect is
//! a request anew: rules, name, address, connection. No cookie, no credential, nothing decoded.

mod body;
mod wish;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Request, StatusCode};
use http_body_util::Empty;
use proto::host::egress_server::{Egress, EgressServer};
use proto::host::{FetchHead, FetchPart, FetchRequest};
use tokio::time::Instant;
use tonic::Status;
use tonic::codegen::{Body as HttpBody, BoxFuture, Service as HttpService, StdError};

use crate::exchange::{self, Held};
use crate::metrics::Way;
use crate::outlet::{Outlet, UNREADABLE};
use crate::refused::Refused;
use crate::rule::Ask;
use crate::target::{Scheme, Target};
use body::{Parts, Reply};
use wish::{MAX_REQUEST_ID, Wish};

/// Bytes of one request: the longest address, and sixteen headers.
const MAX_REQUEST: usize = 32 << 10;

/// Bytes of one part of a reply: what is read at once, and a head with the longest address.
const MAX_PART: usize = 128 << 10;

/// How long a host may be silent.
const IDLE: Duration = Duration::from_secs(15);

/// Bytes of a content type that are passed on; nobody needs more.
const MAX_CONTENT_TYPE: usize = 256;

/// The power to fetch, as it is served on one worker's pair.
#[derive(Debug, Clone)]
pub struct Service(EgressServer<Fetcher>);

impl Service {
    pub(crate) fn new(outlet: &Arc<Outlet>) -> Self {
        let server = EgressServer::new(Fetcher(Arc::clone(outlet)))
            .max_decoding_message_size(MAX_REQUEST)
            .max_encoding_message_size(MAX_PART);
        Self(server)
    }
}

impl<B> HttpService<Request<B>> for Service
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.0.call(request)
    }
}

#[derive(Debug)]
struct Fetcher(Arc<Outlet>);

#[tonic::async_trait]
impl Egress for Fetcher {
    type FetchStream = Parts;

    async fn fetch(
        &self,
        request: tonic::Request<FetchRequest>,
    ) -> Result<tonic::Response<Parts>, Status> {
        let request = request.into_inner();
        let mut origin = String::from(UNREADABLE);
        let begun = self.begin(&request, &mut origin).await;
        let id = Some(request.request_id.as_str()).filter(|it| it.len() <= MAX_REQUEST_ID);
        tracing::debug!(request_id = id, ok = begun.is_ok(), "fetch");
        self.0.ended(Way::Fetch, &origin, begun.as_ref().map(drop));
        match begun {
            Ok(reply) => Ok(tonic::Response::new(reply.parts())),
            Err(refused) => Err(Status::from(&refused)),
        }
    }
}

/// An answer whose body is still to come.
struct Answer {
    target: Target,
    redirects: u32,
    response: http::Response<Held>,
}

impl Fetcher {
    /// Up to the head of the last answer. `origin` is left at where it last went.
    async fn begin(&self, request: &FetchRequest, origin: &mut String) -> Result<Reply, Refused> {
        let rules = self.0.rules();
        rules.check_tool()?;
        let broker = &self.0.broker;
        let wish = Wish::parse(request, broker.max_bytes, broker.timeout)?;
        let place = Arc::clone(&self.0.fetches).try_acquire_owned();
        let place = place.map_err(|_full| Refused::Busy)?;
        let deadline = Instant::now() + wish.timeout;
        let Ok(answer) = tokio::time::timeout_at(deadline, self.follow(&wish, origin)).await else {
            return Err(Refused::Slow);
        };
        let Answer { target, redirects, response } = answer?;
        let head = FetchHead {
            status: response.status().as_u16().into(),
            url: target.to_string(),
            content_type: content_type(&response),
            redirects,
        };
        Ok(Reply {
            head: Some(head),
            body: response.into_body(),
            most: wish.max_bytes,
            left: wish.max_bytes,
            deadline,
            origin: target.origin(),
            outlet: Arc::clone(&self.0),
            place,
        })
    }

    async fn follow(&self, wish: &Wish, origin: &mut String) -> Result<Answer, Refused> {
        let mut target = wish.target.clone();
        let mut redirects = 0;
        loop {
            *origin = target.origin();
            let response = self.send(wish, &target).await?;
            let Some(next) = next(&target, &response)? else {
                return Ok(Answer { target, redirects, response });
            };
            if redirects == wish.max_redirects {
                return Err(Refused::Redirects { most: wish.max_redirects });
            }
            redirects += 1;
            target = next;
        }
    }

    async fn send(&self, wish: &Wish, target: &Target) -> Result<http::Response<Held>, Refused> {
        let broker = &self.0.broker;
        let ask = Ask::request(&wish.method, target);
        let grant = self.0.rules().check(&ask)?;
        let line = broker.dialler.open(&ask, grant, &self.0, IDLE).await?;
        let sent = exchange::send(line, request(wish, target)?, &broker.tasks).await;
        let response = sent.map_err(|err| self.0.broken(err))?;
        let plain = |it: &HeaderValue| it.as_bytes().eq_ignore_ascii_case(b"identity");
        if response.headers().get_all(CONTENT_ENCODING).iter().all(plain) {
            Ok(response)
        } else {
            Err(Refused::Encoding)
        }
    }
}

fn request(wish: &Wish, target: &Target) -> Result<Request<Empty<Bytes>>, Refused> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = wish.method.clone();
    let path = target.path_and_query();
    *request.uri_mut() = path.parse().map_err(|_bad| Refused::Malformed("the path is no path"))?;
    request.headers_mut().clone_from(&wish.headers);
    let host = HeaderValue::from_str(&target.authority());
    let host = host.map_err(|_bad| Refused::Malformed("the host is no host"))?;
    request.headers_mut().insert(http::header::HOST, host);
    Ok(request)
}

/// Where the answer leads on to, if it does.
fn next<B>(target: &Target, response: &http::Response<B>) -> Result<Option<Target>, Refused> {
    let leads = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let Some(location) = response.headers().get(LOCATION).filter(|_| leads) else {
        return Ok(None);
    };
    let location = str::from_utf8(location.as_bytes())
        .map_err(|_no_text| Refused::Malformed("a redirect leads to no address"))?;
    let next = target.join(location)?;
    if target.scheme == Scheme::Https && next.scheme == Scheme::Http {
        return Err(Refused::Downgrade);
    }
    Ok(Some(next))
}

fn content_type<B>(response: &http::Response<B>) -> String {
    let value = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let value = value.get(..MAX_CONTENT_TYPE).unwrap_or(value);
    String::from_utf8_lossy(value).into_owned()
}

/// One part of a reply.
type Part = Result<FetchPart, Status>;

#[cfg(test)]
mod tests;
