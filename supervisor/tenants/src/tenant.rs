//! One tenant: its limits, its account, and the worker that takes its requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use delivery::inbox::Inbox;
use delivery::outbox::Outbox;
use egress::Outlet;
use ledger::{Account, Admission};
use records::TenantRow;
use runtime::{Gate, Pass};
use sandboxes::approvals::Approvals;
use sandboxes::{Owner, Programs};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use types::{TenantId, UnixMillis};

use crate::failures::Failures;
use crate::lifecycle::{self, Control};
use crate::logs::Log;
use crate::starts::Wanted;
use crate::timers::Timer;
use crate::view::{State, TenantView, WorkerView};
use crate::worker::Worker;
use crate::{Error, Inner};

/// What one tenant's clients take of the gateway at this moment, so that whoever bounds it can tell
/// one tenant from the others.
#[derive(Debug, Default)]
pub struct Load {
    /// Bytes of bodies and replies that are held in memory.
    pub bytes: AtomicUsize,
    /// Connections whose latest request was the tenant's.
    pub connections: AtomicUsize,
}

/// Why a worker is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Somebody waits for an answer.
    Person,
    /// A timer is due, or the worker is to be always awake.
    Upkeep,
}

/// One registered tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) row: ArcSwap<TenantRow>,
    pub(crate) account: Arc<Account>,
    pub(crate) load: Arc<Load>,
    pub(crate) log: Log,
    /// Its way out; shut until its settings are known.
    pub(crate) outlet: Arc<Outlet>,
    /// Held while the rules of the way out are made, so that the newest are the last.
    pub(crate) settling: Mutex<()>,
    /// What of its commands waits for consent.
    pub(crate) approvals: Approvals,
    /// Its commands and terminals.
    pub(crate) programs: Arc<Programs>,
    /// The worker that takes requests, read without a lock.
    pub(crate) worker: ArcSwapOption<Worker>,
    /// Held by whoever starts, drains or ends the worker; requests that find none wait for it.
    pub(crate) control: Arc<Mutex<Control>>,
    /// Who waits for a worker to be started.
    pub(crate) wanted: Arc<Wanted>,
    /// What the holder of `control` is doing, for people who look.
    pub(crate) busy: ArcSwapOption<State>,
    /// Until when nothing is started, in milliseconds since the epoch; 0 for not parked.
    pub(crate) parked_until: AtomicU64,
    /// Whether its worker is being started because it is to be always awake.
    pub(crate) warming: AtomicBool,
    /// Before this that is not tried again.
    pub(crate) warm_again: AtomicU64,
    /// Whether the tenant's root was made ready since the gateway started.
    pub(crate) prepared: AtomicBool,
    /// Whether its root has taken the place of another, which is still kept.
    pub(crate) unsettled: AtomicBool,
    /// Held while an archive of it is made.
    pub(crate) exporting: Arc<Mutex<()>>,
    /// Held while there is a root beside its own.
    pub(crate) staging: Arc<Mutex<()>>,
    /// Cancelled when it is to be removed, as far as a root beside its own is concerned.
    pub(crate) ended: CancellationToken,
    /// Held while evidence of its boundary is gathered.
    pub(crate) gathering: Mutex<()>,
    /// Held while events wait for its worker to be started.
    pub(crate) looking: Arc<Mutex<()>>,
    /// Held while what it has sent is tidied.
    pub(crate) tidying: Arc<Mutex<()>>,
    /// Where it is told that its boxes cannot be read or written.
    pub(crate) failures: Arc<Failures>,
    /// What has come for it and is not dealt with.
    pub(crate) inbox: Inbox,
    /// What its workers send.
    pub(crate) outbox: Outbox,
    /// Who of them is at it: the tenant's end waits for what is under way.
    pub(crate) sending: Gate,
    /// When its worker wants to be woken.
    pub(crate) timer: Timer,
    /// How often its settings changed since the gateway started.
    pub(crate) settings_changes: AtomicU64,
    /// When the tenant last had a request; 0 for never.
    pub(crate) last_used: AtomicU64,
}

