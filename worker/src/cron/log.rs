//! `cron/runs/<jobId>.jsonl`: a line for each run that ended, the newest last, bounded.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use api::cron::LogEntry;

use super::table::is_job_id;
use crate::Error;
use crate::store::{Dir, Kind};

pub(super) const FOLDER: &str = "cron/runs";
/// Lines of one job's log.
const MAX_LINES: usize = 2_000;
/// Bytes of one job's log.
const MAX_BYTES: usize = 2 << 20;
/// What part of both is left when one is reached, so that trimming is done once in a while only.
const KEPT_TENTHS: usize = 8;
/// Logs of jobs that are gone are kept for a while: so many in all, and then the oldest go.
const MAX_LOGS: usize = 400;
/// Bytes that are read where all jobs' runs are asked for; of each job as much of its end.
const MAX_SCAN: usize = 16 << 20;
const MAX_SCAN_EACH: u64 = 128 << 10;

/// Appends one line durably. That of a run which has its line is not written again: what was to be
/// written after it may have failed.
pub(crate) fn append(root: &Dir, entry: &LogEntry) -> Result<(), Error> {
    let name = file_name(&entry.job_id)?;
    let last = last_of_job(root, &entry.job_id)?.and_then(|last| last.run_id);
    if last.is_some() && last == entry.run_id {
        return Ok(());
    }
    let invalid = |source| Error::Invalid { what: "a line of the run log", source };
    let mut line = serde_json::to_vec(entry).map_err(invalid)?;
    line.push(b'\n');
    let mut written = || -> std::io::Result<()> {
        let dir = root.sub_or_create(FOLDER)?;
        let (mut file, is_new) = match dir.file_to_append(&name)? {
            Some(file) => (file, false),
            None => (dir.create_new(&name)?, true),
        };
        if is_new {
            dir.sync()?;
            forget_oldest(&dir)?;
        }
        // A line that a crash has cut short must not swallow this one.
        if !ends_whole(&mut file)? {
            line.insert(0, b'\n');
        }
        file.write_all(&line)?;
        file.sync_data()?;
        trim(&dir, &name, &mut file)
    };
    written().map_err(Error::io("write the run log"))
}

fn ends_whole(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn trim(dir: &Dir, name: &str, file: &mut File) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let lines = bytes.split(|byte| *byte == b'\n').count().saturating_sub(1);
    if lines <= MAX_LINES && bytes.len() <= MAX_BYTES {
        return Ok(());
    }
    let (max_lines, max_bytes) = (MAX_LINES / 10 * KEPT_TENTHS, MAX_BYTES / 10 * KEPT_TENTHS);
    let mut start = bytes.len();
    let ends = bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').skip(1);
    for (end, _) in ends.take(max_lines) {
        if bytes.len().saturating_sub(end + 1) > max_bytes {
            break;
        }
        start = end + 1;
    }
    dir.replace(name, bytes.get(start..).unwrap_or_default())
}

/// Removes the logs that were not written for longest, where there are too many.
fn forget_oldest(dir: &Dir) -> std::io::Result<()> {
    let mut logs = Vec::new();
    for name in dir.names()? {
        let name = name?;
        if let Some(Kind::File { changed, .. }) = dir.kind(&name)? {
            logs.push((changed, name));
        }
    }
    logs.sort_unstable();
    let surplus = logs.len().saturating_sub(MAX_LOGS);
    logs.iter().take(surplus).try_for_each(|(_, name)| dir.remove(name))
}

/// The lines of one job's log, oldest first.
pub(crate) fn of_job(root: &Dir, id: &str) -> Result<Vec<LogEntry>, Error> {
    let name = file_name(id)?;
    let max = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_mul(2);
    let bytes = match root.sub(FOLDER).map_err(Error::io("open the run log"))? {
        Some(dir) => end_of(&dir, &name, max).map_err(Error::io("read the run log"))?,
        None => Vec::new(),
    };
    Ok(lines(&bytes))
}

/// The last line of one job's log.
pub(crate) fn last_of_job(root: &Dir, id: &str) -> Result<Option<LogEntry>, Error> {
    let name = file_name(id)?;
    let dir = root.sub(FOLDER).map_err(Error::io("open the run log"))?;
    let Some(dir) = dir else { return Ok(None) };
    let bytes = end_of(&dir, &name, MAX_SCAN_EACH).map_err(Error::io("read the run log"))?;
    Ok(lines(&bytes).pop())
}

