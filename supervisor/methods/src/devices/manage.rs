//! What callers with the pairing scope do to devices of their own tenant. A device of another tenant
//! is as unknown as one that never was.

use api::devices::{
    Approved, PairList, Rejected, Removed, Renamed, Revoked, RotateParams, Rotated,
};
use api::{ApiError, Code};
use auth::Principal;
use hub::{Close, Connection};
use records::{DeviceRequestRow, DeviceRole, DeviceRow, DeviceSelf};
use serde_json::json;
use types::{Chain, Scope, Scopes, TenantId};

use super::{Approval, Devices, failed, give, publish, view};

/// The longest name that a device is given, in characters.
const MAX_LABEL: usize = 64;

/// One caller's view of its tenant's devices.
pub(crate) struct Manager<'a> {
    pub(crate) devices: Devices<'a>,
    /// Who calls.
    pub(crate) by: &'a Principal,
    /// The device on whose connection the call came.
    pub(crate) at: Option<&'a str>,
}

impl Manager<'_> {
    fn tenant(&self) -> &TenantId {
        self.by.tenant()
    }

    pub(crate) async fn list(&self) -> Result<PairList, ApiError> {
        let (tenant, now) = (self.tenant(), self.devices.clock.now());
        let mut requests = self.devices.live_requests(tenant, now).await?;
        requests.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        let rows = self.devices.records.devices(tenant).await.map_err(|err| failed(&err))?;
        let tokens = self.devices.auth.device_tokens_of(tenant);
        let mut paired: Vec<_> = rows.iter().map(|row| view::paired(row, &tokens)).collect();
        paired.sort_by_key(|it| std::cmp::Reverse(it.approved_at_ms));
        Ok(PairList { pending: requests.iter().map(view::pending).collect(), paired })
    }

    pub(crate) async fn approve(&self, request: &str) -> Result<Approved, ApiError> {
        let (tenant, now) = (self.tenant(), self.devices.clock.now());
        let request = self.request(request).await?;
        require(self.by, request.scopes)?;
        let records = self.devices.records;
        let known = records.device(tenant, &request.device).await.map_err(|err| failed(&err))?;
        let mut row = known.unwrap_or_else(|| DeviceRow {
            id: request.device.clone(),
            public_key: request.public_key.clone(),
            label: None,
            about: DeviceSelf::default(),
            grants: Vec::new(),
            created_at: now,
        });
        row.about = request.about.clone();
        give(&mut row, request.role, request.scopes, Approval { at: now, silent: false });
        let put = records.put_device(tenant, &row, Some(&request.id)).await;
        put.map_err(|err| failed(&err))?;
        tracing::info!(%tenant, device = row.id, by = self.by.token_id(), "device approved");
        self.resolved(&request, "approved");
        let tokens = self.devices.auth.device_tokens_of(tenant);
        Ok(Approved { request_id: request.id, device: view::paired(&row, &tokens) })
    }

    pub(crate) async fn reject(&self, request: &str) -> Result<Rejected, ApiError> {
        let request = self.request(request).await?;
        self.devices.forget_request(self.tenant(), &request.id).await?;
        self.resolved(&request, "rejected");
        Ok(Rejected { request_id: request.id, device_id: request.device })
    }

    pub(crate) async fn remove(&self, device: &str) -> Result<Removed, ApiError> {
        let (tenant, row) = (self.tenant(), self.device(device).await?);
        // First what it may ask for: a device that comes back meanwhile must ask anew.
        match self.devices.records.delete_device(tenant, &row.id).await {
            Ok(()) | Err(records::Error::NotFound) => {}
            Err(err) => return Err(failed(&err)),
        }
        self.end(&row.id, None).await?;
        tracing::info!(%tenant, device = row.id, by = self.by.token_id(), "device removed");
        self.devices.changed(tenant, &row.id, "removed");
        Ok(Removed { device_id: row.id })
    }

    pub(crate) async fn rename(&self, device: &str, label: &str) -> Result<Renamed, ApiError> {
        let label = label_of(label, "device.pair.rename", "label")?;
        let mut row = self.device(device).await?;
        row.label = Some(label.clone());
        let put = self.devices.records.put_device(self.tenant(), &row, None).await;
        put.map_err(|err| failed(&err))?;
        self.devices.changed(self.tenant(), &row.id, "renamed");
        Ok(Renamed { device_id: row.id, label })
    }

    pub(crate) async fn rotate(&self, params: &RotateParams) -> Result<Rotated, ApiError> {
        let role = DeviceRole::from_name(&params.role).ok_or_else(unknown_role)?;
        let row = self.device(&params.device_id).await.map_err(|err| role_of(err, unknown_role))?;
        let scopes = params.scopes.as_deref().map(scopes_of).transpose()?;
        let rotated = self.devices.auth.rotate_device_token(self.by, &row.id, role, scopes).await;
        let issued = rotated.map_err(|err| refused(&err))?;
        // Narrowed before it is cut off, so that it cannot come back with what it had.
        let narrowed = match scopes {
            Some(scopes) => self.narrow(row.clone(), role, scopes).await,
            None => Ok(()),
        };
        self.cut(&row.id, Some(role));
        narrowed?;
        self.devices.changed(self.tenant(), &row.id, "token-rotated");
        // A device may not learn another device's secret, even if it may end it.
        let own = self.at == Some(&row.id) || (self.at.is_none() && self.by.device().is_none());
        let token = own.then(|| issued.token.expose().to_owned());
        Ok(Rotated {
            device_id: row.id,
            role: role.name().to_owned(),
            token,
            scopes: view::names(issued.row.scopes),
            rotated_at_ms: self.devices.clock.now(),
            token_delivery: if own { "in-band" } else { "withheld-cross-device" },
        })
    }

    pub(crate) async fn revoke(&self, device: &str, role: &str) -> Result<Revoked, ApiError> {
        let role = DeviceRole::from_name(role).ok_or_else(unknown_role)?;
        let row = self.device(device).await.map_err(|err| role_of(err, unknown_role))?;
        if self.end(&row.id, Some(role)).await? == 0 {
            return Err(unknown_role());
        }
        self.devices.changed(self.tenant(), &row.id, "token-revoked");
        Ok(Revoked {
            device_id: row.id,
            role: role.name().to_owned(),
            revoked_at_ms: self.devices.clock.now(),
        })
    }

    /// Takes from the device what it may no longer ask for.
    async fn narrow(
        &self,
        mut row: DeviceRow,
        role: DeviceRole,
        scopes: Scopes,
    ) -> Result<(), ApiError> {
        for grant in row.grants.iter_mut().filter(|grant| grant.role == role) {
            grant.scopes = grant.scopes.iter().filter(|scope| scopes.contains(*scope)).collect();
        }
        let put = self.devices.records.put_device(self.tenant(), &row, None).await;
        put.map_err(|err| failed(&err))
    }

    /// Ends the device's tokens and its connections, also those that it made with a tenant's token.
    async fn end(&self, device: &str, role: Option<DeviceRole>) -> Result<usize, ApiError> {
        let ended = self.devices.auth.revoke_device_tokens(self.tenant(), device, role).await;
        self.cut(device, role);
        ended.map_err(|err| refused(&err))
    }

    fn cut(&self, device: &str, role: Option<DeviceRole>) {
        let picked = |it: &Connection| {
            it.device_id() == Some(device)
                && role.is_none_or(|role| role.name() == it.role().name())
        };
        let why = Close::now(1008, "device token revoked");
        self.devices.hub.close(self.tenant(), picked, why);
    }

    async fn request(&self, id: &str) -> Result<DeviceRequestRow, ApiError> {
        let waiting = self.devices.live_requests(self.tenant(), self.devices.clock.now()).await?;
        let found = waiting.into_iter().find(|row| row.id == id);
        found.ok_or_else(|| ApiError::invalid("unknown requestId"))
    }

    /// The tenant's device of that id, if the caller may change it: one that calls with a device's
    /// token may change itself only, unless it is an administrator.
    async fn device(&self, id: &str) -> Result<DeviceRow, ApiError> {
        let other = self.by.device().is_some_and(|it| it.device != id);
        if other && !self.by.scopes().contains(Scope::Admin) {
            return Err(missing(Scope::Admin));
        }
        let row = self.devices.records.device(self.tenant(), id).await;
        let row = row.map_err(|err| failed(&err))?;
        row.ok_or_else(|| ApiError::invalid("unknown deviceId"))
    }

    fn resolved(&self, request: &DeviceRequestRow, decision: &str) {
        let payload = json!({
            "requestId": request.id,
            "deviceId": request.device,
            "decision": decision,
            "ts": self.devices.clock.now(),
        });
        publish(self.devices.hub, self.tenant(), "device.pair.resolved", &payload);
    }
}

