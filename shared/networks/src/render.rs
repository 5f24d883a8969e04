//! Text with styles in the dialect of a network.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::describe::{Dialect, Length};
use crate::file::File;
use crate::rich::{Rich, Span, Style};

/// One message as it is sent, in its network's dialect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The text.
    pub text: String,
    /// The same with tags, where the network takes both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The file that this is instead of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
}

impl Rich {
    /// A piece of it, in a dialect. The styles that are cut are whole in each piece.
    pub(crate) fn render(&self, range: Range<usize>, dialect: Dialect) -> Part {
        match dialect {
            Dialect::Html => {
                let html = self.write(range.clone(), Dialect::Html);
                Part { text: self.write(range, Dialect::Plain), html: Some(html), file: None }
            }
            Dialect::Plain | Dialect::Markdown | Dialect::Mrkdwn | Dialect::Tags => {
                Part { text: self.write(range, dialect), html: None, file: None }
            }
        }
    }

    /// How long a piece of it is, as the network counts.
    pub(crate) fn length(&self, range: Range<usize>, dialect: Dialect, length: Length) -> usize {
        if dialect == Dialect::Tags {
            return length.unit.of(self.text.get(range).unwrap_or_default());
        }
        let part = self.render(range, dialect);
        let html = part.html.as_deref().unwrap_or_default();
        length.unit.of(&part.text).saturating_add(length.unit.of(html))
    }

    fn write(&self, range: Range<usize>, dialect: Dialect) -> String {
        let mut pen = Pen { out: String::new(), dialect, quotes: 0, code: None };
        let (mut at, mut open) = (range.start, Vec::<&Span>::new());
        let within = |span: &&Span| span.from < range.end && span.to > range.start;
        for span in self.spans.iter().filter(within) {
            while let Some(last) = open.pop_if(|last| last.to <= span.from) {
                at = self.text_to(&mut pen, at, last.to.min(range.end));
                pen.close(last, self);
            }
            at = self.text_to(&mut pen, at, span.from.max(range.start));
            pen.open(&span.style);
            open.push(span);
        }
        while let Some(last) = open.pop() {
            at = self.text_to(&mut pen, at, last.to.min(range.end));
            pen.close(last, self);
        }
        self.text_to(&mut pen, at, range.end);
        pen.out
    }

    fn text_to(&self, pen: &mut Pen, at: usize, to: usize) -> usize {
        pen.text(self.text.get(at..to).unwrap_or_default());
        at.max(to)
    }
}

struct Pen {
    out: String,
    dialect: Dialect,
    quotes: usize,
    code: Option<Code>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    Inline,
    Block,
}

impl Pen {
    fn open(&mut self, style: &Style) {
        use Dialect::{Html, Markdown, Mrkdwn, Plain, Tags};
        self.code = code_of(style).or(self.code);
        let mark = match (self.dialect, style) {
            (Plain | Markdown | Mrkdwn, Style::Quote) => {
                self.quotes += 1;
                "> "
            }
            (Markdown, Style::Strong) => "**",
            (Markdown, Style::Emphasis) | (Mrkdwn, Style::Strong) => "*",
            (Markdown, Style::Struck) => "~~",
            (Mrkdwn, Style::Emphasis) => "_",
            (Mrkdwn, Style::Struck) => "~",
            (Markdown | Mrkdwn, Style::Code) => "`",
            (Markdown, Style::Link(_)) => "[",
            (Markdown, Style::Block(language)) => {
                self.out.push_str("```");
                self.out.push_str(language);
                "\n"
            }
            (Mrkdwn, Style::Block(_)) => "```\n",
            (Mrkdwn, Style::Link(to)) => {
                self.out.push('<');
                let to = escaped(to).replace('|', "%7C");
                self.out.push_str(&to);
                "|"
            }
            (Tags | Html, Style::Link(to)) => {
                self.out.push_str("<a href=\"");
                let to = escaped(to);
                self.out.push_str(&to);
                "\">"
            }
            (Tags | Html, Style::Block(language)) if !language.is_empty() => {
                self.out.push_str("<pre><code class=\"language-");
                self.out.push_str(language);
                "\">"
            }
            (Tags | Html, Style::Block(_)) => "<pre><code>",
            (Tags | Html, Style::Code) => "<code>",
            (Tags | Html, Style::Quote) => "<blockquote>",
            (Tags, Style::Strong) => "<b>",
            (Tags, Style::Emphasis) => "<i>",
            (Tags, Style::Struck) => "<s>",
            (Html, Style::Strong) => "<strong>",
            (Html, Style::Emphasis) => "<em>",
            (Html, Style::Struck) => "<del>",
            (Plain, _) => "",
        };
        self.out.push_str(mark);
    }

