//! The parameters of `connect`, checked and bounded. Whoever sends more than is known here is
//! served all the same: newer clients do.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hub::{Client, Role};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::frame::short;

/// Programs that may connect. The official gateway knows no others, so every client says one.
const IDS: &[&str] = &[
    "webchat-ui",
    "openclaw-control-ui",
    "openclaw-browser-copilot",
    "openclaw-tui",
    "webchat",
    "cli",
    "gateway-client",
    "openclaw-macos",
    "openclaw-linux",
    "openclaw-ios",
    "openclaw-watchos",
    "openclaw-android",
    "node-host",
    "openclaw-worker",
    "test",
    "fingerprint",
    "openclaw-probe",
];

/// Kinds of client.
const MODES: &[&str] = &["webchat", "cli", "ui", "backend", "node", "worker", "probe", "test"];

/// The official browser UI.
const CONTROL_UI: &str = "openclaw-control-ui";

/// Items of a list: many times what any client sends.
const MAX_ITEMS: usize = 256;

/// Bytes of a word: a scope, a capability, a command, a version.
const MAX_WORD: usize = 256;

/// Bytes of a search path.
const MAX_PATH: usize = 16 << 10;

/// A client's introduction.
#[derive(Debug)]
pub struct Connect<'a> {
    /// The protocols that it speaks.
    pub min: u32,
    /// The newest of them.
    pub max: u32,
    /// What it says of itself.
    pub client: Client,
    /// What it wants to be.
    pub role: Role,
    /// The role as sent; `operator` where none was.
    pub role_name: Cow<'a, str>,
    /// What it asks for, in its order, unknown scopes included.
    pub scopes: Vec<String>,
    /// What it can take.
    pub caps: Vec<String>,
    /// What a node can do.
    pub commands: Vec<String>,
    /// What a node's user has allowed it.
    pub permissions: BTreeMap<String, bool>,
    /// A node's search path.
    pub path_env: Option<String>,
    /// The device's proof.
    pub device: Option<Device<'a>>,
    /// The secrets.
    pub auth: Auth<'a>,
}

/// What a device says to prove itself; not verified yet.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device<'a> {
    /// Its id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Its key, in base64url.
    #[serde(borrow)]
    pub public_key: Cow<'a, str>,
    /// Its signature, in base64url.
    #[serde(borrow)]
    pub signature: Cow<'a, str>,
    /// When it signed, in milliseconds since the epoch.
    pub signed_at: u64,
    /// The nonce of the challenge.
    #[serde(borrow)]
    pub nonce: Cow<'a, str>,
}

/// Secrets. Not printed.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Auth<'a> {
    /// A tenant's token.
    #[serde(borrow, default)]
    pub token: Option<Cow<'a, str>>,
    /// The same, as older browser UIs send it.
    #[serde(borrow, default)]
    pub password: Option<Cow<'a, str>>,
    /// A device's own token.
    #[serde(borrow, default)]
    pub device_token: Option<Cow<'a, str>>,
}

impl std::fmt::Debug for Auth<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}

/// Parameters that are none of `connect`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// They have the wrong form.
    #[error("invalid connect params: {0}")]
    Params(String),
    /// The role is not served.
    #[error("invalid role")]
    Role,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    min_protocol: u32,
    max_protocol: u32,
    #[serde(borrow)]
    client: WireClient<'a>,
    #[serde(borrow, default)]
    role: Option<Cow<'a, str>>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    commands: Vec<String>,
    #[serde(default)]
    permissions: BTreeMap<String, bool>,
    #[serde(default)]
    path_env: Option<String>,
    #[serde(borrow, default)]
    device: Option<Device<'a>>,
    #[serde(borrow, default)]
    auth: Option<Auth<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireClient<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    mode: Cow<'a, str>,
    version: String,
    platform: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    device_family: Option<String>,
    #[serde(default)]
    model_identifier: Option<String>,
    #[serde(default)]
    instance_id: Option<String>,
}

