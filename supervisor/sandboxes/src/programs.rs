//! The programs of one tenant: whether any may start, what its settings let them do, and how all of
//! them are ended at once.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use egress::{Guard, Journal, Outlet};
use ledger::Account;
use runtime::{Gate, Pass};
use sandbox::program::{Rlimits, Spec};
use sandbox::{Class, RunOrder};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use types::{AgentId, Chain, Clock, TenantId};

use crate::approvals::Approvals;
use crate::bounds::{CALLS, FILE_SIZE, OPEN_FILES};
use crate::metrics::Kind;
use crate::pace::Pace;
use crate::places::Place;
use crate::policy::{Network, Policy};
use crate::process::{Held, Maker};
use crate::terminal::{End, Terminal};
use crate::{Error, Inner};

/// Whose programs they are.
#[derive(Debug)]
pub struct Owner {
    /// The tenant.
    pub tenant: TenantId,
    /// The tenant's never reused number.
    pub index: u32,
    /// The tenant's own log.
    pub journal: Arc<dyn Journal>,
    /// The tenant's way out.
    pub way_out: Arc<Outlet>,
    /// Who has to agree to the tenant's commands.
    pub approvals: Approvals,
    /// Where the time that programs run is counted.
    pub account: Arc<Account>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

/// The programs of one tenant.
#[derive(Debug)]
pub struct Programs {
    pub(crate) shared: Arc<Inner>,
    pub(crate) owner: Owner,
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) terminals: Mutex<BTreeMap<String, Arc<Terminal>>>,
    pub(crate) over: Mutex<VecDeque<(String, End)>>,
    scope: ArcSwap<Scope>,
    refusals: Mutex<Pace>,
    /// How often the settings changed.
    changes: watch::Sender<u64>,
    /// What they came to, and after how many changes.
    known: ArcSwapOption<(u64, Policy)>,
}

/// In which programs run until all are ended at once.
#[derive(Debug, Default)]
struct Scope {
    gate: Gate,
    stop: CancellationToken,
}

/// Says so when the settings have changed.
pub(crate) type Changes = watch::Receiver<u64>;

/// The right to run one program, until it is told to stop.
#[derive(Debug)]
pub(crate) struct Leave {
    pub(crate) pass: Pass,
    pub(crate) stop: CancellationToken,
}

/// What a sandbox is ordered with beside what runs in it.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) agent: AgentId,
    pub(crate) class: Class,
    pub(crate) egress: bool,
    pub(crate) seconds: u64,
}

