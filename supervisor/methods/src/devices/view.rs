//! Devices as callers see them. No secret and no digest is in it.

use api::devices::{DeviceToken, PairedDevice, PendingDevice};
use auth::DeviceTokenView;
use records::{DeviceRequestRow, DeviceRow};
use types::Scopes;

/// Scopes as they are written on the wire.
pub(crate) fn names(scopes: Scopes) -> Vec<String> {
    scopes.iter().map(|scope| scope.name().to_owned()).collect()
}

pub(crate) fn pending(row: &DeviceRequestRow) -> PendingDevice {
    let about = row.about.clone();
    PendingDevice {
        request_id: row.id.clone(),
        device_id: row.device.clone(),
        public_key: row.public_key.clone(),
        display_name: about.display_name.filter(|it| !it.is_empty()),
        platform: about.platform.filter(|it| !it.is_empty()),
        device_family: about.device_family.filter(|it| !it.is_empty()),
        client_id: about.client_id,
        client_mode: about.client_mode,
        role: row.role.name().to_owned(),
        roles: vec![row.role.name().to_owned()],
        scopes: names(row.scopes),
        remote_ip: about.remote_ip,
        is_repair: row.repair,
        ts: row.created_at,
    }
}

pub(crate) fn paired(row: &DeviceRow, tokens: &[DeviceTokenView]) -> PairedDevice {
    let about = row.about.clone();
    let scopes: Scopes = row.grants.iter().flat_map(|grant| grant.scopes.iter()).collect();
    let mine = tokens.iter().filter(|token| token.device == row.id);
    let latest = row.grants.iter().max_by_key(|grant| grant.approved_at);
    PairedDevice {
        device_id: row.id.clone(),
        public_key: row.public_key.clone(),
        display_name: row.label.clone().or(about.display_name).filter(|it| !it.is_empty()),
        label: row.label.clone(),
        platform: about.platform.filter(|it| !it.is_empty()),
        device_family: about.device_family.filter(|it| !it.is_empty()),
        client_id: about.client_id,
        client_mode: about.client_mode,
        role: row.grants.first().map(|grant| grant.role.name().to_owned()),
        roles: row.grants.iter().map(|grant| grant.role.name().to_owned()).collect(),
        scopes: names(scopes),
        approved_scopes: names(scopes),
        tokens: mine.map(token).collect(),
        remote_ip: about.remote_ip,
        created_at_ms: row.created_at,
        approved_at_ms: latest.map_or(row.created_at, |grant| grant.approved_at),
        approved_via: if latest.is_some_and(|it| it.silent) { "silent" } else { "operator" },
    }
}

fn token(it: &DeviceTokenView) -> DeviceToken {
    DeviceToken {
        role: it.role.name().to_owned(),
        scopes: names(it.scopes),
        created_at_ms: it.created_at,
        last_used_at_ms: it.last_used_at,
    }
}
