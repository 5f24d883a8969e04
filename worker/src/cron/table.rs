//! `cron/jobs.json`: read whole, written whole, with the last version that somebody had written
//! beside it as `jobs.json.bak`.
//!
//! Jobs that this version cannot read stay in the file and do not run.

use api::cron::Job;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::store::Dir;

/// Jobs of one tenant.
pub(crate) const MAX_JOBS: usize = 200;
/// Bytes of the file: it is written whole with every run.
pub(crate) const MAX_BYTES: usize = 4 << 20;

pub(crate) const FOLDER: &str = "cron";
const FILE: &str = "jobs.json";
const BACKUP: &str = "jobs.json.bak";
const VERSION: u64 = 1;

/// Every job.
#[derive(Debug, Default, Clone)]
pub(crate) struct Table {
    pub(crate) jobs: Vec<Job>,
    /// What cannot be read as a job.
    foreign: Vec<Value>,
}

/// How a change of the table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Somebody changed a job: the version before stays as the backup.
    Backup,
    /// A job ran: the backup stays as it is.
    Nothing,
}

#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    jobs: Vec<Value>,
}

#[derive(Serialize)]
struct ToStore<'a> {
    version: u64,
    jobs: Vec<Row<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Row<'a> {
    Job(&'a Job),
    Foreign(&'a Value),
}

impl Table {
    /// Reads the jobs; none where there is no file. A file that cannot be read is the backup's
    /// turn.
    pub(crate) fn read(root: &Dir) -> Result<Self, Error> {
        let dir = root.sub(FOLDER).map_err(Error::io("open the jobs"))?;
        let Some(dir) = dir else { return Ok(Self::default()) };
        match Self::read_file(&dir, FILE) {
            Ok(Some(table)) => Ok(table),
            Ok(None) => Ok(Self::default()),
            Err(err @ Error::Invalid { .. }) => {
                tracing::warn!(error = %types::Chain(&err), "the jobs are read from their backup");
                Self::read_file(&dir, BACKUP)?.ok_or(err)
            }
            Err(err) => Err(err),
        }
    }

    fn read_file(dir: &Dir, name: &str) -> Result<Option<Self>, Error> {
        let max = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
        let bytes = dir.read_start(name, max).map_err(Error::io("read the jobs"))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let invalid = |source| Error::Invalid { what: "the jobs file", source };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(invalid)?;
        let mut table = Self::default();
        for row in stored.jobs {
            match Job::deserialize(&row) {
                Ok(job) if is_job_id(&job.id) && table.jobs.len() < MAX_JOBS => {
                    table.jobs.push(job);
                }
                Ok(_) | Err(_) => table.foreign.push(row),
            }
        }
        Ok(Some(table))
    }

    /// The file's text.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let jobs = self.jobs.iter().map(Row::Job).chain(self.foreign.iter().map(Row::Foreign));
        let stored = ToStore { version: VERSION, jobs: jobs.collect() };
        let invalid = |source| Error::Invalid { what: "a job", source };
        let bytes = serde_json::to_vec(&stored).map_err(invalid)?;
        if bytes.len() > MAX_BYTES { Err(Error::TooLong { max: MAX_BYTES }) } else { Ok(bytes) }
    }

    /// Puts `bytes` in the file's place: whole and durable, or not at all.
    pub(crate) fn write(root: &Dir, bytes: &[u8], keep: Keep) -> Result<(), Error> {
        let written = || -> std::io::Result<()> {
            let dir = root.sub_or_create(FOLDER)?;
            let max = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
            if keep == Keep::Backup
                && let Some(before) = dir.read_start(FILE, max)?
            {
                dir.replace(BACKUP, &before)?;
            }
            dir.replace(FILE, bytes)
        };
        written().map_err(Error::io("write the jobs"))
    }

    /// The job `id`.
    pub(crate) fn job(&mut self, id: &str) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.id == id)
    }

    /// Takes the job `id` out.
    pub(crate) fn take(&mut self, id: &str) -> Option<Job> {
        let at = self.jobs.iter().position(|job| job.id == id)?;
        Some(self.jobs.remove(at))
    }
}

/// Whether `text` is an id that may become a file name.
pub(crate) fn is_job_id(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_job_stays_and_a_broken_file_is_the_backups_turn() {
        let temporary = tempfile::tempdir().unwrap();
        let root = Dir::open(temporary.path()).unwrap();
        assert!(Table::read(&root).unwrap().jobs.is_empty());
        let strange = r#"{"version":1,"jobs":[{"id":"../x","name":"n"}],"more":1}"#;
        Table::write(&root, strange.as_bytes(), Keep::Backup).unwrap();
        let mut table = Table::read(&root).unwrap();
        assert_eq!((table.jobs.len(), table.foreign.len()), (0, 1));
        let id = "11111111-1111-4111-8111-111111111111";
        table.jobs.push(super::super::state::tests::job(api::cron::Schedule::Every {
            every_ms: 1000,
            anchor_ms: None,
        }));
        Table::write(&root, &table.encode().unwrap(), Keep::Backup).unwrap();
        let mut again = Table::read(&root).unwrap();
        assert_eq!(again.foreign, table.foreign);
        assert!(again.job(id).is_some());
        std::fs::write(temporary.path().join("cron/jobs.json"), "{").unwrap();
        assert_eq!(Table::read(&root).unwrap().foreign.len(), 1);
    }

    #[test]
    fn ids_are_uuids() {
        assert!(is_job_id("11111111-1111-4111-8111-111111111111"));
        for id in ["", "../../x", "11111111111141118111111111111111", "{1}"] {
            assert!(!is_job_id(id), "{id}");
        }
    }
}
