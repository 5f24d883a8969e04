//! HTML as markdown or text, whatever state it is in.
//!
//! It goes through the text once and keeps no tree: pages are broken in every way, and a tree would
//! have to be mended first. What stands in a page for its own sake (scripts, styles, navigation) is
//! left out. Pure.

mod entity;
mod link;
mod tag;
mod write;

use self::tag::Tag;
use self::write::Writer;
use super::page::{Mode, Page};

/// Bytes of a title.
const MAX_TITLE: usize = 300;

/// Elements whose content is no HTML and is not shown.
const RAW: [&str; 6] = ["script", "style", "iframe", "noembed", "noframes", "xmp"];
/// Elements that are left out with everything in them.
const LEFT_OUT: [&str; 8] =
    ["nav", "svg", "noscript", "template", "footer", "select", "button", "canvas"];
/// Where what matters begins: nothing that was left open before goes on.
const MATTERS: [&str; 4] = ["main", "article", "body", "h1"];

/// Reads a page that came from `base`; stops at about `max` characters.
pub(super) fn extract(html: &str, base: &str, mode: Mode, max: usize) -> Page {
    let mut page = Reader { writer: Writer::new(mode, base), title: String::new(), left_out: None };
    let mut rest = html;
    let mut is_cut = false;
    while !rest.is_empty() {
        if page.writer.len() > max.saturating_mul(4) {
            is_cut = true;
            break;
        }
        rest = page.step(rest);
    }
    Page { title: page.title, text: page.writer.end(), is_cut }
}

struct Reader {
    writer: Writer,
    title: String,
    /// The element that is left out now, and how many of its name are open.
    left_out: Option<(&'static str, usize)>,
}

impl Reader {
    /// Takes text up to a tag, or one tag, and gives what follows.
    fn step<'a>(&mut self, rest: &'a str) -> &'a str {
        let Some(at) = rest.find('<') else {
            self.text(rest);
            return "";
        };
        if at > 0 {
            let (text, rest) = rest.split_at_checked(at).unwrap_or((rest, ""));
            self.text(text);
            return rest;
        }
        if let Some(comment) = rest.strip_prefix("<!--") {
            return comment.split_once("-->").map_or("", |(_, rest)| rest);
        }
        if rest.starts_with("<!") || rest.starts_with("<?") {
            return rest.split_once('>').map_or("", |(_, rest)| rest);
        }
        let Some((tag, rest)) = tag::read(rest) else {
            // No tag: the sign itself.
            self.text("<");
            return rest.get(1..).unwrap_or_default();
        };
        if !tag.is_end && tag.name == "title" {
            let (title, rest) = tag::until_end(rest, "title");
            self.set_title(title);
            return rest;
        }
        if !tag.is_end && RAW.contains(&tag.name.as_str()) {
            return tag::until_end(rest, &tag.name).1;
        }
        if !self.leaves_out(&tag) {
            self.writer.tag(&tag);
        }
        rest
    }

    fn text(&mut self, text: &str) {
        if self.left_out.is_none() {
            self.writer.text(&entity::decoded(text));
        }
    }

    fn set_title(&mut self, text: &str) {
        // A drawing has titles of its own.
        if self.left_out.is_none() && self.title.is_empty() {
            let text = entity::decoded(text);
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let end = words.floor_char_boundary(MAX_TITLE);
            words.get(..end).unwrap_or_default().clone_into(&mut self.title);
        }
    }

    /// Whether `tag` is, or belongs to, what is left out.
    fn leaves_out(&mut self, tag: &Tag) -> bool {
        let name = tag.name.as_str();
        match &mut self.left_out {
            None => {
                let found = LEFT_OUT.iter().find(|it| **it == name);
                let Some(found) = found.filter(|_| !tag.is_end && !tag.is_empty) else {
                    return LEFT_OUT.contains(&name);
                };
                self.left_out = Some((found, 1));
            }
            Some((open, count)) if *open == name => {
                *count = if tag.is_end { *count - 1 } else { *count + usize::from(!tag.is_empty) };
                if *count == 0 {
                    self.left_out = None;
                }
            }
            Some(_) if MATTERS.contains(&name) => {
                self.left_out = None;
                return false;
            }
            Some(_) => {}
        }
        true
    }
}

#[cfg(test)]
mod tests;
