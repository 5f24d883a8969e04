//! Taking intents, and bringing their parts: each attempt is written down before it is made.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use records::{Inserted, Keep, KeyMark, Mark, OutboxRow, OutboxState};
use tokio::time::Instant;

use super::{
    CONTENT, Fate, Intent, KEEP_MS, LABEL, Label, MAX_ATTEMPTS, MAX_BRINGING, MAX_BRINGING_TO_ONE,
    MAX_BYTES, MAX_CONTENT, MAX_ID, MAX_MARKS, MAX_PARTS, MAX_PLACE, MAX_WAITING, Means, Outbox,
    Part, SHELF, Sink, Sinks,
};
use crate::totals::{Kind, count};
use crate::{Error, name};

/// How long a part waits after its n-th attempt.
const BACK_OFF_MS: [u64; 6] = [500, 2_000, 10_000, 30_000, 120_000, 300_000];

/// How often a number is tried that was found to be taken.
const TRIES: usize = 64;

/// Bytes of a reason that are kept.
const MAX_WHY: usize = 512;

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
        let label = Label { id: intent.id.clone(), place: intent.place.clone() };
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
                sink: intent.sink.to_owned(),
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

    /// Those whose turn it is, as many as are brought at once: each is to be brought by
    /// [`Outbox::bring`], after which it may be the turn of others.
    ///
    /// # Errors
    /// When the box cannot be read.
    pub async fn begin(&self) -> Result<Vec<u64>, Error> {
        self.loaded().await?;
        let now = Instant::now();
        let mut state = self.lock();
        let mut places = HashMap::<String, usize>::new();
        let mut busy = 0;
        for entry in state.entries.values().filter(|entry| entry.is_busy) {
            busy += 1;
            *places.entry(entry.label.place.clone()).or_default() += 1;
        }
        let mut turn = Vec::new();
        for (seq, entry) in &mut state.entries {
            if entry.is_busy || entry.row.state.is_over() || entry.not_before > now {
                continue;
            }
            if busy >= MAX_BRINGING {
                break;
            }
            let place = places.entry(entry.label.place.clone()).or_default();
            if *place < MAX_BRINGING_TO_ONE {
                entry.is_busy = true;
                (*place, busy) = (*place + 1, busy + 1);
                turn.push(*seq);
            }
        }
        Ok(turn)
    }

    /// Brings an intent's parts as far as they go now, and no part more once `may_go` says no. Gives its
    /// id and why, where it ended in anything but that it was sent.
    ///
    /// # Errors
    /// When the box cannot be read or written.
    pub async fn bring(
        &self,
        seq: u64,
        sinks: &Sinks,
        may_go: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Option<(String, String)>, Error> {
        let brought = self.parts_of(seq, sinks, may_go).await;
        if let Some(entry) = self.lock().entries.get_mut(&seq) {
            entry.is_busy = false;
            if brought.is_err() {
                // It may have been sent, which could not be written.
                entry.row.is_ambiguous |= entry.row.state == OutboxState::Sending;
                entry.not_before = Instant::now() + Duration::from_millis(BACK_OFF_MS[1]);
            }
        }
        brought
    }

    async fn parts_of(
        &self,
        seq: u64,
        sinks: &Sinks,
        may_go: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Option<(String, String)>, Error> {
        let known = {
            let state = self.lock();
            state.entries.get(&seq).map(|it| (it.row.clone(), it.label.clone()))
        };
        let Some((mut row, label)) = known else { return Ok(None) };
        let Some(sink) = sinks.get(row.sink.as_str()) else {
            return self.end(row, OutboxState::Failed, "nothing brings it there", &label).await;
        };
        let Some(parts) = self.read(&row).await? else {
            let (state, why) = over(&row, "it cannot be read any more".to_owned());
            return self.end(row, state, &why, &label).await;
        };
        while let Some(content) = parts.get(row.part) {
            if !may_go() {
                return Ok(None);
            }
            let key = format!("{}-{}", row.key, row.part);
            let part = Part { place: &label.place, key: &key, content };
            let sent = if let Some(sent) = reconcile(&**sink, part, &mut row).await {
                sent
            } else {
                row.attempts = row.attempts.saturating_add(1);
                self.write(&mut row, OutboxState::Sending).await?;
                sink.send(part).await
            };
            match self.after(&**sink, &mut row, sent).await? {
                After::Next => {}
                After::Later => return Ok(None),
                After::Over((state, why)) => return self.end(row, state, &why, &label).await,
            }
        }
        self.end(row, OutboxState::Sent, "", &label).await
    }

    /// The parts of an intent, each of which is there; `None` where they cannot be read and never will.
    async fn read(&self, row: &OutboxRow) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let loaded = self.loaded().await?;
        let sealed = self.shared.0.records.shelf_content(SHELF, &self.tenant, row.seq).await;
        let sealed = sealed.map_err(Error::Records)?;
        let opened = loaded.sealer.open(CONTENT, &row.key, &sealed).ok();
        let parts = opened.and_then(|it| serde_json::from_slice::<Vec<Vec<u8>>>(&it).ok());
        Ok(parts.filter(|parts| parts.len() == row.parts))
    }

    async fn after(
        &self,
        sink: &dyn Sink,
        row: &mut OutboxRow,
        sent: Fate,
    ) -> Result<After, Error> {
        let (state, why) = match sent {
            Fate::Sent => {
                (row.part, row.attempts) = (row.part.saturating_add(1), 0);
                row.is_ambiguous = false;
                if row.part < row.parts {
                    self.write(row, OutboxState::Ready).await?;
                }
                return Ok(After::Next);
            }
            Fate::Failed(why) => return Ok(After::Over(over(row, why))),
            // By its key or by a look: that it was tried stays written.
            Fate::Unknown(why) => {
                row.is_ambiguous = true;
                (OutboxState::Sending, why)
            }
            Fate::Retry(why) => (OutboxState::Ready, why),
        };
        let is_last = row.attempts >= MAX_ATTEMPTS;
        if is_last || (row.is_ambiguous && sink.means() == Means::None) {
            return Ok(After::Over(over(row, why)));
        }
        row.why = cut(&why);
        self.write(row, state).await?;
        let index = usize::try_from(row.attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = BACK_OFF_MS.get(index).or(BACK_OFF_MS.last()).copied().unwrap_or(0);
        if let Some(entry) = self.lock().entries.get_mut(&row.seq) {
            entry.not_before = Instant::now() + Duration::from_millis(wait);
        }
        Ok(After::Later)
    }

    async fn write(&self, row: &mut OutboxRow, state: OutboxState) -> Result<(), Error> {
        let loaded = self.loaded().await?;
        (row.state, row.changed_at) = (state, self.shared.0.clock.now());
        let of = (&self.tenant, loaded.owner);
        let written = self.shared.0.records.shelf_update(SHELF, of, row.seq, &*row).await;
        written.map_err(Error::Records)?;
        if let Some(entry) = self.lock().entries.get_mut(&row.seq) {
            entry.row = row.clone();
            if state.is_over() {
                entry.room.turn(Kind::Dead);
            }
        }
        Ok(())
    }

    async fn end(
        &self,
        mut row: OutboxRow,
        state: OutboxState,
        why: &str,
        label: &Label,
    ) -> Result<Option<(String, String)>, Error> {
        let totals = self.shared.totals();
        if state == OutboxState::Sent {
            self.finish(row.seq, Mark::Done).await?;
            count(&totals.sent);
            return Ok(None);
        }
        row.why = cut(why);
        self.write(&mut row, state).await?;
        let is_failed = state == OutboxState::Failed;
        count(if is_failed { &totals.failed } else { &totals.unknown });
        self.tidy().await?;
        Ok(Some((label.id.clone(), format!("{}: {why}", state.name()))))
    }

    /// Reads what was there when the gateway started, and lets go of what has ended and is too much or too
    /// old.
    ///
    /// # Errors
    /// When that cannot be read or written.
    pub async fn tidy(&self) -> Result<(), Error> {
        let loaded = self.loaded().await?;
        // Each turn takes one away.
        loop {
            let surplus = self.lock().surplus(self.shared.totals(), self.too_old(loaded));
            let Some(oldest) = surplus else { return Ok(()) };
            self.finish(oldest, Mark::Dead).await?;
        }
    }

    async fn finish(&self, seq: u64, mark: Mark) -> Result<(), Error> {
        let loaded = self.loaded().await?;
        let (key, marks) = {
            let state = self.lock();
            let Some(entry) = state.entries.get(&seq) else { return Ok(()) };
            (entry.row.key.clone(), state.marks)
        };
        let now = self.shared.0.clock.now();
        let keep = Keep { since: loaded.age.before(now, KEEP_MS), count: marks, most: MAX_MARKS };
        let (of, made) = ((&self.tenant, loaded.owner), KeyMark { seq, mark, at: now });
        let removed = self.shared.0.records.shelf_finish(SHELF, of, (&key, made), keep).await;
        let removed = removed.map_err(Error::Records)?;
        let mut state = self.lock();
        state.marks = state.marks.saturating_add(1).saturating_sub(removed);
        state.take(seq);
        Ok(())
    }
}

enum Reserved {
    Known(&'static str),
    New(u64),
}

enum After {
    Next,
    Later,
    Over((OutboxState, String)),
}

/// What became of a part that may have been sent; `None` where it is to be sent.
async fn reconcile(sink: &dyn Sink, part: Part<'_>, row: &mut OutboxRow) -> Option<Fate> {
    if !row.is_ambiguous {
        return None;
    }
    match sink.means() {
        Means::DurableKey => None,
        Means::ReadBack => match sink.look(part).await {
            Some(true) => Some(Fate::Sent),
            Some(false) => {
                row.is_ambiguous = false;
                None
            }
            None => {
                // An attempt as well: what can never be looked for ends some time.
                row.attempts = row.attempts.saturating_add(1);
                Some(Fate::Unknown("it cannot be looked for now".to_owned()))
            }
        },
        Means::None => Some(Fate::Unknown("the gateway ended while it was sent".to_owned())),
    }
}

/// The end of a part that is not where it goes, as far as anybody knows.
fn over(row: &OutboxRow, why: String) -> (OutboxState, String) {
    if row.is_ambiguous {
        return (OutboxState::Unknown, format!("an attempt may have arrived: {why}"));
    }
    (OutboxState::Failed, why)
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

fn cut(why: &str) -> String {
    why.get(..why.floor_char_boundary(MAX_WHY)).unwrap_or_default().to_owned()
}
