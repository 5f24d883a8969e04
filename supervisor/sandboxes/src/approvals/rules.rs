//! Which commands a tenant's list has, and what an entry for a command says. Pure.
//!
//! A text is not parsed for the programs that it would start: a shell is itself the program, and an
//! entry for it holds only with its exact arguments. What an agent can write is nobody's program: an
//! entry for a path outside the system's directories holds only with the digest of what is run.

mod glob;

use api::approvals::{Entry, Source};

use super::ask::Ask;
use super::carriers::{is_carrier, loose};
use super::show;

use glob::{Budget, MAX_WILD, REST, STEPS, is_too_wild};

/// Bytes of a pattern: a path has no more.
pub(crate) const MAX_PATTERN: usize = 4096;

/// Bytes of a pattern for arguments.
pub(crate) const MAX_ARGUMENTS: usize = 16 << 10;

/// Where programs are that no agent can write: the sandbox has them read-only from the machine.
const SYSTEM: [&str; 5] = ["/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/"];

/// Between two arguments in a pattern: no argument has one in it.
const BETWEEN: char = '\0';

/// Before an argument of a pattern: which content the file must have that it names.
const DIGEST: &str = "sha256:";

/// Whether one of the entries is for the command; gives which. What a search through all of them does
/// not find in [`STEPS`] is not listed.
pub(crate) fn find<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    ask: &Ask<'_>,
) -> Option<&'a Entry> {
    let budget = Budget::of(STEPS);
    entries.into_iter().find(|entry| Search { ask, budget: &budget }.holds(entry))
}

/// The bound that a pattern breaks.
pub(crate) fn check(entry: &Entry) -> Result<(), String> {
    let arguments = entry.arg_pattern.iter().flat_map(|it| it.split(BETWEEN));
    let mut patterns = arguments.chain([entry.pattern.as_str()]).map(|it| bound(it).1.as_bytes());
    if patterns.any(is_too_wild) {
        return Err(format!("a pattern with * has at most {MAX_WILD} bytes"));
    }
    Ok(())
}

/// One command for which entries are searched.
#[derive(Clone, Copy)]
struct Search<'a> {
    ask: &'a Ask<'a>,
    budget: &'a Budget,
}

impl Search<'_> {
    fn holds(&self, entry: &Entry) -> bool {
        let ask = self.ask;
        let (digest, pattern) = bound(&entry.pattern);
        let program = ask.program();
        // Variables are no part of entries: a command that brings some is not what an entry is for.
        if !ask.env.is_empty() || entry.cwd.as_ref().is_some_and(|it| it != ask.cwd) {
            return false;
        }
        if !self.digest_holds(digest, 0) || !self.program_holds(pattern, program) {
            return false;
        }
        if !is_bare(program) && !is_system(program) && digest.is_none() {
            return false;
        }
        match &entry.arg_pattern {
            Some(arguments) => self.arguments_hold(arguments),
            None => !is_carrier(program),
        }
    }

    /// A name is for what the search path finds, and a path for what it names.
    fn program_holds(&self, pattern: &str, program: &str) -> bool {
        if is_bare(pattern) || is_bare(program) {
            return is_bare(pattern)
                && is_bare(program)
                && !program.is_empty()
                && self.budget.glob(pattern.as_bytes(), program.as_bytes());
        }
        is_plain_path(program) && self.budget.path(pattern, program)
    }

    fn arguments_hold(&self, pattern: &str) -> bool {
        if !self.budget.take(pattern.len()) {
            return false;
        }
        let exact = is_carrier(self.ask.program());
        let given = self.ask.argv.get(1..).unwrap_or_default();
        let patterns: Vec<&str> =
            if pattern.is_empty() { Vec::new() } else { pattern.split(BETWEEN).collect() };
        let (patterns, rest) = match patterns.split_last() {
            Some((&REST, before)) if !exact => (before, true),
            _ => (patterns.as_slice(), false),
        };
        if given.len() < patterns.len() || (given.len() > patterns.len() && !rest) {
            return false;
        }
        patterns.iter().zip(given).zip(1..).all(|((pattern, word), number)| {
            let (digest, pattern) = bound(pattern);
            let held = if exact {
                literal(pattern).is_some_and(|text| text == *word)
            } else {
                self.budget.glob(pattern.as_bytes(), word.as_bytes())
            };
            held && self.digest_holds(digest, number)
        })
    }

    /// A word that is bound runs as another file than one that is not: an entry is for the one or for
    /// the other, and where it says a content, for that one.
    fn digest_holds(&self, wanted: Option<&str>, argument: usize) -> bool {
        let found = self.ask.bound(argument).map(|it| show::hex(it));
        wanted == found.as_deref()
    }
}

