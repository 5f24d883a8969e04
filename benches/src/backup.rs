//! Backups through the running gateway, to a real S3 service and to a folder, beside `tar` and `zstd`
//! at the same level on the same files and the same kind of disk; what the gateway's processes hold
//! meanwhile; and whether everything that was restored is what it was.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::weed::Weed;

use crate::archive::{many, median, one, shell};
use crate::load::{self, Target};
use crate::system::System;

/// The disk of each tenant.
const DISK: &str = "8G";

/// What is said to the model, so that the tenant is awake.
const MODEL: &str = "bench";

/// What the supervisor and a worker may hold whatever the size of a tenant, in KiB: the parts that are
/// under way, each three times, what is read ahead, and what allocators keep.
const MAX_SUPERVISOR_KIB: u64 = 128 << 10;
const MAX_WORKER_KIB: u64 = 48 << 10;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Measures many small files and one large one, `rounds` times each, of so many mebibytes; and a file of
/// `few` mebibytes for what it holds.
pub async fn measure(
    provider: SocketAddr,
    rounds: usize,
    [few, small, large]: [usize; 3],
) -> Value {
    let mut found = serde_json::Map::new();
    for name in ["folder", "s3"] {
        let site = Site::start(provider, name == "s3");
        let (_, least) = site.compare("few", 1, |at| one(at, few)).await;
        let (mut files, first) = site.compare("small", rounds, |at| many(at, small)).await;
        let (mut file, second) = site.compare("large", rounds, |at| one(at, large)).await;
        for (of, held) in [(&mut files, first), (&mut file, second)] {
            of["memory"] = held.shown();
        }
        let memory = least.shown();
        found.insert(
            name.to_owned(),
            json!({"manySmallFiles": files, "oneLargeFile": file, "ofFewMebibytes": memory}),
        );
    }
    found.into()
}

/// A gateway and its store.
struct Site {
    system: System,
    scratch: TempDir,
    _weed: Option<Weed>,
}

/// What processes have held at most, in KiB.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    supervisor: u64,
    worker: u64,
}

impl Held {
    fn most(self, other: Self) -> Self {
        Self {
            supervisor: self.supervisor.max(other.supervisor),
            worker: self.worker.max(other.worker),
        }
    }

    fn shown(self) -> Value {
        assert!(self.supervisor < MAX_SUPERVISOR_KIB, "the supervisor holds {self:?}");
        assert!(self.worker < MAX_WORKER_KIB, "a worker holds {self:?}");
        json!({"supervisorPeakRssKiB": self.supervisor, "workerPeakPssKiB": self.worker})
    }
}

