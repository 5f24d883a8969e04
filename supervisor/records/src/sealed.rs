//! The table of the secrets that are sealed for tenants. What they are and how they are sealed is
//! not known here.

use serde::{Deserialize, Serialize};
use types::TenantId;

use crate::store::{Guard, Op};
use crate::{Error, Records, TRIES, contended, json, tenants, unchanged};

const PREFIX: &str = "sealed/";

/// The name of the tenant's own key among its sealed values: whoever replaces the others leaves it.
pub const DATA_KEY: &str = "key";

/// Sealed values of one tenant: some for each of its skills.
const MAX_SEALED: usize = 256;

/// Bytes of one sealed value: in hexadecimal digits they fit a value of the store.
const MAX_BYTES: usize = 6 << 10;

/// One sealed value: a nonce and what AES-256-GCM made of the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedRow {
    /// Which secret it is, for example `skill/weather/apiKey`; part of what is authenticated.
    pub name: String,
    /// Nonce and ciphertext.
    #[serde(with = "sealed_bytes")]
    pub sealed: Vec<u8>,
}

pub(crate) fn prefix(tenant: &TenantId) -> String {
    format!("{PREFIX}{tenant}/")
}

pub(crate) fn key(tenant: &TenantId, name: &str) -> String {
    format!("{}{name}", prefix(tenant))
}

/// Where the gateway's own are: no tenant has such a name.
fn own_key(name: &str) -> String {
    format!("{PREFIX}~/{name}")
}

/// What goes with the tenant.
pub(crate) fn deletions(tenant: &TenantId) -> Op {
    Op::DeletePrefix(prefix(tenant).into())
}

impl Records {
    /// Every sealed value of a tenant.
    pub async fn all_sealed(&self, tenant: &TenantId) -> Result<Vec<SealedRow>, Error> {
        self.every(&prefix(tenant)).await
    }

    /// One sealed value of a tenant.
    pub async fn sealed(&self, tenant: &TenantId, name: &str) -> Result<Option<SealedRow>, Error> {
        let item = self.item(&key(tenant, name)).await?;
        item.map(|item| json::decode(&item.key, &item.value)).transpose()
    }

    /// One sealed value that is no tenant's.
    pub async fn own_sealed(&self, name: &str) -> Result<Option<SealedRow>, Error> {
        let item = self.item(&own_key(name)).await?;
        item.map(|item| json::decode(&item.key, &item.value)).transpose()
    }

    /// Writes sealed values that are no tenant's and removes others, in one commit.
    pub async fn seal_own(&self, put: &[SealedRow], removed: &[String]) -> Result<(), Error> {
        let mut ops = Vec::new();
        for row in put {
            ops.push(Op::put(own_key(&row.name), encode(row)?));
        }
        ops.extend(removed.iter().map(|name| Op::Delete(own_key(name).into())));
        self.store.commit(Vec::new(), ops).await?;
        Ok(())
    }

    /// Writes a sealed value where there is none of its name; gives the one that is there then.
    pub async fn seal_once(&self, tenant: &TenantId, row: SealedRow) -> Result<SealedRow, Error> {
        let key = key(tenant, &row.name);
        for _ in 0..TRIES {
            let owner = self.item(&tenants::key(tenant)).await?.ok_or(Error::NotFound)?;
            if let Some(found) = self.sealed(tenant, &row.name).await? {
                return Ok(found);
            }
            let guards = vec![Guard::Created(owner.key, owner.created), unchanged(&key, None)];
            if self.try_commit(guards, vec![Op::put(key.clone(), encode(&row)?)]).await? {
                return Ok(row);
            }
        }
        Err(contended(key))
    }