impl Connect<'_> {
    /// The protocol to speak, or none where there is none in common.
    pub const fn protocol(&self) -> Option<u32> {
        let (oldest, newest) = (api::wire::OLDEST_PROTOCOL, api::wire::PROTOCOL);
        if self.min > self.max || self.min > newest || self.max < oldest {
            None
        } else if self.max < newest {
            Some(self.max)
        } else {
            Some(newest)
        }
    }

    /// Whether it is the official browser UI.
    pub fn is_control_ui(&self) -> bool {
        self.client.id == CONTROL_UI
    }
}

/// Reads the parameters of `connect`.
///
/// # Errors
/// When they are none, with the field and its bound.
pub fn parse(params: Option<&RawValue>) -> Result<Connect<'_>, Invalid> {
    let params = params.map_or("{}", RawValue::get);
    let wire: Wire<'_> =
        serde_json::from_str(params).map_err(|err| Invalid::Params(short(&err.to_string())))?;
    check(&wire).map_err(Invalid::Params)?;
    let role = match wire.role.as_deref() {
        None | Some("operator") => Role::Operator,
        Some("node") => Role::Node,
        Some(_) => return Err(Invalid::Role),
    };
    Ok(Connect {
        min: wire.min_protocol,
        max: wire.max_protocol,
        client: Client {
            id: wire.client.id.into_owned(),
            mode: wire.client.mode.into_owned(),
            version: wire.client.version,
            platform: wire.client.platform,
            display_name: wire.client.display_name,
            device_family: wire.client.device_family,
            model_identifier: wire.client.model_identifier,
            instance_id: wire.client.instance_id,
        },
        role,
        role_name: wire.role.unwrap_or(Cow::Borrowed("operator")),
        scopes: wire.scopes,
        caps: wire.caps,
        commands: wire.commands,
        permissions: wire.permissions,
        path_env: wire.path_env,
        device: wire.device,
        auth: wire.auth.unwrap_or_default(),
    })
}

fn check(wire: &Wire<'_>) -> Result<(), String> {
    if wire.min_protocol == 0 || wire.max_protocol == 0 {
        return Err("minProtocol and maxProtocol are at least 1".to_owned());
    }
    if !IDS.contains(&&*wire.client.id) {
        return Err("client.id is not known".to_owned());
    }
    if !MODES.contains(&&*wire.client.mode) {
        return Err("client.mode is not known".to_owned());
    }
    words("client", &wire.client)?;
    list("scopes", wire.scopes.iter())?;
    list("caps", wire.caps.iter())?;
    list("commands", wire.commands.iter())?;
    list("permissions", wire.permissions.keys())?;
    if wire.path_env.as_ref().is_some_and(|it| it.len() > MAX_PATH) {
        return Err(format!("pathEnv has at most {MAX_PATH} bytes"));
    }
    Ok(())
}

fn words(field: &str, client: &WireClient<'_>) -> Result<(), String> {
    let WireClient { version, platform, display_name, device_family, model_identifier, .. } =
        client;
    let optional = [display_name, device_family, model_identifier, &client.instance_id];
    let all = [version, platform].into_iter().chain(optional.into_iter().flatten());
    for word in all {
        if word.is_empty() || word.len() > MAX_WORD {
            return Err(format!("each word of {field} has 1 to {MAX_WORD} bytes"));
        }
    }
    Ok(())
}

