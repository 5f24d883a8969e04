//! `backup ...`

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use control_api::{
    Backup, BackupContents, BackupKey, BackupList, BackupProgress, BackupSchedule, BackupSchedules,
    Deleted, KeepBackups, PrunedBackups, RestoreBackup, RestoredBackup, SetBackupSchedule,
    VerifiedBackup,
};
use serde::Serialize;
use types::TenantId;

use super::tokens::segment;
use crate::client::Client;
use crate::confirm;
use crate::error::Error;
use crate::options::{BackupCommand, BackupKeyCommand, RestoreArgs, ScheduleArgs};
use crate::output::{Output, View};
use crate::progress;

/// How long a backup or restore may take: a disk full of data over a slow line.
const PATIENCE: Duration = Duration::from_hours(24);

/// The largest file with a key, in bytes.
const MAX_KEY: u64 = 4 << 10;

pub(super) async fn run(
    client: &Client,
    command: BackupCommand,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        BackupCommand::Create { tenant } => output.reply(&create(client, &tenant).await?),
        BackupCommand::List { tenant } => {
            let path = format!("/v1/tenants/{tenant}/backups");
            output.reply(&client.get::<BackupList>(&path).await?)
        }
        BackupCommand::Show { backup } => {
            output.reply(&client.get::<Backup>(&one(&backup, "")).await?)
        }
        BackupCommand::Restore(args) => output.reply(&restore(client, args).await?),
        BackupCommand::Verify { backup } => output.reply(&verify(client, &backup).await?),
        BackupCommand::Prune { backup: Some(backup), yes, .. } => {
            let what = format!("This removes backup {backup}.");
            confirm::destroying(&backup, &what, yes)?;
            output.reply(&client.delete::<Deleted>(&one(&backup, "")).await?)
        }
        BackupCommand::Prune { tenant, .. } => {
            let tenant = tenant.as_ref().map_or("", TenantId::as_str);
            let path = format!("/v1/tenants/{tenant}/prune-backups");
            output
                .reply(&client.post_patiently::<PrunedBackups>(&path, &Nothing {}, PATIENCE).await?)
        }
        BackupCommand::Schedule(args) => schedule(client, args, output).await,
        BackupCommand::Key(BackupKeyCommand::Export { tenant, out }) => {
            output.reply(&export(client, &tenant, &out).await?)
        }
    }
}

/// The path of a backup. Whose it is stands in its name; a name of none is answered as such.
fn one(backup: &str, rest: &str) -> String {
    let tenant = backup.split('.').next().unwrap_or_default();
    let tenant = if tenant.is_empty() { "-" } else { tenant };
    let backup: Vec<_> = backup.split('.').map(segment).collect();
    format!("/v1/tenants/{}/backups/{}{rest}", segment(tenant), backup.join("."))
}

async fn create(client: &Client, tenant: &TenantId) -> Result<Backup, Error> {
    let path = format!("/v1/tenants/{tenant}/backups");
    let work = client.post_patiently(&path, &Nothing {}, PATIENCE);
    progress::counted(format!("Backing up {tenant}"), None, work, || moved(client, tenant)).await
}

async fn restore(client: &Client, args: RestoreArgs) -> Result<RestoredBackup, Error> {
    let key = args.key_file.as_deref().map(read_key).transpose()?;
    let owner = args.backup.split('.').next().and_then(|it| it.parse().ok());
    let watched: Option<TenantId> = args.to.clone().or(owner);
    let without_tokens = args.without_tokens;
    let request = RestoreBackup { to: args.to, force: args.force, key, without_tokens };
    let path = one(&args.backup, "/restore");
    let work = client.post_patiently(&path, &request, PATIENCE);
    let message = format!("Restoring {}", args.backup);
    let total = size(client, &args.backup).await;
    let moved = || async {
        match &watched {
            Some(tenant) => moved(client, tenant).await,
            None => None,
        }
    };
    progress::counted(message, total, work, moved).await
}

async fn verify(client: &Client, backup: &str) -> Result<VerifiedBackup, Error> {
    let path = one(backup, "/verify");
    let work = client.post_patiently(&path, &Nothing {}, PATIENCE);
    let owner: Option<TenantId> = backup.split('.').next().and_then(|it| it.parse().ok());
    let total = size(client, backup).await;
    let moved = || async {
        match &owner {
            Some(tenant) => moved(client, tenant).await,
            None => None,
        }
    };
    progress::counted(format!("Trying out {backup}"), total, work, moved).await
}

