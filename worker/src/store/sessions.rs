//! `sessions.json`: which transcript a session key stands for, and what its turns have used.
//!
//! The file is read whole and written whole: temporary file, sync, rename. Entries that are not
//! touched, and fields of an entry that this version does not know, stay as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use types::{AgentId, UnixMillis};

use super::archive::{self, Aside};
use super::change::after;
use super::commit::Keyed;
use super::dir::Dir;
use super::retention::{Retention, evict};
use super::row::Row;
use crate::Error;

/// Bytes of a `sessions.json`.
const MAX_BYTES: u64 = 32 << 20;
const FILE: &str = "sessions.json";

/// The name of a transcript, checked to be a plain file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(Arc<str>);

impl SessionId {
    /// A name that no session has had.
    pub(crate) fn new() -> Self {
        Self(Arc::from(uuid::Uuid::new_v4().to_string()))
    }

    /// Text from a file of the tenant as a name.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=128).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(Error::BadName)
        }
    }

    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The transcript's file name.
    pub(super) fn file_name(&self) -> String {
        format!("{}.jsonl", self.0)
    }
}

/// The directory of an agent's sessions.
pub(super) fn folder(agent: &AgentId) -> String {
    format!("agents/{agent}/sessions")
}

/// Where the entries of an agent's sessions are, beneath the tenant's root.
pub(super) fn path(agent: &AgentId) -> String {
    format!("{}/{FILE}", folder(agent))
}

/// The entry of `key`, if there is one.
pub(super) fn find(root: &Dir, agent: &AgentId, key: &str) -> Result<Option<Row>, Error> {
    let Some(bytes) = read(root, agent)? else { return Ok(None) };
    let map = parse(&bytes)?;
    map.get(key).map(|entry| Row::parse(key, entry)).transpose()
}

/// Every entry of `agent` that can be read, in no order.
pub(super) fn all(root: &Dir, agent: &AgentId) -> Result<Vec<Row>, Error> {
    let Some(bytes) = read(root, agent)? else { return Ok(Vec::new()) };
    let map = parse(&bytes)?;
    Ok(map.iter().filter_map(|(key, entry)| Row::parse(key, entry).ok()).collect())
}

/// The entry of `key` as it is stored, if there is one.
pub(super) fn raw(root: &Dir, agent: &AgentId, key: &str) -> Result<Option<Box<RawValue>>, Error> {
    let Some(bytes) = read(root, agent)? else { return Ok(None) };
    Ok(parse(&bytes)?.get(key).map(|entry| (*entry).to_owned()))
}

/// The directory of an agent's sessions, made where it is missing. An agent other than `main`
/// must exist: a turn that ends late must not bring a deleted one back.
pub(super) fn folder_of(root: &Dir, agent: &AgentId) -> Result<Dir, Error> {
    let made = match super::agent_folder(root, agent)? {
        Some(folder) => folder.sub_or_create("sessions"),
        None => Err(std::io::ErrorKind::NotFound.into()),
    };
    made.map_err(Error::io("make the sessions directory"))
}

/// Writes `changes`, one write per agent.
pub(super) fn apply(
    root: &Dir,
    changes: &[Keyed],
    keep: &Retention,
    now: UnixMillis,
) -> Result<(), Error> {
    let mut by_agent: BTreeMap<&AgentId, Vec<&Keyed>> = BTreeMap::new();
    for change in changes {
        by_agent.entry(&change.agent).or_default().push(change);
    }
    for (agent, changes) in by_agent {
        apply_to(root, agent, &changes, keep, now)?;
    }
    Ok(())
}

fn apply_to(
    root: &Dir,
    agent: &AgentId,
    changes: &[&Keyed],
    keep: &Retention,
    now: UnixMillis,
) -> Result<(), Error> {
    let dir = folder_of(root, agent)?;
    let bytes = read(root, agent)?.unwrap_or_else(|| b"{}".to_vec());
    let mut after_each: BTreeMap<String, Option<Box<RawValue>>> = BTreeMap::new();
    let map = parse(&bytes)?;
    for Keyed { key, change, said, .. } in changes {
        let before = match after_each.get(key) {
            Some(entry) => entry.as_deref(),
            None => map.get(key).copied(),
        };
        let after = after(before, change, said, now)?;
        after_each.insert(key.clone(), after);
    }
    let mut next: BTreeMap<&str, &RawValue> =
        map.iter().map(|(key, entry)| (key.as_str(), *entry)).collect();
    for (key, entry) in &after_each {
        match entry {
            Some(entry) => next.insert(key, entry),
            None => next.remove(key.as_str()),
        };
    }
    let evicted = evict(&mut next, keep);
    dir.replace(FILE, &to_json(&next)?).map_err(Error::io("write sessions.json"))?;
    if !evicted.is_empty() {
        archive::put_aside(root, agent, &evicted, Aside::Deleted, now)?;
    }
    Ok(())
}

fn read(root: &Dir, agent: &AgentId) -> Result<Option<Vec<u8>>, Error> {
    let read = match root.sub(&folder(agent)) {
        Ok(Some(dir)) => dir.read_start(FILE, MAX_BYTES),
        Ok(None) => Ok(None),
        Err(err) => Err(err),
    };
    read.map_err(Error::io("read sessions.json"))
}

fn parse(bytes: &[u8]) -> Result<BTreeMap<String, &RawValue>, Error> {
    serde_json::from_slice(bytes).map_err(invalid)
}

fn to_json(map: &BTreeMap<&str, &RawValue>) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(map).map_err(invalid)
}

pub(super) fn invalid(source: serde_json::Error) -> Error {
    Error::Invalid { what: "sessions.json", source }
}
