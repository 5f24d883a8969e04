//! A long answer as several messages: none is longer than its network takes, nothing is lost between
//! them, and what is code in one is code in the next.

use std::ops::Range;

use crate::describe::{Description, Dialect, Length};
use crate::render::Part;
use crate::rich::{Rich, Style};

/// Characters that are never parted from what stands before them, at most so many.
const MAX_JOINED: usize = 16;

/// An answer in Markdown as the messages that are sent, in their order; none for an empty answer.
pub fn parts(markdown: &str, network: &Description) -> Vec<Part> {
    let rich = Rich::parse(markdown);
    let pieces = pieces(&rich, network.dialect, network.text);
    pieces.into_iter().map(|it| rich.render(it, network.dialect)).collect()
}

/// Where the messages begin and end. Between them is white space alone.
fn pieces(rich: &Rich, dialect: Dialect, length: Length) -> Vec<Range<usize>> {
    let text = rich.text.as_str();
    let (mut pieces, mut at) = (Vec::new(), 0);
    loop {
        at = skip(rich, at);
        let rest = text.get(at..).unwrap_or_default();
        if rest.trim().is_empty() {
            return pieces;
        }
        let end = at.saturating_add(longest(rich, at, dialect, length));
        let to = if end < text.len() { good_end(rich, at, end) } else { end };
        let trimmed = text.get(at..to).unwrap_or_default().trim_end().len();
        if trimmed > 0 {
            pieces.push(at..at.saturating_add(trimmed));
        }
        at = to;
    }
}

/// Past the white space that a message does not begin with. Within code only the end of a line is
/// passed: the rest of it may be meant.
fn skip(rich: &Rich, at: usize) -> usize {
    let rest = rich.text.get(at..).unwrap_or_default();
    if in_block(rich, at) {
        return if rest.starts_with('\n') { at.saturating_add(1) } else { at };
    }
    let lines = rest.len().saturating_sub(rest.trim_start().len());
    let blank = rest.get(..lines).unwrap_or_default();
    let before = rich.text.get(..at).unwrap_or_default();
    let is_line = before.is_empty() || before.ends_with('\n');
    // A line keeps its indentation: it may be of a list.
    let line = blank.rfind('\n').map(|it| it + 1);
    at.saturating_add(line.unwrap_or(if is_line { 0 } else { lines }))
}

/// Whether a cut here is within a block of code.
fn in_block(rich: &Rich, at: usize) -> bool {
    let is_block = |style: &Style| matches!(style, Style::Block(_));
    rich.spans.iter().any(|it| is_block(&it.style) && it.from < at && at < it.to)
}

/// Bytes of the longest piece from `at` that fits; at least those of one character.
fn longest(rich: &Rich, at: usize, dialect: Dialect, length: Length) -> usize {
    let rest = rich.text.get(at..).unwrap_or_default();
    // No unit has more than four bytes, and none is more than one character.
    let most = rest.floor_char_boundary(length.max.saturating_mul(4));
    let fits =
        |size: usize| rich.length(at..at.saturating_add(size), dialect, length) <= length.max;
    if fits(most) {
        return most;
    }
    let (mut good, mut bad) = (rest.chars().next().map_or(0, char::len_utf8), most);
    loop {
        let middle = rest.floor_char_boundary(good.midpoint(bad));
        if middle <= good {
            return good;
        }
        if fits(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
}

/// A better place to end than `end`, in the second half of the piece: a paragraph, a line, a sentence, a
/// word, and where there is none, a character as people see it.
fn good_end(rich: &Rich, at: usize, end: usize) -> usize {
    let text = rich.text.as_str();
    let half = text.ceil_char_boundary(at.midpoint(end).saturating_add(1));
    // A break right after the piece is as good as one in it.
    let after = text.get(end..).and_then(|it| it.chars().next());
    let tail = text.get(half..end).unwrap_or_default();
    let marks = if in_block(rich, end) { &["\n"][..] } else { &["\n\n", "\n", ". ", " "][..] };
    for mark in marks {
        let ends_well = mark.len() == 1 && after.is_some_and(|it| mark.starts_with(it));
        if ends_well {
            return end;
        }
        if let Some(found) = tail.rfind(mark) {
            // The full stop stays where it is.
            let kept = usize::from(*mark == ". ");
            return half.saturating_add(found).saturating_add(kept);
        }
    }
    let mut cut = end;
    for _ in 0..MAX_JOINED {
        let next = text.get(cut..).and_then(|it| it.chars().next());
        let before = text.get(..cut).and_then(|it| it.chars().next_back());
        let is_joined = next.is_some_and(joins) || before == Some('\u{200d}');
        let Some(before) = before.filter(|_| is_joined) else { return cut };
        cut = cut.saturating_sub(before.len_utf8());
        if cut <= at {
            return end;
        }
    }
    end
}

/// Whether a character belongs to the one before it.
fn joins(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests;