fn list(
    field: &str,
    mut items: impl ExactSizeIterator<Item = impl AsRef<str>>,
) -> Result<(), String> {
    if items.len() > MAX_ITEMS {
        return Err(format!("{field} has at most {MAX_ITEMS} items"));
    }
    if items.any(|it| !(1..=MAX_WORD).contains(&it.as_ref().len())) {
        return Err(format!("each item of {field} has 1 to {MAX_WORD} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn least() -> serde_json::Value {
        json!({
            "minProtocol": 4, "maxProtocol": 4,
            "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
        })
    }

    fn read<T>(params: &serde_json::Value, look: impl Fn(&Connect<'_>) -> T) -> Result<T, Invalid> {
        let raw = RawValue::from_string(params.to_string()).unwrap();
        parse(Some(&raw)).map(|it| look(&it))
    }

    #[test]
    fn the_least_and_the_most() {
        assert_eq!(read(&least(), |it| it.role).unwrap(), Role::Operator);
        let mut most = least();
        let more = json!({
            "role": "node", "scopes": ["operator.read", "other"], "caps": ["system"],
            "commands": ["system.which"], "permissions": {"camera": true}, "pathEnv": "/bin",
            "device": {"id": "d", "publicKey": "k", "signature": "s", "signedAt": 1, "nonce": "n"},
            "auth": {"token": "t", "bootstrapToken": "b"}, "locale": "en", "userAgent": "x",
            "modelCatalog": {"sessionKey": "main"}, "computerUse": {}, "workerRuns": [],
        });
        most.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let seen = read(&most, |it| {
            let device = it.device.as_ref().unwrap();
            (
                it.role,
                it.scopes.len(),
                device.signed_at,
                it.auth.token.clone().unwrap().into_owned(),
            )
        });
        assert_eq!(seen.unwrap(), (Role::Node, 2, 1, "t".to_owned()));
        parse(None).unwrap_err();
    }

    #[test]
    fn what_is_refused() {
        let check = |path: &str, value: serde_json::Value, want: &str| {
            let mut params = least();
            let (parent, key) = path.rsplit_once('/').unwrap();
            params.pointer_mut(parent).unwrap()[key] = value;
            let got = read(&params, |_| ()).map_err(|err| err.to_string());
            assert!(got.as_ref().is_err_and(|it| it.contains(want)), "{path}: {got:?}");
        };
        check("/minProtocol", json!(0), "at least 1");
        check("/minProtocol", json!("4"), "invalid connect params");
        check("/client", json!(null), "invalid connect params");
        check("/client/id", json!("browser"), "client.id");
        check("/client/mode", json!("other"), "client.mode");
        check("/client/version", json!(""), "each word of client");
        check("/client/instanceId", json!("x".repeat(300)), "each word of client");
        check("/role", json!("worker"), "invalid role");
        check("/role", json!("admin"), "invalid role");
        check("/scopes", json!("operator.read"), "invalid connect params");
        check("/scopes", json!(vec!["x"; 300]), "scopes has at most");
        check("/caps", json!([""]), "each item of caps");
        check("/commands", json!(["x".repeat(300)]), "each item of commands");
        check("/permissions", json!({"a": 1}), "invalid connect params");
        check("/pathEnv", json!("x".repeat(20_000)), "pathEnv");
        check("/device", json!({"id": "d"}), "invalid connect params");
        check("/auth", json!({"token": 1}), "invalid connect params");
        // Text of the client's comes back cut.
        check("/minProtocol", json!("x".repeat(60_000)), "xxx...");
    }

    #[test]
    fn which_protocol() {
        let check = |min: u32, max: u32, want: Option<u32>| {
            let mut params = least();
            params["minProtocol"] = min.into();
            params["maxProtocol"] = max.into();
            assert_eq!(
                read(&params, |it: &Connect<'_>| (it.protocol(), ())).unwrap().0,
                want,
                "{min}..{max}"
            );
        };
        check(4, 4, Some(4));
        check(3, 4, Some(4));
        check(3, 3, Some(3));
        check(1, 9, Some(4));
        check(5, 6, None);
        check(1, 2, None);
        check(4, 3, None);
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut params = least();
        params["auth"] = json!({"token": "hidden", "password": "hidden"});
        let printed = read(&params, |it| format!("{it:?}")).unwrap();
        assert!(!printed.contains("hidden"), "{printed}");
    }
}
