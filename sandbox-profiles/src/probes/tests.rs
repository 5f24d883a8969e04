//! Numbers, words and codes cross unchanged, and nothing else is taken for one.

use std::collections::BTreeSet;

use super::*;

#[test]
fn a_probe_is_one_number_and_two_words() {
    let all = (0..1000).filter_map(|number| Some((number, Chosen::from_number(number)?)));
    let all: Vec<_> = all.collect();
    assert_eq!(all.len(), PROBES.len() * 2);
    for (number, chosen) in all {
        assert_eq!(chosen.number(), Some(number));
        let [index, depth] = chosen.words();
        assert_eq!(Chosen::from_words(&index, &depth), Some(chosen));
    }
    for (index, depth) in [("999", "whole"), ("-1", "whole"), ("0", "open"), ("", "beneath")] {
        assert_eq!(Chosen::from_words(index, depth), None, "{index} {depth}");
    }
}

#[test]
fn only_a_probe_answers_with_a_probes_code() {
    let check = |signaled, number, word: &str| {
        assert_eq!(Outcome::of(signaled, number).word(), word, "{signaled} {number}");
    };
    check(false, i32::from(BASE), "ALLOWED");
    check(false, i32::from(BASE) + libc::EPERM, "EPERM");
    check(false, i32::from(BASE) + ERRNO_MAX, "EHWPOISON");
    check(true, libc::SIGSYS, "SIGSYS");
    // Another program in its place.
    check(false, 0, "ALLOWED");
    // Not confined, panicked, not executed, killed for want of memory, or nonsense.
    for number in [1, 101, 124, 125, 255, -1, i32::MAX] {
        let wanted = if (103..=235).contains(&number) { continue } else { "NOT MADE" };
        check(false, number, wanted);
    }
    check(true, libc::SIGKILL, "NOT MADE");
    check(true, libc::SIGSEGV, "NOT MADE");
}

#[test]
fn every_probe_has_a_name_of_its_own_and_can_fail() {
    let names: BTreeSet<_> = PROBES.iter().map(|probe| probe.name).collect();
    assert_eq!(names.len(), PROBES.len());
    assert!(PROBES.len() >= 20);
    for probe in PROBES {
        assert!(!probe.whole.is_empty(), "{}", probe.name);
        let accepted = probe.whole.iter().chain(probe.beneath);
        assert!(accepted.copied().all(|word| word.starts_with('E') || word == "SIGSYS"));
    }
}
