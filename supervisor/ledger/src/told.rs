//! A refusal as clients are told it.

use types::{Cause, Level, Limited};

use crate::{Refusal, Why};

impl From<&Refusal> for Limited {
    /// What all tenants share is said to be used up, and no figure: it would tell one what others use.
    fn from(refusal: &Refusal) -> Self {
        let cause = match refusal.why {
            Why::Limit => Cause::Reached,
            Why::PriceUnknown => Cause::PriceUnknown,
            Why::Unwritable => Cause::Unwritable,
        };
        let is_shown = cause == Cause::Reached && refusal.level != Level::Installation;
        Self {
            cause,
            level: refusal.level,
            subject: refusal.subject.as_deref().map(str::to_owned),
            dimension: refusal.dimension,
            window: refusal.window,
            max: is_shown.then_some(refusal.max),
            remaining: is_shown.then_some(refusal.remaining),
            // No waiting makes a price known.
            retry_after_seconds: if cause == Cause::PriceUnknown {
                0
            } else {
                refusal.retry_after_s
            },
            resets_at: refusal.resets_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{Dimension, Window};

    use super::*;

    #[test]
    fn what_others_use_is_not_told() {
        let refusal = |why, level| Refusal {
            why,
            level,
            subject: None,
            dimension: Dimension::CostMicros,
            window: Some(Window::Month),
            max: 7,
            remaining: 2,
            retry_after_s: 9,
            resets_at: 10,
        };
        let told = |why, level| {
            let limited = Limited::from(&refusal(why, level));
            (limited.cause, limited.max, limited.remaining, limited.retry_after_seconds)
        };
        let reached = Cause::Reached;
        assert_eq!(told(Why::Limit, Level::Tenant), (reached, Some(7), Some(2), 9));
        assert_eq!(told(Why::Limit, Level::Installation), (reached, None, None, 9));
        assert_eq!(told(Why::PriceUnknown, Level::Tenant), (Cause::PriceUnknown, None, None, 0));
        assert_eq!(told(Why::Unwritable, Level::Installation), (Cause::Unwritable, None, None, 9));
    }
}