impl Programs {
    pub(crate) fn new(shared: &Arc<Inner>, owner: Owner) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(shared),
            owner,
            calls: Arc::new(Semaphore::new(CALLS)),
            terminals: Mutex::default(),
            over: Mutex::default(),
            scope: ArcSwap::default(),
            refusals: Mutex::default(),
            changes: watch::Sender::new(0),
            known: ArcSwapOption::empty(),
        })
    }

    /// Starts nothing from now on, ends everything, and returns when nothing is left and those who see
    /// terminals have been told.
    pub async fn close(&self) {
        let scope = self.scope.load_full();
        scope.gate.close();
        scope.stop.cancel();
        scope.gate.emptied().await;
    }

    /// Lets programs start again.
    pub fn open(&self) {
        if self.scope.load().stop.is_cancelled() {
            self.scope.store(Arc::default());
        }
    }

    /// The tenant's settings have changed: they are read anew before the next program starts, and what
    /// they forbid now is ended.
    pub fn settings_changed(&self) {
        self.changes.send_modify(|it| *it = it.wrapping_add(1));
    }

    /// Hears of changes of the settings from now on.
    pub(crate) fn changes(&self) -> Changes {
        self.changes.subscribe()
    }

    /// Resolves when the settings forbid what `by` looks for, or cannot be read any more.
    pub(crate) async fn forbidden(
        &self,
        mut changes: Changes,
        by: impl Fn(&Policy) -> Option<&'static str>,
    ) {
        while changes.changed().await.is_ok() {
            match self.policy().await {
                Ok(policy) if by(&policy).is_none() => {}
                Ok(_) => return,
                Err(err) => {
                    tracing::error!(
                        tenant = %self.owner.tenant, error = %Chain(&err),
                        "a program ends as nobody knows what it may"
                    );
                    return;
                }
            }
        }
        // Nobody is left who could change them.
        std::future::pending::<()>().await;
    }

    /// How many programs the tenant has now.
    pub fn running(&self) -> usize {
        self.scope.load().gate.passes()
    }

    /// The right to run one program.
    pub(crate) fn enter(&self) -> Result<Leave, Error> {
        let scope = self.scope.load();
        let pass = scope.gate.enter().map_err(|_closed| Error::Closed)?;
        Ok(Leave { pass, stop: scope.stop.child_token() })
    }

    /// What the settings say.
    pub(crate) async fn policy(&self) -> Result<Policy, Error> {
        let changes = *self.changes.borrow();
        if let Some(known) = self.known.load_full().filter(|it| it.0 == changes) {
            return Ok(known.1.clone());
        }
        let effective = self.shared.settings.effective(&self.owner.tenant).await;
        let settings = effective.map_err(Error::Settings)?.settings;
        let policy = Policy::parse(&settings).map_err(Error::Shape)?;
        self.known.store(Some(Arc::new((changes, policy.clone()))));
        Ok(policy)
    }

    /// Whether a program gets the way out.
    pub(crate) fn egress(&self, policy: &Policy) -> bool {
        policy.exec.network == Network::Broker && self.owner.way_out.rules().is_open()
    }

    /// The order for the launcher.
    pub(crate) fn order(&self, frame: &Frame) -> RunOrder {
        let bounds = &self.shared.bounds;
        RunOrder {
            tenant: self.owner.tenant.clone(),
            index: self.owner.index,
            agent: frame.agent.clone(),
            backend: self.shared.backend,
            class: frame.class,
            egress: frame.egress,
            memory_max: bounds.memory_max,
            pids_max: bounds.pids_max,
            cpu_millis: bounds.cpu_millis,
        }
    }

    /// What init is told, the program excepted.
    pub(crate) fn spec(&self, frame: &Frame) -> Spec {
        let bounds = &self.shared.bounds;
        let limits = Rlimits {
            cpu_seconds: frame.seconds.saturating_mul(u64::from(bounds.cpu_millis.div_ceil(1000))),
            file_size: FILE_SIZE,
            open_files: OPEN_FILES,
            processes: u64::from(bounds.pids_max),
        };
        Spec {
            argv: Vec::new(),
            env: Vec::new(),
            cwd: String::new(),
            terminal: None,
            files: Vec::new(),
            limits,
            class: frame.class,
            egress: frame.egress,
        }
    }

    pub(crate) fn maker(&self) -> Maker {
        Maker { launch: Arc::clone(&self.shared.launch), tasks: self.shared.tasks.clone() }
    }

    pub(crate) fn held(&self, pass: Pass, place: Place, kind: Kind) -> Held {
        Held { pass, place, counted: self.shared.metrics.began(kind) }
    }

    /// Serves the way out of a sandbox, if it has one, until what it gives is dropped.
    pub(crate) fn serve_way_out(&self, listener: Option<OwnedFd>) -> Result<Option<Guard>, Error> {
        let serve = |it| self.owner.way_out.proxy(it, &self.shared.tasks);
        listener.map(serve).transpose().map_err(Error::Descriptors)
    }

    /// One line of the tenant's log about what was refused; of many, some.
    pub(crate) fn note_refusal(&self, line: &str) {
        let mut pace = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let (tell, missed) = pace.next(Instant::now());
        drop(pace);
        if let Some(missed) = missed {
            self.note(&format!("{missed} more refusals were not written down"));
        }
        if tell {
            self.note(line);
        }
    }

    /// One line of the tenant's log.
    pub(crate) fn note(&self, line: &str) {
        self.owner.journal.note(line);
    }
}
