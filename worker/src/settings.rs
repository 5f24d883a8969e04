//! The effective settings of this tenant, as the supervisor gives them: read by whoever needs one,
//! replaced as a whole when they change.
//!
//! The supervisor has checked them; what is missing here has its default, what is unknown is
//! somebody else's.

mod agents;
mod tools;

use std::sync::{Arc, Mutex, PoisonError};

use proto::worker::{Configuration, Skill};
use serde::Deserialize;

pub(crate) use agents::{Agents, DropPolicy, Messages, QueueMode};
pub(crate) use tools::{Ask, Exec, Loop, Security, ToolSettings};

/// The settings that hold now. Clones see the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live(Arc<Mutex<Current>>);

/// One configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Current {
    pub(crate) settings: Arc<Settings>,
    /// Skills of the platform.
    pub(crate) skills: Arc<[Skill]>,
    /// The settings as they came, for paths that somebody else names.
    pub(crate) text: bytes::Bytes,
}

/// What a worker reads of the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Settings {
    pub(crate) session: crate::sessions::SessionSettings,
    pub(crate) skills: crate::skills::SkillSettings,

    pub(crate) agents: Agents,
    pub(crate) cron: crate::cron::CronSettings,
    pub(crate) hooks: crate::hooks::HookSettings,
    pub(crate) messages: Messages,
    pub(crate) tools: ToolSettings,
}

impl Live {
    /// Takes a new configuration. One that cannot be read leaves the old one in force.
    pub(crate) fn replace(&self, new: Configuration) -> Result<(), serde_json::Error> {
        let settings = match &*new.settings {
            b"" => Settings::default(),
            text => serde_json::from_slice(text)?,
        };
        let (skills, text) = (new.skills.into(), new.settings);
        let current = Current { settings: Arc::new(settings), skills, text };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(())
    }

    /// What holds now.
    pub(crate) fn now(&self) -> Current {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
