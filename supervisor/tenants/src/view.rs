//! What operators see of a tenant.

use ledger::Amount;
use types::{Limits, Sleep, TenantId, UnixMillis};

/// Where a tenant's worker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No worker; the next request starts one.
    Stopped,
    /// A worker is being started and verified.
    Starting,
    /// A verified worker takes requests.
    Ready,
    /// The worker finishes what it has; new requests wait for its successor.
    Draining,
    /// The worker crashed too often; nothing is started for a while.
    Parked,
    /// An operator suspended the tenant.
    Suspended,
}

impl State {
    /// Every one of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Stopped, Self::Starting, Self::Ready, Self::Draining, Self::Parked, Self::Suspended];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Parked => "parked",
            Self::Suspended => "suspended",
        }
    }
}

/// One tenant.
#[derive(Debug, Clone)]
pub struct TenantView {
    /// The tenant's id.
    pub id: TenantId,
    /// Where its worker is in its life.
    pub state: State,
    /// When the tenant was created.
    pub created_at: UnixMillis,
    /// The limits that hold.
    pub limits: Limits,
    /// When its worker sleeps, the operator's default applied.
    pub sleeps: Sleep,
    /// When the tenant last had a request, as far as is known.
    pub last_active_at: Option<UnixMillis>,
    /// Its worker, if one is alive.
    pub worker: Option<WorkerView>,
}

/// One worker.
#[derive(Debug, Clone)]
pub struct WorkerView {
    /// Its process id outside.
    pub pid: u32,
    /// When it was verified.
    pub started_at: UnixMillis,
    /// Proportional set size in bytes, where it was asked for.
    pub pss_bytes: Option<u64>,
    /// Its version.
    pub version: String,
}

/// What one tenant used in a window.
#[derive(Debug, Clone)]
pub struct UsageView {
    /// The UTC day or month, for example `2026-11-22` or `2026-11`.
    pub window: String,
    /// What was used.
    pub used: Amount,
    /// The limits that hold.
    pub limits: Limits,
}

/// How many tenants there are, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All tenants.
    pub registered: usize,
    /// Those with a verified worker.
    pub ready: usize,
    /// Those that are parked.
    pub parked: usize,
    /// Those that are suspended.
    pub suspended: usize,
}