/// Bytes that were moved until now, for the bar alone.
async fn moved(client: &Client, tenant: &TenantId) -> Option<u64> {
    let path = format!("/v1/tenants/{tenant}/backup-progress");
    let progress: Result<BackupProgress, _> = client.get(&path).await;
    progress.ok().filter(|it| it.act.is_some()).map(|it| it.bytes)
}

/// Bytes of the archive in a backup, for the bar alone.
async fn size(client: &Client, backup: &str) -> Option<u64> {
    if !progress::is_shown() {
        return None;
    }
    let shown: Result<Backup, _> = client.get(&one(backup, "")).await;
    shown.ok()?.contents.map(|it| it.archive_bytes)
}

async fn schedule(client: &Client, args: ScheduleArgs, output: &mut Output) -> Result<(), Error> {
    let Some(tenant) = &args.tenant else {
        return output.reply(&client.get::<BackupSchedules>("/v1/backup-schedules").await?);
    };
    let path = format!("/v1/tenants/{tenant}/backup-schedule");
    let said = [args.keep, args.keep_days, args.keep_weeks, args.keep_months];
    let keep = said.iter().any(Option::is_some).then(|| KeepBackups {
        newest: args.keep.unwrap_or(0),
        days: args.keep_days.unwrap_or(0),
        weeks: args.keep_weeks.unwrap_or(0),
        months: args.keep_months.unwrap_or(0),
    });
    if args.every.is_none() && keep.is_none() {
        return output.reply(&client.get::<BackupSchedule>(&path).await?);
    }
    let request = SetBackupSchedule { every: args.every, keep };
    output.reply(&client.put::<BackupSchedule>(&path, &request).await?)
}

async fn export(client: &Client, tenant: &TenantId, out: &Path) -> Result<Exported, Error> {
    let failed = |source| Error::File { path: out.to_owned(), source };
    // Before the key is asked for: nobody exports one that cannot be written.
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(out);
    let mut file = file.map_err(failed)?;
    let path = format!("/v1/tenants/{tenant}/backup-key");
    let key: BackupKey = match client.post(&path, &Nothing {}).await {
        Ok(key) => key,
        Err(err) => {
            std::fs::remove_file(out).map_err(failed)?;
            return Err(err);
        }
    };
    let mut text = serde_json::to_string(&key).map_err(|source| failed(source.into()))?;
    text.push('\n');
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    let file = out.display().to_string();
    Ok(Exported { tenant: tenant.clone(), key_id: key.key_id, file })
}

fn read_key(path: &Path) -> Result<BackupKey, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_KEY).read_to_string(&mut text).map_err(failed)?;
    serde_json::from_str(&text).map_err(|source| failed(source.into()))
}

#[derive(Serialize)]
struct Nothing {}

/// A key that was written into a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Exported {
    tenant: TenantId,
    key_id: String,
    file: String,
}

impl View for Exported {
    fn show(&self, output: &mut Output) {
        output.line(&format!("The key of {} is in {}.", self.tenant, self.file));
        output.line("Whoever has it reads every backup of the tenant. Elsewhere:");
        output.line(&format!("  openclawmu backup restore BACKUP --key-file {}", self.file));
    }
}

impl View for BackupList {
    fn show(&self, output: &mut Output) {
        if self.backups.is_empty() {
            output.line("There are no backups. Make one: openclawmu backup create TENANT");
            return;
        }
        let row = |it: &Backup| {
            let files = it.contents.as_ref().map_or_else(String::new, |it| it.files.to_string());
            let word = if it.verified { "yes" } else { "no" };
            let size = progress::bytes(it.size);
            let by = it.asked_by.clone().unwrap_or_default();
            vec![it.id.clone(), it.created_at.to_string(), size, files, by, word.to_owned()]
        };
        let head = ["BACKUP", "BEGUN", "SIZE", "FILES", "BY", "SIGNED"];
        output.table(&head, self.backups.iter().map(row).collect());
    }
}

