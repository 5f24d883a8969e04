//! From a tenant's name to its worker: start on demand, verify, route, watch, drain, stop.
//!
//! Routes nothing to a worker that the kernel does not describe as expected, opens no file under a
//! tenant's root, and parses neither what a client sends to a worker nor what a worker answers.

mod admin;
mod archive;
mod attachments;
mod channels;
mod cut;
mod deliveries;
mod directory;
mod drift;
mod erasure;
mod error;
mod events;
mod failures;
mod gather;
mod handing;
mod inspect;
mod launch;
mod letters;
mod lifecycle;
mod logs;
mod metrics;
mod money;
mod outbound;
mod outgoing;
mod patience;
mod powers;
mod pressure;
mod programs;
mod reach;
mod replace;
mod reply;
mod restored;
mod sleep;
mod stage;
mod starts;
mod sweep;
mod tenant;
mod timers;
mod view;
mod warnings;
mod watch;
mod worker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use alerts::Alerts;
use audit::Audit;
use auth::Permit;
use books::Books;
use egress::Broker;
use host::Host;
use hub::Hub;
use ledger::{Admission, Ledger};
use proto::worker::{CallReply, CallRequest, Route, ServeRequest};
use records::Records;
use runtime::Tasks;
use sandbox::{HostReport, Launcher};
use sandboxes::Sandboxes;
use sandboxes::approvals::Office;
use settings::Settings;
use types::{Clock, TenantId};

use directory::Directory;
use metrics::{Metrics, Shown};
use starts::Starts;
use tenant::Tenant;
use timers::Bell;

pub use archive::{Export, Summary};
pub use channels::{Address, Channels, NotFetched};
pub use deliveries::{Delivered, Event};
pub use drift::{Drift, Standing};
pub use erasure::{Certificate, Certifying, Erased, Notary};
pub use error::Error;
pub use gather::{Gathered, Made, Ordered};
pub use inspect::Inspection;
pub use metrics::Watched;
pub use money::{Rate, Rates, Span};
pub use outbound::NotHad;
pub use reach::Reach;
pub use reply::{Replies, Reply};
pub use sleep::Workers;
pub use stage::Staged;
pub use tenant::Load;
pub use view::{Counts, State, TenantView, UsageView, WorkerView};

/// How long a worker may take from the order to launch it to its first reply.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// How long one method of the method table may take in a worker.
const CALL_DEADLINE: Duration = Duration::from_mins(1);

/// Every tenant of this installation. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Tenants(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    launcher: Launcher,
    host_report: HostReport,
    records: Records,
    host: Host,
    egress: Broker,
    hub: Hub,
    settings: Settings,
    office: Office,
    sandboxes: Sandboxes,
    audit: Audit,
    ledger: Arc<Ledger>,
    books: Books,
    alerts: Alerts,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    deliveries: delivery::Shared,
    channels: OnceLock<Arc<dyn Channels>>,
    /// Whose files are held while they are sent.
    holders: Arc<outbound::Holders>,
    failures: Arc<failures::Failures>,
    directory: Directory,
    metrics: Metrics,
    workers: Workers,
    notary: Arc<dyn Notary>,
    /// Who may start next.
    starts: Starts,
    /// Workers that are being put to sleep because memory is short.
    leaving: AtomicUsize,
    /// When the next timer is due.
    bell: Bell,
    /// Held while all running workers are looked at.
    looking: tokio::sync::Mutex<()>,
}

/// What [`Tenants`] is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The process that starts workers.
    pub launcher: Launcher,
    /// The registry of tenants.
    pub records: Records,
    /// What workers may ask for.
    pub host: Host,
    /// How tenants get out.
    pub egress: Broker,
    /// Who hears of what happens in workers.
    pub hub: Hub,
    /// What workers are told to go by.
    pub settings: Settings,
    /// How their programs are run.
    pub sandboxes: sandboxes::Config,
    /// Where it is recorded what befalls workers.
    pub audit: Audit,
    /// What all of them may use.
    pub ledger: Arc<Ledger>,
    /// What they have used.
    pub books: Books,
    /// How the operator is told of limits that are nearly used up.
    pub alerts: Alerts,
    /// How many workers there may be, and when they sleep.
    pub workers: Workers,
    /// Who certifies that a tenant is gone.
    pub notary: Arc<dyn Notary>,
    /// How many tenants may be labels of metrics.
    pub tenant_labels: usize,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// The scope in which every task of every tenant runs.
    pub tasks: Tasks,
    /// Where the metrics are shown.
    pub registry: &'a mut prometheus_client::registry::Registry,
}

/// The place of one request among its tenant's, given back when the request is over or the ticket
/// is dropped. It is of the tenant whose permit it was made from, and of no other.
#[derive(Debug)]
pub struct Ticket {
    tenant: Arc<Tenant>,
    admission: Admission,
}

