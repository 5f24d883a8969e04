//! A document of one of a few kinds as text. Pure.

use serde::de::IgnoredAny;

use super::html;
use crate::tools::Failure;

/// How a page is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// With headings, lists and links.
    Markdown,
    /// Without.
    Text,
}

/// A document as text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) text: String,
    /// Whether there was more.
    pub(super) is_cut: bool,
}

/// What kind of document it is.
enum Kind {
    Html,
    Json,
    Plain,
}

/// Reads a document that came from `url`, at most `max` characters of it.
pub(super) fn read(
    content_type: &str,
    url: &str,
    body: &[u8],
    mode: Mode,
    max: usize,
) -> Result<Page, Failure> {
    let mut parts = content_type.split(';').map(|it| it.trim().to_ascii_lowercase());
    let kind = kind(&parts.next().unwrap_or_default()).ok_or_else(|| {
        let shown: String = content_type.chars().filter(|c| !c.is_control()).take(64).collect();
        Failure::Refused(format!("the document is {shown:?}: only HTML, JSON and text are read"))
    })?;
    let text = decoded(body, parts.find_map(|it| Some(it.strip_prefix("charset=")?.to_owned())));
    let mut page = match kind {
        Kind::Html => html::extract(&text, url, mode, max),
        Kind::Json => Page { text: pretty(&text, max).unwrap_or(text), ..Page::default() },
        Kind::Plain => Page { text, ..Page::default() },
    };
    page.text.retain(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    if let Some((end, _)) = page.text.char_indices().nth(max) {
        page.text.truncate(end);
        page.is_cut = true;
    }
    Ok(page)
}

fn kind(essence: &str) -> Option<Kind> {
    match essence {
        "text/html" | "application/xhtml+xml" => Some(Kind::Html),
        "application/json" => Some(Kind::Json),
        "application/xml" | "application/javascript" | "application/yaml" => Some(Kind::Plain),
        it if it.ends_with("+json") => Some(Kind::Json),
        it if it.ends_with("+xml") || it.starts_with("text/") => Some(Kind::Plain),
        _ => None,
    }
}

/// Bytes as text. What names no other character set is UTF-8, as nearly everything is.
fn decoded(body: &[u8], charset: Option<String>) -> String {
    let charset = charset.unwrap_or_default();
    match charset.trim_matches('"') {
        // Each byte is the character of that number; Windows' own characters are lost.
        "iso-8859-1" | "latin1" | "windows-1252" | "us-ascii" => {
            body.iter().map(|byte| char::from(*byte)).collect()
        }
        _ => String::from_utf8_lossy(body).into_owned(),
    }
}

/// JSON with line ends, written from the text itself: parsed it could take a hundred times the room.
/// `None` where it is no JSON, or where its form has more bytes than `max` characters can have.
fn pretty(text: &str, max: usize) -> Option<String> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let most = max.saturating_mul(char::MAX_LEN_UTF8);
    let (mut out, mut depth) = (String::new(), 0_usize);
    let (mut is_string, mut is_escaped) = (false, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            _ if is_string => {
                out.push(c);
                is_string = is_escaped || c != '"';
                is_escaped = !is_escaped && c == '\\';
            }
            '{' | '[' => {
                out.push(c);
                while rest.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(close) = rest.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    next_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                next_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                next_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => {
                out.push(c);
                is_string = c == '"';
            }
        }
        if out.len() > most {
            return None;
        }
    }
    Some(out)
}

fn next_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_text_by_their_kind() {
        let check = |kind: &str, body: &[u8], want: Result<&str, &str>| {
            let page = read(kind, "https://h/", body, Mode::Text, 20);
            let got = page.map(|it| it.text).map_err(|it| it.to_string());
            assert_eq!(got.as_deref().map_err(String::as_str), want, "{kind}");
        };
        check("text/html; charset=utf-8", b"<p>a&amp;b", Ok("a&b"));
        check("application/json", b"{\"a\":1}", Ok("{\n  \"a\": 1\n}"));
        check("application/ld+json", b"{broken", Ok("{broken"));
        check("application/json", b" [ ] ", Ok("[]"));
        check("text/plain; charset=ISO-8859-1", b"\xfc\x00", Ok("ü"));
        check("Text/Markdown", "# ü".as_bytes(), Ok("# ü"));
        check("text/plain", &b"x".repeat(30), Ok("xxxxxxxxxxxxxxxxxxxx"));
        let refused =
            |kind: &str| format!("the document is {kind:?}: only HTML, JSON and text are read");
        check("image/png", b"", Err(&refused("image/png")));
        check("", b"", Err(&refused("")));
    }

    #[test]
    fn json_is_written_as_serde_writes_it_and_never_at_length() {
        let check = |text: &str| {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            let wanted = serde_json::to_string_pretty(&value).unwrap();
            assert_eq!(pretty(text, 1 << 20), Some(wanted));
        };
        check(r#"{"a\\":["b\"{,:",1.5,[],{ },[ [ ] ]],"ü":{"c":null}}"#);
        check(" \n1 ");
        check(r#""\\\"""#);
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        let many = format!("[{}{deep}]", format!("{deep},").repeat(3000));
        assert_eq!(pretty(&many, 20_000), None);
    }
}
