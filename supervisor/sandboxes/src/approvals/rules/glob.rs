//! Patterns with wild cards, and how long a decision may search with them. Pure.

use std::cell::Cell;

/// Steps that one decision may take through all patterns: a few milliseconds. What is not found until
/// then is not listed.
pub(super) const STEPS: u64 = 1_000_000;

/// Bytes of a pattern in which something stands for any bytes: its time is the product of both lengths.
pub(super) const MAX_WILD: usize = 512;

/// As a part of a path: any parts. As the last argument of a pattern: any more, or none.
pub(super) const REST: &str = "**";

/// What is left of the steps of one decision.
#[derive(Debug)]
pub(super) struct Budget(Cell<u64>);

impl Budget {
    pub(super) const fn of(steps: u64) -> Self {
        Self(Cell::new(steps))
    }

    /// Takes steps; false where there are not so many left, and none are from then on.
    pub(super) fn take(&self, steps: usize) -> bool {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        let left = self.0.get().checked_sub(steps);
        self.0.set(left.unwrap_or_default());
        left.is_some()
    }

    /// Whether `word` is what `pattern` says: `*` stands for any bytes, `?` for one, and a backslash
    /// takes away what the next character means.
    pub(super) fn glob(&self, pattern: &[u8], word: &[u8]) -> bool {
        if !self.take(pattern.len()) || is_too_wild(pattern) {
            return false;
        }
        let Some(steps) = steps(pattern) else { return false };
        self.wild(
            &steps,
            word,
            |it| *it == Step::Many,
            |it, byte| match it {
                Step::Byte(wanted) => wanted == byte,
                Step::Any | Step::Many => true,
            },
        )
    }

    /// Part by part; `**` is for any number of parts. Of several, only the latest is tried again.
    pub(super) fn path(&self, pattern: &str, path: &str) -> bool {
        let pattern: Vec<&str> = pattern.split('/').collect();
        let path: Vec<&str> = path.split('/').collect();
        self.wild(
            &pattern,
            &path,
            |it| *it == REST,
            |it, part| self.glob(it.as_bytes(), part.as_bytes()),
        )
    }

    /// Whether `items` are what `steps` say, some of which stand for any number of them. Only the
    /// latest of those is ever tried again: the time is the product of both lengths at most.
    fn wild<S, T>(
        &self,
        steps: &[S],
        items: &[T],
        many: impl Fn(&S) -> bool,
        one: impl Fn(&S, &T) -> bool,
    ) -> bool {
        let (mut step, mut item) = (0_usize, 0_usize);
        let mut again: Option<(usize, usize)> = None;
        while let Some(found) = items.get(item) {
            if !self.take(1) {
                return false;
            }
            match steps.get(step) {
                Some(it) if many(it) => {
                    again = Some((step, item));
                    step = step.saturating_add(1);
                }
                Some(it) if one(it, found) => {
                    (step, item) = (step.saturating_add(1), item.saturating_add(1));
                }
                _ => match again {
                    Some((at, from)) => {
                        again = Some((at, from.saturating_add(1)));
                        (step, item) = (at.saturating_add(1), from.saturating_add(1));
                    }
                    None => return false,
                },
            }
        }
        steps.get(step..).is_some_and(|rest| rest.iter().all(many))
    }
}

/// Whether a pattern has a `*` and is longer than such a one may be.
pub(super) fn is_too_wild(pattern: &[u8]) -> bool {
    let wild = || steps(pattern).is_some_and(|it| it.contains(&Step::Many));
    pattern.len() > MAX_WILD && wild()
}

/// One step of a pattern: a byte, any byte, or any bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Byte(u8),
    Any,
    Many,
}

/// None where a backslash is followed by nothing.
fn steps(pattern: &[u8]) -> Option<Vec<Step>> {
    let (mut steps, mut bytes) = (Vec::with_capacity(pattern.len()), pattern.iter());
    while let Some(byte) = bytes.next() {
        steps.push(match byte {
            b'*' => Step::Many,
            b'?' => Step::Any,
            b'\\' => Step::Byte(*bytes.next()?),
            _ => Step::Byte(*byte),
        });
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_not_found() {
        let (stars, word) = ("*a".repeat(256), "a".repeat(100_000));
        let budget = Budget::of(STEPS);
        assert!(budget.glob(stars.as_bytes(), word.as_bytes()));
        // Every step is counted, so that no list of patterns takes longer.
        let slow = format!("{stars}b").replacen("*a", "", 1);
        let mut tries = 0;
        while budget.take(1) {
            assert!(!budget.glob(slow.as_bytes(), word.as_bytes()));
            tries += 1;
            assert!(tries < 100);
        }
        assert!(!budget.glob(b"a", b"a"));
    }

    #[test]
    fn long_patterns_are_without_wild_cards() {
        let budget = Budget::of(STEPS);
        let long = "a".repeat(MAX_WILD);
        assert!(budget.glob(long.as_bytes(), long.as_bytes()));
        assert!(!budget.glob(format!("{long}*").as_bytes(), long.as_bytes()));
        assert!(budget.glob(format!("{long}\\*").as_bytes(), format!("{long}*").as_bytes()));
        assert!(!budget.path(&format!("{}/x", "/**".repeat(1000)), &"/a".repeat(2000)));
    }
}
