//! The index: one line of JSON for each member, in their order. The same member has always the same
//! line, so that two indexes are compared by their digests.

use std::io::Write;

use ring::digest::{Context, SHA256};
use serde::Serialize;

use super::entry::{Kind, Member, Time};

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    /// In place of a path that is not UTF-8.
    #[serde(rename = "pathHex", skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    kind: &'static str,
    mode: String,
    mtime: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(rename = "targetHex", skip_serializing_if = "Option::is_none")]
    target_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
}

/// Takes the lines of an index and gives its digest.
pub(super) struct Index<W> {
    to: W,
    digest: Context,
    length: u64,
}

impl<W: Write> Index<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, digest: Context::new(&SHA256), length: 0 }
    }

    /// The line of one member; `digest` is of a file's content.
    pub(super) fn add(&mut self, member: &Member, digest: Option<&[u8]>) -> std::io::Result<()> {
        let (path, path_hex) = text(&member.path);
        let (kind, size, target) = match &member.kind {
            Kind::File(size) => ("file", Some(*size), None),
            Kind::Directory => ("directory", None, None),
            Kind::Link(target) => ("link", None, Some(target)),
        };
        let (target, target_hex) = target.map_or((None, None), |it| text(it));
        let line = Line {
            path,
            path_hex,
            kind,
            mode: format!("{:04o}", member.mode),
            mtime: member.mtime,
            size,
            sha256: digest.map(hex),
            target_hex,
            target,
        };
        let mut bytes = serde_json::to_vec(&line).map_err(std::io::Error::other)?;
        bytes.push(b'\n');
        self.digest.update(&bytes);
        self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.to.write_all(&bytes)
    }

    /// Where it was written to, its length, and its digest.
    pub(super) fn finish(self) -> (W, u64, Vec<u8>) {
        (self.to, self.length, self.digest.finish().as_ref().to_vec())
    }
}

fn text(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_not_text) => (None, Some(hex(bytes))),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}
