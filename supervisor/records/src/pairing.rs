//! Tables of which each tenant has its own small part: bounded, and gone with the tenant.

use serde::Serialize;
use serde::de::DeserializeOwned;
use types::TenantId;

use crate::store::{Guard, Item, MAX_KEY, Op};
use crate::{Error, Records, TRIES, contended, json, tenants, unchanged};

/// One table.
pub(crate) struct Table {
    /// Its prefix, with a slash.
    pub(crate) name: &'static str,
    /// What it holds, for the error.
    pub(crate) what: &'static str,
    /// Rows that one tenant may have.
    pub(crate) max: usize,
}

/// What can be a row.
pub(crate) trait Row: Serialize + DeserializeOwned + PartialEq + Sync {}
impl<T: Serialize + DeserializeOwned + PartialEq + Sync> Row for T {}

/// What a row replaces.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Over<'a, T> {
    /// Whatever is there.
    Anything,
    /// The row that was read; none where there was none.
    Read(Option<&'a T>),
}

/// A row that is to be written.
pub(crate) struct Put<'a, T> {
    pub(crate) id: &'a str,
    pub(crate) row: &'a T,
    pub(crate) over: Over<'a, T>,
    /// The table and id of the request that it answers, which goes with it.
    pub(crate) answered: Option<(&'a str, &'a str)>,
}

impl<T: Row> Over<'_, T> {
    fn is(&self, found: Option<&Item>) -> Result<bool, Error> {
        let Self::Read(read) = self else { return Ok(true) };
        let found = found.map(|item| json::decode::<T>(&item.key, &item.value)).transpose()?;
        Ok(found.as_ref() == *read)
    }
}

/// Where a tenant's part of a table is.
pub(crate) fn prefix(table: &str, tenant: &TenantId) -> String {
    format!("{table}{tenant}/")
}

/// What every addition to a tenant's part of a table changes, so that two cannot both be the last.
fn counter(table: &str, tenant: &TenantId) -> String {
    format!("count/{tenant}/{}", table.trim_end_matches('/'))
}

/// Where the counters of one tenant are, for its deletion.
pub(crate) fn counters(tenant: &TenantId) -> String {
    format!("count/{tenant}/")
}

impl Records {
    /// The row of `id`. An id that is no key is nobody's.
    pub(crate) async fn row_of<T: DeserializeOwned>(
        &self,
        table: &str,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<T>, Error> {
        let key = format!("{}{id}", prefix(table, tenant));
        if key.len() > MAX_KEY {
            return Ok(None);
        }
        let item = self.item(&key).await?;
        item.map(|item| json::decode(&item.key, &item.value)).transpose()
    }

    /// Writes a row of a tenant that must exist until it is written, over whatever is there.
    pub(crate) async fn put_of<T: Row>(
        &self,
        tenant: &TenantId,
        table: &Table,
        id: &str,
        row: &T,
    ) -> Result<(), Error> {
        let put = Put { id, row, over: Over::Anything, answered: None };
        self.put_over(tenant, table, put).await.map(drop)
    }

    /// Writes a row of a tenant that must exist until it is written. False, and nothing is done,
    /// where another row is there than the one it is to replace, or what it answers is gone.
    pub(crate) async fn put_over<T: Row>(
        &self,
        tenant: &TenantId,
        table: &Table,
        put: Put<'_, T>,
    ) -> Result<bool, Error> {
        let prefix = prefix(table.name, tenant);
        let (key, counter) = (format!("{prefix}{}", put.id), counter(table.name, tenant));
        for _ in 0..TRIES {
            let owner = self.item(&tenants::key(tenant)).await?.ok_or(Error::NotFound)?;
            let before = self.item(&key).await?;
            if !put.over.is(before.as_ref())? {
                return Ok(false);
            }
            let mut guards =
                vec![Guard::Created(owner.key, owner.created), unchanged(&key, before.as_ref())];
            let mut ops = Vec::new();
            if before.is_none() {
                let changes = self.item(&counter).await?;
                let (rows, _) = self.store.range(prefix.as_bytes(), None, table.max).await?;
                if rows.len() >= table.max {
                    return Err(Error::TooLarge { what: table.what, max: table.max });
                }
                let made = changes.as_ref().map(|item| json::number(&item.key, &item.value));
                let made = made.transpose()?.unwrap_or(0).wrapping_add(1);
                guards.push(unchanged(&counter, changes.as_ref()));
                ops.push(Op::put(counter.clone(), made.to_string().into_bytes()));
            }
            let value = json::encode(put.row, before.as_ref().map(|item| &*item.value))?;
            ops.push(Op::put(key.clone(), value));
            if let Some((table, id)) = put.answered {
                let request = self.item(&format!("{}{id}", self::prefix(table, tenant))).await?;
                let Some(request) = request else { return Ok(false) };
                guards.push(Guard::Modified(request.key.clone(), request.modified));
                ops.push(Op::Delete(request.key));
            }
            if self.try_commit(guards, ops).await? {
                return Ok(true);
            }
        }
        Err(contended(key))
    }

    /// Removes the row of `id`, which must be there.
    pub(crate) async fn delete_of(
        &self,
        table: &str,
        tenant: &TenantId,
        id: &str,
    ) -> Result<(), Error> {
        let key = format!("{}{id}", prefix(table, tenant));
        if key.len() > MAX_KEY {
            return Err(Error::NotFound);
        }
        self.delete(&key).await
    }
}

#[cfg(test)]
mod tests {
    use types::Limits;

