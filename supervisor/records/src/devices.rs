//! The tables of paired devices, of devices that wait for approval, and of the tokens that are bound
//! to a device. Who may pair, and what a device may do, is not decided here.
//!
//! A device's token lies in a table of its own, away from the tenant's: a version of this program
//! that knows no bindings must not take one for a tenant's token.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use types::{Scopes, TenantId, UnixMillis};

use crate::pairing::{Over, Put};
use crate::store::{MAX_KEY, Op};
use crate::{Error, Records, TokenRow, pairing, tokens};

/// Devices of one tenant: people have few, and each is listed at once.
pub const MAX_DEVICES: usize = 256;

/// Requests of one tenant that wait for approval at once.
const MAX_REQUESTS: usize = 64;

const DEVICES: &str = "device/";
const REQUESTS: &str = "device-request/";

/// What a device connects as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceRole {
    /// A client of a person.
    Operator,
    /// A machine that does what it is asked.
    Node,
}

impl DeviceRole {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Node => "node",
        }
    }

    /// The role called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Operator, Self::Node].into_iter().find(|role| role.name() == name)
    }
}

/// What binds a token to a device: the token is good for nothing else, and ends with its maker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceBinding {
    /// The device, by SHA-256 of its public key in hexadecimal.
    pub device: String,
    /// What the token connects as.
    pub role: DeviceRole,
    /// The tenant's token with which the device was introduced.
    pub maker: String,
    /// Which secret of the maker it was: when the maker is rotated, the token is over.
    pub maker_generation: u64,
}

/// What a device was approved for in one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleGrant {
    /// The role.
    pub role: DeviceRole,
    /// The most that it may ask for; empty for a node.
    #[serde(with = "crate::json::scopes")]
    pub scopes: Scopes,
    /// When it was approved.
    pub approved_at: UnixMillis,
    /// Whether nobody was asked, because the token that came with it could have approved it.
    pub silent: bool,
}

/// What a device says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceSelf {
    /// What people call it.
    pub display_name: Option<String>,
    /// What it runs on.
    pub platform: Option<String>,
    /// The kind of device.
    pub device_family: Option<String>,
    /// Which client it is.
    pub client_id: String,
    /// How the client runs.
    pub client_mode: String,
    /// Where it last came from.
    pub remote_ip: String,
}

/// One paired device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRow {
    /// SHA-256 of its public key in hexadecimal.
    pub id: String,
    /// Its public key in base64url.
    pub public_key: String,
    /// What an operator calls it, over what it calls itself.
    pub label: Option<String>,
    /// What it says of itself.
    pub about: DeviceSelf,
    /// What it was approved for, one entry a role.
    pub grants: Vec<RoleGrant>,
    /// When it was first approved.
    pub created_at: UnixMillis,
}

/// A device that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRequestRow {
    /// A UUID.
    pub id: String,
    /// SHA-256 of its public key in hexadecimal.
    pub device: String,
    /// Its public key in base64url.
    pub public_key: String,
    /// What it says of itself.
    pub about: DeviceSelf,
    /// What it wants to connect as.
    pub role: DeviceRole,
    /// What it wants to do.
    #[serde(with = "crate::json::scopes")]
    pub scopes: Scopes,
    /// Whether it is paired already, for less.
    pub repair: bool,
    /// When it first asked.
    pub created_at: UnixMillis,
    /// When the request is forgotten.
    pub expires_at: UnixMillis,
}

/// Where one device is.
pub(crate) fn key(tenant: &TenantId, id: &str) -> String {
    format!("{}{id}", pairing::prefix(DEVICES, tenant))
}

/// Where one request is.
pub(crate) fn request_key(tenant: &TenantId, id: &str) -> String {
    format!("{}{id}", pairing::prefix(REQUESTS, tenant))
}

/// Where everything of a tenant's devices is, for its deletion.
pub(crate) fn prefixes(tenant: &TenantId) -> [String; 2] {
    [DEVICES, REQUESTS].map(|table| pairing::prefix(table, tenant))
}

impl Records {
    /// The tenant's devices, by id.
    pub async fn devices(&self, tenant: &TenantId) -> Result<Vec<DeviceRow>, Error> {
        self.every(&pairing::prefix(DEVICES, tenant)).await
    }

    /// One device.
    pub async fn device(&self, tenant: &TenantId, id: &str) -> Result<Option<DeviceRow>, Error> {
        self.row_of(DEVICES, tenant, id).await
    }

    /// Writes a device over `read`, as it was read; a request that it answers goes with it. False,
    /// and nothing is done, where the device is another by now or the request is gone.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when there are as many devices as there may be.
    pub async fn put_device(
        &self,
        tenant: &TenantId,
        read: Option<&DeviceRow>,
        row: &DeviceRow,
        answers: Option<&str>,
    ) -> Result<bool, Error> {
        let table = pairing::Table { name: DEVICES, what: "the list of devices", max: MAX_DEVICES };
        let answered = answers.map(|request| (REQUESTS, request));
        let put = Put { id: &row.id, row, over: Over::Read(read), answered };
        self.put_over(tenant, &table, put).await
    }

    /// The tokens of one tenant's devices.
    pub async fn device_tokens_of(&self, tenant: &TenantId) -> Result<Vec<TokenRow>, Error> {
        self.every(&tokens::device_prefix(tenant)).await
    }

    /// Removes tokens of a tenant's devices, by id, and with them, in the same commit, a device.
    /// Those that are gone already are no error. True where the device was there.
    pub async fn delete_device_tokens(
        &self,
        tenant: &TenantId,
        tokens: &BTreeSet<String>,
        device: Option<&str>,
    ) -> Result<bool, Error> {
        let prefix = tokens::device_prefix(tenant);
        let keys = tokens.iter().map(|id| format!("{prefix}{id}"));
        let row = device.map(|id| format!("{}{id}", pairing::prefix(DEVICES, tenant)));
        // A longer one is nobody's.
        let row = row.filter(|key| key.len() <= MAX_KEY);
        let found = match &row {
            Some(key) => self.item(key).await?.is_some(),
            None => false,
        };
        let ops: Vec<_> = keys.chain(row).map(|key| Op::Delete(key.into())).collect();
        if !ops.is_empty() {
            self.store.commit(Vec::new(), ops).await?;
        }
        Ok(found)
    }

    /// The requests that wait, also those that have expired.
    pub async fn device_requests(&self, tenant: &TenantId) -> Result<Vec<DeviceRequestRow>, Error> {
        self.every(&pairing::prefix(REQUESTS, tenant)).await
    }

    /// Writes a request.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when as many wait as may.
    pub async fn put_device_request(
        &self,
        tenant: &TenantId,
        row: &DeviceRequestRow,
    ) -> Result<(), Error> {
        let table =
            pairing::Table { name: REQUESTS, what: "the list of requests", max: MAX_REQUESTS };
        self.put_of(tenant, &table, &row.id, row).await
    }

    /// Removes a request.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn delete_device_request(&self, tenant: &TenantId, id: &str) -> Result<(), Error> {
        self.delete_of(REQUESTS, tenant, id).await
    }
}
