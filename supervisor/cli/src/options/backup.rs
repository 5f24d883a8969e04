//! `backup ...`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use types::TenantId;

/// `backup ...`
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Make a backup of a tenant, while it goes on.
    Create {
        /// The tenant.
        tenant: TenantId,
    },
    /// List a tenant's backups, newest first.
    List {
        /// The tenant.
        tenant: TenantId,
    },
    /// Show what is in a backup.
    Show {
        /// The backup.
        backup: String,
    },
    /// Put a backup in its tenant's place, or make a tenant of it.
    Restore(RestoreArgs),
    /// Unpack a backup into a root that is thrown away, and record how that went.
    Verify {
        /// The backup.
        backup: String,
    },
    /// Remove a tenant's backups that are not to be kept, or one backup.
    Prune {
        /// The tenant.
        #[arg(required_unless_present = "backup")]
        tenant: Option<TenantId>,
        /// This one, whether it is to be kept or not.
        #[arg(long, value_name = "BACKUP", conflicts_with = "tenant")]
        backup: Option<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Show when backups are made and which are kept, or set it for one tenant.
    Schedule(ScheduleArgs),
    /// The keys that backups are sealed under.
    #[command(subcommand)]
    Key(BackupKeyCommand),
}

/// `backup restore ...`
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup.
    pub backup: String,
    /// Into a tenant of this name, which gets a new token.
    #[arg(long = "as", value_name = "NEWID")]
    pub to: Option<TenantId>,
    /// Replace a tenant that is there.
    #[arg(long)]
    pub force: bool,
    /// The key that was exported where the backup was made.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// Leave out the backup's tokens, devices and nodes; the tenant gets a new token.
    #[arg(long, requires = "key_file")]
    pub without_tokens: bool,
}

/// `backup schedule ...`
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// The tenant; all of them where none is named.
    pub tenant: Option<TenantId>,
    /// From one to the next, for example 6h or 1d; `off` for none.
    #[arg(long, requires = "tenant")]
    pub every: Option<String>,
    /// Keep the newest so many.
    #[arg(long, value_name = "N", requires = "tenant")]
    pub keep: Option<u32>,
    /// Keep the newest of each of so many days.
    #[arg(long, value_name = "N", requires = "tenant")]
    pub keep_days: Option<u32>,
    /// Keep the newest of each of so many weeks.
    #[arg(long, value_name = "N", requires = "tenant")]
    pub keep_weeks: Option<u32>,
    /// Keep the newest of each of so many months.
    #[arg(long, value_name = "N", requires = "tenant")]
    pub keep_months: Option<u32>,
}

/// `backup key ...`
#[derive(Debug, Subcommand)]
pub enum BackupKeyCommand {
    /// Write a tenant's key into a file: whoever has it reads all backups of the tenant.
    Export {
        /// The tenant.
        tenant: TenantId,
        /// The file, which must not be there yet.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: PathBuf,
    },
}
