//! What is cut, for every network and for lengths that are harder than any network's.

use proptest::prelude::*;

use super::*;
use crate::describe::Unit;
use crate::{ALL, network};

const DIALECTS: [Dialect; 5] =
    [Dialect::Plain, Dialect::Markdown, Dialect::Mrkdwn, Dialect::Tags, Dialect::Html];
const UNITS: [Unit; 3] = [Unit::Characters, Unit::Utf16, Unit::Bytes];

fn of(rich: &Rich, range: Range<usize>) -> &str {
    rich.text.get(range).unwrap()
}

/// Holds the pieces of a text against what is promised of them.
fn hold(markdown: &str, dialect: Dialect, length: Length) {
    let rich = Rich::parse(markdown);
    let pieces = pieces(&rich, dialect, length);
    let mut at = 0;
    for piece in &pieces {
        assert!(piece.start >= at && piece.end > piece.start, "in order: {pieces:?}");
        assert_eq!(of(&rich, at..piece.start).trim(), "", "lost between: {markdown:?}");
        let long = rich.length(piece.clone(), dialect, length);
        assert!(long <= length.max, "{long} of {length:?}: {:?}", of(&rich, piece.clone()));
        let part = rich.render(piece.clone(), dialect);
        if matches!(dialect, Dialect::Markdown | Dialect::Mrkdwn) {
            let fences = part.text.lines().filter(|it| it.contains("```")).count();
            assert_eq!(fences % 2, 0, "a fence is open: {:?}", part.text);
        }
        let tagged = part.html.as_ref().unwrap_or(&part.text);
        if matches!(dialect, Dialect::Tags | Dialect::Html) {
            let opened = tagged.matches('<').count() - tagged.matches("<br>").count();
            assert_eq!(opened, 2 * tagged.matches("</").count(), "a tag is open: {tagged:?}");
        }
        at = piece.end;
    }
    assert_eq!(of(&rich, at..rich.text.len()).trim(), "", "lost at the end: {markdown:?}");
}

/// Pieces of Markdown that are cut at bad places.
fn markdown() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => "[a-z]{1,12}",
        2 => "[é😀👩‍👧漢&<>*_~`|\\\\#]{1,6}",
        1 => Just("**strong words**".to_owned()),
        1 => Just("*leaning `and code`*".to_owned()),
        1 => Just("[a link](https://example.org/a?b=c&d=e)".to_owned()),
        1 => Just("~~not this~~".to_owned()),
        1 => Just("\n".to_owned()),
        1 => Just("\n\n".to_owned()),
        1 => Just("\n\n- item\n- item\n".to_owned()),
        1 => Just("\n\n> said before\n\n".to_owned()),
        1 => Just("\n\n```rust\nfn main() {\n    let x = \"``\";\n\n}\n```\n\n".to_owned()),
        1 => "[x]{200}",
    ];
    proptest::collection::vec(word, 0..60).prop_map(|it| it.join(" "))
}

proptest! {
    #[test]
    fn no_piece_is_too_long_and_nothing_is_lost(
        markdown in markdown(),
        dialect in proptest::sample::select(DIALECTS.as_slice()),
        unit in proptest::sample::select(UNITS.as_slice()),
        max in 120_usize..600,
    ) {
        // Twice as much where it is written twice.
        let max = if dialect == Dialect::Html { 3 * max } else { max };
        hold(&markdown, dialect, Length { max, unit });
    }

    #[test]
    fn no_text_at_all_is_too_much(text in any::<String>()) {
        for network in ALL {
            hold(&text, network.is.dialect, network.is.text);
        }
    }
}

#[test]
fn at_the_limit_it_is_one_and_over_it_two() {
    for network in ALL {
        let is = network.is;
        for (character, units) in [('x', [1, 1, 1]), ('é', [1, 1, 2]), ('😀', [1, 2, 4])] {
            let [characters, utf16, bytes] = units;
            let each = match is.text.unit {
                Unit::Characters => characters,
                Unit::Utf16 => utf16,
                Unit::Bytes => bytes,
            };
            // A network that takes both forms has half for each.
            let each = if is.dialect == Dialect::Html { 2 * each } else { each };
            let most = is.text.max / each;
            for (count, want) in [(most - 1, 1), (most, 1), (most + 1, 2)] {
                let text: String = std::iter::repeat_n(character, count).collect();
                assert_eq!(parts(&text, is).len(), want, "{count} of {character} in {}", is.name);
            }
        }
    }
}

#[test]
fn it_is_cut_where_people_would() {
    let is = network("telegram").unwrap().is;
    let check = |markdown: &str, max: usize, want: &[&str]| {
        let length = Length { max, unit: Unit::Characters };
        let rich = Rich::parse(markdown);
        let pieces = pieces(&rich, is.dialect, length);
        let found: Vec<_> = pieces.iter().map(|it| of(&rich, it.clone())).collect();
        assert_eq!(found, want, "{markdown}");
    };
    check("one two\n\nthree four", 14, &["one two", "three four"]);
    check("one two\nthree four", 12, &["one two", "three four"]);
    check("one two\nthree four", 14, &["one two\nthree", "four"]);
    check("- one\n  - two", 8, &["• one", "  • two"]);
    check("One two. Three four", 12, &["One two.", "Three four"]);
    check("one two three", 9, &["one two", "three"]);
    check("one two three", 7, &["one two", "three"]);
    check("onetwothree", 6, &["onetwo", "three"]);
    check("aaaae\u{301}x", 5, &["aaaa", "e\u{301}x"]);
    check("aaaaa👩\u{200d}👧x", 7, &["aaaaa", "👩\u{200d}👧x"]);
    check("   ", 5, &[]);
}

#[test]
fn code_goes_on_as_code() {
    let is = network("discord").unwrap().is;
    let lines: String = (0..400).map(|n| ["    line ", &n.to_string(), ";\n"].concat()).collect();
    let parts = parts(&format!("Look:\n\n```rust\n{lines}```\n\nDone."), is);
    assert!(parts.len() > 2);
    for part in &parts {
        assert!(part.text.contains("```rust\n    line "), "{}", part.text);
    }
    let all: String = parts.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(all.matches("    line ").count(), 400);
    assert!(all.ends_with("```\n\nDone."));
}
