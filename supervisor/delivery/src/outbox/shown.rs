//! What people see of an outbox.

use types::UnixMillis;

use super::Outbox;
use crate::Error;

/// One intent, for people.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// The kind of what brings it.
    pub sink: String,
    /// Where it goes.
    pub place: String,
    /// `ready`, `sending`, `failed` or `unknown`.
    pub state: &'static str,
    /// How many of its parts are there.
    pub sent: usize,
    /// How many it has.
    pub parts: usize,
    /// Attempts at the present part.
    pub attempts: u32,
    /// When it was taken.
    pub received_at: UnixMillis,
    /// What the last attempt came to; empty where that was nothing.
    pub why: String,
}

impl Outbox {
    /// The ids of all intents that are still to be sent.
    ///
    /// # Errors
    /// When the box cannot be read.
    pub async fn waiting(&self) -> Result<Vec<String>, Error> {
        self.loaded().await?;
        let state = self.lock();
        let waiting = state.entries.values().filter(|entry| !entry.row.state.is_over());
        Ok(waiting.map(|entry| entry.label.id.clone()).collect())
    }

    /// Every intent that is not sent, in the order in which they were taken.
    ///
    /// # Errors
    /// When the box cannot be read.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        self.loaded().await?;
        let state = self.lock();
        let listed = state.entries.values().map(|entry| Listed {
            id: entry.label.id.clone(),
            sink: entry.row.sink.clone(),
            place: entry.label.place.clone(),
            state: entry.row.state.name(),
            sent: entry.row.part,
            parts: entry.row.parts,
            attempts: entry.row.attempts,
            received_at: entry.row.received_at,
            why: entry.row.why.clone(),
        });
        Ok(listed.collect())
    }
}
