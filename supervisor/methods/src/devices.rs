//! Devices: a client's key pair, what it proves at the handshake, and who has admitted it.
//!
//! Reads no frame: the handshake gives what it read, and learns whom it let in or why not.

mod calls;
mod manage;
mod proof;
mod requests;
mod view;

use std::net::IpAddr;

use api::ApiError;
use auth::{Auth, Issued, Principal};
use hub::{Hub, Message};
use records::{DeviceRole, DeviceRow, DeviceSelf, Records, RoleGrant};
use serde::Serialize;
use serde_json::json;
use settings::Settings;
use types::{Chain, Clock, Scope, Scopes, TenantId, UnixMillis};

use crate::config::paced;
use crate::{Methods, Parts};

pub use auth::expanded;
pub(crate) use manage::{label_of, require};
#[cfg(test)]
pub(crate) use proof::device_id;
pub use proof::{DeviceProof, verify_proof};
pub use records::DeviceRole as Role;
pub(crate) use view::names;

/// How long a request for approval is kept, in milliseconds.
pub(crate) const REQUEST_KEPT: u64 = 5 * 60 * 1000;

/// The longest name, platform or other word that is kept of a client, in characters.
pub(crate) const MAX_WORD: usize = 128;

/// How often a change of a device or node is made anew because another writer was faster: changes are
/// paced, so that few come at once.
pub(crate) const TRIES: usize = 8;

/// What is done with devices.
#[derive(Debug, Clone, Copy)]
pub struct Devices<'a> {
    pub(crate) auth: &'a Auth,
    pub(crate) hub: &'a Hub,
    pub(crate) records: &'a Records,
    pub(crate) settings: &'a Settings,
    pub(crate) clock: &'a dyn Clock,
}

/// What a client said of itself before it was let in. All of it is the client's word.
#[derive(Debug, Clone, Copy)]
pub struct Introduction<'a> {
    /// Whose token it presented: a tenant's, or one that was issued to this device.
    pub principal: &'a Principal,
    /// What it proves.
    pub proof: &'a DeviceProof,
    /// The nonce of this connection's challenge.
    pub nonce: &'a str,
    /// The token as presented: `auth.token`, else `auth.deviceToken`; it is part of what is signed.
    pub token: &'a str,
    /// Operator or node.
    pub role: DeviceRole,
    /// The role as sent; `operator` where none was.
    pub role_name: &'a str,
    /// The scopes as sent, in that order, unknown ones included: they are part of what is signed.
    pub asked: &'a [String],
    /// `client.id`.
    pub client_id: &'a str,
    /// `client.mode`.
    pub client_mode: &'a str,
    /// `client.displayName`.
    pub display_name: Option<&'a str>,
    /// `client.platform`.
    pub platform: Option<&'a str>,
    /// `client.deviceFamily`.
    pub device_family: Option<&'a str>,
    /// Where it comes from.
    pub ip: IpAddr,
}

/// A device that was let in.
#[derive(Debug)]
pub struct Admitted {
    /// Who it is from now on, narrowed to the scopes below.
    pub principal: Principal,
    /// What it may do: what it asked for and its token gives. Empty for a node.
    pub scopes: Scopes,
    /// A new token for this device and role, to be told once (`hello-ok.auth.deviceToken`); none
    /// where the device has one that it has used.
    pub device_token: Option<Issued>,
}

/// Why a device was not let in: an error of the `connect` request. Its details hold `code`.
pub type ConnectError = ApiError;

impl Methods {
    /// What devices do at the handshake.
    pub fn devices(&self) -> Devices<'_> {
        self.0.devices()
    }
}

impl Parts {
    pub(crate) fn devices(&self) -> Devices<'_> {
        let Self { auth, hub, records, settings, clock, .. } = self;
        Devices { auth, hub, records, settings, clock: &**clock }
    }
}

