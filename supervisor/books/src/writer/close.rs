//! Days and months that are over: their snapshots are made from the sums of the lines that are on the
//! disk, and from then on no line counts against them.

use std::time::{Duration, Instant};

use ledger::Day;
use types::{Chain, UnixMillis};

use super::Writer;
use crate::snapshot::{self, Head, Record};
use crate::{Error, Month};

/// How long after midnight a day is left open for what was granted in its last moment and is still on
/// its way here.
const GRACE_MS: u64 = 2_000;

/// How long after midnight a day waits for its holds. What is settled later counts against the day
/// on which that happens.
const PATIENCE_MS: u64 = 60 * 60 * 1000;

/// How long to wait after a snapshot could not be made.
const AGAIN: Duration = Duration::from_secs(10);

impl Writer {
    /// Closes every day and month that can be.
    pub(crate) fn close_what_is_due(&mut self) {
        if self.close_at.is_some_and(|at| at > Instant::now()) || self.retry_at.is_some() {
            return;
        }
        self.close_at = None;
        if let Err(err) = self.close_all() {
            self.shared.metrics.failures.inc();
            self.close_at = Some(Instant::now() + AGAIN);
            tracing::error!(error = %Chain(&err), "a day or month cannot be closed; its lines are kept");
        }
    }

    fn close_all(&mut self) -> Result<(), Error> {
        let now = self.shared.clock.now();
        while let Some(day) = self.next_to_close(now) {
            if Day::of(now) > self.day {
                self.turn_to(Day::of(now))?;
            }
            // What is still open is in the next file before the file that has it is left alone.
            self.write(Vec::new()).map_err(|(err, _nothing)| err)?;
            self.sync()?;
            self.frozen = self.frozen.max(Some(day));
            self.close(day, now)?;
        }
        while let Some(month) = self.month_to_close() {
            self.close_month(month, now)?;
        }
        Ok(())
    }

    /// The first day that is not closed, if it can be.
    fn next_to_close(&self, now: UnixMillis) -> Option<Day> {
        let day = *self.shared.live().days.keys().next()?;
        let end = day.next().start();
        if day >= Day::of(now) || now < end.saturating_add(GRACE_MS) {
            return None;
        }
        let waited = now >= end.saturating_add(PATIENCE_MS);
        let is_open = |day| self.open.values().any(|hold| hold.day <= day);
        (waited || !is_open(day)).then_some(day)
    }

    fn close(&self, day: Day, now: UnixMillis) -> Result<(), Error> {
        let live = self.shared.live();
        let head = live.head(day, now, self.shared.queue.last_id());
        let Some(book) = live.days.get(&day) else { return Ok(()) };
        let text = snapshot::encode(&head, &book.pages)?;
        let records: Vec<Record> = book.pages.iter().map(Record::of).collect();
        drop(live);
        self.shared.folder.add(&self.shared.folder.snapshot(day), &text)?;
        let mut live = self.shared.live();
        for record in &records {
            live.add_closed(day, record);
        }
        live.closed(day);
        drop(live);
        tracing::info!(%day, tenants = records.len(), "day closed");
        Ok(())
    }

    /// The first month that is not closed, if none of its days is open and another month has begun.
    fn month_to_close(&self) -> Option<Month> {
        let live = self.shared.live();
        let month = *live.months.keys().next()?;
        let open = live.days.keys().next().is_some_and(|day| Month::of(*day) <= month);
        (Month::of(self.day) > month && !open).then_some(month)
    }

    fn close_month(&self, month: Month, now: UnixMillis) -> Result<(), Error> {
        let mut live = self.shared.live();
        let Some(book) = live.months.get(&month) else { return Ok(()) };
        let last_id = self.shared.queue.last_id();
        let head = Head::new(month.to_string(), now, book.days.clone(), last_id);
        let text = snapshot::encode(&head, &book.pages)?;
        drop(live);
        self.shared.folder.add(&self.shared.folder.snapshot(month), &text)?;
        live = self.shared.live();
        live.closed_month(month);
        drop(live);
        tracing::info!(%month, "month closed");
        Ok(())
    }
}
