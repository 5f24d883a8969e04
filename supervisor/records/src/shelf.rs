//! What is kept of tenants until it has been dealt with: a row with its bytes in parts, and after
//! that a mark by which it is known again.
//!
//! A shelf does not know what its rows say. Bytes are stored as they are given; whoever gives them
//! has sealed them.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use crate::store::{Commit, Guard, MAX_RANGE, Op, Rev};
use crate::{Error, Records, json, tenants, unchanged};

/// Bytes of one part: with everything around it, it fits a value of the store.
const PART: usize = 15 << 10;

/// The longest content of one row, in bytes: the largest request that crosses to a worker, sealed.
pub const MAX_CONTENT: usize = 22 << 20;

/// Marks that one commit removes at most: two, so that they become fewer.
const REMOVED: usize = 2;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// What has come for tenants.
    Inbox,
    /// What tenants' workers send.
    Outbox,
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// There is a row.
    Live,
    /// It was dealt with.
    Done,
    /// It was given up.
    Dead,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyMark {
    /// The number of its row.
    pub seq: u64,
    /// What became of it.
    pub mark: Mark,
    /// Since when.
    pub at: UnixMillis,
    /// What it is called where it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub there: Option<String>,
}

/// The mark of a key in the order of the numbers, so that the oldest goes first.
#[derive(Debug, Serialize, Deserialize)]
struct OldRow {
    key: String,
    at: UnixMillis,
}

/// How an insertion ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The row is there, durably.
    New,
    /// The key was there before.
    Known(KeyMark),
    /// The number is taken.
    Taken,
}

/// Which marks are too old to be kept.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Those from before this time.
    pub since: UnixMillis,
    /// How many there are now, and may be.
    pub count: usize,
    /// See `count`.
    pub most: usize,
}

/// What a tenant's shelf holds beside its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The commit that made the tenant: what holds only as long as it is there.
    pub owner: Rev,
    /// How many marks there are, up to [`MAX_RANGE`].
    pub count: usize,
    /// The highest number of one; 0 for none.
    pub last: u64,
    /// When the newest was made; 0 for none.
    pub newest: UnixMillis,
}

impl Shelf {
    const fn name(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Outbox => "outbox",
        }
    }

    fn prefix(self, what: &str, tenant: &TenantId) -> String {
        format!("{}/{what}/{tenant}/", self.name())
    }

    fn row(self, tenant: &TenantId, seq: u64) -> String {
        format!("{}{seq:020}", self.prefix("row", tenant))
    }

    fn parts(self, tenant: &TenantId, seq: u64) -> String {
        format!("{}{seq:020}/", self.prefix("part", tenant))
    }

    fn key(self, tenant: &TenantId, key: &str) -> String {
        format!("{}{key}", self.prefix("key", tenant))
    }

    fn old(self, tenant: &TenantId, seq: u64) -> String {
        format!("{}{seq:020}", self.prefix("old", tenant))
    }
}

/// What goes with the tenant.
pub(crate) fn deletions(tenant: &TenantId) -> impl Iterator<Item = Op> {
    [Shelf::Inbox, Shelf::Outbox].into_iter().flat_map(|table| {
        ["row", "part", "key", "old"]
            .map(|what| Op::DeletePrefix(table.prefix(what, tenant).into()))
    })
}

/// That the tenant is the one that was there.
fn owned(tenant: &TenantId, owner: Rev) -> Guard {
    Guard::Created(tenants::key(tenant).into(), owner)
}

impl Records {
    /// Every row of a shelf with the tenant that it is of, in the order of tenants and numbers.
    pub async fn shelf_rows<T: DeserializeOwned>(
        &self,
        table: Shelf,
    ) -> Result<Vec<(TenantId, T)>, Error> {
        let prefix = format!("{}/row/", table.name());
        let (mut rows, mut after) = (Vec::new(), None::<Bytes>);
        loop {
            let page = self.store.range(prefix.as_bytes(), after.as_deref(), MAX_RANGE);
            let (items, _) = page.await?;
            let Some(last) = items.last() else { return Ok(rows) };
            after = Some(last.key.clone());
            for item in items {
                let rest = item.key.strip_prefix(prefix.as_bytes()).unwrap_or_default();
                let name = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
                let tenant = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
                let Some(tenant) = tenant else { continue };
                rows.push((tenant, json::decode(&item.key, &item.value)?));
            }
        }
    }

    /// One row.
    pub async fn shelf_row<T: DeserializeOwned>(
        &self,
        table: Shelf,
        tenant: &TenantId,
        seq: u64,
    ) -> Result<Option<T>, Error> {
        let item = self.item(&table.row(tenant, seq)).await?;
        item.map(|item| json::decode(&item.key, &item.value)).transpose()
    }

    /// What the shelf of a tenant holds beside its rows.
    pub async fn shelf_marks(&self, table: Shelf, tenant: &TenantId) -> Result<Marks, Error> {
        let owner = self.item(&tenants::key(tenant)).await?.ok_or(Error::NotFound)?.created;
        let prefix = table.prefix("old", tenant);
        let (items, _) = self.store.range(prefix.as_bytes(), None, MAX_RANGE).await?;
        let mut marks = Marks { owner, count: items.len(), last: 0, newest: 0 };
        for item in &items {
            let old: OldRow = json::decode(&item.key, &item.value)?;
            marks.newest = marks.newest.max(old.at);
        }
        let last = items.last().and_then(|item| item.key.get(prefix.len()..));
        let last = last.and_then(|seq| std::str::from_utf8(seq).ok()?.parse().ok());
        marks.last = last.unwrap_or(0);
        Ok(marks)
    }

