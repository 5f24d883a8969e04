//! What a worker writes to its log pipe, and what the gateway notes of the tenant: kept in a bounded
//! ring each and read as one, in the order in which it came. Workers' lines are passed on at DEBUG.
//!
//! A worker may have been taken over: it cannot push out what the gateway notes, nor write it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::Tasks;
use std::os::fd::OwnedFd;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::time::Instant;
use types::TenantId;

use crate::Error;

/// Lines kept per tenant.
const LINES: usize = 1000;

/// Bytes kept per tenant, what it takes to keep a line included.
const KEPT: usize = 128 << 10;

/// Bytes read of one line; a worker can be made to write longer ones.
const LINE_BYTES: u64 = 4096;

/// Bytes kept of a line of the gateway's own, as of a worker's.
const LINE_MAX: usize = 4096;

/// Bytes read in one second. A worker that writes faster loses what its pipe does not take, and
/// takes no more of the supervisor's time.
const PER_SECOND: usize = 256 << 10;

/// What a line costs beyond its bytes, in memory and in time.
const PER_LINE: usize = 64;

/// What lines of the gateway's own begin with, and no others.
const OURS: &str = "gateway: ";

/// What a worker's line that claims to be one begins with.
const THEIRS: &str = "worker: ";

/// The last lines of one tenant's workers, and the gateway's own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Rings>>);

#[derive(Debug, Default)]
struct Rings {
    worker: Ring,
    notes: Ring,
    /// Lines that ever came.
    count: u64,
    /// Bytes of all lines that ever came, each with its line end.
    written: u64,
}

#[derive(Debug, Default)]
struct Ring {
    /// Each with its number among all.
    lines: VecDeque<(u64, Box<str>)>,
    /// What they cost.
    kept: usize,
}

/// The speed at which a pipe is read.
#[derive(Debug)]
struct Pace {
    second: Instant,
    spent: usize,
}

impl Ring {
    fn push(&mut self, number: u64, line: Box<str>) {
        self.kept += cost(&line);
        self.lines.push_back((number, line));
        while (self.lines.len() > LINES || self.kept > KEPT)
            && let Some((_, oldest)) = self.lines.pop_front()
        {
            self.kept -= cost(&oldest);
        }
    }
}

impl Rings {
    /// A line of a worker. One that begins as ours do, whatever blanks are before, is marked.
    fn worker(&mut self, line: &str) {
        let line = visible(line);
        let claims = line
            .trim_start()
            .get(..OURS.len() - 1)
            .is_some_and(|it| it.eq_ignore_ascii_case(OURS.trim_end()));
        let line = if claims { format!("{THEIRS}{line}") } else { line };
        let number = self.number(&line);
        self.worker.push(number, line.into());
    }

    /// A line of the gateway's own.
    fn note(&mut self, line: &str) {
        let line = format!("{OURS}{}", visible(line));
        let line = line.get(..line.floor_char_boundary(LINE_MAX)).unwrap_or(&line);
        let number = self.number(line);
        self.notes.push(number, line.into());
    }

    fn number(&mut self, line: &str) -> u64 {
        self.count += 1;
        self.written += u64::try_from(line.len()).unwrap_or(0) + 1;
        self.count
    }

    /// Every line that is kept, oldest first.
    fn all(&self) -> Vec<String> {
        let mut all: Vec<_> = self.worker.lines.iter().chain(&self.notes.lines).collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, line)| line.to_string()).collect()
    }
}

/// A line in which nothing is obeyed by a terminal, or ends it.
fn visible(line: &str) -> String {
    let shown =
        |it: char| if it.is_control() && it != '\t' { char::REPLACEMENT_CHARACTER } else { it };
    line.chars().map(shown).collect()
}

const fn cost(line: &str) -> usize {
    line.len() + PER_LINE
}

impl Pace {
    fn new() -> Self {
        Self { second: Instant::now(), spent: 0 }
    }

