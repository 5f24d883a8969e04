//! What an agent has written, as text with styles over it: Markdown is read once, and every network's
//! dialect is written from that.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// Styles in one another: what is nested deeper is text alone.
const MAX_DEPTH: usize = 8;

/// The longest name of a code block's language, in bytes; a longer one is none.
const MAX_LANGUAGE: usize = 24;

/// The longest address that is put behind a text, in bytes; a longer one is written out beside it, where
/// it can be cut like any text.
const MAX_ADDRESS: usize = 256;

/// Text with styles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rich {
    /// What is read.
    pub(crate) text: String,
    /// What is over it: by where they begin, the outer before the inner.
    pub(crate) spans: Vec<Span>,
}

/// A style over a piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) style: Style,
}

/// How text looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Style {
    Strong,
    Emphasis,
    Struck,
    Code,
    Block(String),
    Link(String),
    Quote,
}

impl Rich {
    /// Reads Markdown. Whatever the text, something is read.
    pub fn parse(markdown: &str) -> Self {
        let options =
            Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS;
        let mut reader = Reader::default();
        for event in Parser::new_ext(markdown, options) {
            reader.take(event);
        }
        reader.finish()
    }

    /// Text as it is, without styles.
    pub fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), spans: Vec::new() }
    }
}

#[derive(Debug, Default)]
struct Reader {
    rich: Rich,
    /// Where the styles begin that have not ended.
    open: Vec<(usize, Option<Style>)>,
    /// The lists that we are in: the number of the next item, or none.
    lists: Vec<Option<u64>>,
    /// What is to stand before the next text.
    gap: &'static str,
    is_first_cell: bool,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Code(text) => {
                self.fill();
                let from = self.rich.text.len();
                self.push(&text);
                self.span(from, Style::Code);
            }
            Event::SoftBreak | Event::HardBreak => self.push("\n"),
            Event::Rule => {
                self.part("\n\n");
                self.push("———");
                self.part("\n\n");
            }
            Event::TaskListMarker(done) => self.push(if done { "[x] " } else { "[ ] " }),
            Event::Text(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => self.push(&text),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::Table(_) | Tag::HtmlBlock => self.part("\n\n"),
            Tag::Heading { .. } => {
                self.part("\n\n");
                self.open(Some(Style::Strong));
            }
            Tag::BlockQuote(_) => {
                self.part("\n\n");
                self.open(Some(Style::Quote));
            }
            Tag::CodeBlock(kind) => {
                self.part("\n\n");
                self.open(Some(Style::Block(language(&kind))));
            }
            Tag::List(number) => {
                self.part(if self.lists.is_empty() { "\n\n" } else { "\n" });
                self.lists.push(number);
            }
            Tag::Item => self.item(),
            Tag::TableHead | Tag::TableRow => {
                self.part("\n");
                self.is_first_cell = true;
            }
            Tag::TableCell => {
                if !std::mem::take(&mut self.is_first_cell) {
                    self.push(" | ");
                }
            }
            Tag::Emphasis => self.open(Some(Style::Emphasis)),
            Tag::Strong => self.open(Some(Style::Strong)),
            Tag::Strikethrough => self.open(Some(Style::Struck)),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.open(Some(Style::Link(dest_url.into_string())));
            }
            Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => self.open(None),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::Table | TagEnd::HtmlBlock => self.part("\n\n"),
            TagEnd::Heading(_) | TagEnd::BlockQuote(_) => {
                self.close();
                self.part("\n\n");
            }
            TagEnd::CodeBlock => {
                // The line feed before the closing fence is not part of the code.
                if self.rich.text.ends_with('\n') {
                    self.rich.text.pop();
                }
                self.close();
                self.part("\n\n");
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.part(if self.lists.is_empty() { "\n\n" } else { "\n" });
            }
            TagEnd::Item | TagEnd::TableHead | TagEnd::TableRow => self.part("\n"),
            TagEnd::TableCell => {}
            TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough
            | TagEnd::Link
            | TagEnd::Image
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => self.close(),
        }
    }

    fn item(&mut self) {
        self.part("\n");
        self.fill();
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(MAX_DEPTH));
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                let mark = format!("{number}. ");
                *number = number.saturating_add(1);
                mark
            }
            Some(None) | None => "• ".to_owned(),
        };
        self.rich.text.push_str(&indent);
        self.rich.text.push_str(&mark);
    }

    /// Text that is to be at least this far from what stands before it.
    fn part(&mut self, gap: &'static str) {
        let is_mark = self.rich.text.ends_with("• ") || self.rich.text.ends_with(". ");
        let is_item = is_mark && self.gap.is_empty() && !self.lists.is_empty();
        if !self.rich.text.is_empty() && !is_item && gap.len() > self.gap.len() {
            // Within a list, its own lines are enough.
            self.gap = if self.lists.is_empty() { gap } else { "\n" };
        }
    }

    fn fill(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        self.rich.text.push_str(gap);
        let at = self.rich.text.len();
        // What began before the gap begins after it.
        for (from, _) in self.open.iter_mut().filter(|(from, _)| *from + gap.len() == at) {
            *from = at;
        }
    }

    fn push(&mut self, text: &str) {
        if !text.is_empty() {
            self.fill();
            // No network shows other control characters, and some count each as six.
            let shown = |it: &char| !it.is_control() || matches!(it, '\n' | '\t');
            self.rich.text.extend(text.chars().filter(shown));
        }
    }

    fn open(&mut self, style: Option<Style>) {
        self.open.push((self.rich.text.len(), style));
    }

    fn close(&mut self) {
        let Some((from, style)) = self.open.pop() else { return };
        match style {
            Some(Style::Link(to)) if to.len() > MAX_ADDRESS => {
                let shown = self.rich.text.get(from..).unwrap_or_default();
                let beside = if shown == to { String::new() } else { format!(" ({to})") };
                self.push(&beside);
            }
            Some(style) => self.span(from, style),
            None => {}
        }
    }

    fn span(&mut self, from: usize, style: Style) {
        let to = self.rich.text.len();
        if from < to && self.open.len() < MAX_DEPTH {
            self.rich.spans.push(Span { from, to, style });
        }
    }

    fn finish(mut self) -> Rich {
        while !self.open.is_empty() {
            self.close();
        }
        // Inner ones were closed first: a stable sort has them last where two begin together.
        self.rich.spans.reverse();
        self.rich.spans.sort_by(|a, b| a.from.cmp(&b.from).then(b.to.cmp(&a.to)));
        self.rich
    }
}

fn language(kind: &CodeBlockKind<'_>) -> String {
    let CodeBlockKind::Fenced(info) = kind else { return String::new() };
    let word = info.split([' ', ',']).next().unwrap_or_default();
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"+#-_.".contains(&it);
    let fits = word.len() <= MAX_LANGUAGE && word.bytes().all(plain);
    if fits { word.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests;