    /// Whether the third of three such signs would be taken for a fence.
    fn is_fence(&self, character: char) -> bool {
        let may_be = self.code == Some(Code::Block) || self.dialect == Dialect::Mrkdwn;
        character == '`' && may_be && self.out.ends_with("``")
    }

    fn close(&mut self, span: &Span, rich: &Rich) {
        use Dialect::{Html, Markdown, Mrkdwn, Plain, Tags};
        if code_of(&span.style).is_some() {
            self.code = None;
        }
        let mark = match (self.dialect, &span.style) {
            (Plain | Markdown | Mrkdwn, Style::Quote) => {
                self.quotes = self.quotes.saturating_sub(1);
                ""
            }
            (Plain, Style::Link(to)) => {
                if rich.text.get(span.from..span.to) == Some(to) {
                    return;
                }
                self.out.push_str(" (");
                self.out.push_str(to);
                ")"
            }
            (Plain, _) => "",
            (Markdown, Style::Strong) => "**",
            (Markdown, Style::Emphasis) | (Mrkdwn, Style::Strong) => "*",
            (Markdown, Style::Struck) => "~~",
            (Mrkdwn, Style::Emphasis) => "_",
            (Mrkdwn, Style::Struck) => "~",
            (Markdown | Mrkdwn, Style::Code) => "`",
            (Markdown, Style::Link(to)) => {
                self.out.push_str("](");
                let to = to.replace(')', "%29").replace(' ', "%20");
                self.out.push_str(&to);
                ")"
            }
            (Markdown | Mrkdwn, Style::Block(_)) => "\n```",
            (Mrkdwn, Style::Link(_)) => ">",
            (Tags | Html, Style::Link(_)) => "</a>",
            (Tags | Html, Style::Block(_)) => "</code></pre>",
            (Tags | Html, Style::Code) => "</code>",
            (Tags | Html, Style::Quote) => "</blockquote>",
            (Tags, Style::Strong) => "</b>",
            (Tags, Style::Emphasis) => "</i>",
            (Tags, Style::Struck) => "</s>",
            (Html, Style::Strong) => "</strong>",
            (Html, Style::Emphasis) => "</em>",
            (Html, Style::Struck) => "</del>",
        };
        self.out.push_str(mark);
    }

    fn text(&mut self, text: &str) {
        for character in text.chars() {
            match (self.dialect, character) {
                // Nothing that is code ends it.
                (Dialect::Markdown | Dialect::Mrkdwn, '`') if self.code == Some(Code::Inline) => {
                    self.out.push('ˋ');
                }
                // Nothing that is none begins or ends a block: Slack has no way to say that a sign is one.
                (Dialect::Markdown | Dialect::Mrkdwn, '`') if self.is_fence(character) => {
                    self.out.push_str("\u{200b}`");
                }
                (Dialect::Mrkdwn | Dialect::Tags | Dialect::Html, '&') => {
                    self.out.push_str("&amp;");
                }
                (Dialect::Mrkdwn | Dialect::Tags | Dialect::Html, '<') => self.out.push_str("&lt;"),
                (Dialect::Mrkdwn | Dialect::Tags | Dialect::Html, '>') => self.out.push_str("&gt;"),
                (Dialect::Html, '\n') if self.code.is_none() => self.out.push_str("<br>"),
                (Dialect::Markdown, _) if self.code.is_none() && self.is_mark(character) => {
                    self.out.push('\\');
                    self.out.push(character);
                }
                (_, '\n') if self.quotes > 0 => {
                    self.out.push('\n');
                    self.out.push_str(&"> ".repeat(self.quotes));
                }
                _ => self.out.push(character),
            }
        }
    }

