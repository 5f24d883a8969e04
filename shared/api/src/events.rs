//! The events that the gateway sends without being asked, one row each, beside the method table.
//!
//! An event that is not in the table cannot be sent.

use types::Scope;

/// One kind of event.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// The name of the row, for example `sessions.changed`.
    pub name: &'static str,
    /// The name on the wire; `name` for all but rows that narrow another one.
    pub wire: &'static str,
    /// What a client must have said that it can take (`caps` of `connect`) to get it.
    pub cap: Option<&'static str>,
    /// The scope without which a connection does not get it; `None` for every connection of the
    /// tenant, nodes included.
    pub scope: Option<Scope>,
    /// Who may send it.
    pub from: From,
    /// Which connections of those with the scope get it.
    pub to: To,
    /// Whether it is left out for a client that reads too slowly, rather than the client cut off.
    pub droppable: bool,
}

/// Who may send an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The tenant's own worker.
    Worker,
    /// The supervisor.
    Supervisor,
}

/// Which connections get an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// All of the tenant with the scope.
    All,
    /// Those that asked for the changes of all sessions (`sessions.subscribe`).
    Sessions,
    /// Those that asked for the messages of the event's session (`sessions.messages.subscribe`).
    Session,
    /// One connection, named by the sender.
    One,
}

const fn worker(name: &'static str, scope: Scope, to: To, droppable: bool) -> Event {
    Event { name, wire: name, cap: None, scope: Some(scope), from: From::Worker, to, droppable }
}

const fn supervisor(name: &'static str, scope: Option<Scope>, to: To) -> Event {
    Event { name, wire: name, cap: None, scope, from: From::Supervisor, to, droppable: false }
}

/// Like `agent`, for what tools do (`stream` is `tool`): to clients only that can take it.
const AGENT_TOOL: Event = Event {
    name: "agent.tool",
    wire: "agent",
    cap: Some("tool-events"),
    scope: Some(Scope::Read),
    from: From::Worker,
    to: To::All,
    droppable: true,
};

/// Newest wins, and a client that asks gets it whole.
const PRESENCE: Event = Event {
    name: "presence",
    wire: "presence",
    cap: None,
    scope: None,
    from: From::Supervisor,
    to: To::All,
    droppable: true,
};

/// A client that reads nothing is cut for what it does not read, not for the clock.
const TICK: Event = Event { name: "tick", wire: "tick", ..PRESENCE };

/// Every event.
pub const EVENTS: &[Event] = &[
    supervisor("connect.challenge", None, To::One),
    worker("agent", Scope::Read, To::All, true),
    AGENT_TOOL,
    worker("chat", Scope::Read, To::All, false),
    worker("session.message", Scope::Read, To::Session, false),
    worker("session.operation", Scope::Read, To::Session, false),
    worker("session.tool", Scope::Read, To::Session, true),
    worker("sessions.changed", Scope::Read, To::Sessions, false),
    worker("heartbeat", Scope::Read, To::All, false),
    worker("cron", Scope::Read, To::All, false),
    worker("health", Scope::Read, To::All, true),
    worker("skills.changed", Scope::Read, To::All, false),
    PRESENCE,
    TICK,
    supervisor("shutdown", None, To::All),
    supervisor("quota.warning", Some(Scope::Read), To::All),
    supervisor("backup", Some(Scope::Admin), To::All),
    supervisor("config.changed", Some(Scope::Read), To::All),
    supervisor("node.pair.requested", Some(Scope::Pairing), To::All),
    supervisor("node.pair.resolved", Some(Scope::Pairing), To::All),
    supervisor("node.presence", Some(Scope::Read), To::All),
    supervisor("node.invoke.request", None, To::One),
    supervisor("device.pair.changed", Some(Scope::Pairing), To::All),
    supervisor("device.pair.requested", Some(Scope::Pairing), To::All),
    supervisor("device.pair.resolved", Some(Scope::Pairing), To::All),
    supervisor("voicewake.changed", None, To::All),
    supervisor("voicewake.routing.changed", None, To::One),
    supervisor("exec.approval.requested", Some(Scope::Approvals), To::All),
    supervisor("exec.approval.resolved", Some(Scope::Approvals), To::All),
    supervisor("terminal.output", Some(Scope::Admin), To::One),
    supervisor("terminal.data", Some(Scope::Admin), To::One),
    supervisor("terminal.exit", Some(Scope::Admin), To::One),
];

/// The row of the event called `name`.
pub fn event(name: &str) -> Option<&'static Event> {
    EVENTS.iter().find(|event| event.name == name)
}