    /// Writes sealed values and removes others, in one commit.
    pub async fn seal(
        &self,
        tenant: &TenantId,
        put: &[SealedRow],
        removed: &[String],
    ) -> Result<(), Error> {
        for _ in 0..TRIES {
            let owner = self.item(&tenants::key(tenant)).await?.ok_or(Error::NotFound)?;
            let found = self.all_sealed(tenant).await?;
            let new = put.iter().filter(|row| found.iter().all(|it| it.name != row.name)).count();
            if new > 0 && found.len().saturating_add(new) > MAX_SEALED {
                let what = "the number of a tenant's secrets";
                return Err(Error::TooLarge { what, max: MAX_SEALED });
            }
            let mut ops = Vec::new();
            for row in put {
                ops.push(Op::put(key(tenant, &row.name), encode(row)?));
            }
            ops.extend(removed.iter().map(|name| Op::Delete(key(tenant, name).into())));
            if self.try_commit(vec![Guard::Created(owner.key, owner.created)], ops).await? {
                return Ok(());
            }
        }
        Err(contended(prefix(tenant)))
    }
}

pub(crate) fn encode(row: &SealedRow) -> Result<Vec<u8>, Error> {
    if row.sealed.len() > MAX_BYTES {
        return Err(Error::TooLarge { what: "a sealed value", max: MAX_BYTES });
    }
    json::encode(row, None)
}

/// Bytes as hexadecimal text.
pub(crate) mod sealed_bytes {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::hex;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text).ok_or_else(|| D::Error::custom("not hexadecimal"))
    }
}

#[cfg(test)]
mod tests {
    use types::Limits;

    use super::*;

    fn row(name: &str, byte: u8) -> SealedRow {
        SealedRow { name: name.to_owned(), sealed: vec![byte; 3] }
    }

    #[tokio::test]
    async fn sealed_values_are_of_one_tenant_and_go_with_it() {
        let records = Records::in_memory();
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        for tenant in [&a, &b] {
            records.insert_tenant(tenant, 1, Limits::default()).await.unwrap();
        }
        assert_eq!(records.seal_once(&a, row("key", 1)).await.unwrap(), row("key", 1));
        assert_eq!(records.seal_once(&a, row("key", 2)).await.unwrap(), row("key", 1));
        records.seal(&a, &[row("x", 3), row("y", 4)], &[]).await.unwrap();
        records.seal(&a, &[row("x", 5)], &["y".to_owned()]).await.unwrap();
        assert_eq!(records.all_sealed(&a).await.unwrap(), [row("key", 1), row("x", 5)]);
        assert_eq!(records.sealed(&a, "x").await.unwrap(), Some(row("x", 5)));
        assert_eq!(records.sealed(&b, "x").await.unwrap(), None);
        records.seal_own(&[row("x", 6)], &[]).await.unwrap();
        assert_eq!(records.own_sealed("x").await.unwrap(), Some(row("x", 6)));
        records.delete_tenant(&a).await.unwrap();
        assert_eq!(records.own_sealed("x").await.unwrap(), Some(row("x", 6)));
        records.seal_own(&[], &["x".to_owned()]).await.unwrap();
        assert_eq!(records.own_sealed("x").await.unwrap(), None);
        assert!(matches!(records.seal_once(&a, row("key", 1)).await, Err(Error::NotFound)));
        records.insert_tenant(&a, 1, Limits::default()).await.unwrap();
        assert!(records.all_sealed(&a).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn there_is_a_bound_on_their_number_and_size() {
        let records = Records::in_memory();
        let a = "a".parse().unwrap();
        records.insert_tenant(&a, 1, Limits::default()).await.unwrap();
        let many: Vec<_> = (0..MAX_SEALED).map(|it| row(&it.to_string(), 1)).collect();
        records.seal(&a, &many, &[]).await.unwrap();
        records.seal(&a, &many, &[]).await.unwrap();
        let err = records.seal(&a, &[row("more", 1)], &[]).await.unwrap_err();
        assert!(matches!(err, Error::TooLarge { max: MAX_SEALED, .. }), "{err}");
        let large = SealedRow { name: "0".to_owned(), sealed: vec![0; MAX_BYTES + 1] };
        records.seal(&a, &[large], &[]).await.unwrap_err();
    }
}
