//! The counters of one inner level: only of subjects that a quota is for, and only so many.

use std::collections::HashMap;
use std::sync::Arc;

use types::{Level, Quota, UnixMillis};

use crate::pot::{Limit, Pot};
use crate::refusal::{Refusal, Why};
use crate::window::Stamp;

/// Subjects of one level of one tenant whose use is remembered: more tokens or agents than a tenant
/// has, and as many sessions at work as its process holds. Each takes a little over a kilobyte.
const MAX_SUBJECTS: usize = 1024;

/// The subjects of one level.
#[derive(Debug)]
pub(crate) struct Subjects {
    level: Level,
    /// Quotas of this level.
    quotas: Vec<Quota>,
    pots: HashMap<Arc<str>, Pot>,
    /// How many pots were made.
    made: u64,
    /// The minute in which those that nobody misses were last looked for.
    swept: Option<u64>,
}

impl Subjects {
    pub(crate) fn new(level: Level) -> Self {
        Self { level, quotas: Vec::new(), pots: HashMap::new(), made: 0, swept: None }
    }

    /// Puts new quotas in the place of the old ones. Subjects that have none any more are forgotten.
    pub(crate) fn limit(&mut self, quotas: &[Quota]) {
        let level = self.level;
        self.quotas = quotas.iter().filter(|quota| quota.level() == level).cloned().collect();
        let rules = &self.quotas;
        self.pots.retain(|name, pot| {
            pot.limit(limits(rules, name));
            rules.iter().any(|quota| is_for(quota, name))
        });
    }

    /// The counters of `name`; none where no quota is for it.
    ///
    /// # Errors
    /// When there are as many others as are remembered, all of which have used something in a window
    /// that has not ended: what could not be counted is not granted.
    pub(crate) fn open(
        &mut self,
        name: Option<&Arc<str>>,
        stamp: &Stamp,
        now: UnixMillis,
    ) -> Result<Option<&mut Pot>, Refusal> {
        let Some(name) = name.filter(|_| !self.quotas.is_empty()) else { return Ok(None) };
        if !self.pots.contains_key(name) {
            if !self.quotas.iter().any(|quota| is_for(quota, name)) {
                return Ok(None);
            }
            let mut pot = Pot::new(self.level, Some(Arc::clone(name)), *stamp);
            pot.limit(limits(&self.quotas, name));
            if self.pots.len() >= MAX_SUBJECTS {
                self.sweep(stamp);
            }
            if self.pots.len() >= MAX_SUBJECTS {
                return Err(self.crowded(&pot, name, stamp, now));
            }
            self.made += 1;
            pot.born = self.made;
            self.pots.insert(Arc::clone(name), pot);
        }
        let Some(pot) = self.pots.get_mut(name) else { return Ok(None) };
        pot.turn(stamp);
        Ok(Some(pot))
    }

    /// The counters of `name`, if they are still those that were made as number `born`.
    pub(crate) fn find(&mut self, name: Option<&Arc<str>>, born: u64) -> Option<&mut Pot> {
        if born == 0 {
            return None;
        }
        self.pots.get_mut(name?).filter(|pot| pot.born == born)
    }

    /// The counters of `name`, if there are any.
    pub(crate) fn known(&mut self, name: Option<&Arc<str>>) -> Option<&mut Pot> {
        self.pots.get_mut(name?)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Pot> {
        self.pots.values()
    }

    pub(crate) fn named(&mut self, name: &str) -> Option<&mut Pot> {
        self.pots.get_mut(name)
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Pot> {
        self.pots.values_mut()
    }

    /// Forgets those whose windows have ended and who have nothing under way. Windows end with a
    /// minute, so more than once in a minute is of no use.
    fn sweep(&mut self, stamp: &Stamp) {
        if self.swept.replace(stamp.minute) == Some(stamp.minute) {
            return;
        }
        self.pots.retain(|_, pot| {
            pot.turn(stamp);
            !pot.is_idle()
        });
    }

    fn crowded(&self, pot: &Pot, name: &Arc<str>, stamp: &Stamp, now: UnixMillis) -> Refusal {
        let limit = limits(&self.quotas, name).next();
        let limit = limit.unwrap_or_else(|| Limit::new(types::Dimension::Requests, None, 0));
        Refusal { remaining: 0, ..pot.refusal(&limit, Why::Limit, stamp, now) }
    }
}

fn is_for(quota: &Quota, name: &str) -> bool {
    quota.subject().is_none_or(|subject| **subject == *name)
}

/// The limits of `name`. One that names it takes the place of one of the same thing for every subject.
fn limits<'a>(quotas: &'a [Quota], name: &'a str) -> impl Iterator<Item = Limit> + 'a {
    let named = move |general: &Quota| {
        let counted = |quota: &Quota| (quota.dimension(), quota.window());
        let same = |quota: &&Quota| quota.subject().is_some() && counted(quota) == counted(general);
        quotas.iter().filter(same).any(|quota| is_for(quota, name))
    };
    let chosen =
        move |quota: &&Quota| is_for(quota, name) && (quota.subject().is_some() || !named(quota));
    quotas.iter().filter(chosen).map(Limit::of)
}
