//! The text of a patch as steps. Pure: knows no file.

/// Files of one patch.
const MAX_STEPS: usize = 64;
/// Hunks of one file.
const MAX_HUNKS: usize = 256;

/// What is to happen to one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Add { path: String, content: String },
    Delete { path: String },
    Update { path: String, to: Option<String>, hunks: Vec<Hunk> },
}

/// A piece of a file, and what it becomes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hunk {
    /// A line that stands somewhere before the piece.
    pub(super) after: Option<String>,
    pub(super) old: Vec<String>,
    pub(super) new: Vec<Line>,
    /// Whether the piece is the end of the file.
    pub(super) is_end: bool,
}

/// A line of what a piece becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// The line of the piece with this number, as the file has it.
    Same(usize),
    New(String),
}

/// What is wrong with a patch, and on which line, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("the first line must be *** Begin Patch")]
    NoBegin,
    #[error("the last line must be *** End Patch")]
    NoEnd,
    #[error("it changes nothing")]
    Empty,
    #[error("line {0} belongs to no file: a part begins with *** Add, Delete or Update File: PATH")]
    Stray(usize),
    #[error("line {0} must begin with a space, +, - or @@")]
    Line(usize),
    #[error("the update of {0} has no hunk")]
    NoHunk(String),
    #[error("more than {MAX_STEPS} files")]
    TooManySteps,
    #[error("more than {MAX_HUNKS} hunks in one file")]
    TooManyHunks,
}

/// The steps of a patch.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, Error> {
    let mut lines: Vec<_> = text.trim().lines().enumerate().collect();
    if lines.first().is_none_or(|(_, line)| line.trim() != "*** Begin Patch") {
        return Err(Error::NoBegin);
    }
    if lines.pop().is_none_or(|(_, line)| line.trim() != "*** End Patch") {
        return Err(Error::NoEnd);
    }
    let mut steps: Vec<Step> = Vec::new();
    for (index, line) in lines.into_iter().skip(1) {
        if let Some(step) = begins(line) {
            if steps.len() == MAX_STEPS {
                return Err(Error::TooManySteps);
            }
            steps.push(step);
            continue;
        }
        match steps.last_mut() {
            Some(Step::Add { content, .. }) => {
                let line = line.strip_prefix('+').ok_or(Error::Line(index + 1))?;
                content.push_str(line);
                content.push('\n');
            }
            Some(Step::Update { to, hunks, .. }) => hunk_line(line, index + 1, to, hunks)?,
            Some(Step::Delete { .. }) | None if line.trim().is_empty() => {}
            Some(Step::Delete { .. }) | None => return Err(Error::Stray(index + 1)),
        }
    }
    check(steps)
}

/// The step that a line begins.
fn begins(line: &str) -> Option<Step> {
    let path_of = |prefix: &str| {
        let path = line.strip_prefix(prefix)?.trim();
        (!path.is_empty()).then(|| path.to_owned())
    };
    let add = |path| Step::Add { path, content: String::new() };
    let update = |path| Step::Update { path, to: None, hunks: Vec::new() };
    path_of("*** Add File:")
        .map(add)
        .or_else(|| path_of("*** Delete File:").map(|path| Step::Delete { path }))
        .or_else(|| path_of("*** Update File:").map(update))
}

fn hunk_line(
    line: &str,
    number: usize,
    to: &mut Option<String>,
    hunks: &mut Vec<Hunk>,
) -> Result<(), Error> {
    if let Some(path) = line.strip_prefix("*** Move to:")
        && hunks.is_empty()
        && to.is_none()
    {
        *to = Some(path.trim().to_owned());
        return Ok(());
    }
    if let Some(after) = line.strip_prefix("@@") {
        let after = after.strip_prefix(' ').unwrap_or(after);
        let after = (!after.trim().is_empty()).then(|| after.to_owned());
        hunks.push(Hunk { after, ..Hunk::default() });
        return if hunks.len() > MAX_HUNKS { Err(Error::TooManyHunks) } else { Ok(()) };
    }
    if hunks.is_empty() {
        // The first hunk may do without its mark.
        hunks.push(Hunk::default());
    }
    let Some(hunk) = hunks.last_mut() else { return Err(Error::Line(number)) };
    if line.trim_end() == "*** End of File" {
        hunk.is_end = true;
        return Ok(());
    }
    if hunk.is_end {
        return Err(Error::Line(number));
    }
    let (sign, rest) = line.split_at_checked(1.min(line.len())).ok_or(Error::Line(number))?;
    match sign {
        // An empty line of context often has lost its space.
        "" | " " => {
            hunk.new.push(Line::Same(hunk.old.len()));
            hunk.old.push(rest.to_owned());
        }
        "-" => hunk.old.push(rest.to_owned()),
        "+" => hunk.new.push(Line::New(rest.to_owned())),
        _ => return Err(Error::Line(number)),
    }
    Ok(())
}

