//! One record: who did what, when, and what came of it. No field holds what a tenant said or set.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use types::UnixMillis;

use crate::{Digest, Head, Text};

/// The act of a record that holds a signed head.
pub const CHECKPOINT: &str = "audit.checkpoint";

/// The act of a record that tells what was found amiss when the gateway started.
pub const RECOVERED: &str = "audit.recovered";

/// The act of a record that tells what could not be recorded.
pub const GAP: &str = "audit.gap";

/// Before an act or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// It is about to be done.
    Intent,
    /// It is over. An outcome without an intent is of something that nobody ordered, or that was
    /// refused.
    Outcome,
}

/// What came of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Result {
    /// It was done.
    Done,
    /// Whoever asked may not do it.
    Refused,
    /// It failed.
    Failed,
    /// Nobody knows: the gateway ended, or whoever asked went away, in the midst of it.
    Unknown,
}

/// Of what kind an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WhoKind {
    /// The holder of a tenant's token; the id is the token's public name.
    TenantToken,
    /// The holder of an operator's key; the id is the key's public name.
    OperatorKey,
    /// A user of this machine, over the Unix socket; the id is the user's number.
    LocalUser,
    /// The gateway by itself.
    Gateway,
    /// Somebody without a valid token.
    Unknown,
}

/// Who acted. Never a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// Of what kind.
    pub kind: WhoKind,
    /// The public name of the token or key, or the number of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// From where, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// From one record to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
}

/// A record, as its line has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Its number: one more than the record before, over all files.
    pub seq: u64,
    /// When it was recorded, in milliseconds since the epoch.
    pub at: UnixMillis,
    /// The event; intent and outcome of one act have the same.
    pub id: Text,
    /// Before the act or after it.
    pub phase: Phase,
    /// What was done: the operation, method or event.
    pub act: Text,
    /// By whom.
    pub who: Who,
    /// To what, where the act does not say it: a path or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Text>,
    /// In which tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Text>,
    /// The request under which log and reply name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Text>,
    /// What came of it; an intent has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Result>,
    /// Why it was refused or how it failed, or what was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Text>,
    /// The digest of what is changed, as it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// The digest of what is changed, as it is afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Digest>,
    /// How many times the same happened since the record before of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Which records it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Span>,
    /// A signed head; only of a checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
    /// The SHA-256 digest of the line before, without its end.
    pub prev: Digest,
}

/// What a record says beside its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// See [`Record::id`].
    pub id: Text,
    /// See [`Record::phase`].
    pub phase: Phase,
    /// See [`Record::act`].
    pub act: Text,
    /// See [`Record::who`].
    pub who: Who,
    /// See [`Record::resource`].
    pub resource: Option<Text>,
    /// See [`Record::tenant`].
    pub tenant: Option<Text>,
    /// See [`Record::request`].
    pub request: Option<Text>,
    /// See [`Record::outcome`].
    pub outcome: Option<Result>,
    /// See [`Record::code`].
    pub code: Option<Text>,
    /// See [`Record::before`].
    pub before: Option<Digest>,
    /// See [`Record::after`].
    pub after: Option<Digest>,
    /// See [`Record::count`].
    pub count: Option<u64>,
    /// See [`Record::records`].
    pub records: Option<Span>,
    /// See [`Record::head`].
    pub head: Option<Head>,
}

impl Who {
    /// The gateway by itself.
    pub const GATEWAY: Self = Self { kind: WhoKind::Gateway, id: None, address: None };

    /// Somebody of `kind` with the public name `id`.
    pub fn named(kind: WhoKind, id: &str) -> Self {
        Self { kind, id: Some(Text::new(id)), address: None }
    }

    /// Somebody without a valid token.
    pub const fn unknown(address: IpAddr) -> Self {
        Self { kind: WhoKind::Unknown, id: None, address: Some(address) }
    }

    /// The same, at `address`.
    pub fn at(self, address: IpAddr) -> Self {
        Self { address: Some(address), ..self }
    }
}

impl Record {
    /// Its line, without the end.
    pub fn line(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The record of `line`, if it is one: an intent has no outcome yet, and only a checkpoint has a
    /// head.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let record: Self = serde_json::from_slice(line).ok()?;
        let phased = (record.phase == Phase::Outcome) == record.outcome.is_some();
        let headed = (record.act.as_str() == CHECKPOINT) == record.head.is_some();
        (phased && headed).then_some(record)
    }
}

impl Fields {
    /// What the gateway itself has to say: something happened, without an intent before it.
    pub fn of_gateway(id: &str, act: &str) -> Self {
        Self {
            id: Text::new(id),
            phase: Phase::Outcome,
            act: Text::new(act),
            who: Who::GATEWAY,
            resource: None,
            tenant: None,
            request: None,
            outcome: Some(Result::Done),
            code: None,
            before: None,
            after: None,
            count: None,
            records: None,
            head: None,
        }
    }

    /// The record that says this at its place in the chain.
    pub fn record(self, seq: u64, at: UnixMillis, prev: Digest) -> Record {
        Record {
            seq,
            at,
            id: self.id,
            phase: self.phase,
            act: self.act,
            who: self.who,
            resource: self.resource,
            tenant: self.tenant,
            request: self.request,
            outcome: self.outcome,
            code: self.code,
            before: self.before,
            after: self.after,
            count: self.count,
            records: self.records,
            head: self.head,
            prev,
        }
    }
}
