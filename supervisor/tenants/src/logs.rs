//! What a worker writes to its log pipe: kept in a bounded ring per tenant and passed on at DEBUG.

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

/// Bytes read in one second. A worker that writes faster loses what its pipe does not take, and
/// takes no more of the supervisor's time.
const PER_SECOND: usize = 256 << 10;

/// What a line costs beyond its bytes, in memory and in time.
const PER_LINE: usize = 64;

/// The last lines of one tenant's workers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Box<str>>,
    /// What they cost.
    kept: usize,
    /// Bytes of all lines that ever came, each with its line end.
    written: u64,
}

/// The speed at which a pipe is read.
#[derive(Debug)]
struct Pace {
    second: Instant,
    spent: usize,
}

impl Ring {
    fn push(&mut self, line: Box<str>) {
        self.kept += cost(&line);
        self.written += u64::try_from(line.len()).unwrap_or(0) + 1;
        self.lines.push_back(line);
        while (self.lines.len() > LINES || self.kept > KEPT)
            && let Some(oldest) = self.lines.pop_front()
        {
            self.kept -= cost(&oldest);
        }
    }
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
        let lines = &self.ring().lines;
        lines.iter().skip(lines.len().saturating_sub(count)).map(ToString::to_string).collect()
    }

    /// Every line that is kept, oldest first, and the bytes of all that ever came.
    pub(crate) fn whole(&self) -> (Vec<String>, u64) {
        let ring = self.ring();
        (ring.lines.iter().map(ToString::to_string).collect(), ring.written)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
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
                        log.ring().push(line.into_boxed_str());
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
            (0..3000).for_each(|_| log.ring().push(Box::from(line)));
            assert_eq!(log.tail(usize::MAX).len(), kept);
            assert_eq!(log.ring().kept, kept * cost(line));
        };
        check("", LINES);
        check("a line of the usual length, more or less", LINES);
        check(&"x".repeat(4096), KEPT / (4096 + PER_LINE));
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
