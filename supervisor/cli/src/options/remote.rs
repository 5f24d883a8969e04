//! The commands that are requests to a running gateway.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use clap_complete::Shell;
use types::{AgentId, Quota, Role, Scope, Secret, Sleep, TenantId};

use super::lifecycle::{ErasureCommand, Restart};
use super::{AuditCommand, BackupCommand, ChannelCommand, UsageCommand};
use crate::target::Target;
use crate::units::{self, Cpu, Expiry, Size, Usd};

/// A request to a running gateway.
#[derive(Debug, Subcommand)]
pub enum Remote {
    /// Tenants: make, look at, stop, delete.
    #[command(subcommand)]
    Tenants(TenantCommand),
    /// Tokens of a tenant.
    #[command(subcommand)]
    Tokens(TokenCommand),
    /// Keys of operators for the control plane.
    #[command(subcommand)]
    Keys(KeyCommand),
    /// Backups of tenants: make, restore, try out, keep.
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Accounts at chat networks, of a tenant or of all tenants together.
    #[command(subcommand)]
    Channels(ChannelCommand),
    /// Signed reports of tenants' boundaries.
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Certificates of deleted tenants.
    #[command(subcommand)]
    Erasure(ErasureCommand),
    /// Compare all running workers with what was ordered; one that differs is stopped.
    Drift,
    /// What runs here.
    Status,
    /// What a tenant's client could ask as well.
    #[command(flatten)]
    Talk(Talk),
    /// What was used: by one tenant beside its limits, or by all; `report` and `verify` read the books
    /// themselves.
    Usage(Usage),
    /// The audit trail: who did what.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// How the limits of one tenant stand, or those that all tenants share.
    Quota {
        /// The tenant; what all share where none is named.
        tenant: Option<TenantId>,
    },
    /// Prices of models.
    #[command(subcommand)]
    Prices(PriceCommand),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// With a tenant itself, over the tenants' listener.
#[derive(Debug, Subcommand)]
pub enum Talk {
    /// Talk to a tenant's agent; without a message, line by line.
    Chat(Chat),
    /// Call one method of a tenant.
    Rpc(Rpc),
}

/// `usage ...`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Usage {
    /// The tenant; all of them where none is named.
    pub tenant: Option<TenantId>,
    /// In the current UTC day; this is so where nothing is said.
    #[arg(long, conflicts_with = "month")]
    pub day: bool,
    /// In the current UTC month.
    #[arg(long)]
    pub month: bool,
    /// What reads the files of the books.
    #[command(subcommand)]
    pub command: Option<UsageCommand>,
}

