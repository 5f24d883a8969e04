//! Changes of a session's entry. Fields that this version does not know stay as they are.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use types::UnixMillis;

use super::said::Said;
use super::sessions::{SessionId, invalid};
use crate::Error;

/// What of an entry belongs to its transcript and goes when that is replaced.
const OF_TRANSCRIPT: [&str; 22] = [
    "abortedLastRun",
    "cacheRead",
    "cacheWrite",
    "compactionCount",
    "contextTokens",
    "derivedTitle",
    "endedAt",
    "inputTokens",
    "lastMessagePreview",
    "lastRunId",
    "lastTurnTokens",
    "memoryFlushAt",
    "memoryFlushCompactionCount",
    "outputTokens",
    "sessionFile",
    "skillsSnapshot",
    "startedAt",
    "status",
    "systemPromptReport",
    "systemSent",
    "totalTokens",
    "totalTokensFresh",
];

/// A change of one entry.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// The session begins, unless it exists.
    Begin { session: SessionId },
    /// A turn has ended.
    End { session: SessionId, totals: Totals },
    /// Fields get other values; null takes one away. The session begins where there is none.
    Set { session: SessionId, fields: Fields },
    /// Fields get other values where there is such a session.
    Note { fields: Fields },
    /// The session begins anew under another id; what was set for it stays.
    Reset { session: SessionId },
    /// The session is gone.
    Delete,
}

/// Values of fields by name.
pub(crate) type Fields = BTreeMap<&'static str, Value>;

/// What a turn has used, and how it ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cached: u64,
    /// Input, output and cached tokens of the run's answers before the last one.
    pub(crate) before: [u64; 3],
    pub(crate) aborted: bool,
    /// What else is noted of the run.
    pub(crate) fields: Fields,
}

type Stored = BTreeMap<String, Box<RawValue>>;

/// An entry after `change`; `None` where it is gone. `said` is what was appended since the last
/// change.
pub(super) fn after(
    before: Option<&RawValue>,
    change: &Change,
    said: &Said,
    now: UnixMillis,
) -> Result<Option<Box<RawValue>>, Error> {
    let mut fields: Stored = match before {
        Some(entry) => serde_json::from_str(entry.get()).map_err(invalid)?,
        None => BTreeMap::new(),
    };
    match change {
        Change::Delete => return Ok(None),
        Change::Note { fields: new } => {
            if before.is_none() {
                return Ok(None);
            }
            set_all(&mut fields, new)?;
        }
        Change::Set { session, fields: new } => {
            if begin(&mut fields, session, now)? {
                set(&mut fields, "updatedAt", &now)?;
            }
            set_all(&mut fields, new)?;
        }
        Change::Begin { session } => {
            begin(&mut fields, session, now)?;
            set(&mut fields, "updatedAt", &now)?;
        }
        Change::Reset { session } => {
            fields.retain(|name, _| !OF_TRANSCRIPT.contains(&name.as_str()));
            fields.remove("sessionId");
            begin(&mut fields, session, now)?;
            set(&mut fields, "updatedAt", &now)?;
        }
        Change::End { session, totals } => {
            begin(&mut fields, session, now)?;
            set(&mut fields, "updatedAt", &now)?;
            add_totals(&mut fields, totals)?;
        }
    }
    add_said(&mut fields, said, now)?;
    Ok(Some(serde_json::value::to_raw_value(&fields).map_err(invalid)?))
}

/// Gives an entry that is new its id. True where it is new.
fn begin(fields: &mut Stored, session: &SessionId, now: UnixMillis) -> Result<bool, Error> {
    if fields.contains_key("sessionId") {
        return Ok(false);
    }
    set(fields, "sessionId", session.as_str())?;
    set(fields, "sessionStartedAt", &now)?;
    // Empty: what is said first will be the title, and no transcript has to be read for it.
    set(fields, "derivedTitle", "")?;
    if !fields.contains_key("chatType") {
        set(fields, "chatType", "direct")?;
    }
    Ok(true)
}

fn add_said(fields: &mut Stored, said: &Said, now: UnixMillis) -> Result<(), Error> {
    if let Some(first) = &said.first_of_user {
        set(fields, "lastInteractionAt", &now)?;
        if fields.get("derivedTitle").is_some_and(|title| title.get() == "\"\"") {
            set(fields, "derivedTitle", first)?;
        }
    }
    if let Some(last) = &said.last {
        set(fields, "lastMessagePreview", last)?;
    }
    Ok(())
}

fn add_totals(fields: &mut Stored, totals: &Totals) -> Result<(), Error> {
    if !totals.model.is_empty() {
        set(fields, "modelProvider", &totals.provider)?;
        set(fields, "model", &totals.model)?;
    }
    set(fields, "abortedLastRun", &totals.aborted)?;
    set_all(fields, &totals.fields)?;
    let all = totals.input.saturating_add(totals.output);
    if all > 0 {
        set(fields, "lastTurnTokens", &all)?;
    }
    let [input, output, cached] = totals.before;
    let sums = [
        ("inputTokens", totals.input.saturating_add(input)),
        ("outputTokens", totals.output.saturating_add(output)),
        ("totalTokens", all.saturating_add(input).saturating_add(output)),
        ("cacheRead", totals.cached.saturating_add(cached)),
    ];
    for (name, more) in sums {
        let sum = number(fields.get(name).map(|raw| &**raw)).saturating_add(more);
        set(fields, name, &sum)?;
    }
    Ok(())
}

fn set_all(fields: &mut Stored, new: &Fields) -> Result<(), Error> {
    for (name, value) in new {
        if value.is_null() {
            fields.remove(*name);
        } else {
            set(fields, name, value)?;
        }
    }
    Ok(())
}

fn set(fields: &mut Stored, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    let value = serde_json::value::to_raw_value(value).map_err(invalid)?;
    fields.insert(name.to_owned(), value);
    Ok(())
}

/// A count; anything that is none reads as 0, because other versions write null or fractions.
fn number(raw: Option<&RawValue>) -> u64 {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(0)
}
