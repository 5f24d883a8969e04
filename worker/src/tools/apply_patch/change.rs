//! Hunks put to work on the text of a file. Pure.

use super::parse::{Hunk, Line};
use crate::tools::edit::is_crlf;

/// Why a hunk does not fit, by its number, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("hunk {0}: the line after @@ is not in the file, or not behind the hunk before")]
    NoAnchor(usize),
    #[error("hunk {0}: its lines are not in the file, or not behind the hunk before")]
    NoMatch(usize),
    #[error("hunk {0}: looking for it takes too long")]
    TooMuch(usize),
}

/// Lines that may be compared for one file: more are no honest patch, and would keep a thread busy.
const MAX_COMPARED: usize = 50_000_000;

/// The text after all hunks, which are in the order of the file.
pub(super) fn changed(text: &str, hunks: &[Hunk]) -> Result<String, Error> {
    let end = if is_crlf(text) { "\r\n" } else { "\n" };
    let is_ended = text.is_empty() || text.ends_with('\n');
    let lines: Vec<&str> = text.split_terminator(end).collect();
    let mut out: Vec<&str> = Vec::with_capacity(lines.len());
    let mut at = 0;
    let mut left = MAX_COMPARED;
    for (index, hunk) in hunks.iter().enumerate() {
        let from = match &hunk.after {
            None => at,
            Some(after) => {
                let anchor = find(&lines, &[after.trim_end()], at, false, &mut left);
                anchor.map(|found| found + 1).ok_or(Error::NoAnchor(index + 1))?
            }
        };
        let old: Vec<&str> = hunk.old.iter().map(|line| line.trim_end_matches('\r')).collect();
        let found = match old.is_empty() {
            // Nothing but new lines: behind the anchor, or at the end of the file.
            true if hunk.after.is_some() && !hunk.is_end => from,
            true => lines.len(),
            false => {
                let found = find(&lines, &old, from, hunk.is_end, &mut left);
                let why = if left == 0 { Error::TooMuch } else { Error::NoMatch };
                found.ok_or_else(|| why(index + 1))?
            }
        };
        out.extend(lines.get(at..found).unwrap_or_default());
        let there = lines.get(found..).unwrap_or_default();
        out.extend(hunk.new.iter().filter_map(|line| match line {
            Line::Same(at) => there.get(*at).copied(),
            Line::New(text) => Some(text.trim_end_matches('\r')),
        }));
        at = found + old.len();
    }
    out.extend(lines.get(at..).unwrap_or_default());
    let mut new = out.join(end);
    if is_ended && !new.is_empty() {
        new.push_str(end);
    }
    Ok(new)
}

/// Where `wanted` begins in `lines`, not before `from`: exactly, or else but for blanks at the ends of
/// lines. Takes what it compares off `left`, and gives up at nothing.
fn find(
    lines: &[&str],
    wanted: &[&str],
    from: usize,
    is_end: bool,
    left: &mut usize,
) -> Option<usize> {
    let last = lines.len().checked_sub(wanted.len())?;
    let first = if is_end { last.max(from) } else { from };
    [false, true].into_iter().find_map(|is_loose| {
        let mut alike = |a: &str, b: &str| {
            *left = left.saturating_sub(1);
            *left > 0 && (a == b || is_loose && a.trim_end() == b.trim_end())
        };
        (first..=last).find(|at| {
            let there = lines.get(*at..).unwrap_or_default();
            wanted.iter().zip(there).all(|(a, b)| alike(a, b))
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `patch`: lines of one or more hunks.
    fn hunks(patch: &str) -> Vec<Hunk> {
        let text = format!("*** Begin Patch\n*** Update File: f\n{patch}\n*** End Patch");
        let mut steps = super::super::parse::parse(&text).unwrap();
        let Some(super::super::Step::Update { hunks, .. }) = steps.pop() else { panic!("{text}") };
        hunks
    }

    #[test]
    fn hunks_find_their_place_and_lines_stay_as_they_are() {
        let check = |text: &str, patch: &str, want: Result<&str, Error>| {
            let got = changed(text, &hunks(patch));
            assert_eq!(got.as_deref(), want.as_ref().map(|it| &**it), "{patch}");
        };
        check("a\nb\nc\n", "@@\n a\n-b\n+x\n c", Ok("a\nx\nc\n"));
        check("a\nb\nc", "@@\n-c\n+x", Ok("a\nb\nx"));
        check("a\r\nb\r\n", "@@\n-b\n+x", Ok("a\r\nx\r\n"));
        check("b\nf\nb\n", "@@ f\n-b\n+x", Ok("b\nf\nx\n"));
        check("b\nb\n", "@@\n-b\n+x\n*** End of File", Ok("b\nx\n"));
        check("a\n", "@@\n+x", Ok("a\nx\n"));
        check("a\nb\n", "@@ a\n+x", Ok("a\nx\nb\n"));
        check("", "@@\n+x", Ok("x\n"));
        check("a  \nb\n", "@@\n a\n-b\n+x", Ok("a  \nx\n"));
        check("a\nb\na\nb\n", "@@\n-a\n+1\n@@\n-a\n+2", Ok("1\nb\n2\nb\n"));
        check("a\n", "@@\n-x", Err(Error::NoMatch(1)));
        check("a\nb\n", "@@\n-b\n+x\n@@\n-a\n+y", Err(Error::NoMatch(2)));
        check("a\n", "@@ none\n-a", Err(Error::NoAnchor(1)));
        check("a\n", "@@\n-a", Ok(""));
        check("x\nx\n", "@@\n-x\n x\n+y", Ok("x\ny\n"));
    }

    #[test]
    fn a_long_hunk_is_put_to_work_line_by_line() {
        let text = "a\n".repeat(200_000);
        let new = (0..200_000).map(Line::Same).chain([Line::New("b".to_owned())]).collect();
        let hunk = Hunk { old: vec!["a".to_owned(); 200_000], new, ..Hunk::default() };
        assert_eq!(changed(&text, &[hunk]), Ok(text + "b\n"));
    }

    #[test]
    fn a_search_without_end_ends() {
        let text = "a\n".repeat(200_000);
        let mut old = vec!["a".to_owned(); 100_000];
        old.push("b".to_owned());
        let hunk = Hunk { old, ..Hunk::default() };
        assert_eq!(changed(&text, &[hunk]), Err(Error::TooMuch(1)));
    }

    proptest! {
        #[test]
        fn a_hunk_that_matches_everything_replaces_everything(
            old in proptest::collection::vec("[ab ]{0,3}", 1..8),
            new in proptest::collection::vec("[cd]{1,3}", 0..8),
        ) {
            let text = old.join("\n") + "\n";
            let lines = new.iter().cloned().map(Line::New).collect();
            let hunk = Hunk { after: None, old, new: lines, is_end: false };
            let want = if new.is_empty() { String::new() } else { new.join("\n") + "\n" };
            prop_assert_eq!(changed(&text, &[hunk]).unwrap(), want);
        }
    }
}
