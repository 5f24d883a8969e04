//! One tag of a page. Pure.

use super::entity;

/// Bytes of a name, and of one attribute's value that is kept.
const MAX_NAME: usize = 32;
const MAX_VALUE: usize = 2048;

/// A tag, as far as it is looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tag {
    /// In small letters.
    pub(super) name: String,
    pub(super) is_end: bool,
    /// Whether it ends itself.
    pub(super) is_empty: bool,
    pub(super) href: Option<String>,
    pub(super) alt: Option<String>,
}

/// The tag at the start of `text`, and what follows; nothing where there is no tag. A tag that does
/// not end takes the rest of the text.
pub(super) fn read(text: &str) -> Option<(Tag, &str)> {
    let rest = text.strip_prefix('<')?;
    let (is_end, rest) = rest.strip_prefix('/').map_or((false, rest), |rest| (true, rest));
    if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
    let (name, mut rest) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    let name = name.get(..name.floor_char_boundary(MAX_NAME))?.to_ascii_lowercase();
    let mut tag = Tag { name, is_end, ..Tag::default() };
    loop {
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix('>') {
            return Some((tag, after));
        }
        if let Some(after) = rest.strip_prefix('/') {
            tag.is_empty = after.starts_with('>');
            rest = after;
            continue;
        }
        if rest.is_empty() {
            return Some((tag, rest));
        }
        rest = attribute(rest, &mut tag);
    }
}

/// Takes one attribute, which is at least one byte, and gives what follows.
fn attribute<'a>(text: &'a str, tag: &mut Tag) -> &'a str {
    let is_end = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>' | '=');
    // An equals sign at the start belongs to the name.
    let first = text.chars().next().map_or(0, char::len_utf8);
    let end = text.get(first..).and_then(|it| it.find(is_end)).map_or(text.len(), |at| at + first);
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let Some(value) = rest.trim_ascii_start().strip_prefix('=') else { return rest };
    let value = value.trim_ascii_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let (value, rest) = if let Some(quote) = quote {
        let inner = value.get(1..).unwrap_or_default();
        inner.split_once(quote).unwrap_or((inner, ""))
    } else {
        let end = value.find(|c: char| c.is_ascii_whitespace() || c == '>');
        value.split_at_checked(end.unwrap_or(value.len())).unwrap_or((value, ""))
    };
    let kept = || value.get(..value.floor_char_boundary(MAX_VALUE)).map(entity::decoded);
    if name.eq_ignore_ascii_case("href") && value.len() <= MAX_VALUE {
        tag.href = kept();
    } else if name.eq_ignore_ascii_case("alt") {
        tag.alt = kept();
    }
    rest
}

/// What stands before the end tag of `name`, and what follows that tag.
pub(super) fn until_end<'a>(text: &'a str, name: &str) -> (&'a str, &'a str) {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|it| it.find("</")).map(|at| at + from) {
        let (before, tag) = text.split_at_checked(at).unwrap_or((text, ""));
        let after = tag.get(2..).unwrap_or_default();
        let is_it = after.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name));
        if is_it {
            return (before, after.split_once('>').map_or("", |(_, rest)| rest));
        }
        from = at + 2;
    }
    (text, "")
}
