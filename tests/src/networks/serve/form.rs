//! Forms as they are sent: pairs in a line, and parts between boundaries.

/// A part of a multipart form.
#[derive(Debug, Clone)]
pub(in crate::networks) struct Part {
    pub(in crate::networks) name: String,
    pub(in crate::networks) filename: Option<String>,
    pub(in crate::networks) media_type: Option<String>,
    pub(in crate::networks) content: Vec<u8>,
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

/// The parts of a multipart form of that content type; `None` where it is none.
pub(in crate::networks) fn parts(content_type: &str, body: &[u8]) -> Option<Vec<Part>> {
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
                part.filename = parameter(value, "filename");
            }
            "content-type" => part.media_type = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    Some(part)
}

fn parameter(value: &str, name: &str) -> Option<String> {
    let found = value.split(';').find_map(|it| it.trim().strip_prefix(name)?.strip_prefix('='));
    found.map(|it| it.trim_matches('"').to_owned())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|it| it == needle)
}
