//! `backup` of the configuration: where backups lie, when they are made and which are kept. The folder is
//! opened and credentials are fetched before privilege is dropped.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backups::store::{Credentials, Folder, S3, S3Settings, Store as Opened};
use backups::{Every, Keep, Place, Plan, Plans};
use serde::Deserialize;
use types::TenantId;

use crate::secrets::{self, Source};

/// Backups and restores at once: each keeps a worker and the line to the store busy.
const MAX_PARALLEL: usize = 16;

/// Characters of a bucket's name, as services have it.
const BUCKET: std::ops::RangeInclusive<usize> = 3..=63;

/// Characters of what names of objects begin with.
const MAX_PREFIX: usize = 256;

/// What is said of backups.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Backup {
    /// Where they lie; without it none are made.
    pub store: Option<Store>,
    /// From one backup of a tenant to the next: `30m`, `6h`, `1d`; no schedule where nothing is said.
    pub every: Option<String>,
    /// Which are kept; all where nothing is said.
    pub keep: Keep,
    /// How many are made or restored at once; 2 where nothing is said.
    pub parallel: Option<usize>,
    /// What holds for some tenants in the place of `every` and `keep`.
    pub tenants: BTreeMap<TenantId, TenantBackup>,
}

/// What is said of one tenant's backups.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct TenantBackup {
    /// From one to the next.
    pub every: Option<String>,
    /// Which are kept.
    pub keep: Keep,
}

/// Where backups lie.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "kind"
)]
pub enum Store {
    /// In a folder of this machine, which is made if need be.
    Folder {
        /// Which; only the gateway may read it.
        path: PathBuf,
    },
    /// In a bucket of an S3-compatible service, which must be there.
    S3 {
        /// `http://` or `https://`, host and port.
        endpoint: String,
        /// The service's region.
        #[serde(default = "region")]
        region: String,
        /// The bucket.
        bucket: String,
        /// What the names of objects begin with.
        #[serde(default)]
        prefix: String,
        /// Whether the bucket stands in the path of an address and not in its host.
        #[serde(default)]
        path_style: bool,
        /// The public half of the credentials.
        access_key_id: Source,
        /// The secret half.
        secret_access_key: Source,
    },
}

fn region() -> String {
    "us-east-1".to_owned()
}

/// A store that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its credentials cannot be fetched.
    #[error("backup.store.{field}")]
    Secret {
        /// Which half.
        field: &'static str,
        /// Why not.
        #[source]
        source: secrets::Error,
    },
    /// The folder cannot be made or opened.
    #[error("backup.store.path {} cannot be used", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Others could read or write it.
    #[error("backup.store.path {} must belong to uid {uid} and be closed to everybody else", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// The gateway's user.
        uid: u32,
    },
    /// The bucket cannot be used.
    #[error("backup.store")]
    Bucket(#[source] backups::store::Error),
}

impl Backup {
    /// What is wrong with what can be judged without fetching anything.
    pub(crate) fn mistakes(&self, mistakes: &mut Vec<String>) {
        let mut time = |field: &str, text: &Option<String>| {
            if let Some(Err(err)) = text.as_ref().map(|text| text.parse::<Every>()) {
                mistakes.push(format!("{field}: {err}"));
            }
        };
        time("backup.every", &self.every);
        for (tenant, said) in &self.tenants {
            time(&format!("backup.tenants.{tenant}.every"), &said.every);
        }
        if self.parallel.is_some_and(|it| !(1..=MAX_PARALLEL).contains(&it)) {
            mistakes.push(format!("backup.parallel: from 1 to {MAX_PARALLEL}"));
        }
        if self.store.is_none() && (self.every.is_some() || !self.tenants.is_empty()) {
            mistakes.push("backup.store: missing, and so there is nothing to schedule".to_owned());
        }
        match &self.store {
            Some(Store::S3 { endpoint, bucket, prefix, .. }) => {
                bucket_mistakes((endpoint, bucket, prefix), mistakes);
            }
            Some(Store::Folder { path }) if !path.is_absolute() => {
                mistakes.push("backup.store.path: an absolute path".to_owned());
            }
            Some(Store::Folder { .. }) | None => {}
        }
    }

    /// The store, opened for the user `uid`, and the plans.
    pub(crate) fn read(&self, uid: u32) -> Result<backups::Config, Error> {
        let plan = |every: &Option<String>, keep: Keep| Plan {
            every_ms: every.as_ref().and_then(|it| it.parse().ok()).map(Every::millis),
            keep,
        };
        let one = |(id, it): (&TenantId, &TenantBackup)| (id.clone(), plan(&it.every, it.keep));
        let plans = Plans {
            all: plan(&self.every, self.keep),
            tenants: self.tenants.iter().map(one).collect(),
        };
        let (store, place) = match &self.store {
            None => (None, Place::default()),
            Some(store) => {
                let (store, place) = store.open(uid)?;
                (Some(store), place)
            }
        };
        Ok(backups::Config { store, place, plans, parallel: self.parallel.unwrap_or(0) })
    }
}