/// That the caller has every scope of `scopes` itself.
pub(crate) fn require(by: &Principal, scopes: Scopes) -> Result<(), ApiError> {
    let held = auth::expanded(by.scopes());
    match scopes.iter().find(|scope| !held.contains(*scope)) {
        Some(scope) => Err(missing(scope)),
        None => Ok(()),
    }
}

fn missing(scope: Scope) -> ApiError {
    ApiError::new(Code::Forbidden, format!("missing scope: {scope}")).with_details(json!({
        "code": "MISSING_SCOPE",
        "missingScope": scope.name(),
        "requiredScopes": [scope.name()],
    }))
}

/// A name that people give, trimmed.
pub(crate) fn label_of(label: &str, method: &str, field: &str) -> Result<String, ApiError> {
    let label = label.trim();
    let fits = (1..=MAX_LABEL).contains(&label.chars().count());
    if fits && !label.chars().any(char::is_control) {
        return Ok(label.to_owned());
    }
    let wants = format!("{field} has 1 to {MAX_LABEL} characters and no control characters");
    Err(ApiError::invalid(format!("invalid {method} params: {wants}")))
}

fn scopes_of(names: &[String]) -> Result<Scopes, ApiError> {
    let scopes = names.iter().map(|name| name.parse::<Scope>());
    scopes.collect::<Result<Scopes, _>>().map_err(|err| {
        ApiError::invalid(format!("invalid device.token.rotate params: scopes: {err}"))
    })
}

fn unknown_role() -> ApiError {
    ApiError::invalid("unknown deviceId/role")
}

/// An unknown device, said as the methods on tokens say it.
fn role_of(err: ApiError, unknown: impl Fn() -> ApiError) -> ApiError {
    if err.code == Code::InvalidRequest { unknown() } else { err }
}

fn refused(err: &auth::Error) -> ApiError {
    match err {
        auth::Error::NotFound | auth::Error::NoTenant => unknown_role(),
        auth::Error::Denied(denied) => ApiError::new(Code::Forbidden, denied.to_string()),
        auth::Error::Records(_)
        | auth::Error::NoScopes
        | auth::Error::Label { .. }
        | auth::Error::Expiry
        | auth::Error::TooMany { .. }
        | auth::Error::Random(_) => {
            tracing::error!(error = %Chain(err), "device token not changed");
            ApiError::unavailable("the device's token could not be changed")
        }
    }
}