    /// Whether a character would be read as more than itself.
    fn is_mark(&self, character: char) -> bool {
        match character {
            '\\' | '*' | '_' | '~' | '`' | '|' | '[' | '<' => true,
            '#' | '>' | '-' => self.out.is_empty() || self.out.ends_with('\n'),
            _ => false,
        }
    }
}

const fn code_of(style: &Style) -> Option<Code> {
    match style {
        Style::Code => Some(Code::Inline),
        Style::Block(_) => Some(Code::Block),
        Style::Strong | Style::Emphasis | Style::Struck | Style::Link(_) | Style::Quote => None,
    }
}

/// Text between quotation marks of a tag.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dialect::{Html, Markdown, Mrkdwn, Plain, Tags};

    fn check(markdown: &str, dialect: Dialect, want: &str) {
        let rich = Rich::parse(markdown);
        let part = rich.render(0..rich.text.len(), dialect);
        assert_eq!(part.html.unwrap_or(part.text), want, "{markdown} in {dialect:?}");
    }

    #[test]
    fn each_dialect_says_it_its_own_way() {
        let text = "**a *b*** ~~c~~ `d<e` [f](http://g?x=1&y=2)";
        check(text, Plain, "a b c d<e f (http://g?x=1&y=2)");
        check(text, Markdown, "**a *b*** ~~c~~ `d<e` [f](http://g?x=1&y=2)");
        check(text, Mrkdwn, "*a _b_* ~c~ `d&lt;e` <http://g?x=1&amp;y=2|f>");
        check(
            text,
            Tags,
            "<b>a <i>b</i></b> <s>c</s> <code>d&lt;e</code> <a href=\"http://g?x=1&amp;y=2\">f</a>",
        );
        check(
            text,
            Html,
            "<strong>a <em>b</em></strong> <del>c</del> <code>d&lt;e</code> <a href=\"http://g?x=1&amp;y=2\">f</a>",
        );
    }

    #[test]
    fn blocks_and_quotes() {
        let text = "> a\n> b\n\n```py\nx < 1\n```";
        check(text, Plain, "> a\n> b\n\nx < 1");
        check(text, Markdown, "> a\n> b\n\n```py\nx < 1\n```");
        check(text, Mrkdwn, "> a\n> b\n\n```\nx &lt; 1\n```");
        check(
            text,
            Tags,
            "<blockquote>a\nb</blockquote>\n\n<pre><code class=\"language-py\">x &lt; 1</code></pre>",
        );
        check(
            text,
            Html,
            "<blockquote>a<br>b</blockquote><br><br><pre><code class=\"language-py\">x &lt; 1</code></pre>",
        );
    }

    #[test]
    fn what_only_looks_like_a_mark_is_escaped() {
        check(r"2\*3\*4 \<@123> \[x](y)", Markdown, r"2\*3\*4 \<@123> \[x](y)");
        check("&lt;!channel&gt;", Mrkdwn, "&lt;!channel&gt;");
        check("&lt;script&gt;", Html, "&lt;script&gt;");
        check("\\# no heading", Markdown, "\\# no heading");
        check("``a`b``", Markdown, "`aˋb`");
        // A fence in code is no end of it.
        check("````\na ``` b\n````", Markdown, "```\na ``\u{200b}` b\n```");
        check("````\na ``` b\n````", Mrkdwn, "```\na ``\u{200b}` b\n```");
    }

    #[test]
    fn a_piece_has_the_styles_that_are_over_it() {
        let rich = Rich::parse("**bold text** end");
        assert_eq!(rich.render(2..6, Markdown).text, "**ld t**");
        assert_eq!(rich.render(7..12, Tags).text, "<b>xt</b> en");
    }
}