    /// Waits for the next second where this one has had its share.
    async fn spend(&mut self, bytes: usize) {
        let next = self.second + Duration::from_secs(1);
        if self.spent >= PER_SECOND {
            tokio::time::sleep_until(next).await;
        }
        if Instant::now() >= next {
            *self = Self::new();
        }
        self.spent += bytes + PER_LINE;
    }
}

impl Log {
    /// The last `count` lines, oldest first.
    pub(crate) fn tail(&self, count: usize) -> Vec<String> {
        let mut lines = self.rings().all();
        lines.split_off(lines.len().saturating_sub(count))
    }

    /// Every line that is kept, oldest first, and the bytes of all that ever came.
    pub(crate) fn whole(&self) -> (Vec<String>, u64) {
        let rings = self.rings();
        (rings.all(), rings.written)
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the pipe until the worker closes it.
    pub(crate) fn follow(
        &self,
        tenant: &TenantId,
        reader: OwnedFd,
        tasks: &Tasks,
    ) -> Result<(), Error> {
        let pipe = pipe::Receiver::from_owned_fd(reader).map_err(Error::Sockets)?;
        let (log, tenant) = (self.clone(), tenant.clone());
        drop(tasks.spawn(async move {
            let mut reader = BufReader::with_capacity(1024, pipe);
            let mut pace = Pace::new();
            loop {
                match line(&mut reader).await {
                    Ok(Some(line)) => {
                        tracing::debug!(%tenant, line, "worker");
                        pace.spend(line.len()).await;
                        log.rings().worker(&line);
                    }
                    Ok(None) => return,
                    Err(err) => {
                        tracing::debug!(%tenant, error = %types::Chain(&err), "log pipe broke");
                        return;
                    }
                }
            }
        }));
        Ok(())
    }
}

impl egress::Journal for Log {
    fn note(&self, line: &str) {
        self.rings().note(line);
    }
}

/// The next line, cut at [`LINE_BYTES`]; a longer one arrives in pieces.
async fn line(reader: &mut BufReader<pipe::Receiver>) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    reader.take(LINE_BYTES).read_until(b'\n', &mut bytes).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_in_lines_and_in_bytes() {
        let check = |line: &str, kept: usize| {
            let log = Log::default();
            (0..3000).for_each(|_| log.rings().worker(line));
            assert_eq!(log.tail(usize::MAX).len(), kept);
            assert_eq!(log.rings().worker.kept, kept * cost(line));
        };
        check("", LINES);
        check("a line of the usual length, more or less", LINES);
        check(&"x".repeat(4096), KEPT / (4096 + PER_LINE));
    }

    #[test]
    fn what_the_gateway_notes_is_a_short_line_among_the_others() {
        let log = Log::default();
        egress::Journal::note(&log, "egress refused");
        egress::Journal::note(&log, &"ü".repeat(4000));
        let lines = log.tail(2);
        assert_eq!((lines[0].as_str(), lines[1].len()), ("gateway: egress refused", LINE_MAX - 1));
    }

    #[test]
    fn what_the_gateway_notes_is_not_forged_and_not_pushed_out() {
        let log = Log::default();
        log.rings().worker("before");
        egress::Journal::note(&log, "exec 1 begins\nx");
        log.rings().worker(" \tGateway: exec 2 begins");
        log.rings().worker("\u{1b}[2J\rgateway: x");
        assert_eq!(
            log.tail(4),
            [
                "before",
                "gateway: exec 1 begins\u{fffd}x",
                "worker:  \tGateway: exec 2 begins",
                "\u{fffd}[2J\u{fffd}gateway: x",
            ]
        );
        (0..3000).for_each(|_| log.rings().worker("flood"));
        let (lines, written) = log.whole();
        assert_eq!(lines[0], "gateway: exec 1 begins\u{fffd}x");
        assert_eq!((lines.len(), log.rings().count), (LINES + 1, 3004));
        assert!(written > 3000 * 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_floods_its_log_is_read_slowly() {
        let (begun, mut pace) = (Instant::now(), Pace::new());
        for _ in 0..4 * PER_SECOND / PER_LINE {
            pace.spend(0).await;
        }
        assert_eq!(begun.elapsed().as_secs(), 3);
    }
}
