//! The running gateway: every part started in order, and ended in the reverse.

use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use accounts::Accounts;
use alerts::Alerts;
use audit::Audit;
use auth::Auth;
use backups::Backups;
use books::Books;
use control::{Control, Requests};
use egress::Broker;
use front::{Front, Readiness, Ui};
use gateway::Gateway;
use host::Host;
use hub::Hub;
use methods::Methods;
use prometheus_client::registry;
use records::Records;
use runtime::Tasks;
use sandbox::Launcher;
use settings::Settings;
use tenants::Tenants;
use types::{Clock, Quota, SystemClock, UnixMillis};

use crate::config::Config;
use crate::error::Error;
use crate::notary::Registry;
use crate::sockets::Sockets;
use crate::witness::Keepers;
use crate::{authority, money, told};

/// How long what is under way may take to finish once the gateway is asked to stop.
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// How long tasks may take to end after that.
const TASKS_DEADLINE: Duration = Duration::from_secs(5);

/// How often last-use times of tokens are written.
const FLUSH_EVERY: Duration = Duration::from_secs(30);

/// The control socket, below the state directory.
pub(crate) const CONTROL_SOCKET: &str = "run/control.sock";

/// The directory of the keys under which tenants' secrets are sealed, and evidence and the audit trail
/// are signed.
pub(crate) const KEYS: &str = "keys";

/// The sockets that the gateway listens on, bound before privilege is dropped.
#[derive(Debug)]
pub struct Listeners {
    /// Clients.
    pub gateway: StdTcpListener,
    /// Operators.
    pub control: StdTcpListener,
}

/// What is opened with the rights of whoever starts the gateway.
#[derive(Debug)]
pub struct Opened {
    /// What to listen on.
    pub listeners: Listeners,
    /// The browser UI's folder, where there is one.
    pub ui: Option<Ui>,
    /// What the operator has set for all tenants.
    pub platform: settings::Platform,
    /// What tenants may reach.
    pub egress: egress::Config,
    /// This program, so that its digest can be recorded; none where it is not to be found any more.
    pub program: Option<std::fs::File>,
    /// Where backups lie and when they are made.
    pub backup: backups::Config,
    /// What models cost, for operators.
    pub prices: control_api::Prices,
    /// What the operator is told through.
    pub webhook: Option<alerts::Webhook>,
}

/// The running gateway.
#[derive(Debug)]
pub struct App {
    tasks: Tasks,
    serving: Tasks,
    auth: Auth,
    audit: Audit,
    tenants: Tenants,
    books: Books,
    readiness: Readiness,
    gateway: SocketAddr,
    control: SocketAddr,
}

impl App {
    /// Starts every part. Paths are relative to the state directory, which is the working one.
    ///
    /// # Errors
    /// When any part cannot be started; nothing is left running.
    pub async fn start(
        launcher: Launcher,
        config: &Config,
        host: host::Config,
        opened: Opened,
    ) -> Result<Self, Error> {
        let mut registry = registry::Registry::default();
        let said = Said {
            platform: opened.platform,
            egress: opened.egress,
            sandboxes: config.sandbox.config(),
            audit: config.audit,
            webhook: opened.webhook,
            quotas: money::quotas(&config.quotas),
            tenant_labels: config.metrics.tenant_labels,
            workers: config.workers.read(),
        };
        let core = Core::open(launcher, host, said, &mut registry).await?;
        let backups = core.backups(opened.backup, &mut registry).await?;
        require(&config.require, core.tenants.host_report())?;
        say_what_is_weaker(core.tenants.host_report());
        let evidence_key = evidence::Key::load(Path::new(KEYS)).map_err(Error::Evidence)?;
        let (serving, readiness) = (Tasks::default(), Readiness::default());
        let accounts = core.accounts(config).await?;
        let behind = (backups.clone(), accounts.clone());
        let front = core.front(config, behind, opened.ui, readiness.clone());
        let front = Front::new(front, &mut registry);
        let requests = Requests::register(&mut registry);
        let sockets = Sockets::open(opened.listeners).await?;
        let (gateway, control) = (sockets.gateway_address, sockets.control_address);
        let Core { auth, audit, tenants, records, books, clock, tasks, started_at, .. } = core;
        let worker = tenants.host_report().worker_digest.as_deref();
        told::start(&audit, config, (opened.program, worker), &tasks);
        let plane = Control::new(control::Parts {
            auth: auth.clone(),
            tenants: tenants.clone(),
            audit: audit.clone(),
            backups,
            accounts,
            records,
            started_at,
            clock,
            metrics: Arc::new(registry),
            requests,
            prices: opened.prices,
            version: env!("CARGO_PKG_VERSION"),
            gateway,
            evidence_key,
            witness: Arc::new(Keepers { books: books.clone(), audit: audit.clone() }),
            allowed_uids: config.control_uids.clone(),
        });
        sockets.serve(&front, &plane, &serving);
        flush_last_use(&auth, &tasks);
        readiness.set_ready();
        Ok(Self { tasks, serving, auth, audit, tenants, books, readiness, gateway, control })
    }

