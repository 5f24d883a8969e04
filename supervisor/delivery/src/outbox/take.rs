//! Taking intents: each is kept before it is acknowledged, and once.

use bytes::Bytes;
use records::{Inserted, Mark, OutboxRow, OutboxState};

use super::{
    CONTENT, Intent, LABEL, Label, MAX_BYTES, MAX_CONTENT, MAX_ID, MAX_PARTS, MAX_PLACE,
    MAX_WAITING, Outbox, SHELF,
};
use crate::totals::{Kind, count};
use crate::{Error, name};

/// How often a number is tried that was found to be taken.
const TRIES: usize = 64;

/// What became of an intent that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is kept, or was.
    Kept(&'static str),
}

impl Outbox {
    /// Keeps an intent durably. The same id again changes nothing.
    ///
    /// # Errors
    /// When it is too large, too many wait, or it cannot be written.
    pub async fn submit(&self, intent: &Intent) -> Result<Taken, Error> {
        bounded(intent)?;
        let key = name::event_id("outbox", "", &intent.id);
        let loaded = self.loaded().await?;
        let parts: Vec<&[u8]> = intent.parts.iter().map(AsRef::as_ref).collect();
        let content = serde_json::to_vec(&parts);
        let content = content.unwrap_or_default();
        let content = loaded.sealer.seal(CONTENT, &key, &content).map_err(Error::Sealed)?;
        let content = Bytes::from(content);
        let label = intent.label();
        let named = serde_json::to_vec(&label).unwrap_or_default();
        let named = loaded.sealer.seal(LABEL, &key, &named).map_err(Error::Sealed)?;
        for _ in 0..TRIES {
            let now = self.shared.0.clock.now();
            let seq = match self.reserve(&key, content.len())? {
                Reserved::Known(state) => return Ok(Taken::Kept(state)),
                Reserved::New(seq) => seq,
            };
            let row = OutboxRow {
                seq,
                key: key.clone(),
                sink: intent.sink.clone().into_owned(),
                label: named.clone(),
                state: OutboxState::Ready,
                part: 0,
                parts: intent.parts.len(),
                attempts: 0,
                received_at: now,
                changed_at: now,
                bytes: content.len(),
                why: String::new(),
                is_ambiguous: false,
                is_alone: false,
                there: None,
            };
            let (of, at) = ((&self.tenant, loaded.owner), (seq, &*key, now));
            let inserted = self.shared.0.records.shelf_insert(SHELF, of, at, &row, &content).await;
            match inserted.map_err(Error::Records)? {
                Inserted::New => {
                    count(&self.shared.totals().intents);
                    self.lock().put(&self.shared, row, label);
                    return Ok(Taken::Kept("ready"));
                }
                Inserted::Taken => {}
                Inserted::Known(known) if known.mark == Mark::Live => {
                    self.find_again(known.seq, label).await?;
                    return Ok(Taken::Kept("ready"));
                }
                Inserted::Known(known) => {
                    // What ended otherwise and is gone was not sent, as far as anybody knows.
                    let is_sent = known.mark == Mark::Done;
                    return Ok(Taken::Kept(if is_sent { "sent" } else { "unknown" }));
                }
            }
        }
        Err(Error::Full { what: "intents that were lost from sight", max: TRIES })
    }

    /// A number for an intent, unless it is known.
    fn reserve(&self, key: &str, size: usize) -> Result<Reserved, Error> {
        let mut state = self.lock();
        if let Some(entry) = state.keys.get(key).and_then(|seq| state.entries.get(seq)) {
            return Ok(Reserved::Known(entry.row.state.name()));
        }
        let with = state.size(false).and(size);
        if with.rows > MAX_WAITING {
            return Err(Error::Full { what: "intents of a tenant that wait", max: MAX_WAITING });
        }
        if with.bytes > MAX_BYTES {
            let what = "bytes of a tenant's intents that wait";
            return Err(Error::Full { what, max: MAX_BYTES });
        }
        self.shared.totals().admit(with, size, Kind::Intent)?;
        let seq = state.next;
        state.next = seq.saturating_add(1);
        Ok(Reserved::New(seq))
    }

    /// Takes a row that was written without anybody having been told of it.
    async fn find_again(&self, seq: u64, label: Label) -> Result<(), Error> {
        let row = self.shared.0.records.shelf_row(SHELF, &self.tenant, seq).await;
        let row: Option<OutboxRow> = row.map_err(Error::Records)?;
        let mut state = self.lock();
        if let Some(row) = row.filter(|row| !state.entries.contains_key(&row.seq)) {
            state.put(&self.shared, row, label);
        }
        Ok(())
    }
}

enum Reserved {
    Known(&'static str),
    New(u64),
}

fn bounded(intent: &Intent) -> Result<(), Error> {
    let too_large = |what, max| Err(Error::TooLarge { what, max });
    if !(1..=MAX_ID).contains(&intent.id.len()) {
        return too_large("an intent's id", MAX_ID);
    }
    if intent.place.len() > MAX_PLACE {
        return too_large("where an intent goes", MAX_PLACE);
    }
    if !(1..=MAX_PARTS).contains(&intent.parts.len()) {
        return too_large("the number of an intent's parts", MAX_PARTS);
    }
    if intent.parts.iter().map(Bytes::len).sum::<usize>() > MAX_CONTENT {
        return too_large("bytes of an intent's parts", MAX_CONTENT);
    }
    Ok(())
}
