//! `sessions.json`: which transcript a session key stands for, and what its turns have used.
//!
//! The file is read whole and written whole: temporary file, sync, rename. Entries that are not
//! touched, and fields of an entry that this version does not know, stay as they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::Serialize;
use serde_json::value::RawValue;
use types::{AgentId, UnixMillis};

use super::archive;
use super::dir::Dir;
use crate::Error;

/// Entries of one agent; beyond it the ones unused for longest are put aside.
const MAX_ENTRIES: usize = 5000;
/// Among them sessions of a single request, which nobody continues: the file is written whole
/// with every turn, and these are what makes it long. More than turns can run at once, so that
/// none is put aside while it runs.
const MAX_SINGLE: usize = 1000;
/// What part of a bound is left then, so that the work is done once in a while only.
const KEPT_TENTHS: usize = 8;
/// Bytes of a `sessions.json`.
const MAX_BYTES: u64 = 32 << 20;
const FILE: &str = "sessions.json";

/// The name of a transcript, checked to be a plain file name.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What this version reads of an entry.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) session_id: SessionId,
    pub(crate) updated_at: UnixMillis,
    pub(crate) model: Option<String>,
    pub(crate) totals: [u64; 3],
}

/// A change of one entry.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// The session begins, unless it exists.
    Begin { session: SessionId },
    /// A turn has ended.
    End { session: SessionId, totals: Totals },
    /// The session is gone.
    Delete,
}

/// What a turn has used, and how it ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cached: u64,
    pub(crate) aborted: bool,
}

/// A change and what it is a change of.
#[derive(Debug)]
pub(super) struct Keyed {
    agent: AgentId,
    key: String,
    change: Change,
}

impl Keyed {
    pub(super) fn new(agent: &AgentId, key: &str, change: Change) -> Self {
        Self { agent: agent.clone(), key: key.to_owned(), change }
    }
}

/// Changes on their way to the disk: those that wait for a write share the next one.
#[derive(Debug, Default)]
pub(super) struct Commits {
    waiting: Mutex<Vec<Waiting>>,
    writing: Arc<tokio::sync::Mutex<()>>,
}

type Outcome = Arc<OnceLock<Result<(), bool>>>;

#[derive(Debug)]
struct Waiting {
    change: Keyed,
    outcome: Outcome,
}

impl Commits {
    /// Resolves when `change` is durable. `apply` writes a batch of changes.
    pub(super) async fn commit(
        &self,
        change: Keyed,
        apply: impl FnOnce(&[Keyed]) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let outcome = Outcome::default();
        self.waiting().push(Waiting { change, outcome: Arc::clone(&outcome) });
        let guard = Arc::clone(&self.writing).lock_owned().await;
        if let Some(outcome) = outcome.get() {
            return outcome.map_err(|full| Error::Shared { full });
        }
        let batch = std::mem::take(&mut *self.waiting());
        let job = move || {
            let (changes, outcomes): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.change, waiting.outcome)).unzip();
            let result = apply(&changes);
            let told = result.as_ref().copied().map_err(Error::is_disk_full);
            for outcome in outcomes {
                outcome.get_or_init(|| told);
            }
            // Held to here even if the caller has gone away, so that writes never overlap.
            drop(guard);
            result
        };
        tokio::task::spawn_blocking(job).await.map_err(Error::Job)?
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The directory of an agent's sessions.
pub(super) fn folder(agent: &AgentId) -> String {
    format!("agents/{agent}/sessions")
}

/// The entry of `key`, if there is one.
pub(super) fn find(root: &Dir, agent: &AgentId, key: &str) -> Result<Option<Row>, Error> {
    let Some(bytes) = read(root, agent)? else { return Ok(None) };
    let map = parse(&bytes)?;
    map.get(key).map(|entry| row(key, entry)).transpose()
}

/// Every entry of `agent` that can be read, in no order.
pub(super) fn all(root: &Dir, agent: &AgentId) -> Result<Vec<Row>, Error> {
    let Some(bytes) = read(root, agent)? else { return Ok(Vec::new()) };
    let map = parse(&bytes)?;
    Ok(map.iter().filter_map(|(key, entry)| row(key, entry).ok()).collect())
}

/// Writes `changes`, one write per agent.
pub(super) fn apply(root: &Dir, changes: &[Keyed], now: UnixMillis) -> Result<(), Error> {
    let mut by_agent: BTreeMap<&AgentId, Vec<&Keyed>> = BTreeMap::new();
    for change in changes {
        by_agent.entry(&change.agent).or_default().push(change);
    }
    for (agent, changes) in by_agent {
        apply_to(root, agent, &changes, now)?;
    }
    Ok(())
}

