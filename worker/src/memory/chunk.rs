//! A text in overlapping pieces of about 400 tokens, by whole lines where they fit. Pure.

/// Bytes of a piece, at four to a token, and of what it has in common with the next one.
const SIZE: usize = 1600;
const OVERLAP: usize = 320;

/// A piece, and its first and last line, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) text: String,
}

/// The pieces of a text; none of one that says nothing.
pub(super) fn chunks(text: &str) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut lines: Vec<(u32, &str)> = Vec::new();
    let mut size = 0;
    for (number, part) in parts(text) {
        if size + part.len() > SIZE && !lines.is_empty() {
            chunks.extend(chunk(&lines));
            size = keep_overlap(&mut lines);
        }
        size += part.len() + 1;
        lines.push((number, part));
    }
    chunks.extend(chunk(&lines));
    chunks
}

/// Lines with their numbers; a line that is too long is in several parts.
fn parts(text: &str) -> impl Iterator<Item = (u32, &str)> {
    text.lines().zip(1u32..).flat_map(|(line, number)| {
        let mut rest = Some(line);
        std::iter::from_fn(move || {
            let line = rest.take()?;
            let (part, more) = line.split_at_checked(line.floor_char_boundary(SIZE))?;
            rest = (!more.is_empty()).then_some(more);
            Some((number, part))
        })
    })
}

fn chunk(lines: &[(u32, &str)]) -> Option<Chunk> {
    let text = lines.iter().map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
    let (first, last) = (lines.first()?.0, lines.last()?.0);
    (!text.trim().is_empty()).then_some(Chunk { first, last, text })
}

/// Leaves the last lines, as far as they are an overlap, and gives their size.
fn keep_overlap(lines: &mut Vec<(u32, &str)>) -> usize {
    let mut size = 0;
    let mut from = lines.len();
    for (at, (_, line)) in lines.iter().enumerate().rev() {
        if size + line.len() + 1 > OVERLAP {
            break;
        }
        (size, from) = (size + line.len() + 1, at);
    }
    drop(lines.drain(..from));
    size
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_overlap_by_whole_lines() {
        assert_eq!(chunks(" \n\n"), []);
        let lines = (1..=100).map(|n| format!("line {n:03} {}", "x".repeat(40)));
        let text = lines.collect::<Vec<_>>().join("\n");
        let chunks = chunks(&text);
        assert_eq!((chunks[0].first, chunks[0].last), (1, 32));
        assert_eq!(chunks[1].first, 27);
        assert!(chunks[0].text.starts_with("line 001 ") && chunks.len() == 4);
        assert_eq!(chunks.last().unwrap().last, 100);
    }

    proptest! {
        #[test]
        fn every_line_is_in_a_piece(lines in proptest::collection::vec("[aü ]{0,900}", 0..20)) {
            let text = lines.join("\n");
            let chunks = chunks(&text);
            for chunk in &chunks {
                prop_assert!(chunk.text.len() <= SIZE + 1 && chunk.first <= chunk.last);
            }
            for (line, number) in text.lines().zip(1u32..) {
                let start = line.get(..line.floor_char_boundary(50)).unwrap();
                let covers = |chunk: &Chunk| (chunk.first..=chunk.last).contains(&number);
                prop_assert!(start.trim().is_empty()
                    || chunks.iter().any(|it| covers(it) && it.text.contains(start)));
            }
        }
    }
}
