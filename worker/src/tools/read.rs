//! `read`: a part of a text file, or a picture.

use std::io::{BufRead as _, BufReader, Read as _, Seek as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tonic::async_trait;

use super::arguments::Arguments;
use super::paths::{MAX_PATH, Place};
use super::{Content, Context, Failure, Group, Outcome, Row, Tool, files};
use crate::skills;

/// Lines of one call where nothing is said, as in `OpenClaw`; and the most that may be asked for.
pub(super) const LINES: u64 = 2000;
/// Bytes of text that one call gives: about 12,000 tokens.
const MAX_TEXT: usize = 50 << 10;
/// Bytes that are looked through for the first line; a log of a gigabyte is for programs.
const MAX_SCAN: u64 = 64 << 20;
/// Bytes of a picture, as providers take them.
pub(super) const MAX_PICTURE: u64 = 5 << 20;
/// Bytes at the start of a file that tell what it is.
const START: u64 = 8 << 10;
/// The last line that may be asked for: more than [`MAX_SCAN`] bytes have.
pub(super) const MAX_LINE: u64 = 100_000_000;

#[derive(Debug)]
pub(super) struct Read;

static ROW: Row = Row {
    name: "read",
    label: "Read",
    group: Group::Fs,
    is_read_only: true,
    description: "Reads a file of the workspace (/workspace) or the home (/home/agent): text by lines, \
                  at most 2000 lines and 50 KB at once, or a png, jpeg, gif or webp picture. \
                  Go on with offset where there is more.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["path"],"properties":{"path":{"type":"string","description":"The file, relative to the workspace or absolute."},"offset":{"type":"integer","minimum":1,"description":"The first line, counted from 1."},"limit":{"type":"integer","minimum":1,"maximum":2000,"description":"How many lines."}}}"#,
};

#[async_trait]
impl Tool for Read {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let path = arguments.required(&["path", "file_path"], MAX_PATH)?;
        let first = arguments.whole(&["offset"], 1..=MAX_LINE)?.unwrap_or(1);
        let lines = arguments.whole(&["limit"], 1..=LINES)?.unwrap_or(LINES);
        arguments.end()?;
        if let Some(name) = skills::named(&path) {
            return skill(context, name, &path).await;
        }
        let place = Place::parse("path", &path)?;
        let agent = context.key.agent().clone();
        files::job(context, move |root| {
            let file = files::open(root, &agent, &place)?;
            look(file, &place, first, lines)
        })
        .await
    }
}

/// The text of a skill that is not in the workspace; it is whole, for skills are short.
async fn skill(context: &Context, name: &str, path: &str) -> Result<Outcome, Failure> {
    let text = skills::text(&context.core, context.key.agent(), name).await;
    let text = text.map_err(|err| {
        tracing::error!(error = %types::Chain(&err), "a skill could not be read");
        Failure::Failed(format!("{path} cannot be read"))
    })?;
    text.map(Outcome::text).ok_or_else(|| Failure::Failed(format!("there is no skill {path}")))
}

/// A part of an open file, as the model gets it.
pub(super) fn look(
    mut file: std::fs::File,
    place: &Place,
    first: u64,
    lines: u64,
) -> Result<Outcome, Failure> {
    let broken = |err: std::io::Error| {
        tracing::debug!(error = %err, "a file could not be read");
        Failure::Failed(format!("{} cannot be read", place.shown()))
    };
    let mut start = Vec::new();
    (&mut file).take(START).read_to_end(&mut start).map_err(broken)?;
    file.rewind().map_err(broken)?;
    if let Some(mime) = picture(&start) {
        return show(file, place, mime, broken);
    }
    if start.contains(&0) {
        let what = format!("{} is neither text nor a picture that can be shown", place.shown());
        return Err(Failure::Refused(what));
    }
    let part = cut(BufReader::new(file.take(MAX_SCAN)), first, lines).map_err(broken)?;
    if part.lines == 0 && first > 1 {
        let what = format!("offset is {first}, and {} has {} lines", place.shown(), part.passed);
        return Err(Failure::Invalid(what));
    }
    let details = json!({
        "path": place.shown(), "offset": first, "lines": part.lines, "truncated": part.more,
    });
    Ok(Outcome::text(part.shown(first)).with(details))
}

