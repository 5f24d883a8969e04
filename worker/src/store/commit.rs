//! Changes on their way to `sessions.json`: those that wait for a write share the next one.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use types::AgentId;

use super::change::Change;
use super::said::Said;
use crate::Error;

/// A change and what it is a change of.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) agent: AgentId,
    pub(super) key: String,
    pub(super) change: Change,
    pub(super) said: Said,
}

impl Keyed {
    pub(super) fn new(agent: &AgentId, key: &str, change: Change, said: Said) -> Self {
        Self { agent: agent.clone(), key: key.to_owned(), change, said }
    }
}

/// Changes on their way to the disk: those that wait for a write share the next one.
#[derive(Debug, Default)]
pub(super) struct Commits {
    waiting: Mutex<Vec<Waiting>>,
    writing: Arc<tokio::sync::Mutex<()>>,
}

type Outcome = Arc<OnceLock<Result<(), bool>>>;

#[derive(Debug)]
struct Waiting {
    change: Keyed,
    outcome: Outcome,
}

impl Commits {
    /// Resolves when `change` is durable. `apply` writes a batch of changes.
    pub(super) async fn commit(
        &self,
        change: Keyed,
        apply: impl FnOnce(&[Keyed]) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let outcome = Outcome::default();
        self.waiting().push(Waiting { change, outcome: Arc::clone(&outcome) });
        let guard = Arc::clone(&self.writing).lock_owned().await;
        if let Some(outcome) = outcome.get() {
            return outcome.map_err(|full| Error::Shared { full });
        }
        let batch = std::mem::take(&mut *self.waiting());
        let job = move || {
            let (changes, outcomes): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.change, waiting.outcome)).unzip();
            let result = apply(&changes);
            let told = result.as_ref().copied().map_err(Error::is_disk_full);
            for outcome in outcomes {
                outcome.get_or_init(|| told);
            }
            // Held to here even if the caller has gone away, so that writes never overlap.
            drop(guard);
            result
        };
        tokio::task::spawn_blocking(job).await.map_err(Error::Job)?
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
