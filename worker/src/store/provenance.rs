//! That no person wrote a message, as `OpenClaw` notes it in a transcript.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The word of the format for what is none of a person.
const INTERNAL: &str = "internal_system";

/// What wrote a message, or made a model write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Heartbeat,
    Cron,
    Hook,
    /// Another session.
    Session,
    /// What a session was told between its turns.
    Event,
}

impl Origin {
    const fn word(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Cron => "cron",
            Self::Hook => "hook",
            Self::Session => "sessions_send",
            Self::Event => "system-event",
        }
    }

    /// Other programs know more words; whatever they mean, it is no person.
    fn from_word(word: &str) -> Self {
        match word {
            "cron" => Self::Cron,
            "hook" => Self::Hook,
            "sessions_send" => Self::Session,
            "heartbeat" => Self::Heartbeat,
            _ => Self::Event,
        }
    }
}

/// The mark of such a message.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Provenance {
    kind: &'static str,
    source_tool: &'static str,
    /// The events that it tells, so that none is told again after a crash.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<String>,
    /// The session whose run has sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_session_key: Option<String>,
}

impl Provenance {
    /// The mark of a message of `origin`, which tells `events`.
    pub(crate) const fn new(origin: Origin, events: Vec<String>) -> Self {
        Self { kind: INTERNAL, source_tool: origin.word(), events, source_session_key: None }
    }

    /// The same of a message that a run of this session has sent.
    pub(crate) fn sent_by(self, session_key: Option<&str>) -> Self {
        Self { source_session_key: session_key.map(str::to_owned), ..self }
    }
}

/// Such a mark as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Read<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    source_tool: Option<Cow<'a, str>>,
    #[serde(default)]
    events: Vec<String>,
    #[serde(borrow)]
    source_session_key: Option<Cow<'a, str>>,
}

impl<'a> Read<'a> {
    /// The mark, if it says that no person wrote the message.
    pub(super) fn parse(raw: &'a RawValue) -> Option<Self> {
        let read: Self = serde_json::from_str(raw.get()).ok()?;
        (read.kind == INTERNAL).then_some(read)
    }

    pub(super) fn origin(&self) -> Origin {
        // Where nothing is named it is a heartbeat, as in `OpenClaw`.
        self.source_tool.as_deref().map_or(Origin::Heartbeat, Origin::from_word)
    }

    /// What a model is told of a message that another session has sent, before the message.
    pub(super) fn sender(&self) -> Option<String> {
        if self.origin() != Origin::Session {
            return None;
        }
        let key = self.source_session_key.as_deref().unwrap_or("another");
        let key: String = key.chars().filter(|c| !c.is_control() && !"[]".contains(*c)).collect();
        Some(format!("[from session {key}]"))
    }

    pub(super) fn into_events(self) -> Vec<String> {
        self.events
    }
}