    /// What is known of a key.
    pub async fn shelf_key(
        &self,
        table: Shelf,
        tenant: &TenantId,
        key: &str,
    ) -> Result<Option<KeyMark>, Error> {
        let item = self.item(&table.key(tenant, key)).await?;
        item.map(|item| json::decode(&item.key, &item.value)).transpose()
    }

    /// Puts a row on the shelf, with its content, unless its key is known. One commit, with nothing
    /// read before it.
    pub async fn shelf_insert<T: Serialize + Sync>(
        &self,
        table: Shelf,
        (tenant, owner): (&TenantId, Rev),
        (seq, key, at): (u64, &str, UnixMillis),
        row: &T,
        content: &Bytes,
    ) -> Result<Inserted, Error> {
        if content.len() > MAX_CONTENT {
            return Err(Error::TooLarge { what: "what is kept", max: MAX_CONTENT });
        }
        let (key_of, row_of) = (table.key(tenant, key), table.row(tenant, seq));
        let mark = KeyMark { seq, mark: Mark::Live, at, there: None };
        let guards = vec![owned(tenant, owner), unchanged(&key_of, None), unchanged(&row_of, None)];
        let mut ops = vec![
            Op::put(key_of.clone(), json::encode(&mark, None)?),
            Op::put(row_of, json::encode(row, None)?),
        ];
        for (n, part) in content.chunks(PART).enumerate() {
            let name = format!("{}{n:05}", table.parts(tenant, seq));
            ops.push(Op::put(name, content.slice_ref(part)));
        }
        match self.store.commit(guards, ops).await? {
            Commit::Done(_) => Ok(Inserted::New),
            Commit::Conflict(0) => Err(Error::NotFound),
            Commit::Conflict(1) => {
                let known = self.shelf_key(table, tenant, key).await?;
                // It has gone meanwhile: the caller comes again.
                Ok(known.map_or(Inserted::Taken, Inserted::Known))
            }
            Commit::Conflict(_) => Ok(Inserted::Taken),
        }
    }

    /// The content of a row.
    pub async fn shelf_content(
        &self,
        table: Shelf,
        tenant: &TenantId,
        seq: u64,
    ) -> Result<Vec<u8>, Error> {
        let prefix = table.parts(tenant, seq);
        let (items, _) = self.store.range(prefix.as_bytes(), None, MAX_RANGE).await?;
        let size = items.iter().map(|item| item.value.len()).sum();
        let mut content = Vec::with_capacity(size);
        for item in items {
            content.extend_from_slice(&item.value);
        }
        Ok(content)
    }

    /// Writes a row anew.
    pub async fn shelf_update<T: Serialize + Sync>(
        &self,
        table: Shelf,
        (tenant, owner): (&TenantId, Rev),
        seq: u64,
        row: &T,
    ) -> Result<(), Error> {
        let op = Op::put(table.row(tenant, seq), json::encode(row, None)?);
        self.shelf_commit(tenant, owner, vec![op]).await
    }

    /// Takes a row off the shelf as if it had never been there.
    pub async fn shelf_remove(
        &self,
        table: Shelf,
        (tenant, owner): (&TenantId, Rev),
        (seq, key): (u64, &str),
    ) -> Result<(), Error> {
        let ops = vec![
            Op::Delete(table.row(tenant, seq).into()),
            Op::DeletePrefix(table.parts(tenant, seq).into()),
            Op::Delete(table.key(tenant, key).into()),
        ];
        self.shelf_commit(tenant, owner, ops).await
    }

    /// Takes a row off the shelf with its content, and leaves a mark; `also` takes the place of another
    /// row's. Removes marks that are too many or too old, and says how many.
    pub async fn shelf_finish(
        &self,
        table: Shelf,
        (tenant, owner): (&TenantId, Rev),
        (key, mark): (&str, KeyMark),
        also: Option<(&str, KeyMark)>,
        keep: Keep,
    ) -> Result<usize, Error> {
        let seq = mark.seq;
        let old = OldRow { key: key.to_owned(), at: mark.at };
        let mut ops = vec![
            Op::Delete(table.row(tenant, seq).into()),
            Op::DeletePrefix(table.parts(tenant, seq).into()),
            Op::put(table.key(tenant, key), json::encode(&mark, None)?),
            Op::put(table.old(tenant, seq), json::encode(&old, None)?),
        ];
        if let Some((key, mark)) = also {
            ops.push(Op::put(table.key(tenant, key), json::encode(&mark, None)?));
        }
        let prefix = table.prefix("old", tenant);
        let (oldest, _) = self.store.range(prefix.as_bytes(), None, REMOVED).await?;
        let mut removed = 0;
        for item in oldest {
            let old: OldRow = json::decode(&item.key, &item.value)?;
            let is_over = keep.count.saturating_sub(removed) >= keep.most;
            if old.at >= keep.since && !is_over {
                break;
            }
            ops.push(Op::Delete(item.key));
            ops.push(Op::Delete(table.key(tenant, &old.key).into()));
            removed += 1;
        }
        self.shelf_commit(tenant, owner, ops).await?;
        Ok(removed)
    }

    async fn shelf_commit(&self, tenant: &TenantId, owner: Rev, ops: Vec<Op>) -> Result<(), Error> {
        let guards = vec![owned(tenant, owner)];
        if self.try_commit(guards, ops).await? { Ok(()) } else { Err(Error::NotFound) }
    }
}

#[cfg(test)]
mod tests;
