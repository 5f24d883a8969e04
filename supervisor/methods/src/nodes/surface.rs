//! What nodes declare, and which of it may be asked. Pure: no record and no connection is touched.

use hub::Connection;
use records::NodeSelf;
use serde::Deserialize;
use types::{Scope, Scopes};

use crate::devices::word;

/// Commands that one node declares: the reference's clients declare some thirty.
const MAX_COMMANDS: usize = 128;

/// Kinds and permissions that one node declares.
const MAX_CAPS: usize = 32;

/// The longest command, kind or permission, in bytes.
const MAX_NAME: usize = 64;

/// Commands that an approved node may be asked where the tenant's settings say nothing. Those of
/// `OpenClaw` for all platforms together (a node's platform is its own word), without what acts on a
/// screen: that, cameras, messages and programs are for the settings to allow. An entry that ends in
/// a star is a prefix.
const HARMLESS: &[&str] = &[
    "calendar.events",
    "callLog.search",
    "camera.list",
    "camera.ptz.status",
    "canvas.hide",
    "canvas.navigate",
    "canvas.present",
    "contacts.search",
    "device.*",
    "location.get",
    "motion.*",
    "notifications.actions",
    "notifications.list",
    "photos.latest",
    "reminders.list",
    "system.notify",
    "system.which",
    "talk.ptt.*",
];

/// Commands whose approval needs an administrator: they run programs.
const POWERFUL: &[&str] = &["system.run*", "browser.proxy"];

/// The part of a tenant's settings that is about nodes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Policy {
    commands: Commands,
    /// Before 2026.9 these were called so.
    allow_commands: Vec<String>,
    deny_commands: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Commands {
    allow: Vec<String>,
    deny: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Root {
    gateway: Gateway,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Gateway {
    nodes: Policy,
}

impl Policy {
    /// The policy in a tenant's settings; the strictest where they cannot be read.
    pub(crate) fn of(settings: &[u8]) -> Self {
        if settings.is_empty() {
            return Self::default();
        }
        match serde_json::from_slice::<Root>(settings) {
            Ok(root) => root.gateway.nodes,
            Err(err) => {
                tracing::warn!(error = %err, "a tenant's settings of nodes cannot be read");
                Self { deny_commands: vec!["*".to_owned()], ..Self::default() }
            }
        }
    }

    /// Why a command may not be asked; `None` where it may.
    pub(crate) fn refuses(&self, command: &str) -> Option<String> {
        if any(&self.commands.deny, command) || any(&self.deny_commands, command) {
            return Some(format!("\"{command}\" is blocked by gateway.nodes.commands.deny"));
        }
        let allowed = any(&self.commands.allow, command) || any(&self.allow_commands, command);
        if allowed || any(HARMLESS, command) {
            return None;
        }
        Some(format!("\"{command}\" needs to be in gateway.nodes.commands.allow"))
    }
}

/// Whether a command is one of `patterns`: the same, or a prefix before a star.
fn any<S: AsRef<str>>(patterns: &[S], command: &str) -> bool {
    patterns.iter().map(|it| it.as_ref().trim()).any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => command.starts_with(prefix),
        None => pattern == command,
    })
}

/// What a node's connection declares.
pub(crate) fn declared(connection: &Connection) -> NodeSelf {
    let client = connection.client();
    let permissions = connection.permissions().iter();
    let permissions = permissions.filter(|(name, _)| is_name(name)).take(MAX_CAPS);
    NodeSelf {
        display_name: client.display_name.as_deref().and_then(some),
        platform: some(&client.platform),
        version: some(&client.version),
        core_version: None,
        ui_version: None,
        device_family: client.device_family.as_deref().and_then(some),
        model_identifier: client.model_identifier.as_deref().and_then(some),
        client_id: some(&client.id),
        client_mode: some(&client.mode),
        remote_ip: Some(connection.peer().to_string()),
        caps: names(connection.caps(), MAX_CAPS),
        commands: names(&connection.commands(), MAX_COMMANDS),
        permissions: permissions.map(|(name, on)| (name.clone(), *on)).collect(),
    }
}

/// Text that says something, cut to what is kept.
pub(crate) fn some(text: &str) -> Option<String> {
    Some(word(text)).filter(|it| !it.is_empty())
}

/// Commands, sorted; more than are kept, or longer, are left out.
pub(crate) fn commands(all: &[String]) -> Vec<String> {
    names(all, MAX_COMMANDS)
}

/// Kinds, sorted; more than are kept, or longer, are left out.
pub(crate) fn caps(all: &[String]) -> Vec<String> {
    names(all, MAX_CAPS)
}

fn names(all: &[String], max: usize) -> Vec<String> {
    let mut names: Vec<_> = all.iter().map(|it| it.trim()).filter(|it| is_name(it)).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > max || names.len() < all.len() {
        tracing::debug!(sent = all.len(), max, "a node declares more than is kept of it");
    }
    names.into_iter().take(max).map(str::to_owned).collect()
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(|it| it.is_control() || it == ' ')
}