impl View for Backup {
    fn show(&self, output: &mut Output) {
        let mut pairs = vec![
            ("backup", self.id.clone()),
            ("tenant", self.tenant.to_string()),
            ("begun", self.created_at.to_string()),
            ("size", progress::bytes(self.size)),
            ("by", self.asked_by.clone().unwrap_or_default()),
            ("signed", if self.verified { "yes" } else { "NO" }.to_owned()),
        ];
        if let Some(contents) = &self.contents {
            pairs.extend(contains(contents));
        }
        output.pairs(&pairs);
    }
}

fn contains(it: &BackupContents) -> Vec<(&'static str, String)> {
    let mut pairs = vec![
        ("files", format!("{} ({})", it.files, progress::bytes(it.file_bytes))),
        ("directories", it.directories.to_string()),
        ("links", it.links.to_string()),
        ("records", it.records.to_string()),
        ("sha256", it.sha256.clone()),
    ];
    if it.left_out > 0 {
        pairs.push(("left out", it.left_out.to_string()));
    }
    if it.changed > 0 {
        pairs.push(("changed meanwhile", it.changed.to_string()));
    }
    pairs
}

impl View for RestoredBackup {
    fn show(&self, output: &mut Output) {
        let how = if self.made { "made of" } else { "replaced by" };
        output.line(&format!("Tenant {} is {how} {}.", self.tenant, self.backup));
        let mut pairs = contains(&self.contents);
        pairs.push(("tokens", self.tokens.clone()));
        if let Some(token) = &self.token {
            pairs.push(("token", token.clone()));
        }
        output.pairs(&pairs);
        if let Some(valid) = self.valid_tokens {
            output.line(&format!(
                "\n{valid} tokens of the backup are good from now on, also those that were revoked after it was made."
            ));
            output.line(
                "Leave them out with --without-tokens, or revoke them: openclawmu tokens list.",
            );
        }
        if self.token.is_some() {
            output.line("\nKeep the token: it is not shown again.");
        }
    }
}

impl View for VerifiedBackup {
    fn show(&self, output: &mut Output) {
        output.line(&format!("Backup {} can be restored.", self.backup));
        output.pairs(&contains(&self.contents));
    }
}

impl View for PrunedBackups {
    fn show(&self, output: &mut Output) {
        output.line(&format!("{} backups are removed.", self.removed.len()));
        for backup in &self.removed {
            output.line(backup);
        }
    }
}

impl View for BackupSchedule {
    fn show(&self, output: &mut Output) {
        let mut pairs = vec![
            ("tenant", self.tenant.to_string()),
            ("every", every(self.every_seconds)),
            ("kept", kept(&self.keep)),
            ("last", self.last_at.map_or_else(|| "never".to_owned(), |it| it.to_string())),
            ("next", self.next_at.map_or_else(|| "never".to_owned(), |it| it.to_string())),
        ];
        if let Some(why) = &self.last_failure {
            pairs.push(("failing", format!("{} times, {why}", self.failures)));
        }
        output.pairs(&pairs);
    }
}

impl View for BackupSchedules {
    fn show(&self, output: &mut Output) {
        let row = |it: &BackupSchedule| {
            let next = it.next_at.map_or_else(|| "never".to_owned(), |it| it.to_string());
            let failing = it.last_failure.clone().unwrap_or_default();
            vec![it.tenant.to_string(), every(it.every_seconds), kept(&it.keep), next, failing]
        };
        let head = ["TENANT", "EVERY", "KEPT", "NEXT", "FAILING"];
        output.table(&head, self.schedules.iter().map(row).collect());
    }
}

fn every(seconds: Option<u64>) -> String {
    let Some(seconds) = seconds else { return "never".to_owned() };
    for (unit, of) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds.is_multiple_of(of) {
            return format!("{}{unit}", seconds / of);
        }
    }
    format!("{seconds}s")
}

fn kept(keep: &KeepBackups) -> String {
    let KeepBackups { newest, days, weeks, months } = *keep;
    let parts = [(newest, "newest"), (days, "days"), (weeks, "weeks"), (months, "months")];
    let said: Vec<_> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, of)| format!("{n} {of}")).collect();
    if said.is_empty() { "all".to_owned() } else { said.join(", ") }
}
