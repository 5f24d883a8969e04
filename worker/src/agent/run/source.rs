//! Who starts runs.

/// Who starts a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// `chat.send`.
    Chat,
    /// `agent`.
    Agent,
    /// A job.
    Cron,
    /// A heartbeat.
    Heartbeat,
    /// Something that the session is told at once.
    Wake,
    /// A webhook.
    Hook,
    /// Somebody at a chat network.
    Channel,
    /// A run of another session.
    Session,
}
