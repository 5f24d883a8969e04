//! The gateway as a whole: status, metrics, and the document of this API.

use control_api::{HostSummary, Status, TenantCounts};

use super::views;
use crate::call::Call;
use crate::document::document;
use crate::error::Error;
use crate::reply::{Found, Text};
use crate::routes::rows;

pub(crate) async fn status(call: Call) -> Result<Found<Status>, Error> {
    let parts = call.control.parts();
    let counts = parts.tenants.counts();
    let report = parts.tenants.host_report();
    Ok(Found(Status {
        version: parts.version.to_owned(),
        started_at: parts.started_at.into(),
        uptime_seconds: parts.clock.now().saturating_sub(parts.started_at) / 1000,
        gateway: parts.gateway.to_string(),
        tenants: TenantCounts {
            registered: counts.registered,
            ready: counts.ready,
            parked: counts.parked,
            suspended: counts.suspended,
        },
        host: HostSummary {
            mode: views::mode(report.mode).to_owned(),
            degraded: views::degraded(report),
            kernel: report.kernel.clone(),
            worker_digest: report.worker_digest.clone(),
        },
    }))
}

pub(crate) async fn metrics(call: Call) -> Result<Text, Error> {
    let mut text = String::new();
    let metrics = &call.control.parts().metrics;
    prometheus_client::encoding::text::encode(&mut text, metrics).map_err(Error::Metrics)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(Text { kind, bytes: text.into() })
}

pub(crate) async fn openapi(_: Call) -> Result<Text, Error> {
    let json = document(&rows()).to_json().map_err(Error::Encode)?;
    Ok(Text { kind: "application/json", bytes: json.into() })
}
