//! The page itself: where it is served is written into it, and its own scripts are the only ones
//! that a browser then runs.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use ring::digest::{SHA256, digest};

/// What the page may do besides running its scripts. Sockets and requests go to the gateway that
/// it came from, so that a token that it holds goes nowhere else.
const POLICY: &str = "default-src 'none'; connect-src 'self' data:; img-src 'self' data: blob:; \
    media-src 'self' data: blob:; font-src 'self' data:; style-src 'self' 'unsafe-inline'; \
    worker-src 'self' blob:; manifest-src 'self'; frame-src 'self' blob:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'; script-src 'self' 'wasm-unsafe-eval'";

/// Scripts within the page. The official one has two.
const MAX_SCRIPTS: usize = 16;

/// The page for one base path.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) text: String,
    /// Its `Content-Security-Policy`.
    pub(crate) policy: HeaderValue,
}

impl Page {
    /// Rewrites `index` for `base`, which holds nothing that means anything in HTML.
    pub(crate) fn new(index: &str, base: &str) -> io::Result<Self> {
        let Some((before, after)) = index.split_once("<html") else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "index.html is no page"));
        };
        let after = after.replace("=\"./", &format!("=\"{base}/"));
        let text = format!("{before}<html data-openclaw-control-ui-base-path=\"{base}\"{after}");
        let mut policy = String::from(POLICY);
        for script in scripts(&text).take(MAX_SCRIPTS) {
            let hash = digest(&SHA256, script.as_bytes());
            policy.push_str(" 'sha256-");
            policy.push_str(&STANDARD.encode(hash));
            policy.push('\'');
        }
        let policy = HeaderValue::try_from(policy).map_err(io::Error::other)?;
        Ok(Self { text, policy })
    }
}

/// What stands between the tags of the scripts that are no files.
fn scripts(text: &str) -> impl Iterator<Item = &str> {
    text.split("<script").skip(1).filter_map(|rest| {
        let (attributes, rest) = rest.split_once('>')?;
        let (script, _) = rest.split_once("</script>")?;
        (!attributes.contains("src=")).then_some(script)
    })
}

/// The type of a file of this name.
pub(crate) fn kind(path: &str) -> HeaderValue {
    let ending = path.rsplit('.').next().unwrap_or_default();
    HeaderValue::from_static(match ending {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "wasm" => "application/wasm",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_knows_where_it_is() {
        let index = "<!doctype html><html lang=\"en\"><link href=\"./a.css\">\
            <script data-x=\"\">1</script><script src=\"./b.js\"></script></html>";
        let page = Page::new(index, "/t/acme").unwrap();
        let head = "<!doctype html><html data-openclaw-control-ui-base-path=\"/t/acme\" lang";
        assert!(page.text.starts_with(head), "{}", page.text);
        for part in ["href=\"/t/acme/a.css\"", "src=\"/t/acme/b.js\""] {
            assert!(page.text.contains(part), "{part} in {}", page.text);
        }
        // printf 1 | openssl dgst -sha256 -binary | base64
        let policy = page.policy.to_str().unwrap();
        assert!(
            policy.ends_with("'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='"),
            "{policy}"
        );
        assert_eq!(policy.matches("sha256").count(), 1);
        Page::new("not a page", "/t/acme").unwrap_err();
    }
}