/// `prices ...`
#[derive(Debug, Subcommand)]
pub enum PriceCommand {
    /// Show the prices in use.
    Show,
    /// Say whether a price file can be used, and what is wrong with it; asks no gateway.
    Check {
        /// The file.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Print the price file that comes with this version, to be checked and completed; asks no gateway.
    Shipped,
}

/// `tenants ...`
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a tenant and print its token, this once.
    Create(Create),
    /// List tenants by id.
    List {
        /// At most this many; all if absent.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: Option<u32>,
        /// Only those after this id.
        #[arg(long, value_name = "ID")]
        after: Option<TenantId>,
    },
    /// Show one tenant.
    Show {
        /// The tenant.
        id: TenantId,
    },
    /// Change limits of a tenant; those that are not named stay.
    #[command(visible_alias = "patch")]
    Limits(Create),
    /// Show a tenant's quotas and how they stand, or replace them.
    Quota {
        /// The tenant.
        id: TenantId,
        /// A quota: `[LEVEL:SUBJECT ]DIMENSION[/WINDOW]=MAX`, for example costMicros/month=5000000 or
        /// 'token:* requests/minute=60'; may be repeated. Together they take the place of those before.
        #[arg(long, value_name = "TEXT")]
        set: Vec<Quota>,
        /// Take every quota away.
        #[arg(long, conflicts_with = "set")]
        clear: bool,
    },
    /// Stop a tenant's worker and refuse its tokens until `resume`.
    Suspend {
        /// The tenant.
        id: TenantId,
    },
    /// Take a suspended or parked tenant back into service.
    Resume {
        /// The tenant.
        id: TenantId,
    },
    /// Replace a tenant's worker; requests under way may end first.
    Restart(Restart),
    /// Delete a tenant with everything it has.
    Delete {
        /// The tenant.
        id: TenantId,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Where to write the signed certificate of the erasure.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        certificate: Option<PathBuf>,
    },
    /// Show the boundary of a tenant's worker, read from the kernel; starts the worker if it sleeps.
    Inspect {
        /// The tenant.
        id: TenantId,
    },
    /// Try to break out of a tenant's boundary from inside, and report on the boundary, signed; starts
    /// the worker if it sleeps. Fails where anything is not as declared.
    Evidence {
        /// The tenant.
        id: TenantId,
        /// Where to write the report; a page for people where the name ends in `.html` [default: the
        /// standard output].
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
        /// Where to write the page for people as well.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        html: Option<PathBuf>,
    },
    /// Show or replace what a tenant may reach.
    Egress {
        /// The tenant.
        id: TenantId,
        /// A rule: `[METHOD[,METHOD] ]SCHEME://HOST[:PORT][/PATH-PREFIX]`, for example
        /// `https://api.example.com` or `GET https://*.example.org/v1/`. Together they take the place
        /// of those before.
        #[arg(long, value_name = "RULE")]
        allow: Vec<String>,
        /// Take all of the tenant's own rules away.
        #[arg(long, conflicts_with = "allow")]
        clear: bool,
    },
    /// Open a shell in a tenant's sandbox; its exit code is this command's.
    Terminal {
        /// The tenant.
        id: TenantId,
        /// In whose workspace.
        #[arg(long, default_value = "main", value_name = "ID")]
        agent: AgentId,
    },
    /// Show the end of a tenant's log.
    Logs {
        /// The tenant.
        id: TenantId,
        /// The last so many lines.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        lines: u32,
    },
}

/// `evidence ...`
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Check a report or its page: signature, and whether what it says is good and agrees with itself.
    /// Needs no gateway; fails where anything is wrong.
    Verify {
        /// The file.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// A file with the public key that must have signed it, as `evidence key` prints it.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        public_key: Option<PathBuf>,
    },
    /// Print the public key under which the gateway signs reports.
    Key,
}

/// A tenant and limits.
#[derive(Debug, Args)]
pub struct Create {
    /// The tenant: lower-case letters, digits, `_` and `-`; at most 32.
    pub id: TenantId,
    /// Its limits.
    #[command(flatten)]
    pub limits: LimitFlags,
}

/// Limits as they are typed.
#[derive(Debug, Default, Args)]
pub struct LimitFlags {
    /// Requests in one clock minute.
    #[arg(long, value_name = "N")]
    pub requests_per_minute: Option<u64>,
    /// Input plus output tokens in one UTC day.
    #[arg(long, value_name = "N")]
    pub tokens_per_day: Option<u64>,
    /// Dollars in one UTC day, for example 2.50.
    #[arg(long, value_name = "X")]
    pub cost_per_day_usd: Option<Usd>,
    /// Requests under way at once.
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,
    /// Memory of the worker, for example 256M.
    #[arg(long, value_name = "SIZE")]
    pub memory_max: Option<Size>,
    /// Processes and threads of the worker.
    #[arg(long, value_name = "N")]
    pub pids_max: Option<u32>,
    /// Cores of CPU time of the worker, for example 0.5.
    #[arg(long, value_name = "X")]
    pub cpu_max: Option<Cpu>,
    /// Size of the tenant's disk, for example 1G.
    #[arg(long, value_name = "SIZE")]
    pub disk_max: Option<Size>,
    /// When a worker without work sleeps: seconds, never, warm (it is always awake), or default, which is
    /// as the configuration has it for all tenants.
    #[arg(long, alias = "idle-seconds", value_name = "WHEN")]
    pub sleep: Option<Sleep>,
    /// A further limit, such as costMicros/month=5000000 or 'agent:main tokens/day=100000'; may be
    /// repeated. Those that are named take the place of all that there were.
    #[arg(long = "quota", value_name = "TEXT", conflicts_with = "no_quotas")]
    pub quotas: Vec<Quota>,
    /// Take every quota away.
    #[arg(long)]
    pub no_quotas: bool,
}

