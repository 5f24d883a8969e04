//! The seam to chat networks: what comes over them for a tenant is kept and handed to its worker, and what
//! the worker answers is brought by whoever speaks with them. No network is known here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use delivery::event_id;
use delivery::inbox::{Accepted, New};
use delivery::outbox::Sink;
use egress::{Journal as _, Outlet};
use prost::Message as _;
use proto::worker::kept::What;
use proto::worker::{ChannelEvent, Kept};
use types::TenantId;

use crate::deliveries::Event;
use crate::handing::pump;
use crate::{Error, Inner, Tenants, reach};

/// Whoever speaks with chat networks.
#[async_trait]
pub trait Channels: Send + Sync + std::fmt::Debug {
    /// What brings a tenant's messages over each of them, by the names that addresses have.
    fn sinks(&self, tenant: &TenantId) -> Vec<(String, Arc<dyn Sink>)>;

    /// Where a handle leads that this tenant's worker holds; none where it is none of this tenant's.
    async fn address(&self, tenant: &TenantId, handle: &str) -> Option<Address>;

    /// Shows that an answer is being written to where an address leads; gives whether it is shown.
    async fn typing(&self, tenant: &TenantId, address: &Address) -> bool;

    /// Fetches what came with a message, over the account of the address.
    ///
    /// # Errors
    /// When there is none, it is too large, or it cannot be had now.
    async fn fetch(
        &self,
        tenant: &TenantId,
        address: &Address,
        reference: &str,
    ) -> Result<Vec<u8>, NotFetched>;

    /// The tenant's records were replaced.
    async fn changed(&self, tenant: &TenantId);

    /// The tenant is about to be erased: nothing comes or goes over its accounts any more when this
    /// returns.
    async fn ended(&self, tenant: &TenantId);
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Which sink brings it.
    pub sink: String,
    /// Where, in the sink's own words.
    pub place: String,
    /// After which other messages.
    pub lane: String,
}

/// Why something is not there that came with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFetched {
    /// It never will be.
    Never(String),
    /// It has more than so many bytes.
    TooLarge(usize),
    /// It may be later.
    Away(String),
}

impl Tenants {
    /// From now on these speak with chat networks; until then nothing is sent. The first stay.
    pub fn connect(&self, channels: Arc<dyn Channels>) {
        if self.0.channels.set(channels).is_err() {
            tracing::error!("chat networks were connected twice");
        }
    }

    /// Keeps an event of a chat network durably until the tenant's worker has dealt with it. The same
    /// event again is not kept a second time. Nobody waits for the worker.
    ///
    /// # Errors
    /// When it could not be kept, the tenant is suspended, or one of its limits is reached.
    pub async fn deliver_channel(
        &self,
        id: &TenantId,
        event: Event<'_>,
        mut said: ChannelEvent,
    ) -> Result<(), Error> {
        let tenant = self.find(id)?;
        if tenant.row.load().suspended {
            return Err(Error::Suspended);
        }
        let now = self.0.clock.now();
        let admission = tenant.account.admit(now, None).map_err(|refusal| {
            self.0.host.refusals().count(&refusal);
            Error::Refused(Box::new(refusal))
        })?;
        tenant.last_used.fetch_max(now, Ordering::Relaxed);
        said.event_id = event_id(event.account, event.lane, event.event);
        let content = Kept { what: Some(What::Channel(said)) }.encode_to_vec();
        let source = event.source;
        let names = [event.account, event.lane, event.event].map(str::to_owned);
        let inner = Arc::clone(&self.0);
        // A task of its own: who hangs up must not leave it half kept.
        let keeping = self.0.tasks.spawn(async move {
            let [account, lane, event] = &names;
            let content = content.into();
            let new = New { source, account, lane, event, content, is_acknowledged: true };
            let accepted = tenant.inbox.accept(new).await;
            drop(admission);
            match accepted? {
                Accepted::New(_) => pump(&inner, &tenant).await,
                Accepted::Known(_) | Accepted::Settled => {}
                Accepted::GivenUp { why, .. } => {
                    tenant.log.note(&format!("an event came again that was given up: {why}"));
                }
            }
            Ok(())
        });
        keeping.await.map_err(Error::Task)?
    }

    /// Whether an event that was kept is not dealt with yet, nor given up.
    pub fn is_waiting(&self, id: &TenantId, event_id: &str) -> bool {
        self.find(id).is_ok_and(|tenant| tenant.inbox.is_live(event_id))
    }

    /// The way out of a tenant, by its rules as they are now.
    ///
    /// # Errors
    /// When there is no such tenant, or its settings cannot be read.
    pub async fn way_out(&self, id: &TenantId) -> Result<Arc<Outlet>, Error> {
        let tenant = self.find(id)?;
        reach::settle(&self.0, &tenant).await?;
        Ok(Arc::clone(&tenant.outlet))
    }

    /// The way out of the gateway itself, by the rules that all tenants have.
    pub fn own_way_out(&self) -> Arc<Outlet> {
        self.0.egress.own(Arc::new(Own))
    }

    /// Writes a line into the tenant's log, where the tenant is told what happens to what is its.
    pub fn note(&self, id: &TenantId, line: &str) {
        if let Ok(tenant) = self.find(id) {
            tenant.log.note(line);
        }
    }
}

/// Notes of what is no tenant's.
#[derive(Debug)]
struct Own;

impl egress::Journal for Own {
    fn note(&self, line: &str) {
        tracing::debug!(line, "the gateway's own way out");
    }
}

/// The tenant's records were replaced.
pub(crate) async fn changed(inner: &Inner, tenant: &TenantId) {
    if let Some(channels) = inner.channels.get() {
        channels.changed(tenant).await;
    }
}

/// The tenant is about to be erased.
pub(crate) async fn ended(inner: &Inner, tenant: &TenantId) {
    if let Some(channels) = inner.channels.get() {
        channels.ended(tenant).await;
    }
}
