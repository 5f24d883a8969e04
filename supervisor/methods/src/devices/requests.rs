//! Requests of devices that wait for somebody to approve them: one a device and role, for a while.

use api::{ApiError, Code};
use records::{DeviceRequestRow, DeviceRow};
use serde_json::json;
use types::{Scopes, TenantId, UnixMillis};

use super::{
    ConnectError, Devices, Introduction, REQUEST_KEPT, about, failed, grant_of, publish, view,
};

impl Devices<'_> {
    /// Keeps the device's request; gives what the client is told.
    pub(super) async fn ask(
        &self,
        it: &Introduction<'_>,
        row: Option<&DeviceRow>,
        scopes: Scopes,
        now: UnixMillis,
    ) -> Result<ConnectError, ConnectError> {
        let request = self.request(it, row.is_some(), scopes, now).await?;
        let granted = row.and_then(|row| grant_of(row, it.role));
        let reason = match (row, granted) {
            (None, _) => "not-paired",
            (Some(_), None) => "role-upgrade",
            (Some(_), Some(_)) => "scope-upgrade",
        };
        let mut details = json!({
            "code": "PAIRING_REQUIRED",
            "reason": reason,
            "requestId": request.id,
            "deviceId": request.device,
            "requestedRole": it.role.name(),
            "requestedScopes": view::names(scopes),
            "remediationHint": "Approve this device: openclaw devices approve",
            "recommendedNextStep": "wait_then_retry",
            "retryable": true,
        });
        if let (Some(row), Some(details)) = (row, details.as_object_mut()) {
            let roles: Vec<_> = row.grants.iter().map(|grant| grant.role.name()).collect();
            let approved = granted.map_or(Scopes::NONE, |grant| grant.scopes);
            details.insert("approvedRoles".to_owned(), json!(roles));
            details.insert("approvedScopes".to_owned(), json!(view::names(approved)));
        }
        let error = ApiError::new(Code::NotPaired, format!("pairing required: {reason}"));
        Ok(error.with_details(details))
    }

    /// The device's request: the one that it made before, unless it now wants something else.
    async fn request(
        &self,
        it: &Introduction<'_>,
        repair: bool,
        scopes: Scopes,
        now: UnixMillis,
    ) -> Result<DeviceRequestRow, ConnectError> {
        let tenant = it.principal.tenant();
        let waiting = self.live_requests(tenant, now).await?;
        let same = |row: &DeviceRequestRow| row.device == it.proof.id && row.role == it.role;
        if let Some(row) = waiting.iter().find(|row| same(row) && row.scopes == scopes) {
            return Ok(row.clone());
        }
        self.pace(tenant)?;
        // One that was looked at must not come to mean more: another id, and the old one is gone.
        for row in waiting.iter().filter(|row| same(row)) {
            self.forget_request(tenant, &row.id).await?;
        }
        let row = DeviceRequestRow {
            id: uuid::Uuid::new_v4().to_string(),
            device: it.proof.id.clone(),
            public_key: it.proof.public_key.clone(),
            about: about(it),
            role: it.role,
            scopes,
            repair,
            created_at: now,
            expires_at: now.saturating_add(REQUEST_KEPT),
        };
        self.records.put_device_request(tenant, &row).await.map_err(|err| failed(&err))?;
        tracing::info!(%tenant, request = row.id, "device waits for approval");
        publish(self.hub, tenant, "device.pair.requested", &view::pending(&row));
        Ok(row)
    }

    /// The requests that have not expired; the others are removed.
    pub(super) async fn live_requests(
        &self,
        tenant: &TenantId,
        now: UnixMillis,
    ) -> Result<Vec<DeviceRequestRow>, ApiError> {
        let rows = self.records.device_requests(tenant).await.map_err(|err| failed(&err))?;
        let (live, over): (Vec<_>, Vec<_>) = rows.into_iter().partition(|it| it.expires_at > now);
        for row in over {
            self.forget_request(tenant, &row.id).await?;
        }
        Ok(live)
    }

    pub(super) async fn forget_request(&self, tenant: &TenantId, id: &str) -> Result<(), ApiError> {
        match self.records.delete_device_request(tenant, id).await {
            Ok(()) | Err(records::Error::NotFound) => Ok(()),
            Err(err) => Err(failed(&err)),
        }
    }
}
