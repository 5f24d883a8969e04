//! From a stopped tenant to a verified worker: root, sockets, process, first reply, outside check.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proto::worker::{Configuration, Skill, StartReply, StartRequest};
use runtime::pair;
use sandbox::{Expected, Facts, Launched, Order, WorkerFds};
use tokio_util::sync::DropGuard;
use types::TenantId;

use crate::powers::Powers;
use crate::tenant::Tenant;
use crate::worker::{Leash, Parts, Worker, client, serve_host};
use crate::{Error, Inner, START_DEADLINE, events, reach, watch};

/// Runs a blocking call of the launcher's client away from the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, sandbox::Error> + Send + 'static,
) -> Result<T, sandbox::Error> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(err) => Err(sandbox::Error::from(std::io::Error::other(err))),
    }
}

/// The near ends of what a worker inherits, and what the kernel will call the far ends.
struct Ends {
    serve: UnixStream,
    host: UnixStream,
    log: std::os::fd::OwnedFd,
    inodes: [u64; 3],
}

/// A process that ends when its guard is dropped.
struct Watched {
    id: u64,
    pid: u32,
    leash: Leash,
    guard: DropGuard,
}

/// Launches, starts and verifies one worker.
pub(crate) async fn launch(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Result<Arc<Worker>, Error> {
    match tokio::time::timeout(START_DEADLINE, launch_unbounded(inner, tenant)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(Error::Timeout),
    }
}

async fn launch_unbounded(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Result<Arc<Worker>, Error> {
    prepare(inner, tenant).await?;
    let (ends, Watched { id, pid, leash, guard }) = spawn(inner, tenant).await?;
    let tasks = inner.tasks.child();
    tenant.log.follow(&tenant.id, ends.log, &tasks)?;
    serve_host(Powers::new(inner, tenant), ends.host, &tasks);
    let connection = pair::connect(ends.serve, &tasks).await.map_err(Error::Pair)?;
    let reply = start(inner, tenant, &connection).await?;
    let expected = expected(inner, tenant, ends.inodes, &reply);
    let worker = Worker::new(Parts {
        id,
        pid,
        started_at: inner.clock.now(),
        version: reply.version,
        expected,
        landlock_abi: reply.landlock_abi,
        connection,
        leash,
    });
    let findings = verify(inner, &worker).await?.1;
    if !findings.is_empty() {
        return Err(Error::Unverified(findings));
    }
    guard.disarm();
    tracing::info!(tenant = %tenant.id, pid, "worker verified");
    let worker = Arc::new(worker);
    events::follow(inner, tenant, &worker, &tasks).await?;
    Ok(worker)
}

async fn prepare(inner: &Inner, tenant: &Tenant) -> Result<(), Error> {
    if tenant.prepared.load(Ordering::Acquire) {
        return Ok(());
    }
    let (launcher, id, row) = (inner.launcher.clone(), tenant.id.clone(), tenant.row.load_full());
    blocking(move || launcher.prepare(&id, row.index, row.limits.disk_max))
        .await
        .map_err(Error::Launcher)?;
    tenant.prepared.store(true, Ordering::Release);
    Ok(())
}

async fn spawn(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Result<(Ends, Watched), Error> {
    let (serve, far_serve) = sandbox::pairs::pair().map_err(Error::Sockets)?;
    let (host, far_host) = sandbox::pairs::pair().map_err(Error::Sockets)?;
    let (log, far_log) = sandbox::pairs::log_pipe().map_err(Error::Sockets)?;
    let inode = |fd: std::os::fd::BorrowedFd<'_>| -> Result<u64, Error> {
        nix::sys::stat::fstat(fd).map(|stat| stat.st_ino).map_err(|err| Error::Sockets(err.into()))
    };
    let inodes = [inode(far_serve.as_fd())?, inode(far_host.as_fd())?, inode(far_log.as_fd())?];
    let row = tenant.row.load();
    let order = Order {
        tenant: tenant.id.clone(),
        index: row.index,
        memory_max: row.limits.memory_max,
        pids_max: row.limits.pids_max,
        cpu_millis: row.limits.cpu_millis,
    };
    let (scope, owner) = (Arc::clone(inner), Arc::clone(tenant));
    let fds = WorkerFds { serve: far_serve.into(), host: far_host.into(), log: far_log };
    // Watched before it is handed over: where the start was given up meanwhile, nobody takes what
    // is handed over, and dropping it ends the process.
    let watched = blocking(move || {
        let launched = scope.launcher.launch(&order, fds)?;
        Ok(watched(&scope, &owner, launched))
    });
    let process = watched.await.map_err(Error::Launcher)??;
    Ok((Ends { serve, host, log, inodes }, process))
}

fn watched(inner: &Arc<Inner>, tenant: &Arc<Tenant>, launched: Launched) -> Result<Watched, Error> {
    let (id, pid) = (launched.id, launched.pid);
    let watch = watch::start(inner, tenant, launched);
    if watch.is_err()
        && let Err(err) = inner.launcher.kill(id)
    {
        tracing::error!(pid, error = %types::Chain(&err), "a worker nobody watches is not killed");
    }
    watch.map(|(leash, guard)| Watched { id, pid, leash, guard })
}

/// What the tenant's worker is to go by.
pub(crate) async fn configuration(inner: &Inner, id: &TenantId) -> Result<Configuration, Error> {
    let effective = inner.settings.effective(id).await.map_err(Error::Settings)?;
    let skill = |(name, text)| Skill { name, text };
    let skills = effective.skills.into_iter().map(skill).collect();
    Ok(Configuration { settings: effective.settings, skills })
}

/// Tells a worker its settings anew.
pub(crate) async fn configure(
    inner: &Inner,
    tenant: &Tenant,
    worker: &Worker,
) -> Result<(), Error> {
    let configuration = configuration(inner, &tenant.id).await?;
    worker.configure(configuration).await.map_err(|status| worker.failure(status))
}

async fn start(
    inner: &Inner,
    tenant: &Tenant,
    connection: &pair::Client,
) -> Result<StartReply, Error> {
    reach::settle(inner, tenant).await?;
    let request = StartRequest {
        configuration: Some(configuration(inner, &tenant.id).await?),
        models: inner.host.models().to_vec(),
        default_model: inner.host.default_model().to_owned(),
    };
    let reply = client(connection).start(request).await;
    let reply = reply.map_err(|status| Error::Start(Box::new(status)))?.into_inner();
    if reply.version == env!("CARGO_PKG_VERSION") { Ok(reply) } else { Err(Error::Version) }
}

fn expected(inner: &Inner, tenant: &Tenant, inodes: [u64; 3], reply: &StartReply) -> Expected {
    let row = tenant.row.load();
    let [serve_inode, host_inode, log_inode] = inodes;
    Expected {
        host: inner.host_report.clone(),
        index: row.index,
        memory_max: row.limits.memory_max,
        pids_max: row.limits.pids_max,
        cpu_millis: row.limits.cpu_millis,
        serve_inode,
        host_inode,
        log_inode,
        landlock_abi: reply.landlock_abi,
        probes_refused: reply.probes.iter().all(|probe| probe.refused),
    }
}

/// Asks the kernel what the worker has really got, and compares.
pub(crate) async fn verify(
    inner: &Inner,
    worker: &Worker,
) -> Result<(Facts, Vec<sandbox::Finding>), Error> {
    let (launcher, id) = (inner.launcher.clone(), worker.id);
    let raw = blocking(move || launcher.facts(id)).await.map_err(Error::Launcher)?;
    let facts = Facts::parse(&raw).map_err(Error::Launcher)?;
    let findings = sandbox::verify(&facts, &worker.expected);
    Ok((facts, findings))
}

#[cfg(test)]
mod tests;
