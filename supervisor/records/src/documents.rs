//! Texts of tenants that are too long for one value: kept in parts, replaced as a whole, and only by
//! whoever knows which state is replaced. What a text says is not known here.

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use crate::store::{Guard, Op};
use crate::{Error, Records, TRIES, contended, json, tenants, unchanged};

/// The longest text, in bytes.
pub const MAX_DOCUMENT: usize = 256 << 10;

/// Characters of one part of a text: escaped as JSON, even the worst ones fit a value.
const PART: usize = 2 << 10;

/// One text of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// As it was written; at most [`MAX_DOCUMENT`] bytes.
    pub raw: String,
    /// What names this state of it.
    pub hash: String,
    /// When it was written.
    pub updated_at: UnixMillis,
}

/// A key and what is stored there.
pub(crate) type Stored = (String, Vec<u8>);

/// Which text of each tenant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    /// How its keys begin; ends with a slash.
    pub(crate) prefix: &'static str,
    /// What it is called where it is too long.
    pub(crate) name: &'static str,
}

/// The row that says which parts there are.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadRow {
    hash: String,
    parts: usize,
    updated_at: UnixMillis,
}

#[derive(Debug, Serialize, Deserialize)]
struct PartRow {
    text: String,
}

impl Table {
    pub(crate) fn of(self, tenant: &TenantId) -> String {
        format!("{}{tenant}/", self.prefix)
    }

    fn head(self, tenant: &TenantId) -> String {
        format!("{}head", self.of(tenant))
    }

    fn part(self, tenant: &TenantId, part: usize) -> String {
        format!("{}part-{part:03}", self.of(tenant))
    }

    /// Every row of a text, for whoever writes it where there is none.
    pub(crate) fn rows(self, tenant: &TenantId, new: &Document) -> Result<Vec<Stored>, Error> {
        if new.raw.len() > MAX_DOCUMENT {
            return Err(Error::TooLarge { what: self.name, max: MAX_DOCUMENT });
        }
        let parts = parts(&new.raw);
        let (hash, updated_at) = (new.hash.clone(), new.updated_at);
        let head = HeadRow { hash, parts: parts.len(), updated_at };
        let mut rows = vec![(self.head(tenant), json::encode(&head, None)?)];
        for (number, text) in parts.into_iter().enumerate() {
            rows.push((self.part(tenant, number), json::encode(&PartRow { text }, None)?));
        }
        Ok(rows)
    }

    /// What goes with the tenant.
    pub(crate) fn deletions(self, tenant: &TenantId) -> Op {
        Op::DeletePrefix(self.of(tenant).into())
    }
}

impl Records {
    /// A text of the tenant, if there is one.
    pub(crate) async fn document(
        &self,
        table: Table,
        tenant: &TenantId,
    ) -> Result<Option<Document>, Error> {
        let key = table.head(tenant);
        for _ in 0..TRIES {
            let Some(item) = self.item(&key).await? else { return Ok(None) };
            let head: HeadRow = json::decode(&item.key, &item.value)?;
            let mut raw = String::new();
            for part in 0..head.parts {
                if let Some(item) = self.item(&table.part(tenant, part)).await? {
                    let part: PartRow = json::decode(&item.key, &item.value)?;
                    raw.push_str(&part.text);
                }
            }
            // A writer in between would have mixed two states.
            let after = self.item(&key).await?;
            if after.is_some_and(|after| after.modified == item.modified) {
                return Ok(Some(Document { raw, hash: head.hash, updated_at: head.updated_at }));
            }
        }
        Err(contended(key))
    }

    /// Replaces a text of the tenant, if its hash is still `expected`. False where it is not.
    pub(crate) async fn replace_document(
        &self,
        table: Table,
        tenant: &TenantId,
        expected: Option<&str>,
        new: &Document,
    ) -> Result<bool, Error> {
        if new.raw.len() > MAX_DOCUMENT {
            return Err(Error::TooLarge { what: table.name, max: MAX_DOCUMENT });
        }
        let (key, parts) = (table.head(tenant), parts(&new.raw));
        for _ in 0..TRIES {
            let owner = self.item(&tenants::key(tenant)).await?.ok_or(Error::NotFound)?;
            let before = self.item(&key).await?;
            let found: Option<HeadRow> =
                before.as_ref().map(|item| json::decode(&item.key, &item.value)).transpose()?;
            if found.as_ref().map(|head| head.hash.as_str()) != expected {
                return Ok(false);
            }
            let (hash, updated_at) = (new.hash.clone(), new.updated_at);
            let head = HeadRow { hash, parts: parts.len(), updated_at };
            let mut ops = vec![Op::put(key.clone(), json::encode(&head, None)?)];
            for (number, text) in parts.iter().enumerate() {
                let row = PartRow { text: text.clone() };
                ops.push(Op::put(table.part(tenant, number), json::encode(&row, None)?));
            }
            let stale = parts.len()..found.map_or(0, |head| head.parts);
            ops.extend(stale.map(|part| Op::Delete(table.part(tenant, part).into())));
            let guards =
                vec![Guard::Created(owner.key, owner.created), unchanged(&key, before.as_ref())];
            if self.try_commit(guards, ops).await? {
                return Ok(true);
            }
        }
        Err(contended(key))
    }
}

/// The text in pieces that fit a value each.
fn parts(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(PART).map(|part| part.iter().collect()).collect()
}
