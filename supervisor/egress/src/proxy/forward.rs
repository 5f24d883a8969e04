//! A request in the clear: checked as a whole, then written anew on a connection of its own.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{IDLE, Proxy, Reply};
use crate::exchange;
use crate::refused::Refused;
use crate::rule::Ask;
use crate::target::{Scheme, Target};

/// Headers that are about one connection and not about the request.
const OF_CONNECTION: [HeaderName; 6] =
    [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, EXPECT];

impl Proxy {
    /// One request in absolute form. `origin` is set to where it goes.
    pub(super) async fn forward(
        &self,
        request: Request<Incoming>,
        origin: &mut String,
    ) -> Result<Reply, Refused> {
        let target = target(&request)?;
        *origin = target.origin();
        let method = request.method().clone();
        let ask = Ask::request(&method, &target);
        let grant = self.outlet.rules().check(&ask)?;
        let dialler = &self.outlet.broker.dialler;
        let line = dialler.open(&ask, grant, &self.outlet, IDLE).await?;
        let request = rewritten(request, &target)?;
        let sent = exchange::send(line, request, &self.tasks).await;
        let response = sent.map_err(|err| self.outlet.broken(err))?;
        let (mut head, body) = response.into_parts();
        strip(&mut head.headers);
        if method != Method::HEAD {
            // The length is told by the body itself.
            head.headers.remove(CONTENT_LENGTH);
        }
        let (outlet, origin) = (Arc::clone(&self.outlet), origin.clone());
        let body = body.map_err(move |err| {
            let refused = outlet.broken(err);
            outlet.note(&origin, &refused);
            refused
        });
        Ok(Response::from_parts(head, body.boxed_unsync()))
    }
}

fn target(request: &Request<Incoming>) -> Result<Target, Refused> {
    if request.uri().scheme().is_none() {
        return Err(Refused::Malformed("this is a proxy: the request line has a whole address"));
    }
    let target = Target::parse(&request.uri().to_string())?;
    if target.scheme == Scheme::Https {
        return Err(Refused::Malformed("https goes through a tunnel: CONNECT"));
    }
    Ok(target)
}

fn rewritten(
    request: Request<Incoming>,
    target: &Target,
) -> Result<Request<impl hyper::body::Body<Data = Bytes, Error = hyper::Error> + use<>>, Refused> {
    let (mut head, body) = request.into_parts();
    let path = target.path_and_query();
    head.uri = path.parse().map_err(|_bad| Refused::Malformed("the path is no path"))?;
    head.version = http::Version::HTTP_11;
    head.extensions.clear();
    if head.headers.contains_key(TRANSFER_ENCODING) {
        head.headers.remove(CONTENT_LENGTH);
    }
    strip(&mut head.headers);
    let host = HeaderValue::from_str(&target.authority());
    let host = host.map_err(|_bad| Refused::Malformed("the host is no host"))?;
    head.headers.insert(HOST, host);
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(Request::from_parts(head, body))
}

/// Takes out what is about the connection that it came on, and what is meant for the proxy.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let of_proxy = |name: &HeaderName| {
        let name = name.as_str();
        name.starts_with("proxy-") || name == "keep-alive"
    };
    let proxys: Vec<HeaderName> = headers.keys().filter(|it| of_proxy(it)).cloned().collect();
    for name in named.iter().chain(&proxys).chain(&OF_CONNECTION) {
        while headers.remove(name).is_some() {}
    }
}
