//! Calls that change authority, as the audit trail has them: who, which method, how it ended, and the
//! digests of what it changed. Parameters and results are not looked at.

use api::{ApiError, Code, Method};
use audit::{Act, Digest, Ended, Intent, Who, WhoKind};
use bytes::Bytes;
use types::TenantId;

use crate::{Caller, Parts};

/// The methods that change what the tenant has set.
const SETTINGS: &[&str] = &["config.set", "config.patch", "config.apply", "skills.update"];

/// The method that changes the tenant's file of approvals.
const APPROVALS: &str = "exec.approvals.set";

/// A call that is recorded and under way.
pub(crate) struct Recording {
    intent: Intent,
    tenant: TenantId,
    method: &'static Method,
    before: Option<Digest>,
}

impl Recording {
    /// Records that the call is about to be carried out.
    ///
    /// # Errors
    /// When it cannot be recorded; it is not carried out then.
    pub(crate) async fn begin(
        parts: &Parts,
        caller: &Caller<'_>,
        method: &'static Method,
    ) -> Result<Self, ApiError> {
        let principal = caller.permit.principal();
        let mut who = Who::named(WhoKind::TenantToken, principal.token_id());
        who.address = caller.connection.map(|connection| connection.peer());
        let tenant = principal.tenant().clone();
        let mut act = Act::new(method.name, who).of_tenant(tenant.as_str());
        act = act.by_request(caller.request_id);
        if let Some(device) = caller.connection.and_then(|it| it.device_id()) {
            act = act.on(&format!("by device {device}"));
        }
        let intent = parts.audit.intend(act).await;
        let intent = intent.map_err(|why| ApiError::unavailable(why.to_string()))?;
        let before = settings(parts, method, &tenant).await;
        Ok(Self { intent, tenant, method, before })
    }

    /// Records how it ended. Only for what is set is anything waited for: a caller that has ended its
    /// own token must be answered before it is cut off.
    pub(crate) async fn end(mut self, parts: &Parts, answered: &Result<Bytes, ApiError>) {
        let after = settings(parts, self.method, &self.tenant).await;
        if after != self.before {
            self.intent.changed(self.before, after);
        }
        self.intent.over(ended(answered));
    }
}

/// The digest of what the tenant has set, as it is stored; none where nothing is set or it cannot be
/// read, which the method itself tells.
async fn settings(parts: &Parts, method: &Method, tenant: &TenantId) -> Option<Digest> {
    let document = match method.name {
        APPROVALS => parts.records.approvals(tenant).await,
        name if SETTINGS.contains(&name) => parts.records.overlay(tenant).await,
        _ => return None,
    };
    let document = document.ok().flatten()?;
    Some(Digest::of(document.raw.as_bytes()))
}

fn ended(answered: &Result<Bytes, ApiError>) -> Ended {
    let Err(err) = answered else { return Ended::done() };
    match err.code {
        Code::Unauthorized | Code::Forbidden | Code::NotPaired => Ended::refused(err.code.name()),
        Code::InvalidRequest
        | Code::NotFound
        | Code::ResourceExhausted
        | Code::AgentTimeout
        | Code::Unavailable => Ended::failed(err.code.name()),
    }
}
