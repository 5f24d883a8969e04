//! What a worker writes to its log pipe: kept in a bounded ring per tenant and passed on at DEBUG.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::Tasks;
use std::os::fd::OwnedFd;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::unix::pipe;
use types::TenantId;

use crate::Error;

/// Lines kept per tenant.
const LINES: usize = 1000;

/// Bytes kept of one line; a worker can be made to write longer ones.
const LINE_BYTES: u64 = 4096;

/// The last lines of one tenant's workers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    /// The last `count` lines, oldest first.
    pub(crate) fn tail(&self, count: usize) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect()
    }

    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LINES {
            lines.pop_front();
        }
        lines.push_back(line);
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
            loop {
                match line(&mut reader).await {
                    Ok(Some(line)) => {
                        tracing::debug!(%tenant, line, "worker");
                        log.push(line);
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
