//! The events of one tenant in memory: whose turn it is.

use std::collections::{BTreeMap, HashMap, HashSet};

use records::{InboxRow, InboxState};
use settings::Sealer;
use tokio::time::Instant;
use types::UnixMillis;

use super::entry::{Entry, Label, Phase, Progress};
use super::{LABEL, MAX_DEAD, MAX_DEAD_BYTES, MAX_HANDING, MAX_HANDING_OF_ONE, progress};
use crate::Shared;
use crate::totals::{Kind, Room, Size, Totals};

#[derive(Debug, Default)]
pub(super) struct State {
    /// Rows that were there at the start and that nobody has looked at.
    pub(super) unread: Vec<InboxRow>,
    pub(super) next: u64,
    /// How many marks there are.
    pub(super) marks: usize,
    /// By number, which is the order in which they came.
    pub(super) entries: BTreeMap<u64, Entry>,
    /// The number of each key.
    pub(super) keys: HashMap<String, u64>,
}

/// Where an event is that keeps back another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    /// It has its turn first.
    Waits,
    /// It is at another worker, whose end nobody has noticed yet.
    Elsewhere,
}

impl State {
    /// Takes a row as it is stored. A claim is void: whoever had it is gone.
    pub(super) fn add(&mut self, shared: &Shared, sealer: &Sealer, mut row: InboxRow) {
        let label = sealer.open(LABEL, &row.key, &row.label).ok();
        let label = label.and_then(|label| serde_json::from_slice(&label).ok());
        // One whose names cannot be read stays alone in a lane, and is given up when its content
        // cannot be read either.
        let label = label.unwrap_or_else(|| Label {
            account: row.source.clone(),
            lane: row.key.clone(),
            event: row.key.clone(),
        });
        let progress = progress();
        let (phase, kind) = if row.state == InboxState::Dead {
            progress.send_replace(Progress::GivenUp(row.why.clone()));
            (Phase::Dead, Kind::Dead)
        } else {
            row.state = InboxState::Ready;
            progress.send_replace(Progress::Later);
            (Phase::Waiting, Kind::Event)
        };
        let entry = Entry {
            label,
            phase,
            is_claimed: false,
            to: None,
            is_acknowledged: true,
            not_before: Instant::now(),
            content: None,
            progress,
            room: Room::take(shared, row.bytes, kind),
            row,
        };
        self.put(entry);
    }

    pub(super) fn put(&mut self, entry: Entry) {
        let seq = entry.row.seq;
        self.next = self.next.max(seq.saturating_add(1));
        self.keys.insert(entry.row.key.clone(), seq);
        self.entries.insert(seq, entry);
    }

    pub(super) fn take(&mut self, seq: u64) -> Option<Entry> {
        let entry = self.entries.remove(&seq)?;
        self.keys.remove(&entry.row.key);
        Some(entry)
    }

    pub(super) fn of_key(&mut self, key: &str) -> Option<&mut Entry> {
        let seq = self.keys.get(key)?;
        self.entries.get_mut(seq)
    }

    /// What is neither dealt with nor given up.
    pub(super) fn live(&self) -> Size {
        self.size(|entry| !entry.is_dead())
    }

    fn size(&self, counts: impl Fn(&Entry) -> bool) -> Size {
        let counted = self.entries.values().filter(|entry| counts(entry));
        counted.fold(Size::default(), |size, entry| size.and(entry.row.bytes))
    }

    /// One of those that are given up which has to go: from before this time, or the oldest where
    /// they are too many or too large.
    pub(super) fn surplus(
        &self,
        totals: &Totals,
        before: UnixMillis,
    ) -> Option<(u64, &'static str)> {
        let dead = || self.entries.iter().filter(|(_, entry)| entry.phase == Phase::Dead);
        // What was given up before that time was written has the time at which it came.
        let is_old = |entry: &Entry| entry.row.dead_at.max(entry.row.received_at) < before;
        if let Some((seq, _)) = dead().find(|(_, entry)| is_old(entry)) {
            return Some((*seq, "it is too old"));
        }
        let (oldest, _) = dead().next()?;
        let size = self.size(|entry| entry.phase == Phase::Dead);
        if size.rows > MAX_DEAD {
            return Some((*oldest, "too many are given up"));
        }
        let is_large = size.bytes > MAX_DEAD_BYTES || totals.is_surplus(size);
        is_large.then_some((*oldest, "what is given up is too large"))
    }

    /// Whether anything waits, be it for a later time.
    pub(super) fn waits(&self) -> bool {
        self.entries.values().any(|entry| entry.phase == Phase::Waiting)
    }

    /// Whether anything is yet to be written.
    pub(super) fn is_behind(&self) -> bool {
        self.entries.values().any(|entry| entry.phase == Phase::Settled)
    }

    /// Whether it is the turn of anything.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let mut lanes = HashSet::new();
        let ahead = self.entries.values().filter(|entry| entry.is_ahead());
        let mut heads = ahead.filter(|entry| lanes.insert(entry.label.lane.as_str()));
        heads.any(|entry| entry.phase == Phase::Waiting && entry.not_before <= now)
    }

    /// Whether an event that came now would be handed over at once.
    pub(super) fn is_free(&self, lane: &str) -> bool {
        !self.entries.values().any(|entry| entry.is_ahead() && entry.label.lane == lane)
    }

    /// What keeps an event from this worker: one that came before it in its lane.
    pub(super) fn keeps_back(&self, seq: u64, worker: u64) -> Option<Ahead> {
        let entry = self.entries.get(&seq)?;
        let before = self.entries.range(..seq).map(|(_, ahead)| ahead);
        let mut of_lane = before.filter(|ahead| ahead.label.lane == entry.label.lane);
        of_lane.find_map(|ahead| {
            // Its worker was lost while this one had its turn.
            if ahead.is_ahead() {
                return Some(Ahead::Waits);
            }
            let is_elsewhere = matches!(ahead.phase, Phase::Handed { worker: at } if at != worker);
            is_elsewhere.then_some(Ahead::Elsewhere)
        })
    }

    /// The numbers of those whose turn it is, which are being handed over from now on.
    pub(super) fn begin(&mut self, now: Instant) -> Vec<u64> {
        let mut handing = HashMap::<(String, Option<String>), usize>::new();
        let of = |entry: &Entry| {
            let source = || entry.row.source.clone();
            [(source(), None), (source(), Some(entry.label.account.clone()))]
        };
        for entry in self.entries.values().filter(|entry| entry.phase == Phase::Handing) {
            for place in of(entry) {
                *handing.entry(place).or_default() += 1;
            }
        }
        let (mut lanes, mut turn) = (HashSet::new(), Vec::new());
        for (seq, entry) in &mut self.entries {
            if !entry.is_ahead() || !lanes.insert(entry.label.lane.clone()) {
                continue;
            }
            if entry.phase != Phase::Waiting || entry.not_before > now {
                continue;
            }
            let places = of(entry);
            let taken = places.each_ref().map(|place| handing.get(place).copied().unwrap_or(0));
            if taken[0] < MAX_HANDING && taken[1] < MAX_HANDING_OF_ONE {
                entry.phase = Phase::Handing;
                for place in places {
                    *handing.entry(place).or_default() += 1;
                }
                turn.push(*seq);
            }
        }
        turn
    }
}