fn check(steps: Vec<Step>) -> Result<Vec<Step>, Error> {
    if steps.is_empty() {
        return Err(Error::Empty);
    }
    for step in &steps {
        let Step::Update { path, to, hunks } = step else { continue };
        let says_nothing = hunks.iter().any(|hunk| hunk.old.is_empty() && hunk.new.is_empty());
        if says_nothing || (hunks.is_empty() && to.is_none()) {
            return Err(Error::NoHunk(path.clone()));
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_patch_is_its_steps() {
        let text = "*** Begin Patch\n*** Add File: a b.txt\n+one\n+\n*** Delete File: c\n\
                    *** Update File: d\n*** Move to: e\n@@ fn x\n context\n-old\n+new\n\n@@\n-z\n\
                    *** End of File\n*** End Patch\n";
        let lines = |lines: &[&str]| lines.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let first = Hunk {
            after: Some("fn x".to_owned()),
            old: lines(&["context", "old", ""]),
            new: vec![Line::Same(0), Line::New("new".to_owned()), Line::Same(2)],
            is_end: false,
        };
        let second = Hunk { after: None, old: lines(&["z"]), new: Vec::new(), is_end: true };
        let (path, to) = ("d".to_owned(), Some("e".to_owned()));
        let want = [
            Step::Add { path: "a b.txt".to_owned(), content: "one\n\n".to_owned() },
            Step::Delete { path: "c".to_owned() },
            Step::Update { path, to, hunks: vec![first, second] },
        ];
        assert_eq!(parse(text).unwrap(), want);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let check = |body: &str, want: Error| {
            assert_eq!(parse(&format!("*** Begin Patch\n{body}*** End Patch")), Err(want));
        };
        assert_eq!(parse(""), Err(Error::NoBegin));
        assert_eq!(parse("*** Begin Patch"), Err(Error::NoEnd));
        check("", Error::Empty);
        check("+x\n", Error::Stray(2));
        check("*** Add File: a\nx\n", Error::Line(3));
        check("*** Add File:\n+x\n", Error::Stray(2));
        check("*** Delete File: a\n+x\n", Error::Stray(3));
        check("*** Update File: a\n", Error::NoHunk("a".to_owned()));
        check("*** Update File: a\n@@\n", Error::NoHunk("a".to_owned()));
        check("*** Update File: a\n@@\n?x\n", Error::Line(4));
        check("*** Update File: a\nüx\n", Error::Line(3));
        check(&"*** Delete File: a\n".repeat(65), Error::TooManySteps);
        check(&format!("*** Update File: a\n{}", "@@\n-x\n".repeat(257)), Error::TooManyHunks);
    }

    proptest! {
        #[test]
        fn any_text_is_steps_or_an_error(
            lines in proptest::collection::vec(
                "(\\*\\*\\* (Add|Delete|Update) File: [ab/]{0,3}|\\*\\*\\* Move to: c|@@ ?x?|[-+ ü]{0,3}x?|\\*\\*\\* End of File)",
                0..20,
            )
        ) {
            let text = format!("*** Begin Patch\n{}\n*** End Patch", lines.join("\n"));
            if let Ok(steps) = parse(&text) {
                prop_assert!((1..=lines.len()).contains(&steps.len()));
            }
        }

        #[test]
        fn any_bytes_are_harmless(text in "\\PC{0,60}") {
            drop(parse(&text));
        }
    }
}
