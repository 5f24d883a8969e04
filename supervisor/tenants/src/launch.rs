//! From a stopped tenant to a verified worker: root, sockets, process, first reply, outside check.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proto::worker::{Configuration, Skill, StartReply, StartRequest};
use runtime::pair;
use sandbox::{Expected, Facts, Launched, Order, Root, WorkerFds};
use tokio_util::sync::DropGuard;
use types::TenantId;

use crate::powers::Powers;
use crate::starts::Seat;
use crate::tenant::Tenant;
use crate::worker::{Leash, Parts, Worker, client, serve_host};
use crate::{Error, Inner, START_DEADLINE, events, reach, replace, watch};

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

/// Launches, starts and verifies one worker. Where its root has taken another's place, this decides
/// which of the two stays.
pub(crate) async fn launch(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    seat: Seat,
) -> Result<Arc<Worker>, Error> {
    let launched = launch_unbounded(inner, tenant, seat);
    let launched = tokio::time::timeout(START_DEADLINE, launched).await;
    let launched = launched.unwrap_or(Err(Error::Timeout));
    if tenant.unsettled.load(Ordering::Acquire) {
        match &launched {
            Ok(_verified) => replace::settle(inner, tenant).await,
            Err(_unusable) => replace::revert(inner, tenant).await,
        }
    }
    launched
}

/// Launches and verifies a worker on the staged root, which is there to unpack an archive and for
/// nothing else: it gets no configuration, and nobody answers what it calls.
pub(crate) async fn unpacker(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Result<Apart, Error> {
    let unpack_max = tenant.row.load().limits.disk_max;
    let request = StartRequest { unpack_max, ..StartRequest::default() };
    apart(inner, tenant, (Root::Staged, request)).await
}

/// Launches and verifies a worker that makes an archive of a tenant that is not to run: it does
/// nothing else, and nobody answers what it calls. The caller holds the tenant's control.
pub(crate) async fn packer(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Result<Apart, Error> {
    prepare(inner, tenant).await?;
    let request = StartRequest { pack_only: true, ..StartRequest::default() };
    apart(inner, tenant, (Root::Live, request)).await
}

/// A worker with one task, and the pair on which it is not answered.
#[derive(Debug)]
pub(crate) struct Apart {
    pub(crate) worker: Arc<Worker>,
    _host: UnixStream,
}

async fn apart(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    what: (Root, StartRequest),
) -> Result<Apart, Error> {
    let _person = tenant.wanted.by_person();
    let (place, seat) = inner.starts.enter(&tenant.wanted).await?;
    let launched = tokio::time::timeout(START_DEADLINE, apart_unbounded(inner, tenant, what, seat));
    let launched = launched.await;
    drop(place);
    match launched {
        Ok(result) => result,
        Err(_elapsed) => Err(Error::Timeout),
    }
}

async fn apart_unbounded(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    (root, request): (Root, StartRequest),
    seat: Seat,
) -> Result<Apart, Error> {
    let (ends, process) = spawn(inner, tenant, root, seat).await?;
    let tasks = inner.tasks.child();
    tenant.log.follow(&tenant.id, ends.log, &tasks)?;
    let connection = pair::connect(ends.serve, &tasks).await.map_err(Error::Pair)?;
    let reply = ask_to_start(&connection, request).await?;
    let worker = verified(inner, tenant, (ends.inodes, process, connection), reply).await?;
    Ok(Apart { worker: Arc::new(worker), _host: ends.host })
}

async fn launch_unbounded(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    seat: Seat,
) -> Result<Arc<Worker>, Error> {
    prepare(inner, tenant).await?;
    // The records answer while the process is made.
    let (spawned, configuration) =
        tokio::try_join!(spawn(inner, tenant, Root::Live, seat), settled(inner, tenant))?;
    let (ends, process) = spawned;
    let tasks = inner.tasks.child();
    tenant.log.follow(&tenant.id, ends.log, &tasks)?;
    serve_host(Powers::new(inner, tenant), ends.host, &tasks);
    let connection = pair::connect(ends.serve, &tasks).await.map_err(Error::Pair)?;
    let reply = start(inner, configuration, &connection).await?;
    let worker = verified(inner, tenant, (ends.inodes, process, connection), reply).await?;
    tracing::info!(tenant = %tenant.id, pid = worker.pid, "worker verified");
    let worker = Arc::new(worker);
    events::follow(inner, tenant, &worker, &tasks).await?;
    Ok(worker)
}

/// A worker of a process that has started, if the kernel says of it what was ordered.
async fn verified(
    inner: &Inner,
    tenant: &Tenant,
    (inodes, process, connection): ([u64; 3], Watched, pair::Client),
    reply: StartReply,
) -> Result<Worker, Error> {
    let expected = expected(inner, tenant, inodes, &reply);
    let Watched { id, pid, leash, guard } = process;
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
        let is_ending = worker.is_ending().await;
        return Err(if is_ending { Error::WorkerGone } else { Error::Unverified(findings) });
    }
    guard.disarm();
    Ok(worker)
}

pub(crate) async fn prepare(inner: &Inner, tenant: &Tenant) -> Result<(), Error> {
    if tenant.prepared.load(Ordering::Acquire) {
        return Ok(());
    }
    let (launcher, id, row) = (inner.launcher.clone(), tenant.id.clone(), tenant.row.load_full());
    let prepared = blocking(move || launcher.prepare(&id, row.index, row.limits.disk_max))
        .await
        .map_err(Error::Launcher)?;
    tenant.unsettled.store(prepared.unsettled, Ordering::Release);
    tenant.prepared.store(true, Ordering::Release);
    Ok(())
}

async fn spawn(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    root: Root,
    seat: Seat,
) -> Result<(Ends, Watched), Error> {
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
        root,
    };
    let (scope, owner) = (Arc::clone(inner), Arc::clone(tenant));
    let fds = WorkerFds { serve: far_serve.into(), host: far_host.into(), log: far_log };
    // Watched before it is handed over: where the start was given up meanwhile, nobody takes what
    // is handed over, and dropping it ends the process.
    let watched = blocking(move || {
        let launched = scope.launcher.launch(&order, fds)?;
        Ok(watched(&scope, &owner, launched, seat))
    });
    let process = watched.await.map_err(Error::Launcher)??;
    Ok((Ends { serve, host, log, inodes }, process))
}

fn watched(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    launched: Launched,
    seat: Seat,
) -> Result<Watched, Error> {
    let (id, pid) = (launched.id, launched.pid);
    let watch = watch::start(inner, tenant, launched, seat);
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

/// What the worker is to go by, after the rules of its way out were made of the same.
async fn settled(inner: &Inner, tenant: &Tenant) -> Result<Configuration, Error> {
    reach::settle(inner, tenant).await?;
    configuration(inner, &tenant.id).await
}

async fn start(
    inner: &Inner,
    configuration: Configuration,
    connection: &pair::Client,
) -> Result<StartReply, Error> {
    let request = StartRequest {
        configuration: Some(configuration),
        models: inner.host.models().to_vec(),
        default_model: inner.host.default_model().to_owned(),
        ..StartRequest::default()
    };
    ask_to_start(connection, request).await
}

async fn ask_to_start(
    connection: &pair::Client,
    request: StartRequest,
) -> Result<StartReply, Error> {
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