fn apply_to(root: &Dir, agent: &AgentId, changes: &[&Keyed], now: UnixMillis) -> Result<(), Error> {
    let dir =
        root.sub_or_create(&folder(agent)).map_err(Error::io("make the sessions directory"))?;
    let bytes = read(root, agent)?.unwrap_or_else(|| b"{}".to_vec());
    let mut after_each: BTreeMap<String, Option<Box<RawValue>>> = BTreeMap::new();
    let map = parse(&bytes)?;
    for Keyed { key, change, .. } in changes {
        let before = match after_each.get(key) {
            Some(entry) => entry.as_deref(),
            None => map.get(key).copied(),
        };
        let after = after(before, change, now)?;
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
    let evicted = evict(&mut next);
    dir.replace(FILE, &to_json(&next)?).map_err(Error::io("write sessions.json"))?;
    if evicted.is_empty() { Ok(()) } else { archive::put_aside(root, agent, &evicted, now) }
}

/// Takes out what is too much of each kind: what was unused for longest.
fn evict(map: &mut BTreeMap<&str, &RawValue>) -> Vec<SessionId> {
    let single = map.keys().filter(|key| is_single(key)).count();
    let mut evicted = Vec::new();
    for (count, max, kind) in [(single, MAX_SINGLE, true), (map.len() - single, MAX_ENTRIES, false)]
    {
        if count <= max {
            continue;
        }
        let of_kind = map.iter().filter(|(key, _)| is_single(key) == kind);
        let mut rows: Vec<Row> = of_kind.filter_map(|(key, entry)| row(key, entry).ok()).collect();
        rows.sort_by_key(|row| row.updated_at);
        rows.truncate(count - max * KEPT_TENTHS / 10);
        for row in rows {
            map.remove(row.key.as_str());
            evicted.push(row.session_id);
        }
    }
    evicted
}

/// Whether a session was made for one request that named none.
fn is_single(key: &str) -> bool {
    key.contains(":openai:")
}

/// An entry after `change`; `None` where it is gone.
fn after(
    before: Option<&RawValue>,
    change: &Change,
    now: UnixMillis,
) -> Result<Option<Box<RawValue>>, Error> {
    let mut fields: BTreeMap<String, Box<RawValue>> = match before {
        Some(entry) => serde_json::from_str(entry.get()).map_err(invalid)?,
        None => BTreeMap::new(),
    };
    let (session, totals) = match change {
        Change::Delete => return Ok(None),
        Change::Begin { session } => (session, None),
        Change::End { session, totals } => (session, Some(totals)),
    };
    if !fields.contains_key("sessionId") {
        set(&mut fields, "sessionId", session.as_str())?;
        set(&mut fields, "chatType", "direct")?;
    }
    set(&mut fields, "updatedAt", &now)?;
    if let Some(totals) = totals {
        add_totals(&mut fields, totals)?;
    }
    Ok(Some(serde_json::value::to_raw_value(&fields).map_err(invalid)?))
}

fn add_totals(fields: &mut BTreeMap<String, Box<RawValue>>, totals: &Totals) -> Result<(), Error> {
    if !totals.model.is_empty() {
        set(fields, "modelProvider", &totals.provider)?;
        set(fields, "model", &totals.model)?;
    }
    set(fields, "abortedLastRun", &totals.aborted)?;
    let sums = [
        ("inputTokens", totals.input),
        ("outputTokens", totals.output),
        ("totalTokens", totals.input.saturating_add(totals.output)),
        ("cacheRead", totals.cached),
    ];
    for (name, more) in sums {
        let sum = number(fields.get(name).map(|raw| &**raw)).saturating_add(more);
        set(fields, name, &sum)?;
    }
    Ok(())
}

fn set(
    fields: &mut BTreeMap<String, Box<RawValue>>,
    name: &str,
    value: &(impl Serialize + ?Sized),
) -> Result<(), Error> {
    let value = serde_json::value::to_raw_value(value).map_err(invalid)?;
    fields.insert(name.to_owned(), value);
    Ok(())
}

fn row(key: &str, entry: &RawValue) -> Result<Row, Error> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(entry.get()).map_err(invalid)?;
    let field = |name: &str| fields.get(name).copied();
    Ok(Row {
        key: key.to_owned(),
        session_id: SessionId::parse(&text(field("sessionId")).ok_or(Error::BadName)?)?,
        updated_at: number(field("updatedAt")),
        model: text(field("model")),
        totals: ["inputTokens", "outputTokens", "totalTokens"].map(|name| number(field(name))),
    })
}

fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

/// A count; anything that is none reads as 0, because other versions write null or fractions.
fn number(raw: Option<&RawValue>) -> u64 {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(0)
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

fn invalid(source: serde_json::Error) -> Error {
    Error::Invalid { what: "sessions.json", source }
}
