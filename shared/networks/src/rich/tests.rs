//! Markdown as models write it.

use super::*;

fn check(markdown: &str, text: &str, styled: &[(&str, Style)]) {
    let rich = Rich::parse(markdown);
    assert_eq!(rich.text, text, "{markdown}");
    let found: Vec<_> = rich
        .spans
        .iter()
        .map(|it| (rich.text.get(it.from..it.to).unwrap(), it.style.clone()))
        .collect();
    assert_eq!(found, styled, "{markdown}");
}

#[test]
fn what_is_read_of_markdown() {
    use Style::{Block, Code, Emphasis, Link, Quote, Strong, Struck};
    let link = |to: &str| Link(to.to_owned());
    check("", "", &[]);
    check("plain", "plain", &[]);
    check("one\ntwo\n\nthree", "one\ntwo\n\nthree", &[]);
    check(
        "**a** *b* ~~c~~ `d`",
        "a b c d",
        &[("a", Strong), ("b", Emphasis), ("c", Struck), ("d", Code)],
    );
    check("***x***", "x", &[("x", Emphasis), ("x", Strong)]);
    check("# Head\ntext", "Head\n\ntext", &[("Head", Strong)]);
    check("- a\n- b\n  - c\n\nend", "• a\n• b\n  • c\n\nend", &[]);
    check("3. a\n4. b", "3. a\n4. b", &[]);
    check("- [x] a\n- [ ] b", "• [x] a\n• [ ] b", &[]);
    check(
        "a\n```rust\nfn x() {}\n\n```\nb",
        "a\n\nfn x() {}\n\n\nb",
        &[("fn x() {}\n", Block("rust".to_owned()))],
    );
    check("[x](http://a)", "x", &[("x", link("http://a"))]);
    check("> a\n> b\n\nc", "a\nb\n\nc", &[("a\nb", Quote)]);
    check("| a | b |\n|---|---|\n| 1 | 2 |", "a | b\n1 | 2", &[]);
    check("a\n\n---\n\nb", "a\n\n———\n\nb", &[]);
    check("<b>x</b>", "<b>x</b>", &[]);
}

#[test]
fn an_address_that_is_too_long_to_hide_is_written_out() {
    let long = format!("http://a/{}", "x".repeat(300));
    check(&format!("[here]({long})"), &format!("here ({long})"), &[]);
    check(&format!("<{long}>"), &long, &[]);
}

#[test]
fn nesting_ends_somewhere() {
    let rich = Rich::parse(&format!("{}x", "> ".repeat(500)));
    assert_eq!(rich.text, "x");
    assert!(rich.spans.len() <= MAX_DEPTH, "{}", rich.spans.len());
}
