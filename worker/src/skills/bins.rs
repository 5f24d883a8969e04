//! Which programs sandboxes have, as far as somebody has asked: a sandbox of the tenant is asked, and
//! what it said is believed for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tonic::{Code, Status};
use types::{AgentId, UnixMillis};

use super::install::Installer;
use super::run::{Approval, run};
use crate::service::Core;

/// Programs that are looked for at once, and bytes of a name.
const MAX_NAMES: usize = 512;
const MAX_NAME: usize = 128;

/// Names that are remembered; beyond it only those of the last look are.
const MAX_KNOWN: usize = 2048;

/// How long what was found is believed, in milliseconds: an agent may install something itself. The
/// same where nobody could look.
const BELIEVED: u64 = 60_000;

/// How long nobody looks where a person would have to agree first, in milliseconds.
const QUIET: u64 = 10 * 60_000;

/// How long the look may take; it takes some milliseconds.
const LOOK: Duration = Duration::from_secs(5);

/// Prints those of its arguments that are programs.
const WHICH: &str =
    r#"for name do if command -v -- "$name" >/dev/null; then printf '%s\n' "$name"; fi; done"#;

/// The programs that sandboxes have: all agents of a tenant have the same. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bins(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Whether there is such a program, and when somebody looked.
    programs: BTreeMap<String, (bool, UnixMillis)>,
    /// When somebody may look again.
    quiet_until: UnixMillis,
}

impl Bins {
    /// Those of `names` that are programs. Where nobody can look there are none, or those that there
    /// were.
    pub(super) async fn of(
        &self,
        core: &Core,
        agent: &AgentId,
        names: BTreeSet<String>,
    ) -> BTreeSet<String> {
        let usable = |name: &String| {
            (1..=MAX_NAME).contains(&name.len())
                && name.bytes().all(|it| it.is_ascii_graphic() && it != b'/')
        };
        let names: BTreeSet<_> = names.into_iter().filter(usable).take(MAX_NAMES).collect();
        if !self.lock().unknown(&names, core.store.now()).is_empty() {
            let _looking = self.0.looking.lock().await;
            // Whoever was first may have asked for the same.
            let now = core.store.now();
            let unknown = self.lock().unknown(&names, now);
            if !unknown.is_empty() {
                let looked = look(core, agent, &unknown).await;
                self.lock().learn(unknown, looked, now);
            }
        }
        self.lock().found(names)
    }

    /// Forgets what was found: something was installed.
    pub(super) fn forget(&self) {
        *self.lock() = Known::default();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Those of `names` that somebody must look for.
    fn unknown(&self, names: &BTreeSet<String>, now: UnixMillis) -> BTreeSet<String> {
        if now < self.quiet_until {
            return BTreeSet::new();
        }
        let is_known = |name: &&String| {
            self.programs.get(*name).is_some_and(|(_, at)| now.saturating_sub(*at) < BELIEVED)
        };
        names.iter().filter(|name| !is_known(name)).cloned().collect()
    }

    fn learn(
        &mut self,
        names: BTreeSet<String>,
        looked: Result<BTreeSet<String>, Status>,
        now: UnixMillis,
    ) {
        match looked {
            Ok(found) => {
                if self.programs.len() + names.len() > MAX_KNOWN {
                    self.programs.clear();
                }
                let told = names.into_iter().map(|name| {
                    let is_there = found.contains(&name);
                    (name, (is_there, now))
                });
                self.programs.extend(told);
            }
            Err(status) => {
                tracing::debug!(%status, "nobody can look for the programs of skills");
                let asks = status.code() == Code::FailedPrecondition;
                self.quiet_until = now.saturating_add(if asks { QUIET } else { BELIEVED });
            }
        }
    }

    fn found(&self, names: BTreeSet<String>) -> BTreeSet<String> {
        let is_there = |name: &String| self.programs.get(name).is_some_and(|(found, _)| *found);
        names.into_iter().filter(is_there).collect()
    }
}

async fn look(
    core: &Core,
    agent: &AgentId,
    names: &BTreeSet<String>,
) -> Result<BTreeSet<String>, Status> {
    let words = ["bash", "-c", WHICH, "which"].map(str::to_owned);
    let argv = words.into_iter().chain(names.iter().cloned()).collect();
    let installer = Installer { argv, env: Vec::new() };
    let look = run(core, agent, installer, (LOOK, Approval::GivenUp));
    let looked = tokio::time::timeout(LOOK, look).await;
    let late = |_elapsed| Err(Status::deadline_exceeded("the look took too long"));
    Ok(looked.unwrap_or_else(late)?.stdout.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_was_found_is_believed_for_a_while_and_name_by_name() {
        let mut known = Known::default();
        known.learn(names(&["jq", "gh"]), Ok(names(&["jq", "other"])), 1);
        known.learn(names(&["rg"]), Ok(names(&["rg"])), 50_000);
        assert_eq!(known.unknown(&names(&["gh", "jq", "rg"]), 60_000), names(&[]));
        assert_eq!(known.unknown(&names(&["jq", "rg", "x"]), 60_001), names(&["jq", "x"]));
        assert_eq!(known.found(names(&["gh", "jq", "other", "rg"])), names(&["jq", "rg"]));
    }

    #[test]
    fn where_nobody_can_look_there_is_quiet() {
        let check = |status: Status, quiet: u64| {
            let mut known = Known::default();
            known.learn(names(&["jq"]), Err(status), 0);
            assert!(known.unknown(&names(&["jq"]), quiet - 1).is_empty());
            assert_eq!(known.unknown(&names(&["jq"]), quiet), names(&["jq"]));
        };
        check(Status::failed_precondition("ask"), QUIET);
        check(Status::unavailable("none"), BELIEVED);
    }
}
