//! What a client is told of a limit that it has met: as words for whoever writes programs, as words for
//! whoever talks to an agent, and as fields.
//!
//! Decides nothing, and measures nothing: the ledger does.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Dimension, Level, UnixMillis, Window};

/// Why something is refused that costs something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// It does not fit into what is left of the limit.
    Reached,
    /// Money is limited, and nobody knows what it would cost.
    PriceUnknown,
    /// What is used cannot be written down at the moment, and so nothing may be used.
    Unwritable,
}

/// A refusal, as it is told. Of what all tenants share nothing is said but that it is used up: how much
/// others use is nobody's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limited {
    /// Why.
    pub cause: Cause,
    /// Whose use is limited.
    pub level: Level,
    /// Which token, agent or session, where it is the use of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Of what.
    pub dimension: Dimension,
    /// In which stretch of the calendar; none for what is counted as it is now.
    pub window: Option<Window>,
    /// The most there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// What is left of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// Seconds after which trying again may help; 0 where waiting does not help.
    pub retry_after_seconds: u64,
    /// When the window ends, in milliseconds since the epoch.
    pub resets_at: UnixMillis,
}

impl Limited {
    /// The limit, without whose and how much: `costMicros/month`.
    pub fn limit(&self) -> String {
        match self.window {
            Some(window) => format!("{}/{window}", self.dimension),
            None => self.dimension.to_string(),
        }
    }

    /// What to say to somebody who talks to an agent and has never heard of tokens and limits: whether
    /// and when it will go on, in UTC. No figure, and no money.
    pub fn polite(&self) -> String {
        let when = match self.window {
            _ if self.cause == Cause::Unwritable => {
                return "Sorry, I cannot answer right now. Please try again in a few minutes."
                    .to_owned();
            }
            _ if self.cause == Cause::PriceUnknown => {
                return "Sorry, I cannot answer this at the moment. Please tell whoever runs me."
                    .to_owned();
            }
            None => {
                return "Sorry, I am busy with other things. Please try again in a moment."
                    .to_owned();
            }
            Some(Window::Minute) => {
                return "Sorry, that was a little too much at once. Please try again in a minute."
                    .to_owned();
            }
            Some(Window::Hour) => "for this hour",
            Some(Window::Day) => "for today",
            Some(Window::Month) => "for this month",
        };
        let again = self.resets("%Y-%m-%d %H:%M UTC");
        format!("Sorry, I have done all that I may do {when}. I can answer again from {again} on.")
    }

    fn resets(&self, form: &str) -> String {
        let at = i64::try_from(self.resets_at).ok();
        let at = at.and_then(|it| Timestamp::from_millisecond(it).ok()).unwrap_or(Timestamp::MAX);
        at.strftime(form).to_string()
    }

    fn whose(&self) -> String {
        match (self.level, &self.subject) {
            (Level::Installation, _) => "the gateway's".to_owned(),
            (Level::Tenant, _) => "the tenant's".to_owned(),
            (level, Some(subject)) => format!("the {level}'s ({subject})"),
            (level, None) => format!("the {level}'s"),
        }
    }
}

/// For whoever writes programs.
impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::PriceUnknown => {
                return f.write_str(
                    "money is limited here, and the price of this model is not known; the operator can add it to the price table",
                );
            }
            Cause::Unwritable => {
                return f.write_str(
                    "what is used cannot be written down at the moment, and so nothing may be used; try again",
                );
            }
            Cause::Reached => {}
        }
        write!(f, "{} limit {}", self.whose(), self.limit())?;
        if let Some(max) = self.max {
            write!(f, " of {max}")?;
        }
        match self.remaining {
            Some(left) if left > 0 => write!(f, " leaves {left}, too little for this")?,
            Some(_) | None => f.write_str(" is reached")?,
        }
        if self.window.is_none() {
            return f.write_str("; try again when something has ended");
        }
        let (seconds, at) = (self.retry_after_seconds, self.resets("%Y-%m-%dT%H:%M:%SZ"));
        write!(f, "; it begins anew in {seconds} s, at {at}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money() -> Limited {
        Limited {
            cause: Cause::Reached,
            level: Level::Tenant,
            subject: None,
            dimension: Dimension::CostMicros,
            window: Some(Window::Month),
            max: Some(5_000_000),
            remaining: Some(0),
            retry_after_seconds: 61,
            // 2026-12-01T00:00:00Z
            resets_at: 1_796_083_200_000,
        }
    }

    #[test]
    fn it_crosses_and_comes_back() {
        let token = Limited { level: Level::Token, subject: Some("t1".to_owned()), ..money() };
        let shared = Limited { level: Level::Installation, max: None, remaining: None, ..money() };
        for limited in [money(), token, shared] {
            let text = serde_json::to_string(&limited).unwrap();
            assert_eq!(serde_json::from_str::<Limited>(&text).unwrap(), limited);
        }
        assert_eq!(
            serde_json::to_string(&money()).unwrap(),
            r#"{"cause":"reached","level":"tenant","dimension":"costMicros","window":"month","max":5000000,"remaining":0,"retryAfterSeconds":61,"resetsAt":1796083200000}"#
        );
    }

    #[test]
    fn what_programs_are_told() {
        let check = |limited: Limited, words: &str| assert_eq!(limited.to_string(), words);
        check(
            money(),
            "the tenant's limit costMicros/month of 5000000 is reached; it begins anew in 61 s, at 2026-12-01T00:00:00Z",
        );
        let token = Limited {
            level: Level::Token,
            subject: Some("t1".to_owned()),
            dimension: Dimension::Tokens,
            window: Some(Window::Day),
            max: Some(100),
            remaining: Some(7),
            ..money()
        };
        check(
            token,
            "the token's (t1) limit tokens/day of 100 leaves 7, too little for this; it begins anew in 61 s, at 2026-12-01T00:00:00Z",
        );
        let shared = Limited {
            level: Level::Installation,
            dimension: Dimension::ConcurrentRuns,
            window: None,
            max: None,
            remaining: None,
            ..money()
        };
        check(
            shared,
            "the gateway's limit concurrentRuns is reached; try again when something has ended",
        );
    }

    #[test]
    fn what_people_are_told_has_no_money_in_it() {
        let check = |limited: Limited, part: &str| {
            let words = limited.polite();
            assert!(words.contains(part), "{words}");
            let figures = ["5000000", "costMicros", "$", "token", "t1"];
            assert!(figures.iter().all(|it| !words.contains(it)), "{words}");
        };
        check(money(), "for this month. I can answer again from 2026-12-01 00:00 UTC on");
        check(Limited { window: Some(Window::Day), ..money() }, "for today");
        check(Limited { window: Some(Window::Hour), ..money() }, "for this hour");
        check(Limited { window: Some(Window::Minute), ..money() }, "in a minute");
        check(Limited { window: None, ..money() }, "in a moment");
        check(Limited { cause: Cause::Unwritable, ..money() }, "in a few minutes");
        check(Limited { cause: Cause::PriceUnknown, ..money() }, "whoever runs me");
    }
}