/// `tokens ...`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it, this once.
    Create {
        /// The tenant.
        tenant: TenantId,
        /// What it may do: operator.read, operator.write, operator.approvals, operator.pairing,
        /// operator.admin or hooks; several with commas or by repeating the flag.
        #[arg(long = "scope", required = true, value_delimiter = ',', value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// What it is for.
        #[arg(long)]
        label: String,
        /// When it stops to hold: 30d, 12h, or a time such as 2027-01-31T00:00:00Z.
        #[arg(long, value_name = "WHEN")]
        expires: Option<Expiry>,
    },
    /// List a tenant's tokens.
    List {
        /// The tenant.
        tenant: TenantId,
    },
    /// Replace a token by a new one; connections of the old one end at once.
    Rotate {
        /// The tenant.
        tenant: TenantId,
        /// The token's id, as `tokens list` shows it.
        token: String,
    },
    /// End a token and its connections at once.
    Revoke {
        /// The tenant.
        tenant: TenantId,
        /// The token's id, as `tokens list` shows it.
        token: String,
    },
}

/// `keys ...`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make an operator key and print it, this once.
    Create {
        /// Who or what it is for.
        #[arg(long)]
        label: String,
        /// What it may do: auditor, operator or owner.
        #[arg(long, value_parser = units::role)]
        role: Role,
        /// When it stops to hold: 30d, 12h, or a time such as 2027-01-31T00:00:00Z.
        #[arg(long, value_name = "WHEN")]
        expires: Option<Expiry>,
    },
    /// List operator keys.
    List,
    /// End an operator key at once.
    Revoke {
        /// The key's id, as `keys list` shows it.
        id: String,
    },
}

/// `chat ...`
#[derive(Debug, Args)]
pub struct Chat {
    /// The tenant.
    pub tenant: TenantId,
    /// What to say; without it, lines of the standard input.
    pub message: Option<String>,
    /// Which agent.
    #[arg(long, default_value = "main", value_name = "ID")]
    pub agent: AgentId,
    /// Which conversation [default: agent:AGENT:main].
    #[arg(long, value_name = "KEY")]
    pub session: Option<String>,
    /// A model of a provider instead of the agent: a plain completion.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Where and with which token.
    #[command(flatten)]
    pub gateway: Gateway,
}

/// `rpc ...`
#[derive(Debug, Args)]
pub struct Rpc {
    /// The tenant.
    pub tenant: TenantId,
    /// The method, for example sessions.list.
    pub method: String,
    /// Its parameters, as JSON.
    #[arg(default_value = "{}", value_parser = units::json)]
    pub params: Box<serde_json::value::RawValue>,
    /// Where and with which token.
    #[command(flatten)]
    pub gateway: Gateway,
}

/// How a command reaches the tenants' side of the gateway.
#[derive(Debug, Clone, Default, Args)]
pub struct Gateway {
    /// The tenant's token; better given by the variable. Without one, and on the gateway's own
    /// machine, a token for this one call is made and revoked afterwards.
    #[arg(long, env = "OPENCLAWMU_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    #[arg(value_parser = super::secret)]
    pub token: Option<Secret>,
    /// The gateway's address as `http://HOST:PORT` [default: as the control plane says].
    #[arg(long, env = "OPENCLAWMU_GATEWAY", value_name = "URL")]
    pub gateway: Option<Target>,
}
