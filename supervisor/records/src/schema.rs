//! The form of the whole store: a number, and the steps that lead to it. Steps are only appended.
//!
//! Each step can be repeated, and the number is raised after each, so a crash in between is harmless.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::json::{self, FIELD};
use crate::store::{MAX_RANGE, Op, Store};
use crate::{Error, tenants};

/// Rows of the store itself; they are plain numbers.
const META: &[u8] = b"meta/";
const FORMAT: &[u8] = b"meta/format";

/// A step from one format to the next.
type Step = for<'a> fn(&'a dyn Store) -> BoxFuture<'a, Result<(), Error>>;

/// The step at index `n` leads from format `n` to `n + 1`.
const STEPS: &[Step] =
    &[|store| Box::pin(version_rows(store)), |store| Box::pin(forget_usage(store))];

/// What tenants used is in the books since format 2.
const USAGE: &[u8] = b"usage/";

/// Brings the store to the format of this program. A newer one is refused: what it means is not
/// known here.
pub(crate) async fn migrate(store: &dyn Store) -> Result<(), Error> {
    let known = u64::try_from(STEPS.len()).unwrap_or(u64::MAX);
    let found = match store.get(FORMAT).await? {
        Some(item) => json::number(FORMAT, &item.value)?,
        None if store.range(b"", None, 1).await?.0.is_empty() => return set(store, known).await,
        None => 0,
    };
    if found > known {
        return Err(Error::Newer { what: "the store".to_owned(), found, known });
    }
    for (from, step) in (0..known).zip(STEPS).skip_while(|(from, _)| *from < found) {
        tracing::info!(from, to = from + 1, "migrating the records");
        step(store).await?;
        set(store, from + 1).await?;
    }
    Ok(())
}

async fn set(store: &dyn Store, format: u64) -> Result<(), Error> {
    store.commit(Vec::new(), vec![Op::put(FORMAT, format.to_string().into_bytes())]).await?;
    Ok(())
}

/// From 0 to 1: every row says its version, and the next tenant's index is written down.
async fn version_rows(store: &dyn Store) -> Result<(), Error> {
    let mut next = 0;
    let mut after: Option<Bytes> = None;
    loop {
        let (items, _) = store.range(b"", after.as_deref(), MAX_RANGE).await?;
        let Some(last) = items.last() else { break };
        after = Some(last.key.clone());
        let mut ops = Vec::new();
        for item in items.into_iter().filter(|item| !item.key.starts_with(META)) {
            let mut row: Value = json::decode(&item.key, &item.value)?;
            if item.key.starts_with(tenants::PREFIX.as_bytes()) {
                let index = row.get("index").and_then(Value::as_u64).unwrap_or(0);
                next = next.max(index.saturating_add(1));
            }
            if let Value::Object(fields) = &mut row {
                fields.entry(FIELD).or_insert_with(|| 1.into());
            }
            let value = serde_json::to_vec(&row).map_err(Error::Unwritable)?;
            ops.push(Op::put(item.key, value));
        }
        store.commit(Vec::new(), ops).await?;
    }
    let next = next.to_string().into_bytes();
    store.commit(Vec::new(), vec![Op::put(tenants::NEXT_INDEX.as_bytes(), next)]).await?;
    Ok(())
}

/// From 1 to 2: rows that nobody reads any more are removed.
async fn forget_usage(store: &dyn Store) -> Result<(), Error> {
    store.commit(Vec::new(), vec![Op::DeletePrefix(USAGE.into())]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use types::ManualClock;

    use super::*;
    use crate::Records;
    use crate::memory::MemoryStore;

    fn store_with(rows: &[(&'static str, &'static str)]) -> Arc<dyn Store> {
        let store = MemoryStore::new(Arc::new(ManualClock::at(0)));
        let ops = rows.iter().map(|(key, value)| Op::put(*key, *value)).collect();
        futures_util::FutureExt::now_or_never(store.commit(Vec::new(), ops)).unwrap().unwrap();
        Arc::new(store)
    }

    const LIMITS: &str = r#"{"requestsPerMinute":7,"tokensPerDay":null,"costMicrosPerDay":null,"concurrency":4,"memoryMax":16777216,"pidsMax":8,"cpuMillis":100,"diskMax":16777216,"idleSeconds":60}"#;

    #[tokio::test]
    async fn a_store_of_format_0_is_migrated() {
        let tenant = format!(
            r#"{{"id":"a","index":41,"createdAt":5,"suspended":true,"limits":{LIMITS},"lastActiveAt":null,"disk":null}}"#
        );
        let store = store_with(&[
            ("tenant/a", tenant.leak()),
            (
                "usage/a/2026-11-22",
                r#"{"requests":1,"inputTokens":2,"outputTokens":3,"costMicros":4}"#,
            ),
        ]);
        // A crash after the step and before the number: the step is repeated.
        version_rows(&*store).await.unwrap();
        let records = Records::over(Arc::clone(&store)).await.unwrap();
        let a = "a".parse().unwrap();
        let tenant = records.tenant(&a).await.unwrap().unwrap();
        assert_eq!((tenant.index, tenant.suspended), (41, true));
        assert_eq!(tenant.limits.requests_per_minute, Some(7));
        assert_eq!(store.get(b"usage/a/2026-11-22").await.unwrap(), None);
        let row = store.get(b"tenant/a").await.unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&row.value).unwrap()[FIELD], 1);
        let next = records.insert_tenant(&"b".parse().unwrap(), 6, tenant.limits).await.unwrap();
        assert_eq!(next.index, 42);
        assert_eq!(json::number(b"", &store.get(FORMAT).await.unwrap().unwrap().value).unwrap(), 2);
    }

    #[tokio::test]
    async fn a_newer_store_is_refused() {
        let store = store_with(&[("meta/format", "3")]);
        let err = Records::over(store).await.unwrap_err();
        assert!(matches!(err, Error::Newer { found: 3, known: 2, .. }), "{err}");
    }
}
