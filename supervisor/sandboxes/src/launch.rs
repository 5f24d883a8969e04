//! What is asked of the launcher, so that everything else can be tried without one.

use std::fmt::Debug;
use std::sync::Arc;

use sandbox::{Exit, Launcher, RunFds, RunOrder, Started, WorkerUsage};

/// Who makes sandboxes. Every call blocks.
pub(crate) trait Launch: Debug + Send + Sync {
    /// Makes one and executes its init.
    fn run(&self, order: &RunOrder, fds: RunFds) -> Result<Started, sandbox::Error>;

    /// What it has used.
    fn usage(&self, id: u64) -> Result<WorkerUsage, sandbox::Error>;

    /// Ends it if it lives, and removes what it was charged to.
    fn kill(&self, id: u64) -> Result<Exit, sandbox::Error>;
}

impl Launch for Launcher {
    fn run(&self, order: &RunOrder, fds: RunFds) -> Result<Started, sandbox::Error> {
        Self::run(self, order, fds)
    }

    fn usage(&self, id: u64) -> Result<WorkerUsage, sandbox::Error> {
        Self::usage(self, id)
    }

    fn kill(&self, id: u64) -> Result<Exit, sandbox::Error> {
        Self::kill(self, id)
    }
}

/// Runs a blocking call of the launcher's client away from the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    launch: &Arc<dyn Launch>,
    call: impl FnOnce(&dyn Launch) -> Result<T, sandbox::Error> + Send + 'static,
) -> Result<T, sandbox::Error> {
    let launch = Arc::clone(launch);
    match tokio::task::spawn_blocking(move || call(&*launch)).await {
        Ok(result) => result,
        Err(err) => Err(sandbox::Error::from(std::io::Error::other(err))),
    }
}
