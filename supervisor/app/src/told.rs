//! What the audit trail is told of the gateway itself: what starts, with which configuration, and that
//! it ends.

use std::fs::File;
use std::sync::Arc;

use audit::{Act, Audit, Digest, Ended, Who};
use prometheus_client::registry::Registry;
use runtime::Tasks;
use types::Clock;

use crate::app::KEYS;
use crate::config::Config;

/// The audit trail, below the state directory.
const TRAIL: &str = "audit";

/// Opens the trail.
pub(crate) fn open(
    config: audit::Config,
    clock: &Arc<dyn Clock>,
    registry: &mut Registry,
) -> Result<Audit, audit::Error> {
    Audit::open(audit::Parts {
        dir: TRAIL.into(),
        keys: KEYS.into(),
        config,
        clock: Arc::clone(clock),
        registry,
    })
}

/// Records what starts: the digests of the configuration and of the programs.
pub(crate) fn start(
    audit: &Audit,
    config: &Config,
    (program, worker): (Option<File>, Option<&str>),
    tasks: &Tasks,
) {
    tell(audit, "gateway.configuration", config.digest);
    tell(audit, "gateway.worker", worker.and_then(|digest| digest.parse().ok()));
    let audit = audit.clone();
    // Reading a program of many megabytes keeps nobody waiting.
    drop(tasks.spawn(async move {
        let digest = tokio::task::spawn_blocking(|| Digest::of_reader(program?).ok()).await;
        tell(&audit, "gateway.start", digest.ok().flatten());
    }));
}

/// Records the end, and closes the trail.
pub(crate) async fn stop(audit: &Audit) {
    audit.note(Act::new("gateway.stop", Who::GATEWAY), Ended::done());
    audit.close().await;
}

fn tell(audit: &Audit, name: &str, digest: Option<Digest>) {
    let version = concat!("openclawmu ", env!("CARGO_PKG_VERSION"));
    let act = Act::new(name, Who::GATEWAY).on(version).changes(None, digest);
    audit.note(act, Ended::done());
}
