//! `health`.

use api::ApiError;
use api::health::{Health, HealthParams, HealthReport};

use super::Call;

impl Health for Call<'_> {
    async fn health(&self, _params: HealthParams) -> Result<HealthReport, ApiError> {
        let core = self.core;
        let ts = core.store.now();
        Ok(HealthReport {
            ok: true,
            ts,
            uptime_ms: ts.saturating_sub(core.started_at),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            runs: core.runs.count(),
        })
    }
}
