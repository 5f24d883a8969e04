//! What a visitor says is shown on the visitor's pages before it is kept for the worker, so that no answer
//! stands before it; and that an answer is being written is shown until the worker is done.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use channels::intake::Kept;
use channels::{Keeper, NotKept, webchat};
use records::AccountRow;
use runtime::Tasks;
use tenants::Tenants;
use tokio::sync::Semaphore;
use types::{Chain, TenantId};

use super::{Pages, WEBCHAT};
use crate::keeper::Keep;

/// How often a sign of typing is renewed, and how long one is shown.
const RENEW: Duration = Duration::from_secs(3);
const SHOWN_MS: u64 = 5_000;

/// How often it is renewed at most: for longer than any turn takes.
const MAX_RENEWED: usize = 400;

/// Conversations in which typing is shown at once; in one more it is not.
const MAX_TYPING: usize = 4096;

/// Keeps events for workers, and what visitors say for their pages too.
#[derive(Debug)]
pub(crate) struct Recording {
    inner: Keep,
    pages: Arc<Pages>,
    tenants: Tenants,
    tasks: Tasks,
    typing: Arc<Semaphore>,
}

impl Recording {
    pub(crate) fn new(inner: Keep, pages: Arc<Pages>, tenants: Tenants, tasks: Tasks) -> Self {
        Self { inner, pages, tenants, tasks, typing: Arc::new(Semaphore::new(MAX_TYPING)) }
    }

    /// Shows typing as long as the event waits for its worker or is being dealt with.
    fn show(&self, account: &AccountRow, room: String, tenant: TenantId, event_id: String) {
        let Ok(permit) = Arc::clone(&self.typing).try_acquire_owned() else { return };
        let (pages, tenants) = (Arc::clone(&self.pages), self.tenants.clone());
        let account = account.id.clone();
        self.tasks.spawn_until_stopped(async move {
            let mut ticks = tokio::time::interval(RENEW);
            for _ in 0..MAX_RENEWED {
                ticks.tick().await;
                if !tenants.is_waiting(&tenant, &event_id) {
                    break;
                }
                pages.typing(&account, &room, SHOWN_MS);
            }
            pages.typing(&account, &room, 0);
            drop(permit);
        });
    }
}

#[async_trait]
impl Keeper for Recording {
    async fn keep(&self, account: &AccountRow, kept: Kept, event: Vec<u8>) -> Result<(), NotKept> {
        if account.channel != WEBCHAT {
            return self.inner.keep(account, kept, event).await;
        }
        let (key, frame) = webchat::shown(&event, self.pages.clock.now())
            .map_err(|err| NotKept::Never(Chain(&err).to_string()))?;
        let room = kept.place.room.clone();
        let shown = self.pages.put(account, &room, (&key, None), frame).await;
        shown.map_err(|err| NotKept::Later(Chain(&err).to_string()))?;
        let tenant = kept.turn.tenant.clone();
        let event_id = delivery::event_id(&account.id, &kept.turn.lane, &kept.event);
        self.inner.keep(account, kept, event).await?;
        self.show(account, room, tenant, event_id);
        Ok(())
    }
}
