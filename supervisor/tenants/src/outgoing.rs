//! What workers send on its way: taken as a power of theirs, and brought by the sinks that there are.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use delivery::outbox::{Fate, Intent, Means, Part, Sink, Sinks, Taken};
use egress::{Journal as _, Outlet, Posted};
use futures_util::future::BoxFuture;
use proto::host::intent_request::Sink as Asked;
use proto::host::outbox_server::Outbox as Service;
use proto::host::{
    IntentReply, IntentRequest, ShowReply, ShowRequest, WaitingReply, WaitingRequest,
};
use records::TenantRow;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::tenant::Tenant;
use crate::{Address, Error, Inner, Tenants, reach};

/// The kind of sink that posts.
const WEBHOOK: &str = "webhook";

/// Posts parts to where the tenant's rules let them go.
#[derive(Debug)]
struct Webhook(Arc<Outlet>);

#[async_trait]
impl Sink for Webhook {
    fn means(&self) -> Means {
        // Standard Webhooks asks of whoever takes them that a repeated `webhook-id` is known again; that
        // a far end does so cannot be seen from here, and is written where people choose one.
        Means::DurableKey
    }

    async fn send(&self, part: Part<'_>) -> Fate {
        let body = Bytes::copy_from_slice(part.content);
        match self.0.post(part.place, ("webhook-id", part.key), body).await {
            Posted::Answered(200..=299) => Fate::Sent(None),
            Posted::Answered(status @ (408 | 425 | 429 | 500..=599)) => {
                Fate::Retry(format!("the far end answered {status}"))
            }
            Posted::Answered(status) => Fate::Failed(format!("the far end answered {status}")),
            Posted::Forbidden(why) => Fate::Failed(why),
            Posted::Unsent(why) => Fate::Retry(why),
            Posted::Unknown(why) => Fate::Unknown(why),
        }
    }
}

fn sinks(inner: &Inner, tenant: &Tenant) -> Sinks {
    let webhook: Arc<dyn Sink> = Arc::new(Webhook(Arc::clone(&tenant.outlet)));
    let channels = inner.channels.get().map(|it| it.sinks(&tenant.id)).unwrap_or_default();
    let channels = channels.into_iter().map(|(name, sink)| (Cow::Owned(name), sink));
    channels.chain([(Cow::Borrowed(WEBHOOK), webhook)]).collect()
}

/// Brings whatever has its turn, of every tenant whose boxes are served, and lets go of what has ended
/// and is too much or too old, of every tenant.
pub(crate) fn look(inner: &Arc<Inner>) {
    for tenant in inner.directory.all() {
        if tenant.outbox.is_untidy() && !tenant.is_ending() && !inner.tasks.is_stopping() {
            tidy(inner, &tenant);
        }
        if tenant.outbox.has_work() && may_go(inner, &tenant) {
            bring(inner, &tenant);
        }
    }
}

fn tidy(inner: &Inner, tenant: &Arc<Tenant>) {
    let Ok(tidying) = Arc::clone(&tenant.tidying).try_lock_owned() else { return };
    let tenant = Arc::clone(tenant);
    drop(inner.tasks.spawn(async move {
        if let Err(err) = tenant.outbox.tidy().await {
            failed(&tenant, &err);
        }
        drop(tidying);
    }));
}

/// Whether anything of the tenant may go now.
fn may_go(inner: &Inner, tenant: &Tenant) -> bool {
    // Before whoever speaks with networks is there, what goes over them would be lost.
    let is_whole = inner.channels.get().is_some();
    is_whole && !inner.tasks.is_stopping() && is_served(&tenant.row.load())
}

/// Nothing is sent of a tenant that is suspended, or that is being deleted.
const fn is_served(row: &TenantRow) -> bool {
    !row.suspended && row.erasing.is_none()
}

fn bring(inner: &Arc<Inner>, tenant: &Arc<Tenant>) {
    let (inner, tenant) = (Arc::clone(inner), Arc::clone(tenant));
    let scope = inner.tasks.clone();
    drop(scope.spawn(async move {
        // A tenant whose worker has not been started yet has no rules that were looked at.
        if let Err(err) = reach::settle(&inner, &tenant).await {
            let error = types::Chain(&err);
            return tracing::warn!(tenant = %tenant.id, %error, "what is sent waits");
        }
        pump(&inner, &tenant).await;
    }));
}

/// Begins with whatever has its turn: one that does not get there keeps back no others, and each that is
/// done with makes room for the next.
fn pump<'a>(inner: &'a Arc<Inner>, tenant: &'a Arc<Tenant>) -> BoxFuture<'a, ()> {
    // What is begun begins with the next: a type that ends somewhere.
    Box::pin(async move {
        if !may_go(inner, tenant) {
            return;
        }
        match tenant.outbox.begin().await {
            Ok(turn) => {
                for seq in turn {
                    let (scope, tenant) = (Arc::clone(inner), Arc::clone(tenant));
                    drop(inner.tasks.spawn(async move { one(&scope, &tenant, seq).await }));
                }
            }
            Err(err) => failed(tenant, &err),
        }
    })
}

