//! One line of the books: what was set aside, used or given back, by whom and for what. Whoever
//! writes the lines down keeps their order; sums are those of [`Kind::Settle`] and [`Kind::Use`].

mod day;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

pub use day::{Day, InvalidDay};

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// So much is set aside from now on.
    Hold,
    /// So much more is set aside under a hold.
    TopUp,
    /// A hold ends, and so much was used.
    Settle,
    /// A hold ends, and nothing was used.
    Release,
    /// So much was used without a hold.
    Use,
    /// A hold is still open when a new file begins; the amount is all that is set aside.
    Carried,
}

impl Kind {
    /// Whether the amounts of such a line are part of what was used.
    pub const fn counts(self) -> bool {
        matches!(self, Self::Settle | Self::Use)
    }
}

/// Amounts by dimension. Every sum saturates instead of wrapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Amount {
    /// Requests admitted.
    #[serde(skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// Input tokens, those from a provider's cache included.
    #[serde(skip_serializing_if = "is_zero")]
    pub input_tokens: u64,
    /// The part of the input tokens that came from a provider's cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
    /// Output tokens, those of reasoning included.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_tokens: u64,
    /// The part of the output tokens that was reasoning.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
    /// Micro-dollars.
    #[serde(skip_serializing_if = "is_zero")]
    pub cost_micros: u64,
    /// Milliseconds that sandboxes ran.
    #[serde(skip_serializing_if = "is_zero")]
    pub sandbox_ms: u64,
    /// Bytes sent out of sandboxes and tools.
    #[serde(skip_serializing_if = "is_zero")]
    pub egress_bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(it: &u64) -> bool {
    *it == 0
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self {
        requests: 0,
        input_tokens: 0,
        cached_tokens: 0,
        output_tokens: 0,
        reasoning_tokens: 0,
        cost_micros: 0,
        sandbox_ms: 0,
        egress_bytes: 0,
    };

    /// Input and output tokens together.
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Whether all amounts are nothing.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// Adds `more` to these amounts.
    pub const fn add(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.input_tokens = self.input_tokens.saturating_add(more.input_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(more.cached_tokens);
        self.output_tokens = self.output_tokens.saturating_add(more.output_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(more.reasoning_tokens);
        self.cost_micros = self.cost_micros.saturating_add(more.cost_micros);
        self.sandbox_ms = self.sandbox_ms.saturating_add(more.sandbox_ms);
        self.egress_bytes = self.egress_bytes.saturating_add(more.egress_bytes);
    }

    /// Each amount with its name on the wire, in the order of all reports.
    pub const fn columns(&self) -> [(&'static str, u64); 8] {
        [
            ("requests", self.requests),
            ("inputTokens", self.input_tokens),
            ("cachedTokens", self.cached_tokens),
            ("outputTokens", self.output_tokens),
            ("reasoningTokens", self.reasoning_tokens),
            ("costMicros", self.cost_micros),
            ("sandboxMs", self.sandbox_ms),
            ("egressBytes", self.egress_bytes),
        ]
    }
}

/// One line of the books. It names identifiers and nothing that anybody wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// What the line says.
    pub kind: Kind,
    /// The hold, or the use: [`crate::Journal::next_id`] gives each number once.
    pub id: u64,
    /// When.
    pub at: UnixMillis,
    /// The day whose limits and sums it counts against.
    pub day: Day,
    /// The day that it belonged to, where that one was closed before the line could be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booked_from: Option<Day>,
    /// Whose account.
    pub tenant: TenantId,
    /// The id of the token that asked; none where no client did.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub token: Option<Arc<str>>,
    /// The agent, in the worker's words.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub agent: Option<Arc<str>>,
    /// The session, in the worker's words.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub session: Option<Arc<str>>,
    /// The provider that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub provider: Option<Arc<str>>,
    /// Its model.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub model: Option<Arc<str>>,
    /// The version of the price table that the cost comes from.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub price_version: Option<Arc<str>>,
    /// The amounts are an estimate: no provider said what was used.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// A start of the gateway has ended a hold that an earlier run left open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reconciled: bool,
    /// How much.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub amount: Amount,
    /// What a provider counted beyond what could be charged: the operator's loss, in no sum.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub unbilled: Amount,
}

impl Entry {
    /// A line that names no more than whose account, when and what.
    pub const fn new(kind: Kind, id: u64, at: UnixMillis, tenant: TenantId) -> Self {
        Self {
            kind,
            id,
            at,
            day: Day::of(at),
            booked_from: None,
            tenant,
            token: None,
            agent: None,
            session: None,
            provider: None,
            model: None,
            price_version: None,
            estimated: false,
            reconciled: false,
            amount: Amount::ZERO,
            unbilled: Amount::ZERO,
        }
    }
}

/// Shared text, which serde serialises only with a feature that everything else would pay for.
mod text {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        it: &Option<Arc<str>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        it.as_deref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Arc<str>>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Arc::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entry: &Entry, line: &str) {
        assert_eq!(serde_json::to_string(entry).unwrap(), line);
        assert_eq!(serde_json::from_str::<Entry>(line).unwrap(), *entry);
    }

    #[test]
    fn a_line_has_what_there_is_to_say() {
        let tenant: TenantId = "acme".parse().unwrap();
        let hold = Entry::new(Kind::Hold, 7, 1_795_305_600_001, tenant);
        check(
            &hold,
            r#"{"kind":"hold","id":7,"at":1795305600001,"day":"2026-11-22","tenant":"acme"}"#,
        );
        let settle = Entry {
            kind: Kind::Settle,
            booked_from: Some(Day::of(0)),
            agent: Some("main".into()),
            price_version: Some("3".into()),
            reconciled: true,
            amount: Amount { input_tokens: 1, cost_micros: 2, ..Amount::ZERO },
            ..hold
        };
        check(
            &settle,
            r#"{"kind":"settle","id":7,"at":1795305600001,"day":"2026-11-22","bookedFrom":"1970-01-01","tenant":"acme","agent":"main","priceVersion":"3","reconciled":true,"amount":{"inputTokens":1,"costMicros":2}}"#,
        );
    }

    #[test]
    fn what_a_newer_version_would_mean_is_not_guessed() {
        let refused = |line: &str| serde_json::from_str::<Entry>(line).unwrap_err();
        refused(r#"{"kind":"gift","id":1,"at":1,"day":"2026-11-22","tenant":"a"}"#);
        refused(r#"{"kind":"use","id":1,"at":1,"day":"2026-11-22","tenant":"a","x":1}"#);
        refused(r#"{"kind":"use","id":1,"at":1,"day":"2026-11-22","tenant":"a","amount":{"x":1}}"#);
        refused(r#"{"kind":"use","id":1,"at":1,"day":"2026-11-22","tenant":"A"}"#);
    }

    #[test]
    fn sums_stop_at_the_largest_number() {
        let mut sum = Amount { cost_micros: u64::MAX - 1, requests: 1, ..Amount::ZERO };
        sum.add(&Amount { cost_micros: 5, requests: 2, ..Amount::ZERO });
        assert_eq!(sum, Amount { cost_micros: u64::MAX, requests: 3, ..Amount::ZERO });
        assert_eq!(sum.columns()[5], ("costMicros", u64::MAX));
    }
}
