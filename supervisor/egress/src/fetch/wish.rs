//! What a worker asks to be fetched, checked. Pure.

use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method};
use proto::host::FetchRequest;

use crate::refused::Refused;
use crate::target::Target;

/// Headers of one request.
const MAX_HEADERS: usize = 16;

/// Bytes of one header's value: what a browser says in these.
const MAX_VALUE: usize = 1024;

/// Redirects that are followed at most.
const MAX_REDIRECTS: u32 = 5;

/// Bytes of an id under which a request is logged.
pub(super) const MAX_REQUEST_ID: usize = 128;

/// Headers that a worker may set: none that says who somebody is, or that changes what an answer is.
const SETTABLE: [HeaderName; 3] = [ACCEPT, ACCEPT_LANGUAGE, USER_AGENT];

/// Whom hosts take us for where the worker says nothing else.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("openclawmu/", env!("CARGO_PKG_VERSION")));

/// A checked request.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) target: Target,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) max_bytes: usize,
    pub(super) timeout: Duration,
    pub(super) max_redirects: u32,
}

impl Wish {
    /// Checks `request`; what it asks for beyond `max_bytes` and `timeout` it does not get.
    pub(super) fn parse(
        request: &FetchRequest,
        max_bytes: u64,
        timeout: Duration,
    ) -> Result<Self, Refused> {
        if request.request_id.len() > MAX_REQUEST_ID {
            return Err(Refused::Malformed("the request's id is too long"));
        }
        if request.max_redirects > MAX_REDIRECTS {
            return Err(Refused::Malformed("at most 5 redirects are followed"));
        }
        let method = match request.method.as_str() {
            "" | "GET" => Method::GET,
            "HEAD" => Method::HEAD,
            _ => return Err(Refused::Malformed("only GET and HEAD are fetched")),
        };
        let most =
            if request.max_bytes == 0 { max_bytes } else { request.max_bytes.min(max_bytes) };
        let wished = Duration::from_millis(request.timeout_ms.into());
        Ok(Self {
            target: Target::parse(&request.url)?,
            method,
            headers: headers(request)?,
            max_bytes: usize::try_from(most).unwrap_or(usize::MAX),
            timeout: if wished.is_zero() { timeout } else { wished.min(timeout) },
            max_redirects: request.max_redirects,
        })
    }
}

fn headers(request: &FetchRequest) -> Result<HeaderMap, Refused> {
    if request.headers.len() > MAX_HEADERS {
        return Err(Refused::Malformed("at most 16 headers are sent"));
    }
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, AGENT);
    for header in &request.headers {
        let name = SETTABLE.into_iter().find(|it| header.name.eq_ignore_ascii_case(it.as_str()));
        let name = name.ok_or(Refused::Malformed(
            "only the headers accept, accept-language and user-agent are sent",
        ))?;
        match HeaderValue::from_str(&header.value) {
            Ok(value) if value.len() <= MAX_VALUE => drop(headers.insert(name, value)),
            Ok(_) | Err(_) => return Err(Refused::Malformed("a header's value cannot be sent")),
        }
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use proto::host::Variable;

    use super::*;

    fn wish(change: impl FnOnce(&mut FetchRequest)) -> Result<Wish, String> {
        let url = "https://example.com/a".to_owned();
        let mut request = FetchRequest { url, ..FetchRequest::default() };
        change(&mut request);
        let wish = Wish::parse(&request, 1000, Duration::from_secs(10));
        wish.map_err(|err| types::Chain(&err).to_string())
    }

    fn header(name: &str, value: &str) -> Variable {
        Variable { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn what_is_not_said_is_the_operators() {
        let found = wish(|_| ()).unwrap();
        assert_eq!(
            (found.method, found.max_bytes, found.timeout.as_secs()),
            (Method::GET, 1000, 10)
        );
        assert_eq!(found.headers[ACCEPT_ENCODING], "identity");
        assert!(found.headers[USER_AGENT].to_str().unwrap().starts_with("openclawmu/"));
        let more = wish(|it| (it.max_bytes, it.timeout_ms) = (5000, 60_000)).unwrap();
        assert_eq!((more.max_bytes, more.timeout.as_secs()), (1000, 10));
        let less = wish(|it| (it.max_bytes, it.timeout_ms) = (5, 2000)).unwrap();
        assert_eq!((less.max_bytes, less.timeout.as_secs()), (5, 2));
    }

    #[test]
    fn what_is_not_asked_for_on_anybodys_behalf() {
        let check = |change: fn(&mut FetchRequest), part: &str| {
            let err = wish(change).unwrap_err();
            assert!(err.contains(part), "{err}");
        };
        check(|it| it.method = "POST".to_owned(), "only GET and HEAD");
        check(|it| it.method = "get".to_owned(), "only GET and HEAD");
        check(|it| it.url = "ftp://example.com/".to_owned(), "http:// or https://");
        check(|it| it.url = "https://u:p@example.com/".to_owned(), "user or a password");
        check(|it| it.max_redirects = 6, "5 redirects");
        check(|it| it.headers = vec![header("Accept", "a"); 17], "16 headers");
        check(|it| it.request_id = "x".repeat(129), "id is too long");
        for name in
            ["cookie", "authorization", "host", "range", "x-forwarded-for", "accept-encoding"]
        {
            let err = wish(|it| it.headers = vec![header(name, "x")]).unwrap_err();
            assert!(err.contains("only the headers"), "{name}: {err}");
        }
        check(|it| it.headers = vec![header("accept", "a\r\nhost: b")], "cannot be sent");
        check(|it| it.headers = vec![header("accept", &"a".repeat(1025))], "cannot be sent");
        let found = wish(|it| it.headers = vec![header("User-Agent", "me")]).unwrap();
        assert_eq!(found.headers[USER_AGENT], "me");
    }
}