impl Devices<'_> {
    /// Verifies the device's proof and lets it in, or keeps its request for somebody to approve.
    ///
    /// # Errors
    /// What the client is told; the connection is to be closed with 1008.
    pub async fn connect(&self, it: &Introduction<'_>) -> Result<Admitted, ConnectError> {
        let now = self.clock.now();
        verify_proof(it, now)?;
        let authority = self.authority(it)?;
        let scopes = wanted(it, authority);
        for _ in 0..TRIES {
            let row = self.row(it).await?;
            // A token that may pair could approve its own request: nobody is asked.
            let held = expanded(it.principal.scopes());
            let itself = held.contains(Scope::Pairing) && scopes.is_subset(held);
            let silent = it.role == DeviceRole::Node || itself;
            if !silent && !covers(row.as_ref(), it.role, scopes) {
                return Err(self.ask(it, row.as_ref(), scopes, now).await?);
            }
            let paid = match self.write_down(it, row, scopes, now).await? {
                Kept::AsItWas => false,
                Kept::Written => true,
                Kept::Contended => continue,
            };
            let admitted = self.let_in(it, scopes, paid).await?;
            self.confirm(it, scopes).await?;
            return Ok(admitted);
        }
        Err(contended())
    }

    async fn row(&self, it: &Introduction<'_>) -> Result<Option<DeviceRow>, ConnectError> {
        let row = self.records.device(it.principal.tenant(), &it.proof.id).await;
        row.map_err(|err| failed(&err))
    }

    /// That what was decided still holds: the device may have been removed while its token was made.
    async fn confirm(&self, it: &Introduction<'_>, scopes: Scopes) -> Result<(), ConnectError> {
        let row = self.row(it).await?;
        if covers(row.as_ref(), it.role, scopes) {
            return Ok(());
        }
        if row.is_none() {
            let ended = self.auth.end_device(it.principal, &it.proof.id, None).await;
            ended.map_err(|err| not_issued(&err))?;
        }
        Err(refused("the device was changed meanwhile", "AUTH_DEVICE_TOKEN_MISMATCH"))
    }

    /// The most that this client may ask for: what the tenant's token may do that it presents, or
    /// with which it was introduced.
    fn authority(&self, it: &Introduction<'_>) -> Result<Scopes, ConnectError> {
        let held = match it.principal.device() {
            None => it.principal.scopes(),
            Some(bound) if bound.device != it.proof.id || bound.role != it.role => {
                let what = "the token belongs to another device or role";
                return Err(refused(what, "AUTH_DEVICE_TOKEN_MISMATCH"));
            }
            Some(_) => self.auth.maker_scopes(it.principal).ok_or_else(|| {
                refused("the device's token is over", "AUTH_DEVICE_TOKEN_MISMATCH")
            })?,
        };
        let authority = expanded(held);
        let of_tenant = Scopes::all_of_tenant().iter().any(|scope| authority.contains(scope));
        if of_tenant {
            Ok(authority)
        } else {
            // A token for webhooks is in other people's hands and is for nothing else.
            Err(refused("the token may not connect", "AUTH_SCOPE_MISMATCH"))
        }
    }

    /// Keeps what the device now is and has, where that differs from what was `read`.
    async fn write_down(
        &self,
        it: &Introduction<'_>,
        read: Option<DeviceRow>,
        scopes: Scopes,
        now: UnixMillis,
    ) -> Result<Kept, ConnectError> {
        let tenant = it.principal.tenant();
        let covered = covers(read.as_ref(), it.role, scopes);
        let mut row = read.clone().unwrap_or_else(|| DeviceRow {
            id: it.proof.id.clone(),
            public_key: it.proof.public_key.clone(),
            label: None,
            about: DeviceSelf::default(),
            grants: Vec::new(),
            created_at: now,
        });
        row.about = about(it);
        if !covered {
            give(&mut row, it.role, scopes, Approval { at: now, silent: true });
        }
        if read.as_ref() == Some(&row) {
            return Ok(Kept::AsItWas);
        }
        match self.pace(tenant) {
            Ok(()) => {}
            // What it calls itself may be out of date for a while: it is no reason to refuse it.
            Err(_) if covered => return Ok(Kept::AsItWas),
            Err(err) => return Err(err),
        }
        let put = self.records.put_device(tenant, read.as_ref(), &row, None).await;
        if !put.map_err(|err| failed(&err))? {
            return Ok(Kept::Contended);
        }
        if !covered {
            tracing::info!(%tenant, device = row.id, role = it.role.name(), "device paired silently");
            self.changed(tenant, &row.id, "approved");
        }
        Ok(Kept::Written)
    }

    /// Lets the device in; `paid` where this handshake was counted as a change already.
    async fn let_in(
        &self,
        it: &Introduction<'_>,
        scopes: Scopes,
        paid: bool,
    ) -> Result<Admitted, ConnectError> {
        let node = it.role == DeviceRole::Node;
        let (mut principal, mut device_token) = (it.principal.clone(), None);
        if principal.device().is_some() {
            if !scopes.is_subset(expanded(principal.scopes())) && !node {
                if !paid {
                    self.pace(principal.tenant())?;
                }
                let widened = self.auth.widen_device_token(&principal, scopes).await;
                principal = widened.map_err(|err| not_issued(&err))?;
            }
        } else if (node || !scopes.is_empty())
            && self.auth.lacks_device_token(&principal, &it.proof.id, it.role, scopes)
            // Without a token of its own, it comes again with the one that it has.
            && (paid || self.pace(principal.tenant()).is_ok())
        {
            let issued = self.auth.issue_device_token(&principal, &it.proof.id, it.role, scopes);
            device_token = issued.await.map_err(|err| not_issued(&err))?;
        }
        let principal =
            if node { principal.as_node() } else { principal.expanded().narrowed(scopes) };
        Ok(Admitted { principal, scopes, device_token })
    }

    /// Counts one change of the tenant's devices: each is a durable write.
    fn pace(&self, tenant: &TenantId) -> Result<(), ApiError> {
        paced(self.settings, tenant, self.clock.now())
    }

    /// Tells those who may pair that a device is another than it was.
    pub(crate) fn changed(&self, tenant: &TenantId, device: &str, reason: &str) {
        let payload = json!({ "deviceId": device, "reason": reason, "ts": self.clock.now() });
        publish(self.hub, tenant, "device.pair.changed", &payload);
    }
}

