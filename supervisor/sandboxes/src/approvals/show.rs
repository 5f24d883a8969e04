//! Commands as people read them: what is read is what runs. Characters that would show as nothing, as
//! another, or that a terminal obeys are written out, and what is cut says so. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use api::approvals::{BoundFile, Decision, Request};

use super::Policy;
use super::ask::{Ask, Bound, Variable};
use super::carriers::loose;

/// Bytes of a command that are shown: more than a screen, and what an event may well carry.
pub(crate) const MAX_SHOWN: usize = 8 << 10;

/// Bytes of any other text that is shown.
const MAX_WORD: usize = 512;

/// Bytes of a directory that are shown.
const MAX_CWD: usize = 4096;

/// What a word or a variable costs beside its bytes.
const PER_WORD: usize = 16;

/// Bytes of all variables that are shown.
const MAX_ENV: usize = 8 << 10;

/// Files that are shown.
const MAX_FILES: usize = 64;

/// What stands for a value that nobody may see.
const REDACTED: &str = "__OPENCLAW_REDACTED__";

/// What the request is of.
pub(crate) const HOST: &str = "sandbox";

/// Letters that show as nothing.
const BLANK: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];

/// Whether a character shows as itself. What is no letter and no digit beyond ASCII is not trusted to:
/// marks that join others, spaces of other widths, quotes that look like ours, changes of direction.
fn is_plain(character: char) -> bool {
    match character {
        ' '..='~' => true,
        _ => !character.is_ascii() && character.is_alphanumeric() && !BLANK.contains(&character),
    }
}

/// A text in which every character shows as itself: what does not, and backslashes, are escaped.
pub(crate) fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, character| {
        escape(&mut shown, character);
        shown
    })
}

fn escape(shown: &mut String, character: char) {
    match character {
        '\\' => shown.push_str("\\\\"),
        '\n' => shown.push_str("\\n"),
        '\t' => shown.push_str("\\t"),
        '\r' => shown.push_str("\\r"),
        _ if is_plain(character) => shown.push(character),
        // Writing to a string cannot fail. Eight digits: what follows cannot be read as one more.
        _ => write!(shown, "\\U{:08x}", u32::from(character)).unwrap_or_default(),
    }
}

/// A word as a shell would take it: bare, in single quotes, or in `$'..'` where something has to be
/// escaped.
fn quoted(word: &str) -> String {
    let bare = |it: char| it.is_ascii_alphanumeric() || "_-./:=@%+,".contains(it);
    if !word.is_empty() && word.chars().all(bare) {
        word.to_owned()
    } else if word.chars().all(is_plain) && !word.contains('\'') {
        format!("'{word}'")
    } else {
        format!("$'{}'", visible(word).replace('\'', "\\'"))
    }
}

/// Text of at most so many bytes, and whether something was left out; a mark then says how much.
pub(crate) fn cut(text: &str, max: usize) -> (String, bool) {
    if text.len() <= max {
        return (text.to_owned(), false);
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let (shown, rest) = text.split_at(end);
    (format!("{shown} [cut: {} more bytes]", rest.len()), true)
}

/// The words of a command as text.
pub(crate) fn line(argv: &[String]) -> String {
    argv.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(" ")
}

/// Makes texts of others fit to be shown, and knows whether something was left out.
#[derive(Debug, Default)]
pub struct Text {
    is_cut: bool,
}

impl Text {
    /// Short text of others.
    pub fn word(text: &str) -> String {
        cut(&visible(text), MAX_WORD).0
    }

    /// A command that is known as text only.
    pub fn text(&mut self, text: &str) -> String {
        self.within(&visible(text), MAX_SHOWN)
    }

    /// The words of a command as text.
    pub fn command(&mut self, argv: &[String]) -> String {
        self.within(&line(argv), MAX_SHOWN)
    }

    /// The words of a command as words.
    pub fn words(&mut self, argv: &[String]) -> Vec<String> {
        let (mut shown, mut left) = (Vec::new(), MAX_SHOWN);
        for (number, item) in argv.iter().enumerate() {
            let (text, is_cut) = cut(&visible(item), left);
            // A word costs something even where it is empty.
            left = left.saturating_sub(text.len().saturating_add(PER_WORD));
            shown.push(text);
            let rest = argv.len().saturating_sub(number).saturating_sub(1);
            if is_cut || (left == 0 && rest > 0) {
                if rest > 0 {
                    shown.push(format!("[cut: {rest} more words]"));
                }
                self.is_cut = true;
                break;
            }
        }
        shown
    }

    /// Variables by name; those without a value are ones that nobody may see.
    pub fn variables<'a>(
        &mut self,
        variables: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    ) -> BTreeMap<String, String> {
        let (mut shown, mut left) = (BTreeMap::new(), MAX_ENV);
        for (name, value) in variables {
            let (name, value) = (visible(name), value.map_or_else(|| REDACTED.to_owned(), visible));
            let cost = name.len().saturating_add(value.len()).saturating_add(PER_WORD);
            if cost > left || shown.contains_key(&name) {
                self.is_cut = true;
                break;
            }
            left = left.saturating_sub(cost);
            shown.insert(name, value);
        }
        shown
    }

    /// The request, with what can be decided: from now on only what was shown as a whole.
    pub fn finish(self, request: Request, always: bool) -> Request {
        let mut allowed_decisions =
            vec![Decision::AllowOnce, Decision::AllowAlways, Decision::Deny];
        if self.is_cut || !always {
            allowed_decisions.retain(|it| *it != Decision::AllowAlways);
        }
        let cut = self.is_cut.then(|| "This is not all of it: it is too long to show.".to_owned());
        let warning_text = cut.or(request.warning_text);
        Request { allowed_decisions, warning_text, ..request }
    }

    fn within(&mut self, text: &str, max: usize) -> String {
        let (shown, is_cut) = cut(text, max);
        self.is_cut |= is_cut;
        shown
    }
}

