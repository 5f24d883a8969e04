//! Backups over real records, a real folder and a real trail. Only the tenants' workers are not there:
//! an archive is a word, and a root is what was unpacked last.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ::audit::{Audit, Who};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use prometheus_client::registry::Registry;
use records::Records;
use records::portable::Granted;
use records::restores::RestoreRow;
use runtime::Tasks;
use settings::{Platform, SealKey, Settings};
use tokio::sync::Notify;
use types::{Clock, Limits, ManualClock, TenantId, UnixMillis};

use crate::format::manifest::Archive;
use crate::roots::{Incoming, Outgoing, Piece, Roots, Staged};
use crate::store::Folder;
use crate::{
    AskedBy, BackupId, Backups, Config, Error, Keep, Manifest, Parts, Plan, Plans, Restore,
};

/// 2026-11-22T12:00:00Z.
pub(crate) const NOW: UnixMillis = 1_795_348_800_000;

/// A gateway's worth of what backups need.
pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) records: Records,
    pub(crate) settings: Settings,
    pub(crate) audit: Audit,
    pub(crate) roots: Arc<Rooms>,
    pub(crate) tasks: Tasks,
    pub(crate) plan: Plan,
}

impl Drop for House {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl House {
    pub(crate) fn new(keep: Keep) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        for folder in ["store", "keys", "audit"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let records = Records::in_memory();
        let key = SealKey::random().unwrap();
        let settings = Settings::new(records.clone(), Platform::default(), key);
        let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let audit = ::audit::Parts {
            dir: dir.path().join("audit"),
            keys: dir.path().join("keys"),
            config: ::audit::Config::default(),
            clock: time,
            registry: &mut Registry::default(),
        };
        let audit = Audit::open(audit).unwrap();
        let roots = Arc::new(Rooms { records: records.clone(), ..Rooms::new() });
        let plan = Plan { every_ms: None, keep };
        Self { dir, clock, records, settings, audit, roots, tasks: Tasks::default(), plan }
    }

    /// A gateway that starts over what the last one has left.
    pub(crate) async fn start(&self) -> Backups {
        let path = self.dir.path().join("store");
        let folder = OwnedFd::from(std::fs::File::open(path).unwrap());
        let config = Config {
            store: Some(Arc::new(Folder::new(folder, "store".to_owned()))),
            plans: Plans { all: self.plan, tenants: BTreeMap::new() },
            ..Config::default()
        };
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let roots: Arc<dyn Roots> = Arc::<Rooms>::clone(&self.roots);
        let parts = Parts {
            config,
            roots,
            records: self.records.clone(),
            settings: self.settings.clone(),
            audit: self.audit.clone(),
            alerts: alerts::Alerts::none(),
            hub: hub::Hub::default(),
            clock,
            tasks: self.tasks.clone(),
            registry: &mut Registry::default(),
        };
        Backups::start(parts).await.unwrap()
    }

    pub(crate) async fn tenant(&self, name: &str) -> TenantId {
        let tenant: TenantId = name.parse().unwrap();
        let now = self.clock.now();
        self.records.insert_tenant(&tenant, now, Limits::default()).await.unwrap();
        self.settings.sealer(&tenant).await.unwrap();
        self.roots.all.lock().unwrap().insert(tenant.clone(), now);
        tenant
    }

    /// One more backup, a minute after the last one.
    pub(crate) async fn backup(&self, of: &Backups, tenant: &TenantId, by: AskedBy) -> Manifest {
        self.clock.advance(60_000);
        of.create(tenant, by).await.unwrap()
    }

    pub(crate) fn folder(&self, backup: &BackupId) -> PathBuf {
        self.dir.path().join("store").join(backup.tenant().as_str()).join(backup.folder())
    }

