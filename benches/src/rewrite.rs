//! What deletions of tenants cost those who write at the same time: after each the records are written
//! anew, on the thread that commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use records::store::{Op, Store as _};
use records::{Records, SledStore};
use serde_json::{Value, json};
use types::{Limits, SystemClock, TenantId};

use crate::stats::Spread;

/// Rows written at once.
const BATCH: usize = 1000;

/// Measures with each number of rows, and as long with and without deletions.
pub async fn measure(rows: &[usize], time: Duration) -> Value {
    let mut found = Vec::new();
    for &rows in rows {
        found.push(of(rows, time).await);
    }
    json!(found)
}

async fn of(rows: usize, time: Duration) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open(dir.path(), Arc::new(SystemClock)).await.unwrap());
    let records = Records::over(Arc::<SledStore>::clone(&store) as Arc<_>).await.unwrap();
    for from in (0..rows).step_by(BATCH) {
        let row = |n: usize| Op::put(format!("bench/{n:09}"), vec![b'x'; 300]);
        let ops = (from..rows.min(from + BATCH)).map(row).collect();
        store.commit(Vec::new(), ops).await.unwrap();
    }
    let tenant: TenantId = "acme".parse().unwrap();
    records.insert_tenant(&tenant, 1, Limits::default()).await.unwrap();
    let alone = commits(&records, &tenant, time, None).await;
    let begun = Instant::now();
    records.rewrite().await.unwrap();
    let rewrite = begun.elapsed();
    let (deletions, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let deleting = {
        let (records, deletions) = (records.clone(), Arc::clone(&deletions));
        let is_over = Arc::clone(&is_over);
        async move {
            while !is_over.load(Ordering::Relaxed) {
                records.rewrite().await.unwrap();
                deletions.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let beside = async { commits(&records, &tenant, time, Some(&is_over)).await };
    let (beside, ()) = tokio::join!(beside, deleting);
    json!({
        "rows": rows,
        "rewriteMs": rewrite.as_secs_f64() * 1e3,
        "alone": alone,
        "besideDeletions": beside,
        "deletions": deletions.load(Ordering::Relaxed),
        "rewriteOverCommit": rewrite.as_secs_f64() * 1e6 / alone.p50_us,
        "commitsBesideOverAlone": beside.count as f64 / alone.count as f64,
    })
}

/// Commits one after the other for so long.
async fn commits(
    records: &Records,
    tenant: &TenantId,
    time: Duration,
    over: Option<&AtomicBool>,
) -> Spread {
    let (mut nanos, mut at, begun) = (Vec::new(), 0, Instant::now());
    while begun.elapsed() < time {
        let one = Instant::now();
        at += 1;
        records.set_timer(tenant, Some(at)).await.unwrap();
        nanos.push(one.elapsed().as_nanos() as u64);
    }
    if let Some(over) = over {
        over.store(true, Ordering::Relaxed);
    }
    Spread::of(nanos)
}
