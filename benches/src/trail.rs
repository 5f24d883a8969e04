//! What a record of the audit trail costs when many are written at once, beside appending the same
//! bytes to a file and syncing it for each.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use audit::{Act, Audit, Config, Ended, Parts, Who, WhoKind};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use types::SystemClock;

/// Who acts at once: as one operator alone, and as many as a busy hour of a large installation has.
const CALLERS: [usize; 3] = [1, 16, 64];

/// Measures `records` of each.
pub async fn measure(records: usize) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    for callers in CALLERS {
        let trail = dir.path().join(format!("audit-{callers}"));
        let each = written(&trail, callers, records).await;
        let (bytes, plain) = plain(&trail, &dir.path().join("plain"), records);
        found.push(json!({
            "callers": callers,
            "recordUs": each,
            "plainAppendUs": plain,
            "bytes": bytes,
            "recordOverPlainAppend": each / plain,
        }));
    }
    json!(found)
}

/// Microseconds of one record.
async fn written(dir: &Path, callers: usize, records: usize) -> f64 {
    let audit = Audit::open(Parts {
        dir: dir.to_owned(),
        keys: dir.join("keys"),
        config: Config::default(),
        clock: Arc::new(SystemClock),
        registry: &mut Registry::default(),
    });
    let audit = audit.unwrap();
    let started = Instant::now();
    let caller = || {
        let audit = audit.clone();
        async move {
            for _ in 0..records / callers {
                let who = Who::named(WhoKind::OperatorKey, "key_0123456789abcdef");
                let act = Act::new("updateTenant", who).on("/v1/tenants/acme").of_tenant("acme");
                audit.record(act, Ended::done()).await.unwrap();
            }
        }
    };
    futures_util::future::join_all((0..callers).map(|_| caller())).await;
    let took = started.elapsed();
    audit.close().await;
    took.as_secs_f64() * 1e6 / records as f64
}

/// Bytes of a record, and microseconds of appending and syncing as many of the same length.
fn plain(trail: &Path, path: &Path, records: usize) -> (usize, f64) {
    let files = std::fs::read_dir(trail).unwrap().map(|entry| entry.unwrap().path());
    let file = files.into_iter().find(|it| it.extension().is_some_and(|it| it == "jsonl")).unwrap();
    let text = std::fs::read(file).unwrap();
    let line = text.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    let started = Instant::now();
    for _ in 0..records {
        file.write_all(line).unwrap();
        file.sync_data().unwrap();
    }
    (line.len(), started.elapsed().as_secs_f64() * 1e6 / records as f64)
}