/// Whether `now` declares nothing that `approved` does not hold: authority only shrinks unasked.
pub(crate) fn within(now: &NodeSelf, approved: &NodeSelf) -> bool {
    let permitted = |it: &&(String, bool)| it.1;
    now.commands.iter().all(|it| approved.commands.contains(it))
        && now.caps.iter().all(|it| approved.caps.contains(it))
        && now.permissions.iter().filter(permitted).all(|it| approved.permissions.contains(it))
}

/// Whether two declarations ask for the same.
pub(crate) fn asks_same(a: &NodeSelf, b: &NodeSelf) -> bool {
    (&a.caps, &a.commands, &a.permissions) == (&b.caps, &b.commands, &b.permissions)
}

/// What a caller must have to approve a node that declares this.
pub(crate) fn required(about: &NodeSelf) -> Scopes {
    let powerful = about.commands.iter().any(|command| any(POWERFUL, command));
    let more = match (powerful, about.commands.is_empty()) {
        (true, _) => Some(Scope::Admin),
        (false, false) => Some(Scope::Write),
        (false, true) => None,
    };
    std::iter::once(Scope::Pairing).chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_refuses() {
        let check = |settings: &str, command: &str, refused: bool| {
            let policy = Policy::of(settings.as_bytes());
            assert_eq!(policy.refuses(command).is_some(), refused, "{settings} {command}");
        };
        let allow = r#"{"gateway":{"nodes":{"commands":{"allow":["system.run","camera.*"]}}}}"#;
        let old = r#"{"gateway":{"nodes":{"allowCommands":["system.run","camera.*"]}}}"#;
        let deny = r#"{"gateway":{"port":1,"nodes":{"commands":{"allow":["sms.send"],"deny":["sms.send","device.*"]}}}}"#;
        let old_deny =
            r#"{"gateway":{"nodes":{"commands":{"allow":["sms.send"]},"denyCommands":["sms.*"]}}}"#;
        for command in ["system.which", "system.notify", "device.info", "location.get"] {
            check("", command, false);
            check("{}", command, false);
            check(allow, command, false);
        }
        for command in [
            "system.run",
            "system.run.prepare",
            "browser.proxy",
            "camera.snap",
            "screen.record",
            "contacts.add",
            "sms.send",
            "what.nobody.knows",
        ] {
            check("", command, true);
        }
        for allow in [allow, old] {
            check(allow, "system.run", false);
            check(allow, "system.run.prepare", true);
            check(allow, "camera.snap", false);
        }
        check(deny, "sms.send", true);
        check(deny, "device.info", true);
        check(deny, "system.which", false);
        check(old_deny, "sms.send", true);
        check(r#"{"gateway":{"nodes":{"commands":"x"}}}"#, "system.which", true);
    }

    #[test]
    fn what_approval_needs() {
        let check = |commands: &[&str], scopes: &[Scope]| {
            let commands = commands.iter().map(|it| (*it).to_owned()).collect();
            let about = NodeSelf { commands, ..NodeSelf::default() };
            assert_eq!(required(&about), scopes.iter().copied().collect());
        };
        check(&[], &[Scope::Pairing]);
        check(&["system.which"], &[Scope::Pairing, Scope::Write]);
        check(&["system.run.prepare"], &[Scope::Pairing, Scope::Admin]);
        check(&["browser.proxy", "system.which"], &[Scope::Pairing, Scope::Admin]);
    }

    #[test]
    fn what_is_within() {
        let of = |commands: &[&str], caps: &[&str], permissions: &[(&str, bool)]| NodeSelf {
            commands: commands.iter().map(|it| (*it).to_owned()).collect(),
            caps: caps.iter().map(|it| (*it).to_owned()).collect(),
            permissions: permissions.iter().map(|(name, on)| ((*name).to_owned(), *on)).collect(),
            ..NodeSelf::default()
        };
        let approved = of(&["a", "b"], &["x"], &[("p", true), ("q", false)]);
        assert!(within(&approved, &approved));
        assert!(within(&of(&["a"], &[], &[("p", false)]), &approved));
        assert!(!within(&of(&["c"], &[], &[]), &approved));
        assert!(!within(&of(&[], &["y"], &[]), &approved));
        assert!(!within(&of(&[], &[], &[("q", true)]), &approved));
    }

    #[test]
    fn names_are_bounded() {
        let long = "x".repeat(MAX_NAME + 1);
        let sent = ["b", " a ", "a", "", "with space", "line\n", &long].map(str::to_owned);
        assert_eq!(commands(&sent), ["a", "b", "line"]);
        let many: Vec<_> = (0..1000).map(|it| format!("c{it:04}")).collect();
        assert_eq!((commands(&many).len(), caps(&many).len()), (MAX_COMMANDS, MAX_CAPS));
    }
}
