//! Pages, most of them broken.

use proptest::prelude::*;

use super::*;

fn markdown(html: &str) -> String {
    extract(html, "https://h.example/a/", Mode::Markdown, 10_000).text
}

#[test]
fn a_page_is_markdown() {
    let check = |html: &str, want: &str| assert_eq!(markdown(html), want, "{html}");
    check("<h1>One</h1><p>a\n  b</p><p>c</p>", "# One\n\na b\n\nc");
    check("<ul><li>a<li> b </ul>c", "- a\n- b\n\nc");
    check("see <a href='/x'>the <b>page</b></a>.", "see [the page](https://h.example/x).");
    check("<a href=javascript:x>a</a>", "a");
    check("a<br>b<br/>c", "a\nb\nc");
    check("<pre>  a\n   b</pre>c", "```\n  a\n   b\n```\n\nc");
    check("use <code>x&lt;y</code> now", "use `x<y` now");
    check("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a | b\nc");
    check("<img alt=' cat '> x", "[picture: cat] x");
    check("<blockquote>a</blockquote>", "> a");
    check("<h2></h2><p>a", "a");
    check("<li><p>a</p></li>", "a");
    check("<b>a</b> <i>b</i>", "a b");
}

#[test]
fn what_is_not_the_page_is_left_out() {
    let check = |html: &str, want: &str| assert_eq!(markdown(html), want, "{html}");
    check("<script>if (a < b) '</p>'</script>a<style>x{}</style>", "a");
    check("<SCRIPT>x</ScRiPt >a", "a");
    check("<script>never ends", "");
    check("<nav><ul><li>Home</ul></nav>a", "a");
    check("<nav>Home<main>a</main>", "a");
    check("<nav><nav>x</nav>y</nav>a", "a");
    check("<svg/>a</nav>b", "ab");
    check("a<!-- <p>x --> b<!DOCTYPE x><?xml y?>c", "a bc");
    check("a<!-- never ends", "a");
    check("<noscript>x</noscript>a", "a");
}

#[test]
fn broken_pages_are_read_all_the_same() {
    let check = |html: &str, want: &str| assert_eq!(markdown(html), want, "{html}");
    check("1 < 2 <3 </> <é", "1 < 2 <3 </> <é");
    check("a<p", "a");
    check("a<p class=\"x", "a");
    check("<a href=\"/x\">a", "[a](https://h.example/x)");
    check("<a href=/x>a<a href=/y>b", "[a](https://h.example/x)[b](https://h.example/y)");
    check("</p></div>a</li>", "a");
    check("<p =x <b>>a", ">a");
    check("<pre>a", "```\na\n```");
    check("a\0b", "a\0b");
}

#[test]
fn the_title_is_the_first_of_the_page_itself() {
    let page = extract(
        "<svg><title>no</title></svg><title> A &amp;\n B </title><title>C</title>x",
        "https://h/",
        Mode::Text,
        99,
    );
    assert_eq!((page.title.as_str(), page.text.as_str()), ("A & B", "x"));
}

#[test]
fn text_has_no_marks() {
    let html = "<h1>a</h1><a href=/x>b</a><pre>c\nd</pre><code>e</code>";
    assert_eq!(extract(html, "https://h/", Mode::Text, 99).text, "a\n\nb\n\nc\nd\n\ne");
}

#[test]
fn a_long_or_deep_page_is_cut_and_not_a_burden() {
    let page = extract(&"<p>word</p>".repeat(50_000), "https://h/", Mode::Text, 100);
    assert!(page.is_cut && page.text.len() < 500);
    let deep = "<div><a href=/x><nav>".repeat(30_000);
    assert!(extract(&deep, "https://h/", Mode::Markdown, 1000).text.len() < 8000);
    assert!(markdown(&"</".repeat(50_000)).len() <= 40_001);
}

proptest! {
    #[test]
    fn any_page_is_bounded(
        parts in proptest::collection::vec(
            "(</?(a|p|nav|pre|script|title|li|td|code|h1|main|img|svg)( href=['\"]?/?x?['\"]?| alt=a)?/?>?|<!--|-->|&(amp|#x?[0-9]{1,4}|ü)?;?|[ü<>\"'\n ]{0,3})",
            0..40,
        ),
        max in 0..40usize,
    ) {
        let html = parts.concat();
        for mode in [Mode::Markdown, Mode::Text] {
            let page = extract(&html, "https://h.example/", mode, max);
            prop_assert!(page.text.len() <= html.len() * 12 + 64 * (parts.len() + 1));
        }
    }
}
