//! A client's introduction. What is read is within its bounds, the protocol is one that both sides
//! speak, and no secret is printed.
#![no_main]

use api::wire::{OLDEST_PROTOCOL, PROTOCOL};
use gateway::connect::{Connect, parse};
use libfuzzer_sys::fuzz_target;

/// In a secret it shows where the secret comes out.
const MARK: &str = "~secret~";

fuzz_target!(|params: &str| {
    let Ok(raw) = serde_json::from_str(params) else { return };
    let Ok(connect) = parse(Some(raw)) else { return };
    let Connect { scopes, caps, commands, permissions, .. } = &connect;
    for list in [scopes, caps, commands] {
        assert!(list.len() <= 256 && list.iter().all(|it| (1..=256).contains(&it.len())));
    }
    assert!(permissions.len() <= 256);
    assert!(connect.path_env.as_ref().is_none_or(|it| it.len() <= 16 << 10));
    assert!(["operator", "node"].contains(&&*connect.role_name));
    if let Some(protocol) = connect.protocol() {
        assert!((OLDEST_PROTOCOL..=PROTOCOL).contains(&protocol));
        assert!((connect.min..=connect.max).contains(&protocol));
    }
    let auth = &connect.auth;
    let mut secrets = [&auth.token, &auth.password, &auth.device_token].into_iter().flatten();
    if params.matches(MARK).count() == 1 && secrets.any(|it| it.contains(MARK)) {
        assert!(!format!("{connect:?}").contains(MARK));
    }
});
