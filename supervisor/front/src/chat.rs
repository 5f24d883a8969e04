//! `/chat/{path}/`: the page on which a site's visitors chat, as files that are the same for every account,
//! the page's socket, and messages that come with files.
//!
//! Needs no token: a visitor is known by what the page says of it. An address that nobody has is one that
//! is not there. The page runs no script but its own, and only the account's sites may have it in theirs.

use std::sync::Arc;

use accounts::{MAX_REQUEST, Page, Visit, Words};
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, HeaderMap,
    HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION, ORIGIN, REFERRER_POLICY,
};
use http::{Method, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ring::digest::{SHA256, digest};

use crate::Inner;
use crate::body::{self, Bounds};
use crate::call::refuse;
use crate::edge::Edge;
use crate::reply::Refusal;
use crate::upgrade;

/// Where a page's files are, and where its messages go that come with files.
pub(crate) const ROOT: &str = "/chat/{path}";
pub(crate) const FILES: &str = "/chat/{path}/{*file}";
pub(crate) const SAY: &str = "/chat/{path}/say";

/// Every path of a page starts so.
const PREFIX: &str = "/chat/";

/// The socket of a page, below it.
const SOCKET: &str = "/socket";

/// The longest name in the address, in bytes.
const MAX_PATH: usize = 128;

/// How an `Authorization` begins that says whose a message is: who the site has signed for, or who was here
/// before.
const SIGNED: &str = "Signed ";
const VISITOR: &str = "Visitor ";

/// Kept, and asked about each time.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");

/// What the page may do. Answers have links, and no picture from elsewhere is fetched for one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors ";

/// One file of the page.
#[derive(Debug)]
struct File {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

/// Every file; the first is the page itself.
const ALL: &[File] = &[
    File { name: "", kind: "text/html; charset=utf-8", content: include_str!("../page/page.html") },
    File { name: "page.css", kind: CSS, content: include_str!("../page/page.css") },
    File { name: "page.js", kind: SCRIPT, content: include_str!("../page/page.js") },
    File { name: "kept.js", kind: SCRIPT, content: include_str!("../page/kept.js") },
    File { name: "line.js", kind: SCRIPT, content: include_str!("../page/line.js") },
    File { name: "files.js", kind: SCRIPT, content: include_str!("../page/files.js") },
    File { name: "message.js", kind: SCRIPT, content: include_str!("../page/message.js") },
    File { name: "markdown.js", kind: SCRIPT, content: include_str!("../page/markdown.js") },
    File { name: "icon.svg", kind: "image/svg+xml", content: include_str!("../page/icon.svg") },
    File { name: "embed.js", kind: SCRIPT, content: include_str!("../page/embed.js") },
];

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page is below its address, and not at it.
pub(crate) async fn moved(Path(path): Path<String>) -> Response {
    let mut response = status(StatusCode::PERMANENT_REDIRECT);
    if let Ok(location) = HeaderValue::try_from(format!("{PREFIX}{path}/")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// A file of the page.
pub(crate) async fn file(
    State(front): State<Arc<Inner>>,
    Path((path, name)): Path<(String, String)>,
    request: Request,
) -> Response {
    served(&front, (&path, &name), request).await
}

/// The page itself.
pub(crate) async fn index(
    State(front): State<Arc<Inner>>,
    Path(path): Path<String>,
    request: Request,
) -> Response {
    served(&front, (&path, ""), request).await
}

async fn served(front: &Arc<Inner>, (path, name): (&str, &str), request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Some(file) = ALL.iter().find(|it| it.name == name) else {
        return refuse(front, body, &Refusal::not_found());
    };
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return refuse(front, body, &Refusal::wrong_method());
    }
    let page = match page(front, path).await {
        Ok(page) => page,
        Err(refusal) => return refuse(front, body, &refusal),
    };
    let tag = tag(file);
    let is_known =
        head.headers.get(IF_NONE_MATCH).is_some_and(|it| it.as_bytes() == tag.as_bytes());
    let mut response = status(if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    if !is_known && head.method == Method::GET {
        *response.body_mut() = Body::from(file.content);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
    headers.insert(CACHE_CONTROL, ASK);
    headers.insert(ETAG, tag);
    headers.insert(CONTENT_SECURITY_POLICY, policy(&page));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Sites load the script that puts the page into theirs.
    let resources = HeaderName::from_static("cross-origin-resource-policy");
    let whose =
        if file.name == "embed.js" || name.is_empty() { "cross-origin" } else { "same-origin" };
    headers.insert(resources, HeaderValue::from_static(whose));
    response
}

/// A message that comes with files.
pub(crate) async fn say(
    State(front): State<Arc<Inner>>,
    Path(path): Path<String>,
    request: Request,
) -> Response {
    let (head, mut body) = request.into_parts();
    let peer = head.extensions.get::<crate::identity::Identity>().map(|it| it.seat.peer);
    let (page, peer) = match (page(&front, &path).await, peer) {
        (Ok(page), Some(peer)) => (page, peer),
        (Ok(_), None) => return refuse(&front, body, &Refusal::not_found()),
        (Err(refusal), _) => return refuse(&front, body, &refusal),
    };
    if !is_accepted(&head.headers, &page) {
        return refuse(&front, body, &Refusal::foreign_origin());
    }
    let words = words(&head.headers);
    let bounds =
        Bounds { bytes: MAX_REQUEST.min(front.limits.body_bytes), time: front.limits.body_timeout };
    let mut share = front.budget.share(Arc::clone(&front.strangers));
    let read = async {
        body::announced(&head.headers, bounds.bytes)?;
        body::read(&mut body, bounds, &mut share, &mut || Ok(())).await
    };
    let whole = match read.await {
        Ok(whole) => whole,
        Err(refusal) => return refuse(&front, body, &refusal),
    };
    let reply = match front.accounts.said_at(&page, (&words, peer), &whole).await {
        Ok(reply) => reply,
        Err(err) => {
            tracing::error!(error = %types::Chain(&err), "a visitor's message cannot be taken");
            return refuse(&front, body, &Refusal::no_room());
        }
    };
    drop(share);
    let mut response =
        status(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE));
    if let Some((kind, body)) = reply.body {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        *response.body_mut() = Body::from(body);
    }
    response
}

/// The address of the page whose socket a path is.
pub(crate) fn socket(path: &str) -> Option<&str> {
    path.strip_prefix(PREFIX)?.strip_suffix(SOCKET).filter(|it| !it.contains('/'))
}

/// Accepts the socket of a page and serves it in a task of its own, or says what is wrong with it.
pub(crate) async fn accept(edge: Edge, mut request: http::Request<Incoming>) -> Response {
    let front = Arc::clone(&edge.front);
    let path = socket(request.uri().path()).unwrap_or_default().to_owned();
    let page = match page(&front, &path).await {
        Ok(page) => page,
        Err(refusal) => return status(refusal.status),
    };
    if !is_accepted(request.headers(), &page) {
        return status(StatusCode::FORBIDDEN);
    }
    let response = match upgrade::answer(request.headers()) {
        Ok(response) => response,
        Err(response) => return *response,
    };
    let (seat, open) = (Arc::clone(&edge.seat), Arc::clone(&edge.open));
    let (tasks, upgraded) = (edge.tasks.clone(), hyper::upgrade::on(&mut request));
    drop(edge.tasks.spawn(async move {
        let stream = match upgraded.await {
            Ok(stream) => TokioIo::new(stream),
            Err(err) => {
                tracing::debug!(error = %types::Chain(&err), "an upgrade was given up");
                return;
            }
        };
        let visit = Visit { stream, peer: seat.peer };
        Box::pin(front.accounts.visit(page, visit, async move { tasks.stopping().await })).await;
        // The connection counts as long as it is one.
        drop(open);
    }));
    response
}

async fn page(front: &Inner, path: &str) -> Result<Page, Refusal> {
    if path.len() > MAX_PATH {
        return Err(Refusal::not_found());
    }
    match front.accounts.page(path).await {
        Ok(page) => page.ok_or_else(Refusal::not_found),
        Err(err) => {
            tracing::error!(error = %types::Chain(&err), "a page cannot be looked up");
            Err(Refusal::no_room())
        }
    }
}

/// Whether a request comes from the page itself or from one of the account's sites. Who says nothing of
/// where it comes from is no browser, and no page's.
fn is_accepted(headers: &HeaderMap, page: &Page) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
    let Some(origin) = text(ORIGIN) else { return false };
    if page.origins().iter().any(|it| it.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let authority = ["https://", "http://"].iter().find_map(|it| origin.strip_prefix(it));
    authority.is_some_and(|it| text(HOST).is_some_and(|host| host.eq_ignore_ascii_case(it)))
}

/// What a request says of its visitor.
fn words(headers: &HeaderMap) -> Words {
    let said = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let word = |kind: &str| said.strip_prefix(kind).map(str::to_owned);
    Words { visitor: word(VISITOR), signed: word(SIGNED) }
}

fn policy(page: &Page) -> HeaderValue {
    let origins = page.origins().join(" ");
    let who = if origins.is_empty() { "'none'" } else { &origins };
    let policy = HeaderValue::try_from(format!("{POLICY}{who}"));
    // Origins are held against what may stand in a header when they are given.
    policy.unwrap_or_else(|_bad| HeaderValue::from_static("default-src 'none'"))
}

fn tag(file: &File) -> HeaderValue {
    let digest = digest(&SHA256, file.content.as_bytes());
    let digest = digest.as_ref().first_chunk().map_or(0, |it| u64::from_be_bytes(*it));
    HeaderValue::try_from(format!("\"{digest:016x}\"")).unwrap_or(ASK)
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_paths_are_sockets() {
        let check = |path: &str, want: Option<&str>| assert_eq!(socket(path), want, "{path}");
        check("/chat/abc/socket", Some("abc"));
        check("/chat//socket", Some(""));
        check("/chat/a/b/socket", None);
        check("/chat/abc/", None);
        check("/chat/socket", None);
        check("/t/acme/socket", None);
    }

    #[test]
    fn every_file_is_of_the_page_and_runs_nothing_of_others() {
        for file in ALL {
            let content = file.content;
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!content.contains(word), "{} has {word}", file.name);
            }
            let far = content.matches("https://").chain(content.matches("http://"));
            let is_name = content.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(far.count(), is_name, "{} fetches nothing of others", file.name);
            let same = |it: &&File| tag(it) == tag(file);
            assert_eq!(ALL.iter().filter(same).count(), 1, "{}", file.name);
        }
        let page = ALL[0].content;
        assert!(!page.contains("<script>") && !page.contains(" style=") && !page.contains(" onc"));
    }

    #[test]
    fn a_request_says_whose_it_is() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(text));
            let Words { visitor, signed } = words(&headers);
            (visitor, signed)
        };
        assert_eq!(of("Visitor abc"), (Some("abc".to_owned()), None));
        assert_eq!(of("Signed a.b"), (None, Some("a.b".to_owned())));
        assert_eq!(of("Bearer tk_acme_x"), (None, None));
    }
}