impl Tenants {
    /// Reads the registry and starts the housekeeping; starts no worker.
    ///
    /// # Errors
    /// When the records cannot be read or the launcher does not answer.
    pub async fn start(parts: Parts<'_>) -> Result<Self, Error> {
        let launcher = parts.launcher.clone();
        let host_report = launch::blocking(move || launcher.host()).await;
        let host_report = host_report.map_err(Error::Launcher)?;
        let (records, hub) = (parts.records.clone(), parts.hub.clone());
        let office = Office::new(records, hub, Arc::clone(&parts.clock));
        let sandboxes = Sandboxes::new(sandboxes::Parts {
            launcher: parts.launcher.clone(),
            report: &host_report,
            config: parts.sandboxes,
            settings: parts.settings.clone(),
            hub: parts.hub.clone(),
            tasks: parts.tasks.clone(),
            registry: parts.registry,
        });
        let sandboxes = sandboxes.map_err(Error::Sandboxes)?;
        let (settings, clock) = (parts.settings.clone(), Arc::clone(&parts.clock));
        let deliveries = delivery::Shared::new(parts.records.clone(), settings, clock);
        let tenants = Self(Arc::new(Inner {
            deliveries,
            channels: OnceLock::new(),
            holders: Arc::default(),
            failures: Arc::default(),
            launcher: parts.launcher,
            host_report,
            records: parts.records,
            host: parts.host,
            egress: parts.egress,
            hub: parts.hub,
            settings: parts.settings,
            office,
            sandboxes,
            audit: parts.audit,
            ledger: parts.ledger,
            books: parts.books,
            alerts: parts.alerts,
            clock: parts.clock,
            tasks: parts.tasks,
            directory: Directory::default(),
            metrics: Metrics::register(parts.registry),
            workers: parts.workers,
            notary: parts.notary,
            starts: Starts::new(parts.workers.bounds()),
            leaving: AtomicUsize::new(0),
            bell: Bell::default(),
            looking: tokio::sync::Mutex::default(),
        }));
        let shown = Shown::new(Arc::downgrade(&tenants.0), parts.tenant_labels);
        parts.registry.register_collector(Box::new(shown));
        tenants.load().await?;
        timers::load(&tenants.0).await?;
        deliveries::load(&tenants.0).await?;
        timers::start(&tenants.0);
        pressure::start(&tenants.0);
        sweep::start(&tenants);
        drift::start(&tenants);
        Ok(tenants)
    }

    /// A place for one request. It is to be taken before anything large is kept for the request.
    ///
    /// # Errors
    /// When the tenant is gone or one of its limits is reached.
    pub fn admit(&self, permit: &Permit) -> Result<Ticket, Error> {
        let tenant = self.find(permit.tenant())?;
        let admission = tenant.admit(&self.0, permit.principal().token_id())?;
        Ok(Ticket { tenant, admission })
    }

    /// One method of the method table that the worker serves.
    ///
    /// # Errors
    /// When the tenant's worker cannot be started or does not answer.
    pub async fn call(&self, ticket: Ticket, request: CallRequest) -> Result<CallReply, Error> {
        let Ticket { tenant, admission } = ticket;
        let admission = admission.named(&request.request_id).lingering();
        let (worker, pass) = tenant.ready(&self.0).await?;
        let call = worker.call(request);
        let reply = tokio::time::timeout(CALL_DEADLINE, call).await;
        drop((pass, admission));
        match reply {
            Ok(reply) => reply.map_err(|status| worker.failure(status)),
            Err(_elapsed) => Err(Error::Timeout),
        }
    }

    /// One method that may take long or answer more than once. Dropping the replies gives up waiting.
    ///
    /// # Errors
    /// When the tenant's worker cannot be started or does not answer.
    pub async fn replies(&self, ticket: Ticket, request: CallRequest) -> Result<Replies, Error> {
        let Ticket { tenant, admission } = ticket;
        let admission = admission.named(&request.request_id).lingering();
        let (worker, pass) = tenant.ready(&self.0).await?;
        match worker.replies(request).await {
            Ok(replies) => Ok(Replies::new(replies, worker, (pass, admission))),
            Err(status) => Err(worker.failure(status)),
        }
    }

    /// Tells the tenant's worker its settings anew. One that sleeps is woken a moment later: they may
    /// say that something is due.
    ///
    /// # Errors
    /// When the settings cannot be read, the worker refuses them, or the timer cannot be written.
    pub async fn configure(&self, id: &TenantId) -> Result<(), Error> {
        let tenant = self.find(id)?;
        // Told before the worker is looked for: one that is being started looks again.
        tenant.settings_changes.fetch_add(1, Ordering::AcqRel);
        tenant.programs.settings_changed();
        // What is forbidden is so at once, whatever the worker says to its settings.
        reach::settle(&self.0, &tenant).await?;
        match tenant.worker.load_full().filter(|worker| !worker.is_gone()) {
            Some(worker) => launch::configure(&self.0, &tenant, &worker).await,
            None => timers::ring_soon(&self.0, &tenant).await,
        }
    }

    /// One request of the OpenAI-compatible surface; the reply arrives in parts. Dropping the reply
    /// cancels the run.
    ///
    /// # Errors
    /// When the tenant's worker cannot be started or does not answer.
    pub async fn serve(&self, ticket: Ticket, request: ServeRequest) -> Result<Reply, Error> {
        let Ticket { tenant, admission } = ticket;
        let is_hook = request.route == i32::from(Route::Hook);
        let admission = admission.named(&request.request_id);
        // What a hook begins goes on when it is answered.
        let admission = if is_hook { admission.lingering() } else { admission };
        let (worker, pass) = tenant.ready(&self.0).await?;
        match worker.serve(request).await {
            Ok(parts) => Ok(Reply::new(parts, worker, (pass, admission))),
            Err(status) => Err(worker.failure(status)),
        }
    }

    fn find(&self, id: &TenantId) -> Result<Arc<Tenant>, Error> {
        let found = self.0.directory.find(id).filter(|tenant| !tenant.is_ending());
        found.ok_or(Error::NotFound)
    }
}
