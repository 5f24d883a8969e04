//! Whether a run repeats itself: the same call with the same result, alone or in turn with others.
//! Pure.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::settings::Loop;

/// Calls with their results that are counted: one that comes again after so many others is no loop.
const COUNTED: usize = 64;
/// How much more often a call may be repeated that is made to wait for something.
const PATIENCE: usize = 8;

/// What a run has called lately.
#[derive(Debug)]
pub(super) struct Guard {
    limits: Loop,
    /// Hashes of calls together with their results, and how often each was seen, the newest last.
    seen: VecDeque<(u64, usize)>,
}

/// What is to be done after a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advice {
    GoOn,
    /// The model is told that it has had this result so many times.
    Warn(usize),
    /// The run ends: it has had this result so many times.
    Stop(usize),
}

impl Guard {
    pub(super) const fn new(limits: Loop) -> Self {
        Self { limits, seen: VecDeque::new() }
    }

    /// Notes that a call gave `result`. `waits` says that such calls are how one waits.
    pub(super) fn note(&mut self, call: [&str; 2], result: &str, waits: bool) -> Advice {
        let mut hasher = DefaultHasher::new();
        (call, result).hash(&mut hasher);
        let hash = hasher.finish();
        let known = self.seen.iter().position(|(seen, _)| *seen == hash);
        let known = known.and_then(|at| self.seen.remove(at));
        let times = known.map_or(1, |(_, times)| times.saturating_add(1));
        if self.seen.len() >= COUNTED {
            self.seen.pop_front();
        }
        self.seen.push_back((hash, times));
        let factor = if waits { PATIENCE } else { 1 };
        if times >= self.limits.stop_at().saturating_mul(factor) {
            Advice::Stop(times)
        } else if times >= self.limits.warn_at().saturating_mul(factor) {
            Advice::Warn(times)
        } else {
            Advice::GoOn
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The advice after each of some calls, each a name and a result.
    fn advice(calls: &[(&str, &str)], waits: bool) -> Vec<Advice> {
        let mut guard = Guard::new(Loop::default());
        calls.iter().map(|(name, result)| guard.note([name, "{}"], result, waits)).collect()
    }

    #[test]
    fn repetitions_are_noticed() {
        use Advice::{GoOn, Stop, Warn};
        let check = |calls: &[(&str, &str)], wanted: &[Advice]| {
            assert_eq!(advice(calls, false), wanted, "{calls:?}");
        };
        let a = ("a", "same");
        check(&[a; 5], &[GoOn, GoOn, Warn(3), Warn(4), Stop(5)]);
        let b = ("b", "same");
        let by_turns = [a, b, a, b, a, b, a, b, a];
        let wanted = [GoOn, GoOn, GoOn, GoOn, Warn(3), Warn(3), Warn(4), Warn(4), Stop(5)];
        check(&by_turns, &wanted);
        check(&[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4"), ("a", "5")], &[GoOn; 5]);
        assert_eq!(advice(&[a; 23], true), [GoOn; 23], "waiting is no loop yet");
        assert_eq!(advice(&[a; 40], true).last(), Some(&Stop(40)));
    }

    #[test]
    fn the_largest_limits_are_reached() {
        let limits = serde_json::from_str(r#"{"warnAt":64,"stopAt":64}"#).unwrap();
        for (waits, last) in [(false, 64), (true, 512)] {
            let mut guard = Guard::new(limits);
            for _ in 1..last {
                assert_eq!(guard.note(["a", "{}"], "same", waits), Advice::GoOn);
                guard.note(["b", "{}"], "other", true);
            }
            assert_eq!(guard.note(["a", "{}"], "same", waits), Advice::Stop(last));
        }
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut guard = Guard::new(Loop::default());
        for round in 0..10 {
            assert_eq!(guard.note(["a", "{}"], "same", false), Advice::GoOn);
            for other in 0..COUNTED {
                let result = format!("{round} {other}");
                assert_eq!(guard.note(["b", "{}"], &result, false), Advice::GoOn);
            }
        }
    }
}
