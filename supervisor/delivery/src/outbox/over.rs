//! What takes the place of something that is there: an answer that grows while it is written. The last of
//! it is an intent like any other; what comes before may be lost.

use std::time::Duration;

use records::{KeyMark, Mark, OutboxRow};
use tokio::sync::Mutex;

use super::{Fate, Label, MAX_CONTENT, Outbox, Part, SHELF, Sink, Sinks};
use crate::{Error, name};

/// How long one revision may take; the next says more than it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Places that are revised at once at most.
const TURNS: usize = 8;

/// Turns of what revises the same place: what is older never comes after what is newer.
#[derive(Debug, Default)]
pub(super) struct Turns([Mutex<()>; TURNS]);

impl Turns {
    fn of(&self, key: &str) -> &Mutex<()> {
        let sum = key.bytes().fold(0_usize, |sum, byte| sum.wrapping_add(usize::from(byte)));
        self.0.get(sum % TURNS).unwrap_or(&self.0[0])
    }
}

fn key(id: &str) -> String {
    name::event_id("outbox", "", id)
}

impl Outbox {
    /// Puts `content` where the first part of the intent `id` is, which was sent to `place`. Nothing is kept of it,
    /// and nothing waits for it; gives whether it is there now.
    ///
    /// # Errors
    /// When it is too large, or the box cannot be read.
    pub async fn revise(
        &self,
        id: &str,
        (sink, place): (&str, &str),
        content: &[u8],
        sinks: &Sinks,
    ) -> Result<bool, Error> {
        if content.len() > MAX_CONTENT {
            let what = "bytes of what takes the place of a part";
            return Err(Error::TooLarge { what, max: MAX_CONTENT });
        }
        self.loaded().await?;
        let key = key(id);
        let Ok(_turn) = self.revising.of(&key).try_lock() else { return Ok(false) };
        let (there, sink) = (self.there(&key).await?, sinks.get(sink));
        let (Some(there), Some(sink)) = (there, sink) else { return Ok(false) };
        if self.lock().entries.values().any(|it| it.label.over.as_deref() == Some(id)) {
            return Ok(false);
        }
        let since = self.shared.0.clock.now();
        let key = format!("{key}-r{since}");
        let part = Part { place, key: &key, content, since, tried: since, over: Some(&there) };
        let sent = tokio::time::timeout(PATIENCE, sink.send(part)).await;
        Ok(matches!(sent, Ok(Fate::Sent(_))))
    }

    /// What the first part of an intent that was sent is called where it is, as long as nothing has taken
    /// its place.
    async fn there(&self, key: &str) -> Result<Option<String>, Error> {
        let mark = self.shared.0.records.shelf_key(SHELF, &self.tenant, key).await;
        let mark = mark.map_err(Error::Records)?.filter(|it| it.mark == Mark::Done);
        Ok(mark.and_then(|it| it.there))
    }

    /// The mark of an intent whose place was taken, as it is then.
    pub(super) async fn taken(&self, id: Option<&str>) -> Result<Option<(String, KeyMark)>, Error> {
        let Some(key) = id.map(key) else { return Ok(None) };
        let mark = self.shared.0.records.shelf_key(SHELF, &self.tenant, &key).await;
        let mark = mark.map_err(Error::Records)?.filter(|it| it.there.is_some());
        Ok(mark.map(|mark| (key, KeyMark { there: None, ..mark })))
    }

    /// What the present part takes the place of.
    pub(super) async fn place_of(
        &self,
        row: &OutboxRow,
        label: &Label,
    ) -> Result<Option<String>, Error> {
        let over = label.over.as_deref().filter(|_| row.part == 0 && !row.is_alone);
        let Some(over) = over else { return Ok(None) };
        self.there(&key(over)).await
    }

    /// Puts a part in its place. Whatever comes of an attempt, the next does no harm: it is there once.
    /// `None` where the place is gone.
    pub(super) async fn put_over(
        &self,
        sink: &dyn Sink,
        part: Part<'_>,
        label: &Label,
    ) -> Option<Fate> {
        let _turn = self.revising.of(&key(label.over.as_deref()?)).lock().await;
        match sink.send(part).await {
            Fate::Unknown(why) => Some(Fate::Retry(why)),
            Fate::Failed(_gone) => None,
            fate @ (Fate::Sent(_) | Fate::Retry(_) | Fate::Wait(..)) => Some(fate),
        }
    }
}

#[cfg(test)]
mod tests;
