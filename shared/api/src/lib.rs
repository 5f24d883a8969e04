//! The method table: every method that a tenant's token can call, one row each.
//!
//! Adding a method: write its row and its two types in the group's file. The compiler then names
//! the function that is missing in `worker/src/methods/` (or, for a group that the supervisor
//! serves, in `supervisor/tenants/src/methods/`). Scope check, parameter parsing, the reply for an
//! unknown method, the metrics label and the authorisation test come from the row.
//!
//! Pure: no I/O, no runtime.

mod error;
#[macro_use]
mod table;

pub mod agent;
pub mod agents;
pub mod approvals;
pub mod channels;
pub mod chat;
pub mod commands;
pub mod config;
pub mod cron;
pub mod devices;
pub mod events;
pub mod health;
pub mod heartbeat;
pub mod hooks;
pub mod inbox;
pub mod limited;
pub mod models;
pub mod nodes;
pub mod pages;
pub mod panels;
pub mod presence;
pub mod routes;
pub mod rpc;
pub mod sessions;
pub mod skill_settings;
pub mod skills;
pub mod status;
pub mod subscriptions;
pub mod tenants;
pub mod terminal;
pub mod tool_policy;
pub mod tools;
pub mod voicewake;
pub mod wire;

pub use error::{ApiError, Code};
pub use table::{Method, Recorded, ServedBy};

table::groups! {
    /// What a worker serves: the supervisor passes parameters and results on as bytes.
    pub mod worker = Worker [health::Health, sessions::Sessions, chat::Chat, agent::Agent, skills::Skills, agents::Agents, models::Models, status::Status, tools::Tools, commands::Commands, cron::Cron, heartbeat::Heartbeat, hooks::Hooks];
    /// What the supervisor serves itself.
    pub mod supervisor = Supervisor [tenants::Tenants, devices::Devices, nodes::Nodes, voicewake::Voicewake, presence::Presence, subscriptions::Subscriptions, panels::Panels, pages::Pages, config::Config, skill_settings::SkillSettings, channels::Channels, terminal::Terminal, approvals::Approvals, inbox::Inbox];
}

/// Every method, in the order of the groups.
pub fn methods() -> impl Iterator<Item = &'static Method> {
    worker::METHODS.iter().chain(supervisor::METHODS).copied().flatten()
}

/// The row of the method called `name`.
pub fn method(name: &str) -> Option<&'static Method> {
    methods().find(|method| method.name == name)
}

#[cfg(test)]
mod tests {
    use types::Scope;

    use super::*;

    /// Methods of those who administer, approve or pair that are not recorded: they only look, or are
    /// too many and too small, or ask for a consent that somebody else is recorded to give.
    const UNRECORDED: &[&str] = &[
        "approval.get",
        "approval.history",
        "channels.pairing.list",
        "device.pair.list",
        "exec.approval.get",
        "exec.approval.grants.list",
        "exec.approval.list",
        "exec.approval.request",
        "exec.approval.waitDecision",
        "exec.approvals.get",
        "node.pair.list",
        "node.pair.verify",
        "openclaw.approval.list",
        "plugin.approval.list",
        "secrets.store.list",
        "system-event",
        "terminal.input",
        "terminal.resize",
        "terminal.write",
        "update.status",
    ];

    #[test]
    fn whatever_changes_authority_is_recorded() {
        for method in methods() {
            let authority =
                matches!(method.scope, Scope::Admin | Scope::Approvals | Scope::Pairing);
            let expected = authority && !UNRECORDED.contains(&method.name);
            let expected = if expected { Recorded::Each } else { Recorded::No };
            assert_eq!(method.recorded, expected, "{}", method.name);
        }
        for name in UNRECORDED {
            assert!(method(name).is_some(), "{name}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = methods().map(|method| method.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