    /// Where clients connect.
    pub const fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// Where operators connect.
    pub const fn control(&self) -> SocketAddr {
        self.control
    }

    /// Stops accepting, drains with a deadline, ends.
    pub async fn stop(self) {
        self.readiness.set_draining();
        let accepted = self.serving.shut_down(DRAIN_DEADLINE).await;
        self.tenants.shut_down(TASKS_DEADLINE).await;
        write_last_use(&self.auth).await;
        self.books.close().await;
        let ended = self.tasks.shut_down(TASKS_DEADLINE).await;
        told::stop(&self.audit).await;
        if !(accepted && ended) {
            tracing::warn!("the deadline passed before all work had ended");
        }
    }
}

/// What the operator says of tenants, as it is used.
struct Said {
    platform: settings::Platform,
    egress: egress::Config,
    sandboxes: sandboxes::Config,
    audit: audit::Config,
    webhook: Option<alerts::Webhook>,
    quotas: Vec<Quota>,
    tenant_labels: usize,
    workers: tenants::Workers,
}

/// The parts that no socket leads to directly.
struct Core {
    auth: Auth,
    audit: Audit,
    tenants: Tenants,
    alerts: Alerts,
    hub: Hub,
    settings: Settings,
    records: Records,
    books: Books,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    started_at: UnixMillis,
}

