//! What may be set: everything that is in the table is checked against it, everything else is
//! refused by name. Pure.

mod show;
mod table;

use serde_json::{Map, Value};

use crate::merge::join;
use crate::redact::SENTINEL;

pub use show::{Hint, Lookup, LookupChild, document, hints, lookup};
use table::ROOT;

/// Mistakes of one text that are told at once.
const MAX_ISSUES: usize = 16;

/// Characters of a name that come back in a message.
const MAX_SHOWN: usize = 80;

/// Values inside what may be anything, itself included: each takes many times the memory of its
/// text, in every copy of the settings.
const MAX_FREE: usize = 4096;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Issue {
    /// Where it is; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// What a value must be.
#[derive(Debug)]
pub(crate) enum Kind {
    /// An object with these members and no others.
    Object(&'static [Field]),
    /// An object with up to so many names, each with a value of one kind.
    Map(usize, &'static Kind),
    /// Up to so many values of one kind.
    List(usize, &'static Kind),
    /// Text of up to so many bytes.
    Text(usize),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number in these bounds.
    Whole(u64, u64),
    /// Yes or no.
    Switch,
    /// No, and nothing else.
    Off,
    /// A span of time as text, such as `30m` or `1h30m`.
    Span,
    /// A span of time as text, or a number of milliseconds.
    SpanOrMillis,
    /// One of these kinds.
    Either(&'static [Kind]),
    /// Anything; what is named like a secret in it is one.
    Free,
    /// Sealed, and not part of any text: only the placeholder may stand here.
    Sealed,
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
}

/// Everything that is wrong with a tenant's or the operator's settings, up to a bound.
pub fn check(value: &Value) -> Vec<Issue> {
    let mut issues = Vec::new();
    ROOT.check(value, "", &mut issues);
    issues.truncate(MAX_ISSUES);
    issues
}

impl Kind {
    fn check(&self, value: &Value, path: &str, issues: &mut Vec<Issue>) {
        if issues.len() >= MAX_ISSUES {
            return;
        }
        let fits = match (self, value) {
            (Self::Object(fields), Value::Object(members)) => {
                return object(fields, members, path, issues);
            }
            (Self::Map(max, kind), Value::Object(members)) if members.len() <= *max => {
                return map(kind, members, path, issues);
            }
            (Self::List(max, kind), Value::Array(entries)) if entries.len() <= *max => {
                for (at, entry) in entries.iter().enumerate() {
                    kind.check(entry, &format!("{path}[{at}]"), issues);
                }
                return;
            }
            (Self::Either(kinds), value) => return either(kinds, value, path, issues),
            (Self::Text(max), Value::String(text)) => text.len() <= *max,
            (Self::Word(words), Value::String(text)) => words.contains(&text.as_str()),
            (Self::Whole(from, to), Value::Number(number)) => {
                whole(number).is_some_and(|it| (*from..=*to).contains(&it))
            }
            (Self::Switch, Value::Bool(_)) | (Self::Off, Value::Bool(false)) => true,
            (Self::Span | Self::SpanOrMillis, Value::String(text)) => is_span(text),
            (Self::SpanOrMillis, Value::Number(number)) => whole(number).is_some(),
            (Self::Free, value) => !value.is_null() && few(value, &mut { MAX_FREE }),
            (Self::Sealed, Value::String(text)) => text == SENTINEL,
            (Self::Sealed, Value::Object(members)) => members.values().all(|it| it == SENTINEL),
            _ => false,
        };
        if !fits {
            issues.push(Issue { path: path.to_owned(), message: self.wanted() });
        }
    }

    /// What is asked for, for people.
    fn wanted(&self) -> String {
        match self {
            Self::Object(_) => "must be an object".to_owned(),
            Self::Map(max, _) => format!("must be an object of at most {max} names"),
            Self::List(max, _) => format!("must be a list of at most {max} entries"),
            Self::Text(max) => format!("must be text of at most {max} bytes"),
            Self::Word(words) => format!("must be one of {}", words.join(", ")),
            Self::Whole(from, to) => format!("must be a whole number from {from} to {to}"),
            Self::Switch => "must be true or false".to_owned(),
            Self::Off => "must be false".to_owned(),
            Self::Span => "must be a span of time such as 30m".to_owned(),
            Self::SpanOrMillis => "must be a span of time such as 30d, or milliseconds".to_owned(),
            Self::Either(kinds) => {
                let wanted: Vec<_> = kinds.iter().map(Self::wanted).collect();
                wanted.join(", or ")
            }
            Self::Free => format!("must not be null, nor hold more than {MAX_FREE} values"),
            Self::Sealed => "is set with skills.update, which seals it".to_owned(),
        }
    }
}

fn object(
    fields: &'static [Field],
    members: &Map<String, Value>,
    path: &str,
    issues: &mut Vec<Issue>,
) {
    for (name, value) in members {
        let path = join(path, &shown(name));
        match fields.iter().find(|field| field.name == name) {
            Some(field) => field.kind.check(value, &path, issues),
            None => refuse(value, &path, issues),
        }
    }
}

/// Names what is refused down to its members, so that `models` shows as `models.providers`.
fn refuse(value: &Value, path: &str, issues: &mut Vec<Issue>) {
    let mut refuse = |path: String| {
        if issues.len() < MAX_ISSUES {
            let message = format!("config key not allowed: {path}");
            issues.push(Issue { path, message });
        }
    };
    match value.as_object().filter(|it| !it.is_empty()) {
        Some(members) => {
            members.keys().take(MAX_ISSUES).for_each(|name| refuse(join(path, &shown(name))));
        }
        None => refuse(path.to_owned()),
    }
}

fn map(kind: &'static Kind, members: &Map<String, Value>, path: &str, issues: &mut Vec<Issue>) {
    for (name, value) in members {
        let path = join(path, &shown(name));
        if is_name(name) {
            kind.check(value, &path, issues);
        } else {
            let message = "a name has 1 to 64 letters, digits, - _ : @ or +, or dots between them";
            issues.push(Issue { path, message: message.to_owned() });
        }
    }
}

fn either(kinds: &'static [Kind], value: &Value, path: &str, issues: &mut Vec<Issue>) {
    // What has the right shape says best what is wrong inside.
    let alike = |kind: &&Kind| {
        let mut found = Vec::new();
        kind.check(value, path, &mut found);
        found.is_empty() || (matches!(kind, Kind::Object(_)) && value.is_object())
    };
    if let Some(kind) = kinds.iter().find(alike) {
        kind.check(value, path, issues);
    } else {
        let wanted: Vec<_> = kinds.iter().map(Kind::wanted).collect();
        issues.push(Issue { path: path.to_owned(), message: wanted.join(", or ") });
    }
}

/// Whether there are no more than `left` values in `value`, itself included. What is read is not
/// nested deeply.
fn few(value: &Value, left: &mut usize) -> bool {
    let Some(rest) = left.checked_sub(1) else { return false };
    *left = rest;
    match value {
        Value::Array(entries) => entries.iter().all(|it| few(it, left)),
        Value::Object(members) => members.values().all(|it| few(it, left)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// A whole number, also where it is written as `30.0` or `3e1`.
fn whole(number: &serde_json::Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let float = number.as_f64().filter(|it| *it >= 0.0 && it.fract() == 0.0)?;
        format!("{float:.0}").parse().ok()
    })
}

/// Whether a text is a span of time: numbers with a unit each, or one number alone.
fn is_span(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    if !text.is_empty() && text.len() <= 12 && text.bytes().all(|it| it.is_ascii_digit()) {
        return true;
    }
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits).unwrap_or(("", ""));
        let units = after.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = after.split_at_checked(units).unwrap_or(("", ""));
        let known = matches!(unit, "ms" | "s" | "m" | "h" | "d" | "w");
        if number.is_empty() || number.len() > 12 || !known {
            return false;
        }
        rest = after;
    }
    !text.is_empty()
}

/// Whether a map may have a member of this name. The dot is what paths are made with, and the names
/// of what every object of some languages has are nobody's.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-_:@+.".contains(&it);
    (1..=64).contains(&name.len())
        && name.bytes().all(plain)
        && !name.split('.').any(str::is_empty)
        && !matches!(name, "__proto__" | "constructor" | "prototype")
}

/// A name as far as it comes back.
fn shown(name: &str) -> String {
    let mut shown: String = name.chars().filter(|it| !it.is_control()).take(MAX_SHOWN).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

/// The path in the table for a path in a text: what the tenant has named is a star.
pub(crate) fn pattern(path: &[String]) -> String {
    let mut kind = &ROOT;
    let mut pattern = String::new();
    for name in path {
        let (word, next) = match kind.member(name) {
            Some((Step::Field, next)) => (name.as_str(), next),
            Some((Step::Name, next)) => ("*", next),
            None => return join(&pattern, "*"),
        };
        pattern = join(&pattern, word);
        kind = next;
    }
    pattern
}

/// How a member is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// By its own name.
    Field,
    /// By any name.
    Name,
}

impl Kind {
    /// The kind of a member.
    pub(crate) fn member(&self, name: &str) -> Option<(Step, &Kind)> {
        match self {
            Self::Object(fields) => {
                let field = fields.iter().find(|field| field.name == name)?;
                Some((Step::Field, &field.kind))
            }
            Self::Map(_, kind) => Some((Step::Name, kind)),
            Self::Either(kinds) => kinds.iter().find_map(|kind| kind.member(name)),
            Self::List(..)
            | Self::Text(_)
            | Self::Word(_)
            | Self::Whole(..)
            | Self::Switch
            | Self::Off
            | Self::Span
            | Self::SpanOrMillis
            | Self::Free
            | Self::Sealed => None,
        }
    }
}

/// The whole table.
pub(crate) fn root() -> &'static Kind {
    &ROOT
}

#[cfg(test)]
mod tests;
