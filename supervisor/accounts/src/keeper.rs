//! From an event that may pass to its tenant's inbox; and the sign, while it is dealt with, that an answer
//! is being written.

use std::sync::Arc;

use async_trait::async_trait;
use channels::intake::Kept;
use channels::{Keeper, Lines as _, NotKept, Place, Target};
use networks::Us;
use proto::worker::ChannelEvent;
use records::AccountRow;
use runtime::Tasks;
use settings::Settings;
use tenants::{Event, Tenants};
use tokio::sync::Semaphore;
use types::{Chain, Clock};

use crate::budget::Budget;
use crate::lines::Reach;

/// What events of networks are called.
const SOURCE: &str = "channel";

/// Bytes of one event, as its worker takes it.
const MAX_EVENT: usize = 1 << 20;

/// Signs of typing that are sent at once; one more is not sent.
pub(crate) const MAX_TYPING: usize = 32;

/// Keeps events for workers.
#[derive(Debug)]
pub(crate) struct Keep {
    pub(crate) settings: Settings,
    pub(crate) tenants: Tenants,
    pub(crate) lines: Arc<Reach>,
    pub(crate) budget: Budget,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
    pub(crate) typing: Arc<Semaphore>,
}

#[async_trait]
impl Keeper for Keep {
    async fn keep(&self, account: &AccountRow, kept: Kept, event: Vec<u8>) -> Result<(), NotKept> {
        let is_shared = account.owner.is_none();
        if event.len() > MAX_EVENT {
            return Err(NotKept::Never(format!("an event has more than {MAX_EVENT} bytes")));
        }
        if !self.budget.take(&account.id, account.policy.per_minute, self.clock.now()) {
            return Err(NotKept::Later("too many events in this minute".to_owned()));
        }
        let Kept { turn, event: name, place, sender, is_group } = kept;
        let sealer = self.settings.sealer(&turn.tenant).await;
        let sealer = sealer.map_err(|err| NotKept::Later(Chain(&err).to_string()))?;
        let target = Target {
            channel: account.channel.clone(),
            account: account.id.clone(),
            shared: is_shared,
            bound: turn.bound.filter(|_| is_shared),
            place,
        };
        let handle = target.seal(&sealer);
        let handle = handle.map_err(|err| NotKept::Later(Chain(&err).to_string()))?;
        let said = ChannelEvent {
            network: account.channel.clone(),
            event: event.into(),
            us_id: account.us.0.clone(),
            us_name: account.us.1.clone().unwrap_or_default(),
            agent: turn.agent,
            session: turn.session,
            handle,
            sender,
            is_group,
            ..ChannelEvent::default()
        };
        let event = Event { source: SOURCE, account: &account.id, lane: &turn.lane, event: &name };
        match self.tenants.deliver_channel(&turn.tenant, event, said).await {
            Ok(()) => {
                self.show(account, &target.place);
                Ok(())
            }
            Err(err) => Err(not_kept(&err, is_shared)),
        }
    }
}

impl Keep {
    /// Shows that an answer is being written. It may be lost, and is not sent again.
    fn show(&self, account: &AccountRow, place: &Place) {
        let Some(adapter) = channels::adapter(&account.channel) else { return };
        let us = Us { id: &account.us.0, name: account.us.1.as_deref() };
        let Some(call) = adapter.typing(place, us) else { return };
        let Ok(permit) = Arc::clone(&self.typing).try_acquire_owned() else { return };
        let (lines, account) = (Arc::clone(&self.lines), account.clone());
        self.tasks.spawn_until_stopped(async move {
            let called = lines.call(&account, call).await;
            tracing::debug!(?called, "typing was shown");
            drop(permit);
        });
    }
}

/// One tenant that takes nothing keeps back none of another's: what comes over an account that many share
/// is lost then, and said to be. Over its own account it waits where it comes from.
fn not_kept(err: &tenants::Error, is_shared: bool) -> NotKept {
    let why = Chain(err).to_string();
    let is_ours = matches!(
        err,
        tenants::Error::Delivery(delivery::Error::Records(_) | delivery::Error::Sealed(_))
            | tenants::Error::Records(_)
            | tenants::Error::ShuttingDown
            | tenants::Error::Task(_)
    );
    let never = matches!(err, tenants::Error::Delivery(delivery::Error::TooLarge { .. }));
    if never || (is_shared && !is_ours) { NotKept::Never(why) } else { NotKept::Later(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_that_takes_nothing_keeps_back_no_others() {
        let check = |err: tenants::Error, own: bool, shared: bool| {
            let is_later = |shared| matches!(not_kept(&err, shared), NotKept::Later(_));
            assert_eq!((is_later(false), is_later(true)), (own, shared), "{err}");
        };
        check(tenants::Error::Suspended, true, false);
        let full = delivery::Error::Full { what: "events", max: 1 };
        check(full.into(), true, false);
        let large = delivery::Error::TooLarge { what: "a name", max: 1 };
        check(large.into(), false, false);
        let records = delivery::Error::Records(records::Error::NotFound);
        check(records.into(), true, true);
        check(tenants::Error::ShuttingDown, true, true);
    }
}
