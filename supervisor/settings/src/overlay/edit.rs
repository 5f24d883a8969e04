//! Changes members of objects in the text of a JSON5 document. It finds its way by brackets, strings
//! and comments only; whoever calls it parses what comes out.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// One member of an object, as places in the text.
struct Member {
    key: String,
    key_at: usize,
    value_at: usize,
    value_end: usize,
    /// After the comma that follows, or where the value ends.
    end: usize,
}

/// An object, as places in the text.
struct Object {
    members: Vec<Member>,
    /// Of the closing bracket.
    close: usize,
    /// Whether a comma stands before the closing bracket, or nothing.
    open_end: bool,
}

/// The text with `patch` applied: null removes a member, an object is applied to an object, and
/// everything else is written in its place. `None` where the text cannot be found through.
pub(super) fn apply(text: &str, patch: &Map<String, Value>) -> Option<String> {
    let text = Text(text.as_bytes());
    let start = text.skip(0);
    let mut out = String::with_capacity(text.0.len());
    out.push_str(text.part(0, start)?);
    let end = object(text, start, patch, 1, &mut out)?;
    out.push_str(text.part(end, text.0.len())?);
    Some(out)
}

/// Writes the object that starts at `start`, changed; gives its end.
fn object(
    text: Text<'_>,
    start: usize,
    patch: &Map<String, Value>,
    level: usize,
    out: &mut String,
) -> Option<usize> {
    let found = text.object(start)?;
    let mut at = start;
    for member in &found.members {
        let Some(change) = patch.get(&member.key) else { continue };
        if change.is_null() {
            out.push_str(text.part(at, member.key_at)?);
            at = member.end;
            continue;
        }
        out.push_str(text.part(at, member.value_at)?);
        let inner = change.as_object().filter(|_| text.at(member.value_at) == Some(b'{'));
        at = if let Some(inner) = inner {
            object(text, member.value_at, inner, level.checked_add(1)?, out)?
        } else {
            out.push_str(&written(change, level));
            member.value_end
        };
    }
    let known: HashSet<&str> = found.members.iter().map(|it| it.key.as_str()).collect();
    let is_new = |key: &String, value: &Value| !value.is_null() && !known.contains(key.as_str());
    let added: Vec<_> = patch.iter().filter(|(key, value)| is_new(key, value)).collect();
    if added.is_empty() {
        out.push_str(text.part(at, found.close.checked_add(1)?)?);
        return found.close.checked_add(1);
    }
    // Right after the last member, so that its comma is not taken for a comment's.
    let last = found.members.last().map_or(start.checked_add(1)?, |it| it.end).max(at);
    out.push_str(text.part(at, last)?);
    // What stands before a member that goes has a comma of its own.
    let goes = |it: &Member| patch.get(&it.key).is_some_and(Value::is_null);
    if !found.open_end && !found.members.last().is_some_and(goes) {
        out.push(',');
    }
    for (key, value) in added {
        let indent = "  ".repeat(level);
        let key = Value::from(key.as_str()).to_string();
        for part in ["\n", &indent, &key, ": ", &written(value, level), ","] {
            out.push_str(part);
        }
    }
    let rest = text.part(last, found.close)?;
    out.push_str(rest);
    if !rest.contains('\n') {
        out.push('\n');
        out.push_str(&"  ".repeat(level.saturating_sub(1)));
    }
    out.push('}');
    found.close.checked_add(1)
}

fn written(value: &Value, level: usize) -> String {
    format!("{value:#}").replace('\n', &format!("\n{}", "  ".repeat(level)))
}

/// The bytes of a text; every place given is between characters.
#[derive(Clone, Copy)]
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn at(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn part(self, from: usize, to: usize) -> Option<&'a str> {
        std::str::from_utf8(self.0.get(from..to)?).ok()
    }

    fn starts(self, at: usize, with: &[u8]) -> bool {
        self.0.get(at..).is_some_and(|it| it.starts_with(with))
    }

    /// After white space and comments.
    fn skip(self, mut at: usize) -> usize {
        loop {
            if self.starts(at, b"//") {
                while self.at(at).is_some_and(|it| it != b'\n' && it != b'\r') {
                    at = at.saturating_add(1);
                }
            } else if self.starts(at, b"/*") {
                at = at.saturating_add(2);
                while at < self.0.len() && !self.starts(at, b"*/") {
                    at = at.saturating_add(1);
                }
                at = at.saturating_add(2);
            } else if self.at(at).is_some_and(|it| it.is_ascii_whitespace() || it == 0x0b) {
                at = at.saturating_add(1);
            } else {
                return at;
            }
        }
    }

    /// After the string that starts here.
    fn string(self, start: usize) -> Option<usize> {
        let quote = self.at(start)?;
        let mut at = start.checked_add(1)?;
        loop {
            match self.at(at)? {
                b'\\' => at = at.checked_add(2)?,
                it if it == quote => return at.checked_add(1),
                _ => at = at.checked_add(1)?,
            }
        }
    }

    /// After the value that starts here.
    fn value(self, start: usize) -> Option<usize> {
        let (mut at, mut open) = (start, 0_usize);
        loop {
            at = match self.at(at)? {
                b'"' | b'\'' => self.string(at)?,
                b'[' | b'{' => {
                    open = open.checked_add(1)?;
                    at.checked_add(1)?
                }
                b']' | b'}' if open > 0 => {
                    open = open.checked_sub(1)?;
                    at.checked_add(1)?
                }
                b',' | b':' if open > 0 => at.checked_add(1)?,
                _ if open > 0 && self.skip(at) > at => self.skip(at),
                _ => self.word(at)?,
            };
            if open == 0 {
                return Some(at);
            }
        }
    }

    /// After the number or name that starts here.
    fn word(self, start: usize) -> Option<usize> {
        let ends = |it: &u8| it.is_ascii_whitespace() || b",:/]}[{\"'".contains(it);
        let rest = self.0.get(start..)?;
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        if length == 0 { None } else { start.checked_add(length) }
    }

    /// The object that starts here.
    fn object(self, start: usize) -> Option<Object> {
        if self.at(start)? != b'{' {
            return None;
        }
        let (mut members, mut open_end) = (Vec::new(), true);
        let mut at = self.skip(start.checked_add(1)?);
        while self.at(at)? != b'}' {
            let member = self.member(at)?;
            open_end = member.end > member.value_end;
            at = self.skip(member.end);
            members.push(member);
        }
        Some(Object { members, close: at, open_end })
    }

    fn member(self, key_at: usize) -> Option<Member> {
        let quoted = matches!(self.at(key_at)?, b'"' | b'\'');
        let key_end = if quoted { self.string(key_at)? } else { self.word(key_at)? };
        let key = self.part(key_at, key_end)?;
        let key = if quoted { json5::from_str(key).ok()? } else { key.to_owned() };
        let colon = self.skip(key_end);
        if self.at(colon)? != b':' {
            return None;
        }
        let value_at = self.skip(colon.checked_add(1)?);
        let value_end = self.value(value_at)?;
        let after = self.skip(value_end);
        let comma = self.at(after)? == b',';
        let end = if comma { after.checked_add(1)? } else { value_end };
        Some(Member { key, key_at, value_at, value_end, end })
    }
}