/// The latest lines of every job's log, in no order.
pub(crate) fn of_all(root: &Dir) -> Result<Vec<LogEntry>, Error> {
    let dir = root.sub(FOLDER).map_err(Error::io("open the run log"))?;
    let Some(dir) = dir else { return Ok(Vec::new()) };
    let read = || -> std::io::Result<Vec<LogEntry>> {
        let (mut entries, mut left) = (Vec::new(), MAX_SCAN);
        for name in dir.names()?.take(MAX_LOGS) {
            let bytes = end_of(&dir, &name?, MAX_SCAN_EACH)?;
            left = left.saturating_sub(bytes.len());
            entries.extend(lines(&bytes));
            if left == 0 {
                break;
            }
        }
        Ok(entries)
    };
    read().map_err(Error::io("read the run log"))
}

/// Removes the log of a job.
pub(crate) fn remove(root: &Dir, id: &str) -> Result<(), Error> {
    let name = file_name(id)?;
    match root.sub(FOLDER).map_err(Error::io("open the run log"))? {
        Some(dir) => dir.remove(&name).map_err(Error::io("remove a run log")),
        None => Ok(()),
    }
}

fn end_of(dir: &Dir, name: &str, max: u64) -> std::io::Result<Vec<u8>> {
    let Some(mut file) = dir.file(name)? else { return Ok(Vec::new()) };
    let from = file.metadata()?.len().saturating_sub(max);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What can be read as lines; the first may have been cut.
fn lines(bytes: &[u8]) -> Vec<LogEntry> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn file_name(id: &str) -> Result<String, Error> {
    if is_job_id(id) { Ok(format!("{id}.jsonl")) } else { Err(Error::BadName) }
}

#[cfg(test)]
mod tests {
    use api::cron::LogAction;

    use super::*;

    const ID: &str = "11111111-1111-4111-8111-111111111111";

    fn line(ts: u64, summary: &str) -> LogEntry {
        let text =
            serde_json::json!({"ts": ts, "jobId": ID, "action": "finished", "summary": summary});
        let entry: LogEntry = serde_json::from_value(text).unwrap();
        assert_eq!(entry.action, LogAction::Finished);
        entry
    }

    #[test]
    fn a_log_keeps_its_newest_lines() {
        let temporary = tempfile::tempdir().unwrap();
        let root = Dir::open(temporary.path()).unwrap();
        let long = "x".repeat(100 << 10);
        for ts in 0..30 {
            append(&root, &line(ts, &long)).unwrap();
        }
        let kept = of_job(&root, ID).unwrap();
        assert_eq!(kept.last().unwrap().ts, 29);
        let size = temporary.path().join(format!("cron/runs/{ID}.jsonl")).metadata().unwrap().len();
        assert!(kept.len() < 21 && kept.len() > 10 && size <= 2 << 20, "{} {size}", kept.len());
        assert_eq!(last_of_job(&root, ID).unwrap().unwrap().ts, 29);
        remove(&root, ID).unwrap();
        assert!(of_all(&root).unwrap().is_empty());
    }

    #[test]
    fn a_run_has_one_line() {
        let temporary = tempfile::tempdir().unwrap();
        let root = Dir::open(temporary.path()).unwrap();
        let of_run = |run: &str, ts: u64| LogEntry { run_id: Some(run.to_owned()), ..line(ts, "") };
        for (run, ts) in [("a", 1), ("a", 2), ("b", 3), ("b", 3)] {
            append(&root, &of_run(run, ts)).unwrap();
        }
        append(&root, &line(4, "")).unwrap();
        append(&root, &line(5, "")).unwrap();
        let times: Vec<_> = of_job(&root, ID).unwrap().iter().map(|line| line.ts).collect();
        assert_eq!(times, [1, 3, 4, 5]);
    }

    #[test]
    fn lines_are_bounded_too() {
        let temporary = tempfile::tempdir().unwrap();
        let root = Dir::open(temporary.path()).unwrap();
        append(&root, &line(0, "")).unwrap();
        let path = temporary.path().join(format!("cron/runs/{ID}.jsonl"));
        let one = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, one.repeat(MAX_LINES)).unwrap();
        append(&root, &line(7, "")).unwrap();
        let kept = of_job(&root, ID).unwrap();
        assert_eq!((kept.len(), kept.last().unwrap().ts), (MAX_LINES / 10 * KEPT_TENTHS, 7));
    }

    #[test]
    fn a_line_that_was_cut_short_swallows_none() {
        let temporary = tempfile::tempdir().unwrap();
        let root = Dir::open(temporary.path()).unwrap();
        append(&root, &line(1, "")).unwrap();
        let path = temporary.path().join(format!("cron/runs/{ID}.jsonl"));
        std::fs::write(&path, "{\"ts\":5,").unwrap();
        append(&root, &line(2, "")).unwrap();
        assert_eq!(of_job(&root, ID).unwrap().iter().map(|it| it.ts).collect::<Vec<_>>(), [2]);
        assert!(append(&root, &LogEntry { job_id: "../x".to_owned(), ..line(1, "") }).is_err());
    }
}
