//! `device.*`: which devices a tenant has admitted, and the tokens that they hold.

use serde::{Deserialize, Serialize};

methods! { Supervisor;
    /// A tenant's devices.
    pub trait Devices {
        /// Devices that wait for approval, and those that have it.
        "device.pair.list" [Pairing unrecorded] fn pair_list(PairListParams) -> PairList;
        /// Approves what a request asks for; the caller must have it itself.
        "device.pair.approve" [Pairing] fn pair_approve(RequestParams) -> Approved;
        /// Forgets a request.
        "device.pair.reject" [Pairing] fn pair_reject(RequestParams) -> Rejected;
        /// Forgets a device, its tokens and its connections.
        "device.pair.remove" [Pairing] fn pair_remove(DeviceParams) -> Removed;
        /// Calls a device something else.
        "device.pair.rename" [Pairing] fn pair_rename(RenameParams) -> Renamed;
        /// Gives a device's token a new secret, and with `scopes` fewer scopes.
        "device.token.rotate" [Pairing] fn token_rotate(RotateParams) -> Rotated;
        /// Ends a device's token and its connections in that role.
        "device.token.revoke" [Pairing] fn token_revoke(TokenParams) -> Revoked;
    }
}

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairListParams {}

/// Which request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RequestParams {
    /// The request's id.
    pub request_id: String,
}

/// Which device.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DeviceParams {
    /// The device's id.
    pub device_id: String,
}

/// A new name for a device.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RenameParams {
    /// The device's id.
    pub device_id: String,
    /// 1 to 64 characters.
    pub label: String,
}

/// Which token of a device.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TokenParams {
    /// The device's id.
    pub device_id: String,
    /// `operator` or `node`.
    pub role: String,
}

/// A new secret for a device's token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RotateParams {
    /// The device's id.
    pub device_id: String,
    /// `operator` or `node`.
    pub role: String,
    /// What the token may do from now on, no more than it may now; none leaves it.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
}

/// A tenant's devices.
#[derive(Debug, Serialize)]
pub struct PairList {
    /// Those that wait, newest first.
    pub pending: Vec<PendingDevice>,
    /// Those that are approved, newest first.
    pub paired: Vec<PairedDevice>,
}

/// A device that waits; also the payload of `device.pair.requested`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingDevice {
    /// The request's id.
    pub request_id: String,
    /// SHA-256 of the public key in hexadecimal.
    pub device_id: String,
    /// The public key in base64url.
    pub public_key: String,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The kind of device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// Which client.
    pub client_id: String,
    /// How the client runs.
    pub client_mode: String,
    /// What it wants to connect as.
    pub role: String,
    /// The same, as a list.
    pub roles: Vec<String>,
    /// What it wants to do.
    pub scopes: Vec<String>,
    /// Where it comes from.
    pub remote_ip: String,
    /// Whether it is paired already, for less.
    pub is_repair: bool,
    /// When it asked, in milliseconds since the epoch.
    pub ts: u64,
}

/// An approved device. No secret is in it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PairedDevice {
    /// SHA-256 of the public key in hexadecimal.
    pub device_id: String,
    /// The public key in base64url.
    pub public_key: String,
    /// What an operator calls it, else what it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What an operator calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The kind of device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// Which client.
    pub client_id: String,
    /// How the client runs.
    pub client_mode: String,
    /// The first of its roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What it may connect as.
    pub roles: Vec<String>,
    /// What it may ask for.
    pub scopes: Vec<String>,
    /// The same.
    pub approved_scopes: Vec<String>,
    /// Its tokens, one a role.
    pub tokens: Vec<DeviceToken>,
    /// Where it last came from.
    pub remote_ip: String,
    /// Milliseconds since the epoch.
    pub created_at_ms: u64,
    /// Milliseconds since the epoch.
    pub approved_at_ms: u64,
    /// `silent` where the token that came with it could have approved it, else `operator`.
    pub approved_via: &'static str,
}

/// A device's token without its secret.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceToken {
    /// What it connects as.
    pub role: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Milliseconds since the epoch.
    pub created_at_ms: u64,
    /// Milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at_ms: Option<u64>,
}

/// An approved request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    /// The request's id.
    pub request_id: String,
    /// The device.
    pub device: PairedDevice,
}

/// A rejected request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// The request's id.
    pub request_id: String,
    /// The device that asked.
    pub device_id: String,
}

/// A device that is gone.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    /// The device's id.
    pub device_id: String,
}

/// A renamed device.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Renamed {
    /// The device's id.
    pub device_id: String,
    /// Its name.
    pub label: String,
}

/// A token's new secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotated {
    /// The device's id.
    pub device_id: String,
    /// What the token connects as.
    pub role: String,
    /// The new secret, told to the device itself and to nobody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Milliseconds since the epoch.
    pub rotated_at_ms: u64,
    /// `in-band` with a secret, else `withheld-cross-device`.
    pub token_delivery: &'static str,
}

/// A token that is over.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    /// The device's id.
    pub device_id: String,
    /// What it connected as.
    pub role: String,
    /// Milliseconds since the epoch.
    pub revoked_at_ms: u64,
}