/// A pattern with the digest before it.
fn bound(pattern: &str) -> (Option<&str>, &str) {
    let parts = pattern.strip_prefix(DIGEST).and_then(|rest| rest.split_once(':'));
    match parts {
        Some((digest, rest)) if digest.len() == 64 => (Some(digest), rest),
        _ => (None, pattern),
    }
}

/// The entry for exactly this command where it is, from now on; none where there can be none. What a
/// program runs that an agent can change is not what somebody consented to.
pub(crate) fn entry(ask: &Ask<'_>, id: String) -> Option<Entry> {
    let program = ask.program();
    let digest = |number: usize| {
        ask.bound(number).map(|it| format!("{DIGEST}{}:", show::hex(it))).unwrap_or_default()
    };
    let sound = is_bare(program)
        || (is_plain_path(program) && (is_system(program) || ask.bound(0).is_some()));
    if !sound
        || program.is_empty()
        || !ask.env.is_empty()
        || ask.argv.iter().any(|it| it.contains(BETWEEN))
        || (is_carrier(program) && loose(ask).is_some())
    {
        return None;
    }
    let arguments = ask.argv.iter().enumerate().skip(1);
    let arguments = arguments.map(|(number, word)| format!("{}{}", digest(number), escaped(word)));
    let arguments = arguments.collect::<Vec<_>>().join("\0");
    // An entry without a word would be read as one without arguments.
    let lone = ask.argv.len() == 2 && arguments.is_empty();
    let pattern = format!("{}{}", digest(0), escaped(program));
    if lone || pattern.len() > MAX_PATTERN || arguments.len() > MAX_ARGUMENTS {
        return None;
    }
    Some(Entry {
        id: Some(id),
        pattern,
        source: Some(Source::AllowAlways),
        command_text: Some(show::cut(&show::line(ask.argv), 512).0),
        arg_pattern: Some(arguments),
        cwd: Some(ask.cwd.to_owned()),
        ..Entry::default()
    })
}

fn is_bare(program: &str) -> bool {
    !program.contains('/')
}

fn is_system(program: &str) -> bool {
    is_plain_path(program) && SYSTEM.iter().any(|folder| program.starts_with(folder))
}

/// Whether a path goes nowhere but down.
fn is_plain_path(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.next().is_some_and(str::is_empty) && parts.all(|it| !matches!(it, "" | "." | ".."))
}

/// A word as a pattern that only it fits.
fn escaped(word: &str) -> String {
    let mut pattern = String::with_capacity(word.len());
    for (at, character) in word.char_indices() {
        // A word that looks like a digest is none.
        if matches!(character, '*' | '?' | '\\') || (at == 0 && word.starts_with(DIGEST)) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// The only word that a pattern fits; none where it fits several.
fn literal(pattern: &str) -> Option<String> {
    let (mut word, mut characters) = (String::with_capacity(pattern.len()), pattern.chars());
    while let Some(character) = characters.next() {
        match character {
            '*' | '?' => return None,
            '\\' => word.push(characters.next()?),
            _ => word.push(character),
        }
    }
    Some(word)
}

#[cfg(test)]
mod tests;
