//! `cron/heartbeat.json`: whether there are heartbeats, when the next one is, the last one, and
//! what waits for a turn. Pure but for reading and writing the file.

use api::heartbeat::Beat;
use serde::{Deserialize, Serialize};
use types::UnixMillis;

use super::settings::HeartbeatSettings;
use crate::Error;
use crate::store::Dir;

const FILE: &str = "heartbeat.json";
/// Events that wait; when one more comes, the oldest goes that nobody was promised anything for.
const MAX_EVENTS: usize = 20;
/// Bytes of the file: so many events of the longest kind, escaped.
const MAX_BYTES: u64 = 8 << 20;

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Stored {
    pub(crate) version: u64,
    pub(crate) enabled: bool,
    /// When the next heartbeat is, and for which interval that was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_ms: Option<UnixMillis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) every_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Beat>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) events: Vec<Event>,
}

impl Default for Stored {
    fn default() -> Self {
        Self {
            version: 1,
            enabled: true,
            next_ms: None,
            every_ms: None,
            last: None,
            events: Vec::new(),
        }
    }
}

/// Something that a session is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// Empty where an older version wrote it.
    #[serde(default)]
    pub(crate) id: String,
    pub(crate) ts: UnixMillis,
    pub(crate) session_key: String,
    pub(crate) text: String,
    /// The tools that a turn may use at most that tells it; `None` for what its agent may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tools_allow: Option<Vec<String>>,
    /// Whether it was acknowledged under its name, and must be told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_promised: bool,
}

impl Event {
    /// By what a transcript knows that it has been told.
    pub(super) fn name(&self) -> String {
        if self.id.is_empty() { self.ts.to_string() } else { self.id.clone() }
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queued {
    /// It waits.
    New,
    /// The same waits already.
    Coalesced,
}

impl Stored {
    /// Reads the file; the default where there is none.
    pub(crate) fn read(root: &Dir) -> Result<Self, Error> {
        let read = || match root.sub(crate::cron::FOLDER)? {
            Some(dir) => dir.read_start(FILE, MAX_BYTES),
            None => Ok(None),
        };
        let Some(bytes) = read().map_err(Error::io("read the heartbeat"))? else {
            return Ok(Self::default());
        };
        let invalid = |source| Error::Invalid { what: "the heartbeat file", source };
        serde_json::from_slice(&bytes).map_err(invalid)
    }

    /// Writes the file: whole and durable, or not at all.
    pub(crate) fn write(&self, root: &Dir) -> Result<(), Error> {
        let invalid = |source| Error::Invalid { what: "a heartbeat", source };
        let bytes = serde_json::to_vec(self).map_err(invalid)?;
        let written = || root.sub_or_create(crate::cron::FOLDER)?.replace(FILE, &bytes);
        written().map_err(Error::io("write the heartbeat"))
    }

    /// When the next heartbeat is, by the settings that hold now.
    pub(super) fn aim(
        &mut self,
        settings: &HeartbeatSettings,
        now: UnixMillis,
    ) -> Option<UnixMillis> {
        let every = settings.every_ms().filter(|_| self.enabled);
        if self.every_ms != every {
            self.every_ms = every;
            self.next_ms = every.map(|every| now.saturating_add(every));
        }
        // Never a time that has passed: the supervisor forgets the time for which it has rung.
        self.next_ms.map(|next| next.max(now.saturating_add(1)))
    }

    /// Whether a heartbeat is due. It is moved on: it takes place once, however late.
    pub(super) fn take_due(&mut self, now: UnixMillis) -> bool {
        let due = self.next_ms.is_some_and(|next| next <= now);
        if due {
            self.next_ms = self.every_ms.map(|every| now.saturating_add(every));
        }
        due
    }

    /// Puts an event aside.
    pub(super) fn push(&mut self, new: Event) -> Result<Queued, Error> {
        let same = |event: &Event| {
            event.session_key == new.session_key
                && event.text == new.text
                && event.tools_allow == new.tools_allow
        };
        if self.events.iter().any(same) {
            return Ok(Queued::Coalesced);
        }
        if self.events.len() >= MAX_EVENTS {
            let oldest = self.events.iter().position(|event| !event.is_promised);
            self.events.remove(oldest.ok_or(Error::Full { max: MAX_EVENTS })?);
        }
        self.events.push(new);
        Ok(Queued::New)
    }

    /// What waits for a turn of this session.
    pub(super) fn of(&self, session_key: &str) -> Vec<Event> {
        self.events.iter().filter(|event| event.session_key == session_key).cloned().collect()
    }

    /// A turn has had these.
    pub(super) fn forget(&mut self, had: &[Event]) {
        self.events.retain(|event| !had.contains(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(every: &str) -> HeartbeatSettings {
        serde_json::from_value(serde_json::json!({"every": every})).unwrap()
    }

    #[test]
    fn the_next_heartbeat_follows_the_settings() {
        let mut stored = Stored::default();
        assert_eq!(stored.aim(&HeartbeatSettings::default(), 0), None);
        assert_eq!(stored.aim(&every("1m"), 1_000), Some(61_000));
        assert_eq!(stored.aim(&every("1m"), 30_000), Some(61_000));
        assert!(!stored.take_due(60_999));
        assert!(stored.take_due(500_000));
        assert!(!stored.take_due(500_000));
        assert_eq!(stored.aim(&every("1m"), 500_000), Some(560_000));
        assert_eq!(stored.aim(&every("2m"), 500_000), Some(620_000));
        stored.enabled = false;
        assert_eq!(stored.aim(&every("2m"), 500_000), None);
    }

    #[test]
    fn events_wait_once_each_and_the_oldest_goes() {
        let mut stored = Stored::default();
        let event = |key: &str, text: &str| Event {
            id: String::new(),
            ts: 0,
            session_key: key.to_owned(),
            text: text.to_owned(),
            tools_allow: None,
            is_promised: false,
        };
        for n in 0..=MAX_EVENTS {
            assert_eq!(stored.push(event("k", &n.to_string())).unwrap(), Queued::New);
        }
        assert_eq!(stored.push(event("k", "5")).unwrap(), Queued::Coalesced);
        let had = stored.of("k");
        assert_eq!((had.len(), had[0].text.as_str()), (MAX_EVENTS, "1"));
        stored.push(event("other", "5")).unwrap();
        stored.forget(&had);
        assert_eq!(stored.events.len(), 1);
        let narrow = Event { tools_allow: Some(Vec::new()), ..event("other", "5") };
        assert_eq!(
            stored.push(narrow).unwrap(),
            Queued::New,
            "the same text, and less may be done"
        );
        // What somebody was promised is never given up for another.
        for n in 0..MAX_EVENTS {
            let promised = Event { is_promised: true, ..event("k", &format!("promised {n}")) };
            assert_eq!(stored.push(promised).unwrap(), Queued::New);
        }
        for is_promised in [false, true] {
            let refused = stored.push(Event { is_promised, ..event("k", "one more") });
            assert!(matches!(refused, Err(Error::Full { max: MAX_EVENTS })), "{refused:?}");
        }
        assert_eq!(stored.of("k").len(), MAX_EVENTS);
    }
}
