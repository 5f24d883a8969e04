//! The start order of a confined worker, and its end.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runtime::{Tasks, pair};
use sandbox::confine::Confinement;
use tokio::runtime::Runtime;
use types::SystemClock;

use crate::{Error, Worker};

/// Where a tenant's root is mounted in its worker.
pub const ROOT: &str = "/tenant";

/// How long turns may take to store what they have once the supervisor is gone.
const GRACE: Duration = Duration::from_secs(2);

/// Threads for file work, which is short but for an archive's, one at a time on two threads. Their stacks hold no recursion beyond JSON's 128 levels.
const THREADS: usize = 6;
const STACK: usize = 512 << 10;
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Serves the tenant at `root` over pair A, calling the host over pair B, until pair A closes.
///
/// # Errors
/// When the runtime cannot be built or a pair fails.
pub fn run(
    root: PathBuf,
    confinement: Confinement,
    serve: UnixStream,
    host: UnixStream,
) -> Result<(), Error> {
    let runtime = runtime().map_err(Error::io("build the runtime"))?;
    runtime.block_on(async {
        let tasks = Tasks::default();
        let host = pair::connect(host, &tasks).await?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "worker started");
        let worker = Worker::new(root, host, confinement, Arc::new(SystemClock), &tasks);
        let served = pair::serve(worker.into_service(), serve, &tasks).await;
        if !tasks.shut_down(GRACE).await {
            tracing::warn!("turns were still under way at the end");
        }
        Ok(served?)
    })
}

/// One thread, and a few more for file work while there is some.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(THREADS)
        .thread_stack_size(STACK)
        .thread_keep_alive(KEEP_ALIVE)
        .build()
}

#[cfg(test)]
mod tests;