impl Tenant {
    pub(crate) fn new(inner: &Inner, row: TenantRow, now: UnixMillis) -> Self {
        let log = Log::default();
        let account = Account::new(&inner.ledger, row.id.clone(), &row.limits, now);
        let account = Arc::new(account);
        let outlet = inner.egress.outlet(Arc::new(log.clone()), Arc::clone(&account));
        let approvals = inner.office.open(&row.id);
        let programs = inner.sandboxes.programs(Owner {
            tenant: row.id.clone(),
            index: row.index,
            journal: Arc::new(log.clone()),
            way_out: Arc::clone(&outlet),
            approvals: approvals.clone(),
            account: Arc::clone(&account),
            clock: Arc::clone(&inner.clock),
        });
        Self {
            id: row.id.clone(),
            approvals,
            programs,
            account,
            load: Arc::default(),
            outlet,
            settling: Mutex::default(),
            log,
            worker: ArcSwapOption::empty(),
            control: Arc::default(),
            wanted: Arc::default(),
            warming: AtomicBool::new(false),
            warm_again: AtomicU64::new(0),
            busy: ArcSwapOption::empty(),
            parked_until: AtomicU64::new(0),
            prepared: AtomicBool::new(false),
            unsettled: AtomicBool::new(false),
            exporting: Arc::default(),
            staging: Arc::default(),
            ended: CancellationToken::new(),
            settings_changes: AtomicU64::new(0),
            gathering: Mutex::default(),
            looking: Arc::default(),
            tidying: Arc::default(),
            failures: Arc::clone(&inner.failures),
            inbox: Inbox::new(row.id.clone(), inner.deliveries.clone()),
            outbox: Outbox::new(row.id.clone(), inner.deliveries.clone()),
            sending: Gate::default(),
            timer: Timer::default(),
            last_used: AtomicU64::new(row.last_active_at.unwrap_or(0)),
            row: ArcSwap::from_pointee(row),
        }
    }

    /// A place for one more request of whoever has presented the token with the id `token`, or the limit
    /// that it would break.
    pub(crate) fn admit(&self, inner: &Inner, token: &str) -> Result<Admission, Error> {
        let now = inner.clock.now();
        self.last_used.store(now, Ordering::Relaxed);
        self.account.admit(now, Some(&token.into())).map_err(|refusal| {
            inner.host.refusals().count(&refusal);
            Error::Refused(Box::new(refusal))
        })
    }

    /// A verified worker and the right to send it one request of somebody who waits for the answer;
    /// starts one where none is.
    pub(crate) async fn ready(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
    ) -> Result<(Arc<Worker>, Pass), Error> {
        self.ready_for(inner, Cause::Person).await
    }

    /// The same, for whatever cause.
    pub(crate) async fn ready_for(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        cause: Cause,
    ) -> Result<(Arc<Worker>, Pass), Error> {
        if let Some(found) = self.enter() {
            return Ok(found);
        }
        let _person = (cause == Cause::Person).then(|| self.wanted.by_person());
        let asked = Instant::now();
        let mut control = Arc::clone(&self.control).lock_owned().await;
        if let Some(found) = self.enter() {
            return Ok(found);
        }
        // What was refused to one is refused to all that waited with it, not to each after a wait of its own.
        if control.was_turned_away(asked) {
            return Err(Error::Full);
        }
        let (tenant, scope) = (Arc::clone(self), Arc::clone(inner));
        // A task of its own: a client that hangs up must not leave a half-started worker behind.
        let start = inner.tasks.spawn(async move {
            let started = lifecycle::start(&scope, &tenant, &mut control).await;
            // Entered before anybody else can move the worker, who would find it idle.
            let entered = started.map(|worker| worker.enter());
            drop(control);
            entered
        });
        start.await.map_err(Error::Task)??.ok_or(Error::WorkerGone)
    }

    fn enter(&self) -> Option<(Arc<Worker>, Pass)> {
        self.worker.load().as_ref().and_then(Worker::enter)
    }

    /// Whether it is being erased: nothing of it is shown or served any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.row.load().erasing.is_some()
    }

    pub(crate) fn state(&self, now: UnixMillis) -> State {
        if let Some(busy) = self.busy.load_full() {
            return *busy;
        }
        if self.row.load().suspended {
            State::Suspended
        } else if self.worker.load().as_ref().is_some_and(|worker| !worker.is_gone()) {
            State::Ready
        } else if self.parked_until.load(Ordering::Relaxed) > now {
            State::Parked
        } else {
            State::Stopped
        }
    }

    pub(crate) fn view(&self, inner: &Inner, now: UnixMillis) -> TenantView {
        let row = self.row.load();
        let worker = self.worker.load_full().filter(|worker| !worker.is_gone());
        let last_used = self.last_used.load(Ordering::Relaxed);
        TenantView {
            id: self.id.clone(),
            state: self.state(now),
            created_at: row.created_at,
            limits: row.limits.clone(),
            sleeps: inner.sleep_of(self),
            last_active_at: (last_used > 0).then_some(last_used),
            worker: worker.map(|worker| WorkerView {
                pid: worker.pid,
                started_at: worker.started_at,
                pss_bytes: None,
                version: worker.version.clone(),
            }),
        }
    }
}