/// What those who decide are told of a command.
pub(crate) fn request(ask: &Ask<'_>, policy: Policy, always: bool) -> Request {
    let mut shown = Text::default();
    let file = |file: &Bound| BoundFile { argv_index: file.argument, sha256: hex(&file.sha256) };
    let word = |text: &str| (!text.is_empty()).then(|| Text::word(text));
    let request = Request {
        command: shown.command(ask.argv),
        command_argv: shown.words(ask.argv),
        cwd: Some(shown.within(&visible(ask.cwd), MAX_CWD)),
        env: shown.variables(ask.env.iter().map(Variable::shown)),
        files: ask.files.iter().take(MAX_FILES).map(file).collect(),
        host: Some(HOST.to_owned()),
        node_id: None,
        security: Some(policy.security.name().to_owned()),
        ask: Some(policy.ask.name().to_owned()),
        agent_id: Some(ask.agent.as_str().to_owned()),
        resolved_path: None,
        session_key: word(ask.session_key),
        run_id: word(ask.run_id),
        tool_call_id: word(ask.tool_call_id),
        warning_text: loose(ask).map(|it| {
            let name = Text::word(it);
            format!("{name} is not held to any content: it can change until it is used.")
        }),
        allowed_decisions: Vec::new(),
    };
    shown.is_cut |= ask.files.len() > MAX_FILES;
    shown.finish(request, always)
}

/// As hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_runs() {
        let check = |word: &str, shown: &str| assert_eq!(quoted(word), shown);
        check("git", "git");
        check("--a=b/c", "--a=b/c");
        check("", "''");
        check("a b", "'a b'");
        check("$(x)", "'$(x)'");
        check(r"a\b", r"'a\b'");
        check("it's", r"$'it\'s'");
        check("a\nb", r"$'a\nb'");
        check(r"it's \n", r"$'it\'s \\n'");
        check("\u{1b}[2Jx", r"$'\U0000001b[2Jx'");
        check("\u{202e}gpj.exe", r"$'\U0000202egpj.exe'");
        check("a\u{200b}b", r"$'a\U0000200bb'");
        check("a\u{a0}b", r"$'a\U000000a0b'");
        check("\u{3164}", r"$'\U00003164'");
        check("\u{2019}", r"$'\U00002019'");
        check("\u{7f}", r"$'\U0000007f'");
        check("größe 日本", "'größe 日本'");
    }

    #[test]
    fn words_are_unambiguous() {
        let check = |word: &str, shown: &str| {
            let mut text = Text::default();
            assert_eq!(text.words(&[word.to_owned()]), [shown]);
            assert!(!text.is_cut);
        };
        check("a b", "a b");
        check("a\nb", r"a\nb");
        check(r"a\nb", r"a\\nb");
        check("\u{2066}", r"\U00002066");
    }

    #[test]
    fn what_is_cut_says_so() {
        let mut text = Text::default();
        let shown = text.words(&["x".repeat(MAX_SHOWN + 7), "y".to_owned()]);
        assert!(text.is_cut);
        assert!(shown[0].ends_with("xx [cut: 7 more bytes]"));
        assert_eq!(shown[1], "[cut: 1 more words]");
        let mut text = Text::default();
        let shown = text.words(&vec![String::new(); 1024]);
        assert!(text.is_cut && shown.len() < 520, "{}", shown.len());
        let always = |text: Text| {
            let request = text.finish(Request::default(), true);
            request.allowed_decisions.contains(&Decision::AllowAlways)
        };
        assert!(!always(text) && always(Text::default()));
        assert_eq!(cut("aé", 2), ("a [cut: 2 more bytes]".to_owned(), true));
        assert_eq!(cut("aé", 3), ("aé".to_owned(), false));
    }
}