impl Core {
    async fn open(
        launcher: Launcher,
        host: host::Config,
        said: Said,
        registry: &mut registry::Registry,
    ) -> Result<Self, Error> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (tasks, hub) = (Tasks::default(), Hub::default());
        let Said { platform, egress, sandboxes, audit, webhook, quotas, .. } = said;
        let (records, audit, auth) = authority::open(audit, &clock, registry).await?;
        let host = Host::new(host, Arc::clone(&clock), registry).map_err(Error::Host)?;
        let egress = Broker::new(egress, Arc::clone(&clock), registry, tasks.clone());
        let egress = egress.map_err(Error::Egress)?;
        let alerts = Alerts::new(webhook.as_ref(), Arc::clone(&clock), &tasks, registry);
        let alerts = alerts.map_err(Error::Alerts)?;
        let (books, ledger) =
            money::books(Arc::clone(&clock), &quotas, registry).map_err(Error::Books)?;
        let settings = authority::secrets(&records, platform)?;
        let notary = Arc::new(Registry {
            key: evidence::Key::load(Path::new(KEYS)).map_err(Error::Evidence)?,
            witness: Arc::new(Keepers { books: books.clone(), audit: audit.clone() }),
            clock: Arc::clone(&clock),
        });
        let parts = tenants::Parts {
            launcher,
            records: records.clone(),
            host,
            egress,
            hub: hub.clone(),
            settings: settings.clone(),
            sandboxes,
            audit: audit.clone(),
            ledger,
            books: books.clone(),
            alerts: alerts.clone(),
            tenant_labels: said.tenant_labels,
            workers: said.workers,
            notary,
            clock: Arc::clone(&clock),
            tasks: tasks.child(),
            registry,
        };
        let tenants = Tenants::start(parts).await.map_err(Error::Tenants)?;
        Ok(Self {
            auth,
            audit,
            tenants,
            alerts,
            hub,
            settings,
            records,
            books,
            started_at: clock.now(),
            clock,
            tasks,
        })
    }

    /// The tenants' backups, and then the erasures that the last gateway did not finish: what was to be
    /// erased may have been about to be replaced.
    async fn backups(
        &self,
        config: backups::Config,
        registry: &mut registry::Registry,
    ) -> Result<Backups, Error> {
        let live = backups::Live { tenants: self.tenants.clone(), auth: self.auth.clone() };
        let parts = backups::Parts {
            config,
            roots: Arc::new(live),
            records: self.records.clone(),
            settings: self.settings.clone(),
            audit: self.audit.clone(),
            alerts: self.alerts.clone(),
            hub: self.hub.clone(),
            clock: Arc::clone(&self.clock),
            tasks: self.tasks.child(),
            registry,
        };
        let backups = Backups::start(parts).await.map_err(Error::Backups)?;
        self.tenants.finish_erasures(&self.auth).await;
        Ok(backups)
    }

    /// Accounts at chat networks, connected after what was to be erased is gone.
    async fn accounts(&self, config: &Config) -> Result<Accounts, Error> {
        let parts = accounts::Parts {
            config: config.channels.read(),
            records: self.records.clone(),
            settings: self.settings.clone(),
            tenants: self.tenants.clone(),
            clock: Arc::clone(&self.clock),
            tasks: self.tasks.child(),
        };
        Accounts::start(parts).await.map_err(Error::Accounts)
    }

    /// What tenants' clients reach.
    fn front(
        &self,
        config: &Config,
        (backups, accounts): (Backups, Accounts),
        ui: Option<Ui>,
        readiness: Readiness,
    ) -> front::Parts {
        let (auth, tenants) = (self.auth.clone(), self.tenants.clone());
        let methods = Methods::new(methods::Parts {
            auth: auth.clone(),
            tenants: tenants.clone(),
            backups,
            accounts: accounts.clone(),
            hub: self.hub.clone(),
            settings: self.settings.clone(),
            records: self.records.clone(),
            audit: self.audit.clone(),
            clock: Arc::clone(&self.clock),
            started_at: self.started_at,
        });
        let gateway = Gateway::new(gateway::Parts {
            auth: auth.clone(),
            hub: self.hub.clone(),
            methods: methods.clone(),
            tenants: tenants.clone(),
            clock: Arc::clone(&self.clock),
            version: env!("CARGO_PKG_VERSION"),
            allowed_origins: config.control_ui.allowed_origins.clone(),
            tasks: self.tasks.child(),
        });
        let limits = front::Limits::default();
        front::Parts { methods, accounts, gateway, auth, tenants, limits, readiness, ui }
    }
}

/// Never a silent downgrade: each guarantee that this machine does not give is a line of the log.
fn say_what_is_weaker(report: &sandbox::HostReport) {
    for lost in &report.degraded {
        tracing::warn!(guarantee = %lost.guarantee, reason = %lost.reason, "guarantee not given");
    }
}

fn require(required: &[String], report: &sandbox::HostReport) -> Result<(), Error> {
    let lost = |guarantee: &&String| {
        report.degraded.iter().any(|degraded| degraded.guarantee == guarantee.as_str())
    };
    let missing: Vec<_> = required.iter().filter(lost).cloned().collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Required(missing)) }
}

fn flush_last_use(auth: &Auth, tasks: &Tasks) {
    let auth = auth.clone();
    tasks.spawn_until_stopped(async move {
        let mut ticks = tokio::time::interval(FLUSH_EVERY);
        loop {
            ticks.tick().await;
            write_last_use(&auth).await;
        }
    });
}

async fn write_last_use(auth: &Auth) {
    if let Err(err) = auth.flush_last_used().await {
        tracing::error!(error = %types::Chain(&err), "last use of tokens not written");
    }
}
