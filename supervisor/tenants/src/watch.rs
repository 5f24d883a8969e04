//! One task per worker that waits for its end, reaps it through the launcher, and says so.

use std::sync::Arc;
use std::time::Duration;

use audit::{Act, Ended, Who};
use sandbox::{Exit, Launched, Status};
use tokio_util::sync::DropGuard;

use crate::starts::Seat;
use crate::tenant::Tenant;
use crate::worker::{Leash, PidFd};
use crate::{Error, Inner, launch};

/// How long after a worker was killed and found not gone one asks again.
const AGAIN: Duration = Duration::from_millis(500);

/// Starts the watch over a process that was just launched. Dropping the guard kills the process,
/// so that a start that fails half-way leaves nothing behind.
pub(crate) fn start(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    launched: Launched,
    seat: Seat,
) -> Result<(Leash, DropGuard), Error> {
    let leash = Leash::default();
    #[expect(deprecated, reason = "its replacement is unsafe, and an OwnedFd is what it asks for")]
    let pidfd = PidFd::new(launched.pidfd).map_err(Error::Sockets)?;
    let task = Watch {
        inner: Arc::clone(inner),
        tenant: Arc::clone(tenant),
        leash: leash.clone(),
        id: launched.id,
        pid: launched.pid,
        _seat: seat,
    };
    drop(inner.tasks.spawn(task.run(pidfd)));
    let guard = leash.pulled.clone().drop_guard();
    Ok((leash, guard))
}

struct Watch {
    inner: Arc<Inner>,
    tenant: Arc<Tenant>,
    leash: Leash,
    id: u64,
    pid: u32,
    /// Given back when the process is gone.
    _seat: Seat,
}

impl Watch {
    async fn run(self, pidfd: PidFd) {
        let asked_for = tokio::select! {
            () = self.leash.pulled.cancelled() => true,
            ended = pidfd.readable() => {
                if let Err(err) = ended {
                    tracing::error!(pid = self.pid, error = %types::Chain(&err), "pidfd is unreadable");
                }
                false
            }
        };
        match self.reap().await {
            Ok(exit) if asked_for => {
                tracing::info!(tenant = %self.tenant.id, pid = self.pid, ?exit, "worker stopped");
            }
            Ok(exit) => {
                tracing::warn!(tenant = %self.tenant.id, pid = self.pid, ?exit, "worker crashed");
                let act = Act::new("worker.crashed", Who::GATEWAY);
                let act = act.of_tenant(self.tenant.id.as_str());
                self.inner.audit.note(act, Ended::failed(&word(exit)));
            }
            Err(err) => {
                tracing::error!(tenant = %self.tenant.id, pid = self.pid, error = %types::Chain(&err), "worker not reaped");
            }
        }
        self.leash.gone.cancel();
    }

    /// Ends the process if it lives, and asks until it is gone: until then the tenant has a worker.
    async fn reap(&self) -> Result<Exit, sandbox::Error> {
        let mut told = false;
        loop {
            let (launcher, id) = (self.inner.launcher.clone(), self.id);
            let reaped = launch::blocking(move || launcher.kill(id)).await;
            if !matches!(reaped, Err(sandbox::Error::Dying)) {
                return reaped;
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(tenant = %self.tenant.id, pid = self.pid, "worker was killed and is not gone yet");
            }
            tokio::time::sleep_until(tokio::time::Instant::now() + AGAIN).await;
        }
    }
}

/// How a worker ended, in a word for the audit trail.
fn word(exit: Exit) -> String {
    match exit.status {
        _ if exit.oom_kills > 0 => "out_of_memory".to_owned(),
        Status::Exited(code) => format!("exit_{code}"),
        Status::Signaled(signal) => format!("signal_{signal}"),
    }
}