fn bucket_mistakes((endpoint, bucket, prefix): (&str, &str, &str), mistakes: &mut Vec<String>) {
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let is_host = |it: &str| !it.is_empty() && !it.contains(['/', '?', '#', '@', ' ']);
    if !host.map(|it| it.trim_end_matches('/')).is_some_and(is_host) {
        mistakes.push("backup.store.endpoint: http:// or https://, and a host".to_owned());
    }
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b".-".contains(&it);
    if !BUCKET.contains(&bucket.len()) || !bucket.bytes().all(plain) {
        mistakes.push("backup.store.bucket: 3 to 63 of a-z, 0-9, . and -".to_owned());
    }
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"/._-".contains(&it);
    let steps = prefix.split('/').all(|it| !matches!(it, "." | ".."));
    let fits = prefix.len() <= MAX_PREFIX && prefix.bytes().all(plain) && steps;
    if !fits || prefix.starts_with('/') || prefix.contains("//") {
        mistakes.push("backup.store.prefix: at most 256 letters, digits, . _ - and /".to_owned());
    }
}

impl Store {
    fn open(&self, uid: u32) -> Result<(Arc<dyn Opened>, Place), Error> {
        let fetch = |source: &Source, field| {
            source.fetch().map_err(|source| Error::Secret { field, source })
        };
        match self {
            Self::Folder { path } => {
                let store = Folder::new(folder(path, uid)?, path.display().to_string());
                Ok((Arc::new(store), Place::default()))
            }
            Self::S3 { endpoint, region, bucket, prefix, path_style, .. } => {
                let Self::S3 { access_key_id, secret_access_key, .. } = self else {
                    return Err(Error::Bucket(backups::store::Error::NotFound));
                };
                let credentials = Credentials {
                    access_key_id: fetch(access_key_id, "accessKeyId")?,
                    secret_access_key: fetch(secret_access_key, "secretAccessKey")?,
                };
                let settings = S3Settings {
                    endpoint: endpoint.clone(),
                    region: region.clone(),
                    bucket: bucket.clone(),
                    prefix: closed(prefix),
                    path_style: *path_style,
                };
                let place = Place {
                    bucket: Some(bucket.clone()),
                    endpoint: Some(endpoint.clone()),
                    region: Some(region.clone()),
                    prefix: Some(prefix.clone()),
                };
                let store = S3::new(settings, &credentials).map_err(Error::Bucket)?;
                Ok((Arc::new(store), place))
            }
        }
    }
}

/// A prefix with a slash at its end, unless it is empty.
fn closed(prefix: &str) -> String {
    let plain = prefix.trim_end_matches('/');
    if plain.is_empty() { String::new() } else { format!("{plain}/") }
}

/// The folder, made for the user where it is not there. One that is there is never given away.
fn folder(path: &Path, uid: u32) -> Result<OwnedFd, Error> {
    let failed = |source| Error::Folder { path: path.to_owned(), source };
    let made = match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => true,
        Err(err) if err.kind() == std::io::ErrorKind::AlreadyExists => false,
        Err(err) => return Err(failed(err)),
    };
    let flags = nix::libc::O_DIRECTORY | nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC;
    let mut options = std::fs::OpenOptions::new();
    let folder = options.read(true).custom_flags(flags).open(path).map_err(failed)?;
    if made && nix::unistd::geteuid().is_root() {
        std::os::unix::fs::fchown(&folder, Some(uid), Some(uid)).map_err(failed)?;
    }
    let stat = folder.metadata().map_err(failed)?;
    if stat.uid() != uid || stat.mode() & 0o077 != 0 {
        return Err(Error::Open { path: path.to_owned(), uid });
    }
    Ok(folder.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: Option<&str>) {
        let backup: Result<Backup, _> = json5::from_str(text);
        let mut mistakes = Vec::new();
        match backup {
            Ok(backup) => backup.mistakes(&mut mistakes),
            Err(err) => mistakes.push(err.to_string()),
        }
        let told = mistakes.join("; ");
        assert_eq!(mistakes.len(), usize::from(wanted.is_some()), "{text}: {told}");
        assert!(told.contains(wanted.unwrap_or_default()), "{text}: {told}");
    }

    #[test]
    fn what_is_said_of_backups() {
        check("{}", None);
        check("{ store: { kind: 'folder', path: '/var/backups/openclawmu' } }", None);
        check("{ store: { kind: 'folder', path: 'here' } }", Some("backup.store.path"));
        let s3 = "{ store: { kind: 's3', endpoint: 'http://127.0.0.1:8333', bucket: 'abc', prefix: 'a/b', pathStyle: true, accessKeyId: { env: 'A' }, secretAccessKey: { env: 'B' } }, every: '6h', keep: { newest: 7, days: 30 } }";
        check(s3, None);
        check(&s3.replace("http://", ""), Some("backup.store.endpoint"));
        check(&s3.replace(":8333", ":8333/x"), Some("backup.store.endpoint"));
        check(&s3.replace("'abc'", "'A/B'"), Some("backup.store.bucket"));
        check(&s3.replace("a/b", "../b"), Some("backup.store.prefix"));
        check(&s3.replace("6h", "6s"), Some("backup.every"));
        check(&s3.replace("newest", "latest"), Some("latest"));
        check(&s3.replace("{ env: 'B' }", "'clear'"), Some("a secret is not written"));
        check("{ every: '1d' }", Some("backup.store: missing"));
        check("{ parallel: 0 }", Some("backup.parallel"));
    }

    #[test]
    fn a_folder_is_the_gateways_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (path, uid) = (dir.path().join("b"), nix::unistd::geteuid().as_raw());
        folder(&path, uid).unwrap();
        folder(&path, uid).unwrap();
        assert!(matches!(folder(&path, uid + 1), Err(Error::Open { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(folder(&path, uid), Err(Error::Open { .. })));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(folder(&link, uid), Err(Error::Folder { .. })));
    }
}
