//! What has been read of a page so far, as markdown or text: blanks are joined, blocks stand apart.

use super::link;
use super::tag::Tag;
use crate::tools::web_fetch::page::Mode;

/// Elements that stand on lines of their own.
const BLOCKS: [&str; 27] = [
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "aside",
    "body",
    "html",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "table",
    "thead",
    "tbody",
    "form",
    "fieldset",
    "figure",
    "figcaption",
    "address",
    "details",
    "summary",
    "hgroup",
    "center",
    "caption",
];

/// What stands between what was written and what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Gap {
    #[default]
    None,
    Blank,
    Line,
    Paragraph,
}

#[derive(Debug)]
pub(super) struct Writer {
    out: String,
    gap: Gap,
    mode: Mode,
    base: String,
    /// Where the text of an open link begins, and where it leads.
    link: Option<(usize, String)>,
    /// Whether blanks and line ends stay as they are.
    is_verbatim: bool,
    /// What is put before the next text, such as the mark of a heading.
    mark: &'static str,
}

impl Writer {
    pub(super) fn new(mode: Mode, base: &str) -> Self {
        Self {
            out: String::new(),
            gap: Gap::None,
            mode,
            base: base.to_owned(),
            link: None,
            is_verbatim: false,
            mark: "",
        }
    }

    /// Bytes so far.
    pub(super) const fn len(&self) -> usize {
        self.out.len()
    }

    /// Everything.
    pub(super) fn end(mut self) -> String {
        self.end_link();
        if self.is_verbatim {
            self.verbatim(false);
        }
        self.out
    }

    /// Adds text, with its entities as characters already.
    pub(super) fn text(&mut self, text: &str) {
        if self.is_verbatim {
            self.fill_gap();
            self.out.push_str(text);
            return;
        }
        let mut words = text.split_whitespace();
        let Some(first) = words.next() else {
            return self.widen(if text.is_empty() { Gap::None } else { Gap::Blank });
        };
        if text.starts_with(char::is_whitespace) {
            self.widen(Gap::Blank);
        }
        self.fill_gap();
        self.out.push_str(first);
        for word in words {
            self.out.push(' ');
            self.out.push_str(word);
        }
        if text.ends_with(char::is_whitespace) {
            self.widen(Gap::Blank);
        }
    }

    /// Does what a tag means.
    pub(super) fn tag(&mut self, tag: &Tag) {
        let is_markdown = self.mode == Mode::Markdown;
        match tag.name.as_str() {
            "br" | "tr" => self.widen(Gap::Line),
            "a" => {
                self.end_link();
                if !tag.is_end {
                    self.begin_link(tag.href.as_deref());
                }
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.widen(Gap::Paragraph);
                self.mark = if tag.is_end || !is_markdown { "" } else { heading(&tag.name) };
            }
            "li" => {
                self.widen(Gap::Line);
                self.mark = if tag.is_end { "" } else { "- " };
            }
            "blockquote" => {
                self.widen(Gap::Paragraph);
                self.mark = if tag.is_end || !is_markdown { "" } else { "> " };
            }
            "td" | "th" if tag.is_end => {
                self.widen(Gap::Blank);
                self.mark = "| ";
            }
            "hr" => self.widen(Gap::Paragraph),
            "pre" if tag.is_end == self.is_verbatim => self.verbatim(!tag.is_end),
            "code" if is_markdown && !self.is_verbatim => {
                if !tag.is_end {
                    self.fill_gap();
                }
                self.out.push('`');
            }
            "img" => {
                if let Some(alt) = tag.alt.as_deref().filter(|it| !it.trim().is_empty()) {
                    self.text(&format!("[picture: {}]", alt.trim()));
                }
            }
            name if BLOCKS.contains(&name) => self.widen(Gap::Paragraph),
            _ => {}
        }
    }

    fn verbatim(&mut self, is_verbatim: bool) {
        self.end_link();
        if is_verbatim {
            self.widen(Gap::Paragraph);
            self.fill_gap();
        }
        if self.mode == Mode::Markdown {
            self.out.push_str(if is_verbatim { "```\n" } else { "\n```" });
        }
        self.is_verbatim = is_verbatim;
        if !is_verbatim {
            self.widen(Gap::Paragraph);
        }
    }

    fn begin_link(&mut self, href: Option<&str>) {
        if self.mode == Mode::Text || self.is_verbatim {
            return;
        }
        if let Some(to) = href.and_then(|href| link::absolute(&self.base, href)) {
            self.fill_gap();
            self.link = Some((self.out.len(), to));
        }
    }

    fn end_link(&mut self) {
        let Some((from, to)) = self.link.take() else { return };
        let text = self.out.split_off(from.min(self.out.len()));
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // A link around nothing but a picture without a name is not worth its address.
        if !words.is_empty() {
            self.out.extend(["[", &words, "](", &to, ")"]);
        }
    }

    fn widen(&mut self, gap: Gap) {
        if gap >= Gap::Line {
            // A mark that no text has followed.
            self.mark = "";
        }
        self.gap = self.gap.max(gap);
    }

    /// Writes what stands between, once something comes.
    fn fill_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        if !self.out.is_empty() {
            self.out.push_str(match gap {
                Gap::None => "",
                Gap::Blank => " ",
                Gap::Line => "\n",
                Gap::Paragraph => "\n\n",
            });
        }
        self.out.push_str(std::mem::take(&mut self.mark));
    }
}

fn heading(name: &str) -> &'static str {
    match name {
        "h1" => "# ",
        "h2" => "## ",
        "h3" => "### ",
        "h4" => "#### ",
        "h5" => "##### ",
        _ => "###### ",
    }
}
