//! A file that goes out with an answer: what it is, without what is in it.

use serde::{Deserialize, Serialize};

/// What is said of a file where the network wants to hear it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// What its worker calls it: the bytes are asked for by that.
    pub id: String,
    /// What people call it: one name, without folders.
    pub name: String,
    /// What it is, for example `image/png`, as far as its name says.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
}

/// What a file is whose name does not say it.
const UNKNOWN: &str = "application/octet-stream";

/// What files are by the ends of their names: what chat networks show rather than offer.
const TYPES: [(&str, &str); 25] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("svg", "image/svg+xml"),
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("json", "application/json"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("txt", "text/plain"),
    ("log", "text/plain"),
    ("md", "text/markdown"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("wav", "audio/wav"),
    ("m4a", "audio/mp4"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("mov", "video/quicktime"),
];

impl File {
    /// What a file of this name is.
    pub fn media_type(name: &str) -> &'static str {
        let end = name.rsplit_once('.').map_or("", |(_, end)| end);
        let known = TYPES.iter().find(|(it, _)| it.eq_ignore_ascii_case(end));
        known.map_or(UNKNOWN, |(_, media_type)| media_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_says_what_it_is() {
        let check = |name: &str, want: &str| assert_eq!(File::media_type(name), want, "{name}");
        check("a.png", "image/png");
        check("A.B.JPG", "image/jpeg");
        check("png", UNKNOWN);
        check("a.exe", UNKNOWN);
        check("", UNKNOWN);
    }
}
