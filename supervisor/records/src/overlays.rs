//! The table of what tenants have set. What may be set is not decided here.

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use crate::store::{Guard, Op};
use crate::{Error, Records, TRIES, contended, json, tenants, unchanged};

const OVERLAYS: &str = "overlay/";

/// The longest overlay, in bytes.
pub const MAX_OVERLAY: usize = 256 << 10;

/// Characters of one part of an overlay: escaped as JSON, even the worst ones fit a value.
const PART: usize = 2 << 10;

/// What a tenant has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// JSON5, as the tenant wrote it; at most [`MAX_OVERLAY`] bytes.
    pub raw: String,
    /// What names this state of it.
    pub hash: String,
    /// When it was written.
    pub updated_at: UnixMillis,
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

fn overlay_prefix(tenant: &TenantId) -> String {
    format!("{OVERLAYS}{tenant}/")
}

fn head_key(tenant: &TenantId) -> String {
    format!("{}head", overlay_prefix(tenant))
}

fn part_key(tenant: &TenantId, part: usize) -> String {
    format!("{}part-{part:03}", overlay_prefix(tenant))
}

/// What goes with the tenant.
pub(crate) fn deletions(tenant: &TenantId) -> Op {
    Op::DeletePrefix(overlay_prefix(tenant).into())
}

impl Records {
    /// What the tenant has set, if anything.
    pub async fn overlay(&self, tenant: &TenantId) -> Result<Option<Overlay>, Error> {
        for _ in 0..TRIES {
            let Some(item) = self.item(&head_key(tenant)).await? else { return Ok(None) };
            let head: HeadRow = json::decode(&item.key, &item.value)?;
            let mut raw = String::new();
            for part in 0..head.parts {
                if let Some(item) = self.item(&part_key(tenant, part)).await? {
                    let part: PartRow = json::decode(&item.key, &item.value)?;
                    raw.push_str(&part.text);
                }
            }
            // A writer in between would have mixed two states.
            let after = self.item(&head_key(tenant)).await?;
            if after.is_some_and(|after| after.modified == item.modified) {
                return Ok(Some(Overlay { raw, hash: head.hash, updated_at: head.updated_at }));
            }
        }
        Err(contended(head_key(tenant)))
    }

    /// Replaces what the tenant has set, if its hash is still `expected`. False where it is not.
    pub async fn replace_overlay(
        &self,
        tenant: &TenantId,
        expected: Option<&str>,
        new: &Overlay,
    ) -> Result<bool, Error> {
        if new.raw.len() > MAX_OVERLAY {
            return Err(Error::TooLarge { what: "the overlay", max: MAX_OVERLAY });
        }
        let (key, parts) = (head_key(tenant), parts(&new.raw));
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
                ops.push(Op::put(part_key(tenant, number), json::encode(&row, None)?));
            }
            let stale = parts.len()..found.map_or(0, |head| head.parts);
            ops.extend(stale.map(|part| Op::Delete(part_key(tenant, part).into())));
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

#[cfg(test)]
mod tests {
    use types::Limits;

    use super::*;

    #[tokio::test]
    async fn an_overlay_is_replaced_as_a_whole_and_goes_with_its_tenant() {
        let records = Records::in_memory();
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        for tenant in [&a, &b] {
            records.insert_tenant(tenant, 1, Limits::default()).await.unwrap();
        }
        let overlay =
            |raw: String, hash: &str| Overlay { raw, hash: hash.to_owned(), updated_at: 7 };
        let long = overlay("\u{1}é".repeat(MAX_OVERLAY / 3), "one");
        assert!(records.replace_overlay(&a, None, &long).await.unwrap());
        assert_eq!(records.overlay(&a).await.unwrap().as_ref(), Some(&long));
        assert_eq!(records.overlay(&b).await.unwrap(), None);
        let short = overlay("{}".to_owned(), "two");
        assert!(!records.replace_overlay(&a, None, &short).await.unwrap());
        assert!(!records.replace_overlay(&a, Some("other"), &short).await.unwrap());
        assert!(records.replace_overlay(&a, Some("one"), &short).await.unwrap());
        assert_eq!(records.overlay(&a).await.unwrap(), Some(short));
        let long = overlay("x".repeat(MAX_OVERLAY + 1), "three");
        records.replace_overlay(&a, Some("two"), &long).await.unwrap_err();
        records.delete_tenant(&a).await.unwrap();
        records.insert_tenant(&a, 1, Limits::default()).await.unwrap();
        assert_eq!(records.overlay(&a).await.unwrap(), None);
    }
}
