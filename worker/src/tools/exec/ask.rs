//! The arguments of `exec`, checked. None of them can ask for more than the settings give.

use std::time::Duration;

use proto::host::Size;
use serde_json::Value;

use super::prepare::Asked;
use crate::settings::{Ask, Exec, Security};
use crate::tools::Failure;
use crate::tools::arguments::{Arguments, invalid};
use crate::tools::paths::{MAX_PATH, Place};

/// Bytes of a command line; the supervisor takes 128 KiB of words.
const MAX_LINE: usize = 100 << 10;
/// Variables of one command, as the supervisor takes them, and bytes of them together.
const MAX_VARIABLES: usize = 128;
const MAX_ENVIRONMENT: usize = 64 << 10;
/// Milliseconds that a call waits before the program goes on in the background.
const PATIENCE_MS: u64 = 10_000;
const MAX_PATIENCE_MS: u64 = 120_000;
/// Seconds that may be asked for: a week. The operator's bound holds in any case.
const MAX_TIMEOUT_S: u64 = 604_800;
/// The terminal of a program that gets one.
const TERMINAL: Size = Size { columns: 120, rows: 40 };

/// What a call wants.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) asked: Asked,
    pub(super) patience: Duration,
}

impl Wanted {
    /// Reads the arguments.
    pub(super) fn parse(arguments: Value, settings: Exec) -> Result<Self, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let line = arguments.required(&["command", "cmd"], MAX_LINE)?;
        if line.trim().is_empty() || line.contains('\0') {
            return Err(invalid(&["command"], "must not be empty or hold NUL"));
        }
        let folder = arguments.text(&["workdir", "cwd"], MAX_PATH)?;
        let folder =
            folder.map_or_else(|| Ok(Place::workspace()), |it| Place::parse("workdir", &it))?;
        let env = variables(arguments.value(&["env"])?)?;
        let waits = arguments.whole(&["yieldMs"], 10..=MAX_PATIENCE_MS)?.unwrap_or(PATIENCE_MS);
        let waits = if arguments.switch(&["background"])? { 0 } else { waits };
        let timeout = arguments.whole(&["timeout", "timeoutSeconds"], 1..=MAX_TIMEOUT_S)?;
        let terminal = arguments.switch(&["pty"])?.then_some(TERMINAL);
        // For people who read along; it changes nothing.
        drop(arguments.text(&["title"], MAX_PATH)?);
        no_wider(&mut arguments, settings)?;
        arguments.end()?;
        let timeout_s = timeout.map_or(0, |it| u32::try_from(it).unwrap_or(u32::MAX));
        let patience = Duration::from_millis(waits);
        Ok(Self { asked: Asked { line, folder, env, timeout_s, terminal }, patience })
    }
}

fn variables(value: Option<Value>) -> Result<Vec<(String, String)>, Failure> {
    let map = match value {
        None => return Ok(Vec::new()),
        Some(Value::Object(map)) if map.len() <= MAX_VARIABLES => map,
        Some(_) => {
            let what = format!("must be an object of at most {MAX_VARIABLES} variables");
            return Err(invalid(&["env"], &what));
        }
    };
    let mut variables = Vec::with_capacity(map.len());
    for (name, value) in map {
        let Value::String(value) = value else {
            return Err(invalid(&["env"], "must hold texts only"));
        };
        variables.push((name, value));
    }
    let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MAX_ENVIRONMENT {
        return Err(invalid(&["env"], &format!("has at most {MAX_ENVIRONMENT} bytes")));
    }
    Ok(variables)
}

/// Takes what a model may say about where and under which rules a program runs. It may not ask for
/// more than the settings give, and where it asks for less it is told that it cannot have that.
fn no_wider(arguments: &mut Arguments, settings: Exec) -> Result<(), Failure> {
    let host = arguments.text(&["host"], 64)?;
    if !matches!(host.as_deref(), None | Some("auto" | "sandbox")) {
        let what = "host must be auto or sandbox: programs run in the sandbox only";
        return Err(Failure::Refused(what.to_owned()));
    }
    if arguments.text(&["node"], 256)?.is_some() {
        return Err(Failure::Refused("node: programs run in the sandbox only".to_owned()));
    }
    if arguments.switch(&["elevated"])? {
        let what = "elevated: no program runs outside of the sandbox";
        return Err(Failure::Refused(what.to_owned()));
    }
    let security = arguments.word(&["security"], &["deny", "allowlist", "full"])?;
    let ask = arguments.word(&["ask"], &["off", "on-miss", "always"])?;
    let security = match security {
        Some("deny") => Security::Deny,
        Some("allowlist") => Security::Allowlist,
        _ => Security::Full,
    };
    let ask = match ask {
        Some("always") => Ask::Always,
        Some("on-miss") => Ask::OnMiss,
        _ => Ask::Off,
    };
    if security.max(settings.security) == Security::Deny {
        return Err(Failure::Refused("security is deny: no program may be run".to_owned()));
    }
    if security > settings.security || ask > settings.ask {
        // Running it under wider rules than were asked for would be a surprise.
        let what = "security and ask can only be tightened in the settings, for all commands";
        return Err(Failure::Refused(what.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_ask_for_no_more_than_there_is() {
        let check = |mut arguments: Value, want: &str| {
            arguments["command"] = json!("ls");
            let settings = Exec { security: Security::Full, ask: Ask::OnMiss };
            let parsed = Wanted::parse(arguments, settings);
            assert_eq!(parsed.err().map_or_else(String::new, |it| it.to_string()), want);
        };
        check(json!({"host": "sandbox", "elevated": false, "security": "full", "ask": "off"}), "");
        check(json!({"timeoutSeconds": 5, "pty": true, "title": "List"}), "");
        check(
            json!({"host": "gateway"}),
            "host must be auto or sandbox: programs run in the sandbox only",
        );
        check(json!({"node": "n"}), "node: programs run in the sandbox only");
        check(json!({"elevated": true}), "elevated: no program runs outside of the sandbox");
        check(json!({"security": "deny"}), "security is deny: no program may be run");
        let tighter = "security and ask can only be tightened in the settings, for all commands";
        check(json!({"ask": "always"}), tighter);
        check(json!({"security": "allowlist"}), tighter);
        check(json!({"workdir": "/etc"}), "workdir must be in /workspace or /home/agent");
        check(json!({"env": {"A": 1}}), "env must hold texts only");
        check(json!({"env": {"A": "x".repeat(MAX_ENVIRONMENT)}}), "env has at most 65536 bytes");
        check(json!({"yieldMs": 1}), "yieldMs must be a whole number from 10 to 120000");
    }
}