    /// Every line of the audit trail, once all that was noted is in it.
    pub(crate) async fn trail(&self) -> Vec<String> {
        self.audit.close().await;
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(self.dir.path().join("audit")).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
    }
}

/// Whether one line has all these words.
pub(crate) fn tells(lines: &[String], words: &[&str]) -> bool {
    lines.iter().any(|line| words.iter().all(|word| line.contains(word)))
}

/// The names of the good backups, newest first.
pub(crate) async fn good(backups: &Backups, tenant: &TenantId) -> Vec<BackupId> {
    let listed = backups.list(tenant).await.unwrap();
    listed.into_iter().filter_map(|it| it.manifest).map(|it| it.backup).collect()
}

pub(crate) fn restore(backup: &BackupId, to: &str) -> Restore {
    Restore {
        backup: backup.clone(),
        to: to.parse().unwrap(),
        force: true,
        key: None,
        tokens: true,
        who: Who::GATEWAY,
    }
}

/// Tenants without workers.
#[derive(Debug)]
pub(crate) struct Rooms {
    records: Records,
    pub(crate) all: Mutex<BTreeMap<TenantId, UnixMillis>>,
    /// Whose archives were asked for, in this order.
    pub(crate) exported: Mutex<Vec<TenantId>>,
    /// Whether whoever makes a tenant is killed when it is in the records.
    pub(crate) dies: Mutex<bool>,
    pub(crate) made: Notify,
}

impl Rooms {
    fn new() -> Self {
        Self {
            records: Records::in_memory(),
            all: Mutex::default(),
            exported: Mutex::default(),
            dies: Mutex::default(),
            made: Notify::new(),
        }
    }

    /// What a gateway that starts anew finds registered.
    pub(crate) async fn reload(&self) {
        let rows = self.records.tenants(None, 1000).await.unwrap();
        let rows = rows.into_iter().map(|row| (row.id, row.created_at));
        *self.all.lock().unwrap() = rows.collect();
    }
}

const WORD: &[u8] = b"an archive";

fn contents() -> Archive {
    Archive { files: 1, file_bytes: 10, index: "0a".to_owned(), ..Archive::default() }
}

#[async_trait]
impl Roots for Rooms {
    fn exists(&self, tenant: &TenantId) -> bool {
        self.all.lock().unwrap().contains_key(tenant)
    }

    fn all(&self) -> Vec<(TenantId, UnixMillis)> {
        self.all.lock().unwrap().iter().map(|(id, at)| (id.clone(), *at)).collect()
    }

    async fn make(&self, step: &RestoreRow, granted: &Granted) -> Result<(), Error> {
        let made = self.records.insert_tenant_for(step, NOW, granted.limits.clone()).await;
        made.map_err(Error::Records)?;
        self.made.notify_one();
        if *self.dies.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        self.all.lock().unwrap().insert(step.tenant.clone(), NOW);
        Ok(())
    }

    async fn unmake(&self, tenant: &TenantId) -> Result<(), Error> {
        self.all.lock().unwrap().remove(tenant);
        self.records.delete_tenant(tenant).await.map(drop).map_err(Error::Records)
    }

    async fn refresh(&self, _: &TenantId) -> Result<(), Error> {
        Ok(())
    }

    async fn export(&self, tenant: &TenantId) -> Result<Outgoing, Error> {
        self.exported.lock().unwrap().push(tenant.clone());
        let pieces = [Ok(Piece::Bytes(Bytes::from_static(WORD))), Ok(Piece::End(contents()))];
        Ok(Box::pin(stream::iter(pieces)))
    }

    async fn stage(&self, tenant: &TenantId, parts: Incoming) -> Result<Box<dyn Staged>, Error> {
        let pieces: Vec<_> = parts.collect().await;
        for piece in pieces {
            piece?;
        }
        let records = self.records.clone();
        Ok(Box::new(Beside { contents: contents(), records, tenant: tenant.clone() }))
    }

    async fn is_unsettled(&self, _: &TenantId) -> Result<bool, Error> {
        Ok(false)
    }
}

#[derive(Debug)]
struct Beside {
    contents: Archive,
    records: Records,
    tenant: TenantId,
}

#[async_trait]
impl Staged for Beside {
    fn contents(&self) -> &Archive {
        &self.contents
    }

    async fn commit(self: Box<Self>) -> Result<(), Error> {
        self.records.finish_restore(&self.tenant).await.map_err(Error::Records)
    }

    async fn discard(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}