impl Site {
    fn start(provider: SocketAddr, is_s3: bool) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        // The gateway reaches it through a folder that is its own.
        std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let weed = is_s3.then(Weed::start);
        let folder = json!({"kind": "folder", "path": scratch.path().join("backups")});
        let store = weed.as_ref().map_or(folder, Weed::store);
        let more = json!({"backup": {"store": store}, "workers": {"sleep": "never"}});
        Self { system: System::start_with(provider, &more), scratch, _weed: weed }
    }

    async fn tenant(&self, id: &str) -> Target {
        let target = self.system.tenant_with(id, &["--disk-max", DISK, "--cpu-max", "2"]);
        load::once(&target, &load::body(MODEL, false)).await;
        target
    }

    /// The workspace of a tenant, which its worker has mounted.
    fn workspace(&self, id: &str) -> PathBuf {
        let pid = &self.system.json(&["tenants", "inspect", id])["pid"];
        format!("/proc/{pid}/root/tenant/agents/main/workspace").into()
    }

    /// A tenant whose workspace has what `fill` makes; the same bytes through `tar` and `zstd`.
    async fn compare(&self, id: &str, rounds: usize, fill: impl FnOnce(&Path)) -> (Value, Held) {
        let (_own, _other) = (self.tenant(id).await, self.tenant(&format!("{id}-by-tar")).await);
        let workspace = self.workspace(id);
        fill(&workspace);
        give(&workspace);
        let (before, (files, bytes)) = (fingerprint(&workspace), amount(&workspace));
        let theirs = self.scratch.path().join(format!("{id}.tar.zst"));
        let other = self.workspace(&format!("{id}-by-tar")).join("unpacked");
        let (theirs, other) = (theirs.display(), other.display());
        let mut found = [const { Vec::new() }; 4];
        let (mut size, mut held) = (Value::Null, Held::default());
        for _ in 0..=rounds {
            let root = self.workspace(id);
            let root = root.display();
            let packed =
                shell(&format!("tar -C {root} -cf - . | zstd -3 -T1 -qfo {theirs}; sync {theirs}"));
            let (created, said, first) = self.timed(&["backup", "create", id]);
            shell(&format!("rm -rf {other}; mkdir {other}; sync -f {other}"));
            let unpacked =
                shell(&format!("zstd -dcq {theirs} | tar -C {other} -xpf -; sync -f {other}"));
            let backup = said["id"].as_str().unwrap().to_owned();
            let (restored, _, second) = self.timed(&["backup", "restore", &backup, "--force"]);
            self.system.json(&["backup", "prune", "--backup", &backup, "--yes"]);
            let times = [packed, created, unpacked, restored];
            found.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
            held = held.most(first).most(second);
            size = said["size"].clone();
        }
        assert_eq!(fingerprint(&self.workspace(id)), before, "what was restored differs");
        let their_bytes = std::fs::metadata(theirs.to_string()).unwrap().len();
        shell(&format!("rm -rf {other} {theirs}"));
        self.system.json(&["tenants", "delete", id, "--yes"]);
        // The first round has read what the others find in memory.
        let [packed, created, unpacked, restored] = found.map(|all| median(&all[1..]));
        let told = json!({
            "files": files,
            "bytes": bytes,
            "backupBytes": size,
            "theirBytes": their_bytes,
            "tarSeconds": packed,
            "backupSeconds": created,
            "backupOverTarThroughput": packed / created,
            "untarSeconds": unpacked,
            "restoreSeconds": restored,
            "restoreOverUntarThroughput": unpacked / restored,
            "everyFileModeAndTimeEqual": true,
        });
        (told, held)
    }

    /// Runs a command of the gateway's; gives its seconds, what it said, and what was held meanwhile.
    fn timed(&self, args: &[&str]) -> (f64, Value, Held) {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let mut held = Held::default();
                while !over.load(Ordering::Acquire) {
                    let workers = self.system.workers_pss();
                    let worker = workers.into_iter().max().unwrap_or(0) >> 10;
                    let supervisor = self.system.supervisor_rss() >> 10;
                    held = held.most(Held { supervisor, worker });
                    std::thread::sleep(LOOK);
                }
                held
            });
            let begun = Instant::now();
            let said = self.system.json(args);
            let seconds = begun.elapsed().as_secs_f64();
            over.store(true, Ordering::Release);
            (seconds, said, looking.join().unwrap())
        })
    }
}

/// Everything below belongs to whom the folder belongs to.
fn give(workspace: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    let owner = std::fs::metadata(workspace).unwrap();
    shell(&format!("chown -R {}:{} {}", owner.uid(), owner.gid(), workspace.display()));
    lchown(workspace, Some(owner.uid()), Some(owner.gid())).unwrap();
    // Modes and times that are not what whoever makes a file gives it.
    let mut line = format!("cd {}; ", workspace.display());
    write!(line, "find . -type f | head -n 1000 | xargs chmod 0640; ").unwrap();
    write!(
        line,
        "find . -type f | tail -n 1000 | xargs touch -d '2001-02-03 04:05:06.789012345'; "
    )
    .unwrap();
    shell(&format!("{line} sync -f ."));
}

/// How many files are below a folder, and how many bytes they have.
fn amount(folder: &Path) -> (u64, u64) {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let amounts = entries.map(|entry| match entry.metadata().unwrap() {
        below if below.is_dir() => amount(&entry.path()),
        file => (u64::from(file.is_file()), file.len()),
    });
    amounts.fold((0, 0), |(files, bytes), (more, longer)| (files + more, bytes + longer))
}

/// Path, kind, mode, time to the nanosecond and size of everything, and the contents.
fn fingerprint(workspace: &Path) -> String {
    let line = format!(
        "cd {} && {{ find . -printf '%p %y %m %T@ %s\\n' | sort; find . -type f -print0 | sort -z | xargs -0 cat; }} | sha256sum",
        workspace.display()
    );
    let output = std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
    assert!(output.status.success(), "{line}");
    String::from_utf8(output.stdout).unwrap()
}
