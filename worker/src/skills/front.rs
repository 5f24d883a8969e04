//! The frontmatter of a `SKILL.md`: keys at the start of a line, and values in the few forms of
//! YAML that skills are written in. Pure.
//!
//! No anchors, no tags, no nested mappings: a value that begins with a brace is left as the text
//! that it is, for whoever reads JSON.

/// Bytes of the frontmatter, marks included.
const MAX_FRONT: usize = 16 << 10;

/// Keys of one frontmatter.
const MAX_KEYS: usize = 64;

/// Bytes of one key.
const MAX_KEY: usize = 64;

const MARK: &str = "---";

/// Why there is no frontmatter to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFront {
    /// No mark in the first line.
    #[error("the file must begin with a line of three dashes")]
    NoStart,
    /// No second mark within the limit.
    #[error("the frontmatter must end with a line of three dashes within {MAX_FRONT} bytes")]
    NoEnd,
    /// A line that is neither a key with a value nor belongs to one.
    #[error("line {line} is not of the form `key: value`")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// Too many keys.
    #[error("the frontmatter has more than {MAX_KEYS} keys")]
    TooMany,
    /// A string that does not end, or with an escape that nobody knows.
    #[error("`{key}` is a string that cannot be read")]
    Quotes {
        /// Whose value it is.
        key: String,
    },
}

/// Keys and values as they were written, in order.
#[derive(Debug, Default)]
pub(super) struct Front<'a>(Vec<Field<'a>>);

#[derive(Debug)]
struct Field<'a> {
    key: &'a str,
    /// What stands behind the colon.
    first: &'a str,
    /// The lines that belong to it.
    rest: Vec<&'a str>,
}

impl<'a> Front<'a> {
    /// Reads the head of a file.
    pub(super) fn parse(text: &'a str) -> Result<Self, InvalidFront> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.split_inclusive('\n').enumerate();
        let (_, first) = lines.next().unwrap_or_default();
        if first.trim_end() != MARK {
            return Err(InvalidFront::NoStart);
        }
        let mut read = first.len();
        let mut front = Self::default();
        for (at, line) in lines {
            read += line.len();
            if read > MAX_FRONT {
                break;
            }
            let line = line.trim_end();
            if line == MARK {
                return Ok(front);
            }
            front
                .line(line)
                .map_err(|wrong| wrong.unwrap_or(InvalidFront::Line { line: at + 1 }))?;
        }
        Err(InvalidFront::NoEnd)
    }

    /// Takes in one line; `None` is a line of the wrong form.
    fn line(&mut self, line: &'a str) -> Result<(), Option<InvalidFront>> {
        let belongs = line.is_empty() || line.starts_with([' ', '\t', '-', '}', ']', '"', '\'']);
        if belongs {
            return match self.0.last_mut() {
                Some(field) => {
                    field.rest.push(line);
                    Ok(())
                }
                None if line.is_empty() => Ok(()),
                None => Err(None),
            };
        }
        if line.starts_with('#') {
            return Ok(());
        }
        let (key, value) = line.split_once(':').ok_or(None)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let spaced = value.is_empty() || value.starts_with([' ', '\t']);
        if key.is_empty() || key.len() > MAX_KEY || !key.chars().all(plain) || !spaced {
            return Err(None);
        }
        if self.0.len() >= MAX_KEYS {
            return Err(Some(InvalidFront::TooMany));
        }
        self.0.push(Field { key, first: value.trim(), rest: Vec::new() });
        Ok(())
    }

    /// A value as text; the last one counts where a key is repeated.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, InvalidFront> {
        let Some(field) = self.0.iter().rev().find(|field| field.key == key) else {
            return Ok(None);
        };
        let wrong = || InvalidFront::Quotes { key: key.to_owned() };
        field.scalar().ok_or_else(wrong).map(|text| Some(text).filter(|text| !text.is_empty()))
    }

    /// A value as a flag.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, InvalidFront> {
        let text = self.text(key)?.map(|text| text.to_ascii_lowercase());
        Ok(text.map(|text| matches!(text.as_str(), "true" | "yes" | "on" | "1")))
    }

    /// A value that is an object in braces, as it was written.
    pub(super) fn object(&self, key: &str) -> Result<Option<String>, InvalidFront> {
        let Some(field) = self.0.iter().rev().find(|field| field.key == key) else {
            return Ok(None);
        };
        let mut text = field.first.to_owned();
        for line in &field.rest {
            text.push('\n');
            text.push_str(line);
        }
        if text.trim_start().starts_with(['"', '\'']) {
            text = self.text(key)?.unwrap_or_default();
        }
        Ok(text.trim_start().starts_with('{').then_some(text))
    }
}

impl Field<'_> {
    /// The text that is meant; `None` for a string that cannot be read.
    fn scalar(&self) -> Option<String> {
        let block = self.first.trim_end_matches(['-', '+']);
        match block {
            "|" => return Some(self.lines().join("\n").trim_end().to_owned()),
            ">" => return Some(folded(self.lines())),
            _ => {}
        }
        let rest = self.rest.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
        let whole: Vec<&str> = std::iter::once(self.first).chain(rest).collect();
        let whole = whole.join(" ");
        let whole = whole.trim();
        if whole.starts_with('"') {
            return serde_json::from_str(whole).ok();
        }
        if let Some(quoted) = whole.strip_prefix('\'') {
            let inner = quoted.strip_suffix('\'')?;
            let single = inner.replace("''", "");
            return (!single.contains('\'')).then(|| inner.replace("''", "'"));
        }
        Some(whole.split(" #").next().unwrap_or_default().trim_end().to_owned())
    }

    /// The lines of a block without the blanks that all of them begin with.
    fn lines(&self) -> Vec<&str> {
        let blanks = |line: &&str| line.len() - line.trim_start_matches([' ', '\t']).len();
        let full = self.rest.iter().filter(|line| !line.trim().is_empty());
        let least = full.map(blanks).min().unwrap_or(0);
        self.rest.iter().map(|line| line.get(least..).unwrap_or_default()).collect()
    }
}

/// Lines as one, except where an empty one parts them.
fn folded(lines: Vec<&str>) -> String {
    let mut text = String::new();
    for line in lines {
        let line = line.trim();
        if line.is_empty() {
            text.push('\n');
        } else {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push(' ');
            }
            text.push_str(line);
        }
    }
    text.trim_end().to_owned()
}
