//! Forms as they are sent: pairs in a line, and parts between boundaries.

/// A part of a multipart form.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
    pub(crate) media_type: Option<String>,
    pub(crate) content: Vec<u8>,
}

/// The pairs of a form or of a query.
pub(in crate::networks) fn fields(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|it| !it.is_empty());
    let pair = |it: &str| {
        let (name, value) = it.split_once('=').unwrap_or((it, ""));
        (decoded(name, true), decoded(value, true))
    };
    pairs.map(pair).collect()
}

/// The text behind percent signs; where `plus` is set a plus sign is a space.
pub(super) fn decoded(text: &str, plus: bool) -> String {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *first == b'%');
        let escaped = escaped.and_then(|it| std::str::from_utf8(it).ok());
        if let Some(byte) = escaped.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            out.push(byte);
            rest = &after[2..];
        } else {
            out.push(if plus && *first == b'+' { b' ' } else { *first });
            rest = after;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A text as a piece of a path.
pub(in crate::networks) fn encoded(text: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~".contains(&it);
    let piece = |it| if plain(it) { char::from(it).to_string() } else { format!("%{it:02X}") };
    text.bytes().map(piece).collect()
}

/// The parts of a multipart form of that content type; `None` where it is none.
pub(crate) fn parts(content_type: &str, body: &[u8]) -> Option<Vec<Part>> {
    let boundary = content_type.split("boundary=").nth(1)?.split(';').next()?.trim_matches('"');
    let mark = format!("--{boundary}");
    let mut found = Vec::new();
    let mut rest = body.get(find(body, mark.as_bytes())? + mark.len()..)?;
    while let Some(inside) = rest.strip_prefix(b"\r\n") {
        let end = find(inside, format!("\r\n{mark}").as_bytes())?;
        found.push(part(&inside[..end])?);
        rest = &inside[end + 2 + mark.len()..];
    }
    rest.starts_with(b"--").then_some(found)
}

fn part(bytes: &[u8]) -> Option<Part> {
    let head = find(bytes, b"\r\n\r\n")?;
    let (text, content) = (std::str::from_utf8(&bytes[..head]).ok()?, bytes[head + 4..].to_vec());
    let mut part = Part { name: String::new(), filename: None, media_type: None, content };
    for line in text.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" => {
                part.name = parameter(value, "name")?;
                let in_full = || parameter(value, "filename*").map(|it| plain(&it));
                part.filename = in_full().or_else(|| parameter(value, "filename"));
            }
            "content-type" => part.media_type = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    Some(part)
}

/// A parameter of a header, between quotes or not: within quotes a semicolon ends nothing.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once(';') {
        let (key, value) = after.trim_start().split_once('=')?;
        let (value, left) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find(';').unwrap_or(value.len())),
        };
        if key == name {
            return Some(value.to_owned());
        }
        rest = left;
    }
    None
}

/// A value that says in which signs it is written: RFC 8187.
fn plain(value: &str) -> String {
    let text = value.splitn(3, '\'').nth(2).unwrap_or(value);
    decoded(text, false)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|it| it == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_however_it_is_written() {
        let check = |head: &str, want: &str| {
            let head = format!("form-data; name=\"files[0]\"; {head}");
            let body = format!("--b\r\nContent-Disposition: {head}\r\n\r\nx\r\n\r\n--b--\r\n");
            let parts = parts("multipart/form-data; boundary=b", body.as_bytes()).unwrap();
            let [part] = parts.as_slice() else { panic!("{head}: {parts:?}") };
            assert_eq!((part.name.as_str(), part.content.as_slice()), ("files[0]", &b"x\r\n"[..]));
            assert_eq!(part.filename.as_deref(), Some(want), "{head}");
        };
        check("filename=a.txt", "a.txt");
        check("filename=\"a; name=b.txt\"", "a; name=b.txt");
        check("filename=\"a%22b.txt\"", "a%22b.txt");
        check("filename*=utf-8''gr%C3%B6%C3%9Fe.txt", "gr\u{f6}\u{df}e.txt");
        check("filename=\"x\"; filename*=utf-8''y", "y");
        assert!(parts("multipart/form-data; boundary=b", b"--b\r\n").is_none());
    }
}
