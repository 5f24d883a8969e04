//! Bringing the parts of intents: each attempt is written down before it is made.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use records::{Keep, KeyMark, Mark, OutboxRow, OutboxState};
use tokio::time::Instant;

use super::{
    CONTENT, Fate, KEEP_MS, Label, MAX_ATTEMPTS, MAX_BRINGING, MAX_BRINGING_TO_ONE, MAX_MARKS,
    MAX_WAITING_MS, Means, Outbox, Part, SHELF, Seen, Sink, Sinks,
};
use crate::Error;
use crate::totals::{Kind, count};

/// How long a part waits after its n-th attempt.
const BACK_OFF_MS: [u64; 6] = [500, 2_000, 10_000, 30_000, 120_000, 300_000];

/// Bytes of a reason that are kept.
const MAX_WHY: usize = 512;

impl Outbox {
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
        let mut lanes = HashSet::new();
        let mut busy = 0;
        for entry in state.entries.values().filter(|entry| entry.is_busy) {
            busy += 1;
            *places.entry(entry.label.place.clone()).or_default() += 1;
        }
        let mut turn = Vec::new();
        for (seq, entry) in &mut state.entries {
            let may_go = !entry.row.state.is_over() && entry.is_first(&mut lanes);
            if !may_go || entry.is_busy || entry.not_before > now {
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
            let (place, since, tried) = (label.place.as_str(), row.received_at, row.changed_at);
            let over = self.place_of(&row, &label).await?;
            let part = Part { place, key: &key, content, since, tried, over: over.as_deref() };
            let sent = self.attempt(&**sink, part, (&mut row, &label)).await?;
            match self.after(&**sink, &mut row, sent).await? {
                After::Next => {}
                After::Later => return Ok(None),
                After::Over((state, why)) => return self.end(row, state, &why, &label).await,
            }
        }
        self.end(row, OutboxState::Sent, "", &label).await
    }

    /// One attempt at a part, unless it is there already.
    async fn attempt(
        &self,
        sink: &dyn Sink,
        part: Part<'_>,
        (row, label): (&mut OutboxRow, &Label),
    ) -> Result<Fate, Error> {
        if part.over.is_some() {
            row.is_ambiguous = false;
        } else if let Some(sent) = reconcile(sink, part, row).await {
            return Ok(sent);
        }
        row.attempts = row.attempts.saturating_add(1);
        self.write(row, OutboxState::Sending).await?;
        if part.over.is_none() {
            return Ok(sink.send(part).await);
        }
        if let Some(fate) = self.put_over(sink, part, label).await {
            return Ok(fate);
        }
        row.is_alone = true;
        self.write(row, OutboxState::Sending).await?;
        Ok(sink.send(Part { over: None, ..part }).await)
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
        let mut asked = None;
        let (state, why) = match sent {
            Fate::Sent(there) => {
                row.there = row.there.take().or(there);
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
            Fate::Wait(wait, why) => {
                asked = Some(wait);
                // Whoever is told when to come has not failed, unless that goes on for ever.
                let age = self.shared.0.clock.now().saturating_sub(row.received_at);
                row.attempts = row.attempts.saturating_sub(u32::from(age < MAX_WAITING_MS));
                (OutboxState::Ready, why)
            }
        };
        let is_last = row.attempts >= MAX_ATTEMPTS;
        if is_last || (row.is_ambiguous && sink.means() == Means::None) {
            return Ok(After::Over(over(row, why)));
        }
        row.why = cut(&why);
        self.write(row, state).await?;
        let index = usize::try_from(row.attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = BACK_OFF_MS.get(index).or(BACK_OFF_MS.last()).copied().unwrap_or(0);
        let wait = asked.unwrap_or(wait);
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
            self.finish(row.seq, Mark::Done, row.there).await?;
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
            self.finish(oldest, Mark::Dead, None).await?;
        }
    }

    async fn finish(&self, seq: u64, mark: Mark, there: Option<String>) -> Result<(), Error> {
        let loaded = self.loaded().await?;
        let (key, over, marks) = {
            let state = self.lock();
            let Some(entry) = state.entries.get(&seq) else { return Ok(()) };
            (entry.row.key.clone(), entry.label.over.clone(), state.marks)
        };
        // Its place is this one's now: nothing older is put there any more.
        let taken = self.taken(over.as_deref()).await?;
        let taken = taken.as_ref().map(|(key, mark)| (key.as_str(), mark.clone()));
        let now = self.shared.0.clock.now();
        let keep = Keep { since: loaded.age.before(now, KEEP_MS), count: marks, most: MAX_MARKS };
        let (of, made) = ((&self.tenant, loaded.owner), KeyMark { seq, mark, at: now, there });
        let removed =
            self.shared.0.records.shelf_finish(SHELF, of, (&key, made), taken, keep).await;
        let removed = removed.map_err(Error::Records)?;
        let mut state = self.lock();
        state.marks = state.marks.saturating_add(1).saturating_sub(removed);
        state.take(seq);
        Ok(())
    }
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
            Some(Seen::There(there)) => Some(Fate::Sent(there)),
            Some(Seen::Absent) => {
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

fn cut(why: &str) -> String {
    why.get(..why.floor_char_boundary(MAX_WHY)).unwrap_or_default().to_owned()
}
