//! The words of the control plane: what operators send and what they get back, as JSON.
//!
//! The server and the command line share these types, and the `OpenAPI` document is made of them.
//! Requests refuse unknown fields; replies may gain fields, so readers ignore those they do not
//! know. Nothing here does I/O, and no type here can hold a secret except the `Created*`, `Rotated`,
//! `AddedChannel` and `Restored*` replies, which are sent once, `AddChannel`, and `BackupKey`.

mod audit;
mod backups;
mod boundary;
mod channels;
mod doctor;
mod error;
mod evidence;
mod keys;
mod limits;
mod params;
mod prices;
mod schema;
mod status;
mod tenants;
mod terminals;
mod time;
mod tokens;
mod usage;

pub use audit::{AuditHead, AuditPage, AuditQuery};
pub use backups::{
    Backup, BackupContents, BackupKey, BackupList, BackupPath, BackupProgress, BackupSchedule,
    BackupSchedules, KeepBackups, PrunedBackups, RestoreBackup, RestoredBackup, SetBackupSchedule,
    VerifiedBackup,
};
pub use boundary::{
    Boundary, Capabilities, Cgroup, Descriptor, Finding, Landlock, Mount, Namespaces, Resource,
    Seccomp,
};
pub use channels::{
    AddChannel, AddedChannel, ApproveChannel, ApprovedChannel, Channel, ChannelCode, ChannelList,
    ChannelPath, ChannelRequest, ChannelRequests, ChannelTest, DEFAULT_ACCOUNT, PairChannel,
    SharedChannelPath,
};
pub use doctor::{Check, Checks, Verdict};
pub use error::{Code, Failure, Problem};
pub use evidence::{Drift, EvidenceKey, WorkerDrift};
pub use keys::{CreateKey, CreatedKey, Key, KeyList};
pub use limits::{Limits, LimitsPatch};
pub use params::{KeyPath, LogsQuery, PageQuery, TenantPath, TerminalPath, TokenPath};
pub use prices::{PriceRow, Prices};
pub use status::{HostSummary, Status, TenantCounts};
pub use tenants::{
    CreateTenant, CreatedTenant, Deleted, EgressRules, ErasedTenant, Logs, RestartTenant,
    SetEgress, Tenant, TenantList, TenantRow, TenantState, UpdateTenant, Worker,
};
pub use terminals::{
    MAX_TYPED, OpenTerminal, OpenedTerminal, Terminal, TerminalList, TerminalSize, Typed,
};
pub use time::Timestamp;
pub use tokens::{CreateToken, IssuedToken, Token, TokenList};
pub use usage::{Period, Quotas, Standing, Usage, UsageList, UsagePageQuery, UsageQuery, UsageRow};

/// The largest request body, in bytes: the largest request is a hundred egress rules.
pub const MAX_BODY: usize = 64 << 10;

/// Rows in one page of a list when the caller does not say.
pub const DEFAULT_PAGE: u32 = 100;

/// The most rows in one page of a list.
pub const MAX_PAGE: u32 = 1000;

/// The most log lines in one reply; the log of a tenant is a ring of about this size.
pub const MAX_LOG_LINES: u32 = 1000;

/// The header under which a create may be repeated safely.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The header that names one request in replies and in the log.
pub const REQUEST_ID: &str = "x-request-id";
