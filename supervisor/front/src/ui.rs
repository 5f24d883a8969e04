//! The browser UI: files of a folder that the operator names, under `/t/<tenant>/`.
//!
//! Needs no token and knows no tenant: the page is the same under every well-formed id, so that
//! nobody learns from it which tenants there are. Who calls is found out on the page's socket.

mod folder;
mod page;

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION,
    REFERRER_POLICY, VARY, X_FRAME_OPTIONS,
};
use http::{Method, StatusCode};
use serde::Serialize;
use types::TenantId;

use crate::Inner;
use crate::call::refuse;
use crate::reply::{JSON, Refusal};
use folder::{File, Folder};
use page::Page;

/// Every path of the UI starts so.
pub(crate) const PREFIX: &str = "/t/";

/// The route of every path of the UI.
pub(crate) const ROUTE: &str = "/t/{*path}";

/// What the page asks for to know how it is served.
const CONFIG: &str = "control-ui-config.json";

/// The page.
const INDEX: &str = "index.html";

/// Files whose name changes with their content.
const ASSETS: &str = "assets/";

/// A year, and no question in between.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Kept, and asked about each time.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");

/// The most particular coding first; what was compressed beforehand lies beside its file.
const CODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// What the page may not do wherever it comes from.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'");

/// A folder with a built UI. Clones are the same.
#[derive(Debug, Clone)]
pub struct Ui(Folder);

/// How the page is served.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    base_path: &'a str,
    assistant_name: &'static str,
    assistant_agent_id: &'static str,
    server_version: &'static str,
    embed_sandbox: &'static str,
    allow_external_embed_urls: bool,
    terminal_enabled: bool,
}

/// A path of the UI, read.
#[derive(Debug, PartialEq, Eq)]
struct Asked<'a> {
    /// `/t/<tenant>`.
    base: &'a str,
    /// What comes after the base and its `/`; none without the `/`.
    rest: Option<&'a str>,
}

impl Ui {
    /// Opens the folder; it need not be reachable any more afterwards, but its files must be
    /// readable by everybody.
    ///
    /// # Errors
    /// When it is no folder, or has no `index.html`.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let folder = Folder::open(path)?;
        let index = folder.file(INDEX)?.read()?;
        Page::new(&index, "").map(|_page| Self(folder))
    }
}

/// Every path below [`PREFIX`].
pub(crate) async fn serve(State(front): State<Arc<Inner>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let asked = Asked::parse(head.uri.path());
    let (Some(ui), Some(asked)) = (&front.ui, asked) else {
        return refuse(&front, body, &Refusal::not_found());
    };
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return refuse(&front, body, &Refusal::wrong_method());
    }
    let folder = ui.0.clone();
    let found = match asked.rest {
        None => Ok(moved(asked.base)),
        Some(CONFIG) => Ok(config(asked.base)),
        Some(rest) if is_file(rest) => file(folder, rest.to_owned(), &head.headers).await,
        Some(_) => index(folder, asked.base.to_owned()).await,
    };
    let mut response = match found {
        Ok(response) => response,
        Err(err) => {
            tracing::debug!(error = %types::Chain(&err), "a file of the UI cannot be served");
            return refuse(&front, body, &refusal(&err));
        }
    };
    protect(response.headers_mut());
    if head.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

impl<'a> Asked<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let below = path.strip_prefix(PREFIX)?;
        let (tenant, rest) = match below.split_once('/') {
            Some((tenant, rest)) => (tenant, Some(rest)),
            None => (below, None),
        };
        let _well_formed: TenantId = tenant.parse().ok()?;
        let base = path.get(..PREFIX.len().checked_add(tenant.len())?)?;
        Some(Self { base, rest })
    }
}

/// Whether the path names a file; all others are places within the page.
fn is_file(rest: &str) -> bool {
    rest.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

fn refusal(err: &std::io::Error) -> Refusal {
    if err.kind() == std::io::ErrorKind::ResourceBusy {
        return Refusal::no_room();
    }
    Refusal::not_found()
}

fn moved(base: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Ok(location) = HeaderValue::try_from(format!("{base}/")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn config(base: &str) -> Response {
    let config = Config {
        base_path: base,
        assistant_name: "Assistant",
        assistant_agent_id: "main",
        server_version: env!("CARGO_PKG_VERSION"),
        embed_sandbox: "scripts",
        allow_external_embed_urls: false,
        terminal_enabled: false,
    };
    let text = serde_json::to_vec(&config).unwrap_or_default();
    let mut response = whole(text);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

async fn index(folder: Folder, base: String) -> std::io::Result<Response> {
    let page = blocking(move || Page::new(&folder.file(INDEX)?.read()?, &base)).await?;
    let mut response = whole(page.text.into_bytes());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, page::kind(INDEX));
    headers.insert(CONTENT_SECURITY_POLICY, page.policy);
    headers.insert(CACHE_CONTROL, ASK);
    Ok(response)
}

async fn file(folder: Folder, path: String, headers: &HeaderMap) -> std::io::Result<Response> {
    let codings: Vec<_> = CODINGS.into_iter().filter(|(name, _)| accepts(headers, name)).collect();
    let (kind, fixed) = (page::kind(&path), path.starts_with(ASSETS));
    let (file, coding) = blocking(move || best(&folder, &path, &codings)).await?;
    let tag = HeaderValue::try_from(file.tag()).map_err(std::io::Error::other)?;
    let mut response = if is_known(headers, &tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(file.size));
        response.headers_mut().insert(CONTENT_TYPE, kind);
        *response.body_mut() = file.into_body();
        response
    };
    let headers = response.headers_mut();
    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    headers.insert(ETAG, tag);
    headers.insert(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
    headers.insert(CACHE_CONTROL, if fixed { FOREVER } else { ASK });
    Ok(response)
}

/// The file, or what was made of it for a coding that the client takes.
fn best(
    folder: &Folder,
    path: &str,
    codings: &[(&'static str, &str)],
) -> std::io::Result<(File, Option<&'static str>)> {
    for (name, ending) in codings {
        if let Ok(file) = folder.file(&format!("{path}{ending}")) {
            return Ok((file, Some(name)));
        }
    }
    folder.file(path).map(|file| (file, None))
}

/// Whether the client takes a coding. One that it weighs with nought it does not.
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).into_iter().filter_map(|it| it.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let nought = weight.trim().strip_prefix("q=").and_then(|it| it.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(coding) && nought.is_none_or(|it| it > 0.0)
    })
}

fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    known.is_some_and(|known| {
        known.split(',').any(|it| it.trim().trim_start_matches("W/").as_bytes() == tag.as_bytes())
    })
}

fn whole(text: Vec<u8>) -> Response {
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// What every answer says, files and scripts alike.
fn protect(headers: &mut HeaderMap) {
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(POLICY);
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let alone = HeaderName::from_static("cross-origin-opener-policy");
    headers.insert(alone, HeaderValue::from_static("same-origin"));
}

/// Work on files, off the threads that serve sockets.
async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(job).await.map_err(std::io::Error::other)?
}

#[cfg(test)]
mod tests;