fn show(
    file: std::fs::File,
    place: &Place,
    mime: &str,
    broken: impl Fn(std::io::Error) -> Failure,
) -> Result<Outcome, Failure> {
    let mut bytes = Vec::new();
    file.take(MAX_PICTURE + 1).read_to_end(&mut bytes).map_err(broken)?;
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size > MAX_PICTURE {
        let what = format!("{} is larger than {MAX_PICTURE} bytes", place.shown());
        return Err(Failure::Refused(what));
    }
    let said = Content::Text(format!("{} is a picture ({mime})", place.shown()));
    let shown = Content::Image { mime: mime.to_owned(), data: BASE64_STANDARD.encode(&bytes) };
    let details = json!({ "path": place.shown(), "mimeType": mime, "bytes": size });
    Ok(Outcome::of(vec![said, shown]).with(details))
}

/// What kind of picture begins like this.
pub(super) fn picture(start: &[u8]) -> Option<&'static str> {
    if start.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if start.starts_with(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if start.starts_with(b"GIF87a") || start.starts_with(b"GIF89a") {
        Some("image/gif")
    } else if start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        None
    }
}

/// Some lines of a text.
#[derive(Debug, Default)]
struct Part {
    text: String,
    /// Lines in it, and lines before it.
    lines: u64,
    passed: u64,
    /// Whether there is more behind it.
    more: bool,
    /// Whether the last line is shown to a part only.
    is_cut: bool,
}

impl Part {
    fn shown(mut self, first: u64) -> String {
        let next = first.saturating_add(self.lines);
        if self.is_cut {
            let line = next.saturating_sub(1);
            let mark = format!("\n[line {line} is cut here; read it with a program]");
            self.text.push_str(&mark);
        }
        if self.more {
            let mark = format!("\n[there is more: go on with offset {next}]");
            self.text.push_str(&mark);
        }
        self.text
    }
}

/// Lines `first` and on, as far as the bounds let them.
fn cut(mut from: impl std::io::BufRead, first: u64, lines: u64) -> std::io::Result<Part> {
    let mut part = Part::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        // No line is kept that is longer than what may be shown.
        let limit = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX);
        let read = (&mut from).take(limit).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(part);
        }
        let whole = line.ends_with(b"\n") || read < MAX_TEXT;
        if !whole {
            from.skip_until(b'\n')?;
        }
        if part.passed + 1 < first {
            part.passed += 1;
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        let room = MAX_TEXT.saturating_sub(part.text.len());
        if part.lines == lines || (part.lines > 0 && text.len() > room) {
            part.more = true;
            return Ok(part);
        }
        let end = text.floor_char_boundary(room);
        part.text.push_str(text.get(..end).unwrap_or_default());
        part.lines += 1;
        if !whole || end < text.len() {
            part.is_cut = true;
            part.more = !from.fill_buf()?.is_empty();
            return Ok(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_out_and_what_follows_is_told() {
        let check = |text: &str, first: u64, lines: u64, shown: &str| {
            let part = cut(text.as_bytes(), first, lines).unwrap();
            assert_eq!(part.shown(first), shown);
        };
        check("a\nb\nc\n", 1, 9, "a\nb\nc\n");
        check("a\nb\nc", 2, 1, "b\n\n[there is more: go on with offset 3]");
        check("a\nb\nc", 3, 1, "c");
        check("", 1, 1, "");
        check("a\r\nb", 1, 1, "a\r\n\n[there is more: go on with offset 2]");
    }

    #[test]
    fn long_lines_and_long_texts_are_cut() {
        let long = format!("{}\nend\n", "ü".repeat(MAX_TEXT));
        let part = cut(long.as_bytes(), 1, 9).unwrap();
        assert!(part.is_cut && part.more && part.lines == 1 && part.text.len() <= MAX_TEXT);
        assert_eq!(cut(long.as_bytes(), 2, 9).unwrap().text, "end\n");
        let many = "0123456789\n".repeat(10_000);
        let part = cut(many.as_bytes(), 1, LINES * 9).unwrap();
        assert!(part.more && !part.is_cut && part.text.len() <= MAX_TEXT);
        assert_eq!(part.lines, 4654);
    }

    #[test]
    fn pictures_are_known_by_their_first_bytes() {
        assert_eq!(picture(b"\x89PNG\r\n\x1a\n..."), Some("image/png"));
        assert_eq!(picture(b"RIFF....WEBP"), Some("image/webp"));
        assert_eq!(picture(b"RIFF....WAVE"), None);
        assert_eq!(picture(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(picture(b"GIF89a"), Some("image/gif"));
        assert_eq!(picture(b"#!/bin/sh"), None);
    }
}