    use crate::{
        DeviceBinding, DeviceRequestRow, DeviceRole, DeviceRow, DeviceSelf, Error, MAX_NODES,
        NodeQueueRow, NodeRequestRow, NodeRow, NodeSelf, Records, TokenRow, TriggersRow,
    };

    fn node(id: &str) -> NodeRow {
        NodeRow {
            id: id.to_owned(),
            label: None,
            about: NodeSelf::default(),
            digest: [7; 32],
            created_at: 1,
            approved_at: 1,
        }
    }

    fn token(tenant: &str) -> TokenRow {
        let device = DeviceBinding {
            device: "d".to_owned(),
            role: DeviceRole::Node,
            maker: "tok_1".to_owned(),
            maker_generation: 1,
        };
        TokenRow {
            id: "dtk_1".to_owned(),
            tenant: tenant.parse().unwrap(),
            label: String::new(),
            scopes: types::Scopes::NONE,
            digest: [1; 32],
            created_at: 1,
            expires_at: None,
            generation: 1,
            last_used_at: None,
            device: Some(device),
        }
    }

    /// A row in every table.
    async fn fill(records: &Records, tenant: &str) -> Result<(), Error> {
        let id = tenant.parse().unwrap();
        let device = DeviceRow {
            id: "d".to_owned(),
            public_key: String::new(),
            label: None,
            about: DeviceSelf::default(),
            grants: Vec::new(),
            created_at: 1,
        };
        let device_request = DeviceRequestRow {
            id: "r".to_owned(),
            device: "d".to_owned(),
            public_key: String::new(),
            about: DeviceSelf::default(),
            role: DeviceRole::Operator,
            scopes: types::Scopes::NONE,
            repair: false,
            created_at: 1,
            expires_at: 2,
        };
        let node_request = NodeRequestRow {
            id: "r".to_owned(),
            node: "d".to_owned(),
            about: NodeSelf::default(),
            repair: false,
            silent: false,
            created_at: 1,
            expires_at: 2,
        };
        let triggers = TriggersRow { triggers: vec!["hey".to_owned()], updated_at: 1 };
        records.put_device(&id, None, &device, None).await?;
        records.put_device_request(&id, &device_request).await?;
        records.put_node(&id, None, &node("d"), None).await?;
        records.put_node_request(&id, &node_request).await?;
        records.put_node_queue(&id, "d", &NodeQueueRow::default()).await?;
        records.put_triggers(&id, &triggers).await?;
        records.put_token(&token(tenant)).await
    }

    async fn keys(records: &Records, tenant: &str) -> Vec<String> {
        let (items, _) = records.store.range(b"", None, 1000).await.unwrap();
        let keys = items.iter().map(|item| String::from_utf8_lossy(&item.key).into_owned());
        keys.filter(|key| key.contains(&format!("/{tenant}"))).collect()
    }

    #[tokio::test]
    async fn everything_of_a_tenant_goes_with_it() {
        let records = Records::in_memory();
        let before = fill(&records, "a").await.unwrap_err();
        assert!(matches!(before, Error::NotFound), "{before}");
        for tenant in ["a", "b"] {
            records.insert_tenant(&tenant.parse().unwrap(), 1, Limits::default()).await.unwrap();
            fill(&records, tenant).await.unwrap();
        }
        let theirs = keys(&records, "b").await;
        assert!(theirs.len() > 7, "{theirs:?}");
        records.delete_tenant(&"a".parse().unwrap()).await.unwrap();
        assert_eq!(keys(&records, "a").await, Vec::<String>::new());
        assert_eq!(keys(&records, "b").await, theirs);
    }

    #[tokio::test]
    async fn tables_are_bounded() {
        let (records, a) = (Records::in_memory(), "a".parse().unwrap());
        records.insert_tenant(&a, 1, Limits::default()).await.unwrap();
        for number in 0..MAX_NODES {
            assert!(records.put_node(&a, None, &node(&number.to_string()), None).await.unwrap());
        }
        let full = records.put_node(&a, None, &node("more"), None).await.unwrap_err();
        assert!(matches!(full, Error::TooLarge { max: MAX_NODES, .. }), "{full}");
        // One that is there can be changed, and its place can be taken.
        let (old, new) = (node("7"), NodeRow { approved_at: 2, ..node("7") });
        assert!(records.put_node(&a, Some(&old), &new, None).await.unwrap());
        records.delete_node(&a, "7").await.unwrap();
        assert!(records.put_node(&a, None, &node("more"), None).await.unwrap());
        assert!(records.node(&a, &"x".repeat(5000)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_row_is_written_over_the_one_that_was_read_only() {
        let (records, a) = (Records::in_memory(), "a".parse().unwrap());
        records.insert_tenant(&a, 1, Limits::default()).await.unwrap();
        let read = node("n");
        let named = NodeRow { label: Some("kitchen".to_owned()), ..node("n") };
        let check = async |over: Option<&NodeRow>, row: &NodeRow, written: bool| {
            let before = records.node(&a, "n").await.unwrap();
            assert_eq!(records.put_node(&a, over, row, None).await.unwrap(), written);
            let after = if written { Some(row.clone()) } else { before };
            assert_eq!(records.node(&a, "n").await.unwrap(), after);
        };
        check(Some(&read), &named, false).await;
        check(None, &read, true).await;
        check(None, &named, false).await;
        check(Some(&read), &named, true).await;
        check(Some(&read), &read, false).await;
        records.delete_node(&a, "n").await.unwrap();
        check(Some(&named), &named, false).await;
        // Nor where the request that it answers is gone.
        assert!(!records.put_node(&a, None, &read, Some("r")).await.unwrap());
        assert_eq!(records.node(&a, "n").await.unwrap(), None);
    }
}
