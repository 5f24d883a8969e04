//! Which sessions are put aside when `sessions.json` is written: too many, or unused for too long.
//!
//! An agent's main session and pinned sessions stay for ever.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use types::UnixMillis;

use super::row::Row;
use super::sessions::SessionId;

/// Entries of one agent where the settings say nothing, and the most that they can say: the file
/// is read and written whole.
pub(crate) const MAX_ENTRIES: usize = 5000;
/// Among them sessions of a single request, which nobody continues: the file is written whole
/// with every turn, and these are what makes it long. More than turns can run at once, so that
/// none is put aside while it runs.
const MAX_SINGLE: usize = 1000;
/// What part of a bound is left then, so that the work is done once in a while only.
const KEPT_TENTHS: usize = 8;

/// How many sessions are kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// Those that changed last before this time are put aside; none where that is not looked at.
    pub(crate) oldest: Option<UnixMillis>,
    /// Entries of one agent, without those of single requests.
    pub(crate) max_entries: usize,
}

/// Takes out what is not kept.
pub(super) fn evict(map: &mut BTreeMap<&str, &RawValue>, keep: &Retention) -> Vec<SessionId> {
    let single = map.keys().filter(|key| is_single(key)).count();
    let others = map.len() - single;
    let max = keep.max_entries.clamp(1, MAX_ENTRIES);
    if single <= MAX_SINGLE && others <= max && keep.oldest.is_none() {
        return Vec::new();
    }
    let rows = map.iter().filter_map(|(key, entry)| Row::parse(key, entry).ok());
    let (single, others): (Vec<Row>, Vec<Row>) = rows.partition(|row| is_single(&row.key));
    let oldest = keep.oldest.unwrap_or(0);
    let mut gone = too_many(single, MAX_SINGLE, oldest);
    gone.extend(too_many(others, max, oldest));
    for row in &gone {
        map.remove(row.key.as_str());
    }
    gone.into_iter().map(|row| row.session_id).collect()
}

/// Those that changed before `oldest`, and where there are more than `max` those unused for
/// longest.
fn too_many(mut rows: Vec<Row>, max: usize, oldest: UnixMillis) -> Vec<Row> {
    let count = rows.len();
    let surplus = if count > max { count - max * KEPT_TENTHS / 10 } else { 0 };
    rows.retain(|row| !stays(row));
    // Where a time is missing, it is not known that it is long ago.
    let (timeless, mut rows): (Vec<Row>, Vec<Row>) =
        rows.into_iter().partition(|row| row.updated_at == 0);
    rows.sort_by_key(|row| row.updated_at);
    let old = rows.partition_point(|row| row.updated_at < oldest);
    let gone = surplus.saturating_sub(timeless.len()).max(old);
    rows.truncate(gone);
    rows.extend(timeless.into_iter().take(surplus));
    rows
}

fn stays(row: &Row) -> bool {
    row.meta.pinned == Some(true) || is_main(&row.key)
}

/// Whether a key is that of an agent's main session.
fn is_main(key: &str) -> bool {
    let name = key.strip_prefix("agent:").and_then(|rest| rest.split_once(':'));
    name.is_some_and(|(_, name)| name == "main")
}

/// Whether a session was made for one request that named none.
fn is_single(key: &str) -> bool {
    key.contains(":openai:")
}
