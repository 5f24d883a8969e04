//! Backups of tenants.

use serde::{Deserialize, Serialize};
use types::{Secret, TenantId};
use utoipa::{IntoParams, ToSchema};

use crate::{Timestamp, schema};

/// The backup that the path names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupPath {
    /// The tenant's id.
    #[param(schema_with = schema::tenant_id)]
    pub id: TenantId,
    /// The backup's name, which begins with the tenant's id.
    pub backup_id: String,
}

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// The backup's name.
    pub id: String,
    /// Whose it is.
    #[schema(schema_with = schema::tenant_id)]
    pub tenant: TenantId,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was whole; null where nobody vouches for it.
    pub completed_at: Option<Timestamp>,
    /// Bytes of it as it is stored.
    pub size: u64,
    /// Whether the tenant's key has signed it and it is as long as it says; where not, it is another
    /// installation's, is older than the tenant's key, or was changed or cut.
    pub verified: bool,
    /// The name of the key that it is sealed under.
    pub key_id: Option<String>,
    /// The version of the gateway that made it.
    pub gateway: Option<String>,
    /// Who asked for it: `operator`, `schedule` or `tenant`.
    #[serde(default)]
    pub asked_by: Option<String>,
    /// What is in it.
    pub contents: Option<BackupContents>,
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupContents {
    /// Records of the gateway.
    pub records: u64,
    /// Files of the tenant.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub links: u64,
    /// Bytes of the files.
    pub file_bytes: u64,
    /// Bytes of the archive.
    pub archive_bytes: u64,
    /// What could not be taken along.
    pub left_out: u64,
    /// Files that were changed while they were read.
    pub changed: u64,
    /// SHA-256 of the sealed bytes, in hexadecimal digits.
    pub sha256: String,
}

/// The backups of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupList {
    /// The backups, newest first.
    pub backups: Vec<Backup>,
}

/// What is under way for one tenant's backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupProgress {
    /// `backup`, `restore` or `verify`; null where nothing is.
    pub act: Option<String>,
    /// When it was begun.
    pub since: Option<Timestamp>,
    /// Bytes of the archive until now.
    pub bytes: u64,
}

/// Where a backup is to be restored to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreBackup {
    /// Into which tenant; the backup's own if absent.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub to: Option<TenantId>,
    /// Whether a tenant that is there is replaced.
    #[serde(default)]
    pub force: bool,
    /// The key that was exported where the backup was made; the tenant's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<BackupKey>,
    /// Whether the backup's tokens, devices and nodes are left out where they would come along: into a
    /// tenant of the same name that is new here. It gets a new token then.
    #[serde(default)]
    pub without_tokens: bool,
}

/// What was restored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoredBackup {
    /// Into which tenant.
    #[schema(schema_with = schema::tenant_id)]
    pub tenant: TenantId,
    /// Which backup.
    pub backup: String,
    /// Whether the tenant was made for it.
    pub made: bool,
    /// What clients present from now on: `unchanged` for the tokens that were there, `restored` for
    /// those of the backup, `new` for the one below.
    pub tokens: String,
    /// How many tokens of the backup are good from now on, those of devices included, where `tokens` is
    /// `restored`. Among them are those that were revoked elsewhere after the backup was made.
    #[serde(default)]
    pub valid_tokens: Option<u64>,
    /// The token of a tenant that was made without any. It is shown this once.
    pub token: Option<String>,
    /// What was restored.
    pub contents: BackupContents,
}

/// How a restore drill went; a failed one is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedBackup {
    /// Which backup.
    pub backup: String,
    /// Yes.
    pub verified: bool,
    /// What was unpacked and thrown away.
    pub contents: BackupContents,
}

/// Backups that were removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrunedBackups {
    /// Their names.
    pub removed: Vec<String>,
}

/// Which backups are kept: each that any of these keeps; all where all are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KeepBackups {
    /// The newest so many.
    pub newest: u32,
    /// The newest of each of the last so many UTC days that have one.
    pub days: u32,
    /// The same of weeks, from Monday on.
    pub weeks: u32,
    /// The same of months.
    pub months: u32,
}

/// How a tenant's schedule is to be; what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetBackupSchedule {
    /// From one to the next, for example `6h`; `off` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// Which are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepBackups>,
}

/// How a tenant's schedule stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupSchedule {
    /// Whose.
    #[schema(schema_with = schema::tenant_id)]
    pub tenant: TenantId,
    /// Seconds from one to the next; null for no schedule.
    pub every_seconds: Option<u64>,
    /// Which are kept.
    pub keep: KeepBackups,
    /// When the last one of the schedule was begun.
    pub last_at: Option<Timestamp>,
    /// When the next one is due.
    pub next_at: Option<Timestamp>,
    /// Failures since the last success.
    pub failures: u32,
    /// Why the last one failed.
    pub last_failure: Option<String>,
}

/// How all schedules stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupSchedules {
    /// One of each tenant.
    pub schedules: Vec<BackupSchedule>,
}

/// A tenant's data key: whoever has it reads all of the tenant's backups.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupKey {
    /// The version of the form of backups.
    pub format: u32,
    /// Whose key it is.
    #[schema(schema_with = schema::tenant_id)]
    pub tenant: TenantId,
    /// The key's name.
    pub key_id: String,
    /// The key in hexadecimal digits.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    pub key: Secret,
}

fn exposed<S: serde::Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose())
}

impl std::fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupKey").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RestoredBackup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("RestoredBackup");
        shown.field("tenant", &self.tenant).finish_non_exhaustive()
    }
}