async fn one(inner: &Arc<Inner>, tenant: &Arc<Tenant>, seq: u64) {
    // The tenant's end waits for whoever has a pass, and is marked before: so the pass comes first.
    let pass = tenant.sending.enter();
    let may_go = || pass.is_ok() && may_go(inner, tenant);
    match tenant.outbox.bring(seq, &sinks(inner, tenant), &may_go).await {
        Ok(None) => {}
        Ok(Some((id, why))) => {
            tenant.log.note(&format!("{id} was not sent (see outbox.list): {why}"));
        }
        Err(err) => failed(tenant, &err),
    }
    drop(pass);
    pump(inner, tenant).await;
}

fn failed(tenant: &Tenant, err: &delivery::Error) {
    tenant.failures.tell(&tenant.id, err, "outbox");
}

/// The power to send, as it is served on one worker's pair.
#[derive(Debug)]
pub(crate) struct Power {
    inner: Arc<Inner>,
    tenant: Arc<Tenant>,
    /// What is shown at once; one more is not shown.
    showing: Semaphore,
}

/// See [`Power::showing`].
const MAX_SHOWING: usize = 8;

impl Power {
    pub(crate) fn new(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Self {
        let showing = Semaphore::new(MAX_SHOWING);
        Self { inner: Arc::clone(inner), tenant: Arc::clone(tenant), showing }
    }

    /// Where a handle leads.
    async fn address(&self, handle: &str) -> Result<Address, Status> {
        let channels = self.inner.channels.get();
        let channels = channels.ok_or_else(|| Status::unavailable("not connected yet"))?;
        let address = channels.address(&self.tenant.id, handle).await;
        address.ok_or_else(|| Status::invalid_argument("the handle leads nowhere"))
    }

    fn refused(&self, err: &delivery::Error) -> Status {
        match err {
            delivery::Error::TooLarge { .. } => Status::invalid_argument(err.to_string()),
            delivery::Error::Full { .. } => Status::resource_exhausted(err.to_string()),
            delivery::Error::NotFound
            | delivery::Error::State { .. }
            | delivery::Error::Records(_)
            | delivery::Error::Sealed(_) => {
                failed(&self.tenant, err);
                Status::unavailable("it could not be kept")
            }
        }
    }
}

#[tonic::async_trait]
impl Service for Power {
    async fn submit(
        &self,
        request: Request<IntentRequest>,
    ) -> Result<Response<IntentReply>, Status> {
        let IntentRequest { intent_id, sink, parts, over } = request.into_inner();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":._-".contains(&byte);
        if !intent_id.bytes().all(plain) {
            return Err(Status::invalid_argument("intent_id has letters, digits and : . _ - only"));
        }
        let Address { sink, place, lane } = match sink {
            Some(Asked::Webhook(webhook)) => {
                let (sink, lane) = (WEBHOOK.to_owned(), String::new());
                Address { sink, place: webhook.url, lane }
            }
            Some(Asked::Channel(channel)) => self.address(&channel.handle).await?,
            None => return Err(Status::invalid_argument("sink is missing")),
        };
        let over = Some(over).filter(|over| !over.is_empty());
        let intent = Intent { id: intent_id, sink: sink.into(), place, lane, parts, over };
        let taken = self.tenant.outbox.submit(&intent).await;
        let Taken::Kept(state) = taken.map_err(|err| self.refused(&err))?;
        bring(&self.inner, &self.tenant);
        Ok(Response::new(IntentReply { state: state.to_owned() }))
    }

    async fn show(&self, request: Request<ShowRequest>) -> Result<Response<ShowReply>, Status> {
        let ShowRequest { channel, intent_id, part } = request.into_inner();
        let channel = channel.ok_or_else(|| Status::invalid_argument("channel is missing"))?;
        let Ok(_showing) = self.showing.try_acquire() else {
            return Ok(Response::new(ShowReply { is_shown: false }));
        };
        let address = self.address(&channel.handle).await?;
        let channels = self.inner.channels.get().filter(|_| may_go(&self.inner, &self.tenant));
        let is_shown = match channels {
            None => false,
            Some(channels) if part.is_empty() => channels.typing(&self.tenant.id, &address).await,
            Some(_) => {
                let (to, sinks) =
                    ((&*address.sink, &*address.place), sinks(&self.inner, &self.tenant));
                let revised = self.tenant.outbox.revise(&intent_id, to, &part, &sinks).await;
                revised.map_err(|err| self.refused(&err))?
            }
        };
        Ok(Response::new(ShowReply { is_shown }))
    }

    async fn waiting(
        &self,
        _request: Request<WaitingRequest>,
    ) -> Result<Response<WaitingReply>, Status> {
        let intent_ids = self.tenant.outbox.waiting().await;
        let intent_ids = intent_ids.map_err(|err| self.refused(&err))?;
        Ok(Response::new(WaitingReply { intent_ids }))
    }
}

impl Tenants {
    /// What the tenant's workers have sent and that is not where it goes.
    ///
    /// # Errors
    /// When there is no such tenant or its box cannot be read.
    pub async fn intents_of(
        &self,
        permit: &auth::Permit,
    ) -> Result<Vec<delivery::outbox::Listed>, Error> {
        Ok(self.find(permit.tenant())?.outbox.list().await?)
    }
}
