//! What waits for a turn of a session: taken by one turn, told, and forgotten once that is durable.

use std::sync::{Arc, PoisonError};

use super::state::Event;
use super::{OWN, Pulse, change, read, say};
use crate::agent::{SessionKey, Source};
use crate::cron::MAX_TEXT;
use crate::service::Core;
use crate::tools::{self, Allowed, policy};

/// Bytes that one turn tells, so that the longest event fits; what is left waits for the next.
const MAX_TOLD: usize = MAX_TEXT;

/// Events that a turn tells. They are others' to tell again when this is dropped, unless they were
/// forgotten.
#[derive(Debug)]
pub(crate) struct Waiting {
    pulse: Arc<Pulse>,
    events: Vec<Event>,
}

/// Takes what waits for a turn of this session. Where that cannot be read nothing does: the user
/// still gets an answer.
pub(crate) async fn take(core: &Core, key: &SessionKey, source: Option<Source>) -> Waiting {
    let base = key.as_str().strip_suffix(OWN).filter(|_| source == Some(Source::Heartbeat));
    let key = base.unwrap_or(key.as_str());
    let of_key = async || match read(core).await {
        Ok(stored) => stored.of(key),
        Err(err) => {
            tracing::error!(error = %types::Chain(&err), "what waits for a turn was not read");
            Vec::new()
        }
    };
    let mut events = Vec::new();
    // Nearly always nothing waits, and nobody has to be waited for to know that.
    if !of_key().await.is_empty() {
        // Else another turn might tell and forget them between the look and the claim.
        let _writing = core.pulse.writing.lock().await;
        events = core.pulse.claim(of_key().await);
    }
    Waiting { pulse: Arc::clone(&core.pulse), events }
}

impl Waiting {
    /// What the model is told, and the ids of it; `told` are those that the transcript has, because
    /// a crash came before they were forgotten.
    pub(crate) fn message(&self, told: &[String]) -> Option<(String, Vec<String>)> {
        let new: Vec<&Event> =
            self.events.iter().filter(|event| !told.contains(&event.name())).collect();
        let ids = new.iter().map(|event| event.name()).collect();
        (!new.is_empty()).then(|| (say::events(&new), ids))
    }

    /// The tools that a turn may use at most that tells them, where one of them says so.
    pub(crate) fn ceiling(&self) -> Option<Allowed> {
        let lists = self.events.iter().filter_map(|event| event.tools_allow.as_ref());
        let sets = lists.map(|list| policy::listed(tools::rows(), list));
        sets.reduce(|one, other| one.and(&other))
    }

    /// Forgets them: they are in the transcript. Where that fails they are told once more at worst.
    pub(crate) async fn forget(&self, core: &Core) {
        if self.events.is_empty() {
            return;
        }
        let forgotten = change(core, |stored, _now| stored.forget(&self.events)).await;
        if let Err(err) = forgotten {
            tracing::error!(error = %types::Chain(&err), "what was told is not forgotten");
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut taken = self.pulse.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|event| !self.events.contains(event));
    }
}

impl Pulse {
    /// Those of `events` that no other turn tells, as many as one turn may.
    fn claim(&self, mut events: Vec<Event>) -> Vec<Event> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = MAX_TOLD;
        events.retain(|event| !taken.contains(event));
        let fit = |event: &&Event| match left.checked_sub(event.text.len()) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        };
        let count = events.iter().take_while(fit).count();
        events.truncate(count);
        taken.extend(events.iter().cloned());
        events
    }
}