/// What came of keeping what a device is.
enum Kept {
    /// There was nothing to write, or nothing that had to be.
    AsItWas,
    /// It is written.
    Written,
    /// Somebody else has written it since it was read.
    Contended,
}

/// Who approved something, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Approval {
    pub(crate) at: UnixMillis,
    pub(crate) silent: bool,
}

/// Adds to what the device may ask for in a role.
pub(crate) fn give(row: &mut DeviceRow, role: DeviceRole, scopes: Scopes, by: Approval) {
    let before = grant_of(row, role).map_or(Scopes::NONE, |grant| grant.scopes);
    let scopes = before.iter().chain(scopes.iter()).collect();
    row.grants.retain(|grant| grant.role != role);
    row.grants.push(RoleGrant { role, scopes, approved_at: by.at, silent: by.silent });
}

/// Whether the device was approved for `scopes` in this role.
fn covers(row: Option<&DeviceRow>, role: DeviceRole, scopes: Scopes) -> bool {
    let grant = row.and_then(|row| grant_of(row, role));
    grant.is_some_and(|grant| scopes.is_subset(grant.scopes))
}

fn grant_of(row: &DeviceRow, role: DeviceRole) -> Option<&RoleGrant> {
    row.grants.iter().find(|grant| grant.role == role)
}

/// What the client asked for and may have. Scopes that we do not know are not held against it.
fn wanted(it: &Introduction<'_>, authority: Scopes) -> Scopes {
    if it.role == DeviceRole::Node {
        return Scopes::NONE;
    }
    let asked = it.asked.iter().filter_map(|name| name.parse::<Scope>().ok()).collect();
    let asked = expanded(asked);
    authority.iter().filter(|scope| asked.contains(*scope)).collect()
}

fn about(it: &Introduction<'_>) -> DeviceSelf {
    DeviceSelf {
        display_name: it.display_name.map(word),
        platform: it.platform.map(word),
        device_family: it.device_family.map(word),
        client_id: word(it.client_id),
        client_mode: word(it.client_mode),
        remote_ip: it.ip.to_string(),
    }
}

/// Text of a client, cut to what is kept.
pub(crate) fn word(text: &str) -> String {
    text.trim().chars().filter(|it| !it.is_control()).take(MAX_WORD).collect()
}

fn refused(message: &str, code: &str) -> ConnectError {
    ApiError::invalid(message).with_details(json!({ "code": code }))
}

fn not_issued(err: &auth::Error) -> ConnectError {
    match err {
        auth::Error::Denied(_) | auth::Error::NotFound | auth::Error::NoTenant => {
            refused("the token is no longer valid", "AUTH_DEVICE_TOKEN_MISMATCH")
        }
        auth::Error::Records(_)
        | auth::Error::NoScopes
        | auth::Error::Label { .. }
        | auth::Error::Expiry
        | auth::Error::TooMany { .. }
        | auth::Error::Random(_) => {
            tracing::error!(error = %Chain(err), "device token not issued");
            ApiError::unavailable("the device's token could not be made")
        }
    }
}

/// What a caller is told when others were faster again and again.
pub(crate) fn contended() -> ApiError {
    ApiError::unavailable("the record is being changed by others; try again")
}

/// What a caller is told when the records of devices or nodes fail.
pub(crate) fn failed(err: &records::Error) -> ApiError {
    if let records::Error::TooLarge { what, max } = err {
        return ApiError::unavailable(format!("{what} is full: {max} at most"));
    }
    tracing::error!(error = %Chain(err), "records of devices or nodes failed");
    ApiError::unavailable("the gateway's records failed")
}

/// Sends an event of ours.
pub(crate) fn publish(hub: &Hub, tenant: &TenantId, event: &str, payload: &impl Serialize) {
    if let Some(message) = message(event, payload) {
        hub.publish(tenant, &message);
    }
}

/// An event of ours.
pub(crate) fn message(event: &str, payload: &impl Serialize) -> Option<Message> {
    let event = api::events::event(event)?;
    match serde_json::to_vec(payload) {
        Ok(payload) => Some(Message { event, payload: payload.into(), session_key: String::new() }),
        Err(err) => {
            tracing::error!(event = event.name, error = %err, "an event has no JSON form");
            None
        }
    }
}

#[cfg(test)]
mod tests;
