//! What results may take of a run.

use super::super::*;

#[test]
fn what_is_too_long_keeps_its_start_and_its_end() {
    let check = |text: &str, max: usize, wanted: &str| {
        let mut text = text.to_owned();
        shorten(&mut text, max);
        assert_eq!(text, wanted);
    };
    check("üüüü", 4, "üüüü");
    check("abcdefgh", 4, "abc\n[... 4 characters are left out ...]\nh");
    check("", 0, "");
}

#[test]
fn the_results_of_a_run_share_its_room() {
    let given = || Given {
        at: 0,
        content: vec![Content::Text("x".repeat(40_000)), Content::Text("y".repeat(9))],
        details: None,
        is_error: false,
        used: proto::host::Usage::default(),
    };
    let (mut first, mut last, mut room) = (given(), given(), 31_000);
    cut_to_fit(&mut first, &mut room);
    cut_to_fit(&mut last, &mut room);
    let count = |given: &Given| given.text().matches('x').count();
    assert_eq!([count(&first), count(&last)], [MAX_RESULT, MIN_RESULT]);
    assert!(first.text().ends_with("[... 9 characters are left out ...]\n"));
}

#[test]
fn the_newest_pictures_of_a_run_are_shown() {
    let picture = |size: usize| Part { part: Some(part::Part::ImageUrl("x".repeat(size))) };
    let check = |oldest_first: &[usize], shown: &[bool]| {
        let mut parts: Vec<Part> = oldest_first.iter().map(|size| picture(*size)).collect();
        let mut left = MAX_PICTURES;
        parts.iter_mut().rev().for_each(|part| show_or_mark(&mut left, part));
        let is_shown = |one: &Part| matches!(one.part, Some(part::Part::ImageUrl(_)));
        assert_eq!(parts.iter().map(is_shown).collect::<Vec<_>>(), shown, "{oldest_first:?}");
    };
    let third = MAX_PICTURES / 3;
    check(&[9, 9], &[true, true]);
    check(&[third; 5], &[false, false, true, true, true]);
    check(&[9, MAX_PICTURES, 9], &[false, false, true]);
    let mut given = Given {
        at: 0,
        content: vec![Content::Image {
            mime: "image/png".into(),
            data: "x".repeat(MAX_PICTURES + 1),
        }],
        details: None,
        is_error: false,
        used: proto::host::Usage::default(),
    };
    refuse_pictures(&mut given);
    assert!(given.text().ends_with("too large to be shown]"), "{}", given.text());
}
