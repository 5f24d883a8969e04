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

use super::{Approval, Devices, TRIES, contended, failed, give, publish, view};

/// The longest name that a device is given, in characters.
const MAX_LABEL: usize = 64;

/// One caller's view of its tenant's devices.
pub(crate) struct Manager<'a> {
    pub(crate) devices: Devices<'a>,
    /// Who calls.
    pub(crate) by: &'a Principal,
    /// The device on whose connection the call came.
    pub(crate) at: Option<&'a str>,
    /// That connection's id.
    pub(crate) via: Option<&'a str>,
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
        let records = self.devices.records;
        for _ in 0..TRIES {
            let request = self.request(request).await?;
            require(self.by, request.scopes)?;
            let read = records.device(tenant, &request.device).await.map_err(|err| failed(&err))?;
            let mut row = read.clone().unwrap_or_else(|| DeviceRow {
                id: request.device.clone(),
                public_key: request.public_key.clone(),
                label: None,
                about: DeviceSelf::default(),
                grants: Vec::new(),
                created_at: now,
            });
            row.about = request.about.clone();
            give(&mut row, request.role, request.scopes, Approval { at: now, silent: false });
            let put = records.put_device(tenant, read.as_ref(), &row, Some(&request.id)).await;
            if !put.map_err(|err| failed(&err))? {
                continue;
            }
            tracing::info!(%tenant, device = row.id, by = self.by.token_id(), "device approved");
            self.resolved(&request, "approved");
            let tokens = self.devices.auth.device_tokens_of(tenant);
            return Ok(Approved { request_id: request.id, device: view::paired(&row, &tokens) });
        }
        Err(contended())
    }

    pub(crate) async fn reject(&self, request: &str) -> Result<Rejected, ApiError> {
        let request = self.request(request).await?;
        self.devices.forget_request(self.tenant(), &request.id).await?;
        self.resolved(&request, "rejected");
        Ok(Rejected { request_id: request.id, device_id: request.device })
    }

    /// Removes the device, or what an earlier attempt that failed has left of it.
    pub(crate) async fn remove(&self, device: &str) -> Result<Removed, ApiError> {
        self.may_change(device)?;
        if !self.end(device, None).await? {
            return Err(unknown_device());
        }
        let tenant = self.tenant();
        tracing::info!(%tenant, device, by = self.by.token_id(), "device removed");
        self.devices.changed(tenant, device, "removed");
        Ok(Removed { device_id: device.to_owned() })
    }

    pub(crate) async fn rename(&self, device: &str, label: &str) -> Result<Renamed, ApiError> {
        let label = label_of(label, "device.pair.rename", "label")?;
        let row = self.update(device, |row| row.label = Some(label.clone())).await?;
        self.devices.changed(self.tenant(), &row.id, "renamed");
        Ok(Renamed { device_id: row.id, label })
    }

    pub(crate) async fn rotate(&self, params: &RotateParams) -> Result<Rotated, ApiError> {
        let role = DeviceRole::from_name(&params.role).ok_or_else(unknown_role)?;
        let row = self.device(&params.device_id).await.map_err(|err| role_of(err, unknown_role))?;
        let scopes = params.scopes.as_deref().map(scopes_of).transpose()?;
        let auth = self.devices.auth;
        if let Some(scopes) = scopes {
            let may = auth.may_rotate_device_token(self.by, &row.id, role, Some(scopes));
            may.map_err(|err| refused(&err))?;
            // First what it may ask for, so that it cannot come back with what it had. Nothing may be
            // waited for after the end of the old secret: it can be the caller's.
            let narrowed = self.update(&row.id, |row| narrow(row, role, scopes)).await;
            narrowed.map_err(|err| role_of(err, unknown_role))?;
        }
        let rotated = auth.rotate_device_token(self.by, &row.id, role, scopes).await;
        let issued = rotated.map_err(|err| refused(&err))?;
        self.cut(&row.id, Some(role), None);
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
        self.may_change(device)?;
        if !self.end(device, Some(role)).await? {
            return Err(unknown_role());
        }
        self.devices.changed(self.tenant(), device, "token-revoked");
        Ok(Revoked {
            device_id: device.to_owned(),
            role: role.name().to_owned(),
            revoked_at_ms: self.devices.clock.now(),
        })
    }

    /// Changes a device that is there, whoever else changes it meanwhile.
    async fn update(
        &self,
        id: &str,
        change: impl Fn(&mut DeviceRow) + Send + Sync,
    ) -> Result<DeviceRow, ApiError> {
        for _ in 0..TRIES {
            let read = self.device(id).await?;
            let mut row = read.clone();
            change(&mut row);
            if row == read {
                return Ok(row);
            }
            let put = self.devices.records.put_device(self.tenant(), Some(&read), &row, None).await;
            if put.map_err(|err| failed(&err))? {
                return Ok(row);
            }
        }
        Err(contended())
    }

    /// Ends the device's tokens and its connections, also those that it made with a tenant's token;
    /// without a role, the device too. Gives whether there was anything in the records.
    async fn end(&self, device: &str, role: Option<DeviceRole>) -> Result<bool, ApiError> {
        // At once, however slow the disk is; but the caller's own lives until it is written.
        self.cut(device, role, self.via);
        let ended = self.devices.auth.end_device(self.by, device, role).await;
        // Again: one may have come while that was written.
        self.cut(device, role, if ended.is_ok() { None } else { self.via });
        ended.map_err(|err| refused(&err))
    }

    /// Cuts the device's connections but the one called `spared`.
    fn cut(&self, device: &str, role: Option<DeviceRole>, spared: Option<&str>) {
        let picked = |it: &Connection| {
            it.device_id() == Some(device)
                && role.is_none_or(|role| role.name() == it.role().name())
                && spared != Some(it.id())
        };
        let why = Close::now(1008, "device token revoked");
        self.devices.hub.close(self.tenant(), picked, why);
    }

    async fn request(&self, id: &str) -> Result<DeviceRequestRow, ApiError> {
        let waiting = self.devices.live_requests(self.tenant(), self.devices.clock.now()).await?;
        let found = waiting.into_iter().find(|row| row.id == id);
        found.ok_or_else(|| ApiError::invalid("unknown requestId"))
    }

    /// The tenant's device of that id, if the caller may change it.
    async fn device(&self, id: &str) -> Result<DeviceRow, ApiError> {
        self.may_change(id)?;
        let row = self.devices.records.device(self.tenant(), id).await;
        row.map_err(|err| failed(&err))?.ok_or_else(unknown_device)
    }

    /// That the caller may change the device: one that calls with a device's token may change
    /// itself only, unless it is an administrator.
    fn may_change(&self, id: &str) -> Result<(), ApiError> {
        let other = self.by.device().is_some_and(|it| it.device != id);
        if other && !self.by.scopes().contains(Scope::Admin) {
            return Err(missing(Scope::Admin));
        }
        Ok(())
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

/// Takes from the device what it may no longer ask for.
fn narrow(row: &mut DeviceRow, role: DeviceRole, scopes: Scopes) {
    for grant in row.grants.iter_mut().filter(|grant| grant.role == role) {
        grant.scopes = grant.scopes.iter().filter(|scope| scopes.contains(*scope)).collect();
    }
}

fn unknown_device() -> ApiError {
    ApiError::invalid("unknown deviceId")
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
