//! Who is connected, and what the gateway says of itself to one tenant. Says nothing of another
//! tenant, of the machine, or of the operator.

use std::fmt::Write as _;

use api::ApiError;
use api::presence::{
    BYTES, Done, Identity, LINES, Logs, LogsParams, MAX_BYTES, MAX_EVENT, MAX_LINES, NoParams,
    Presence, PresenceEntry, SystemEventParams, UpdateParams, UpdateStatus,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hub::{Connection, Hub};
use ring::digest::{SHA256, digest};
use types::{Scope, TenantId};

use crate::{Call, failed};

/// Connections that are shown; the latest, where there are more.
const MAX_SHOWN: usize = 200;

/// What the log is called; it is no file that anybody could open.
const LOG: &str = "worker.log";

impl Presence for Call<'_> {
    async fn system_presence(&self, _: NoParams) -> Result<Vec<PresenceEntry>, ApiError> {
        Ok(entries(&self.parts.hub, self.caller.permit.tenant()))
    }

    async fn system_event(&self, params: SystemEventParams) -> Result<Done, ApiError> {
        let text = params.text.trim();
        if text.is_empty() || text.len() > MAX_EVENT {
            let message = format!("invalid system-event params: text has 1 to {MAX_EVENT} bytes");
            return Err(ApiError::invalid(message));
        }
        self.connection("system-event")?.set_note(text);
        Ok(Done { ok: true })
    }

    async fn gateway_identity(&self, _: NoParams) -> Result<Identity, ApiError> {
        Ok(identity(self.caller.permit.tenant()))
    }

    async fn update_status(&self, _: UpdateParams) -> Result<UpdateStatus, ApiError> {
        Ok(UpdateStatus::default())
    }

    async fn logs_tail(&self, params: LogsParams) -> Result<Logs, ApiError> {
        let limit = bounded("limit", params.limit, LINES, MAX_LINES)?;
        let bytes = bounded("maxBytes", params.max_bytes, BYTES, MAX_BYTES)?;
        let whole = self.parts.tenants.whole_log(self.caller.permit.tenant());
        let (lines, size) = whole.map_err(|err| failed(&err))?;
        Ok(tail(&lines, size, params.cursor, limit, bytes))
    }
}

/// The tenant's connections, as its clients see them.
pub fn entries(hub: &Hub, tenant: &TenantId) -> Vec<PresenceEntry> {
    let all = hub.connections(tenant);
    let shown = all.iter().rev().take(MAX_SHOWN);
    shown.map(|connection| entry(connection)).collect()
}

fn entry(connection: &Connection) -> PresenceEntry {
    let client = connection.client();
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    PresenceEntry {
        host: client.display_name.clone().or_else(|| filled(&client.id)),
        ip: Some(connection.peer().to_canonical().to_string()),
        version: filled(&client.version),
        platform: filled(&client.platform),
        device_family: client.device_family.clone(),
        model_identifier: client.model_identifier.clone(),
        mode: filled(&client.mode),
        reason: Some("connect"),
        text: connection.note().map(|it| it.as_ref().to_owned()),
        ts: connection.connected_at(),
        device_id: connection.device_id().map(str::to_owned),
        roles: vec![connection.role().name()],
        scopes: connection.scopes().iter().map(Scope::name).collect(),
        instance_id: client.instance_id.clone(),
    }
}

/// A name for this gateway that is the same for one tenant for ever and tells nothing of others.
/// Nothing is signed with it.
fn identity(tenant: &TenantId) -> Identity {
    let key = digest(&SHA256, format!("gateway of {tenant}").as_bytes());
    let id = digest(&SHA256, key.as_ref());
    let mut device_id = String::with_capacity(64);
    for byte in id.as_ref() {
        // Writing to a string cannot fail.
        write!(device_id, "{byte:02x}").unwrap_or_default();
    }
    Identity { device_id, public_key: URL_SAFE_NO_PAD.encode(key.as_ref()) }
}

fn bounded(field: &str, asked: Option<u32>, default: u32, max: u32) -> Result<usize, ApiError> {
    let asked = asked.unwrap_or(default);
    if !(1..=max).contains(&asked) {
        let message = format!("invalid logs.tail params: {field} must be from 1 to {max}");
        return Err(ApiError::invalid(message));
    }
    Ok(usize::try_from(asked).unwrap_or(usize::MAX))
}

/// The part of the log after `cursor`, or its end. `size` is the number of bytes that ever came,
/// of which `lines` are the last.
fn tail(lines: &[String], size: u64, cursor: Option<u64>, limit: usize, bytes: usize) -> Logs {
    let length = |line: &String| u64::try_from(line.len()).unwrap_or(0) + 1;
    let reset = cursor.is_some_and(|it| it > size);
    let cursor = cursor.filter(|it| *it <= size);
    let from = cursor.unwrap_or(0);
    let (mut start, mut room, mut found) = (size, bytes, Vec::new());
    for line in lines.iter().rev().take(limit) {
        let begins = start.saturating_sub(length(line));
        if begins < from || line.len() >= room {
            break;
        }
        (start, room) = (begins, room - line.len() - 1);
        found.push(line.clone());
    }
    found.reverse();
    let skipped = start.saturating_sub(from);
    Logs {
        file: LOG,
        cursor: size,
        size,
        lines: found,
        truncated: skipped > 0,
        reset,
        skipped_bytes: (cursor.is_some() && skipped > 0).then_some(skipped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_on_from_a_cursor() {
        let lines = ["one".to_owned(), "two".to_owned(), "three".to_owned()];
        // Ten bytes came before the lines that are kept.
        let size = 10 + 4 + 4 + 6;
        let check = |cursor, limit, bytes, want: &[&str], skipped, reset| {
            let got = tail(&lines, size, cursor, limit, bytes);
            assert_eq!(got.lines, want);
            assert_eq!((got.skipped_bytes, got.reset, got.cursor), (skipped, reset, size));
        };
        check(None, 500, 1000, &["one", "two", "three"], None, false);
        check(None, 1, 1000, &["three"], None, false);
        check(None, 500, 11, &["two", "three"], None, false);
        check(Some(size), 500, 1000, &[], None, false);
        check(Some(18), 500, 1000, &["three"], None, false);
        check(Some(10), 500, 1000, &["one", "two", "three"], None, false);
        check(Some(4), 500, 1000, &["one", "two", "three"], Some(6), false);
        check(Some(14), 1, 1000, &["three"], Some(4), false);
        check(Some(99), 500, 1000, &["one", "two", "three"], None, true);
    }

    #[test]
    fn an_identity_is_a_tenants_own() {
        let (one, other) = ("a".parse().unwrap(), "b".parse().unwrap());
        let (one, other) = (identity(&one), identity(&other));
        assert_ne!(one.device_id, other.device_id);
        assert_eq!((one.device_id.len(), one.public_key.len()), (64, 43));
    }
}
