//! One verified worker process: its calling end, the gate in front of it, and how it is ended.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use proto::worker::worker_client::WorkerClient;
use proto::worker::{
    ArchivePart, CallReply, CallRequest, ChannelEvent, Configuration, DrainRequest, EventsRequest,
    ExportRequest, ImportReply, OutboundPart, OutboundRequest, ServePart, ServeRequest,
    WakeRequest, WorkerEvent,
};
use runtime::{Gate, Pass, Tasks, limits, pair};
use sandbox::Expected;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use types::UnixMillis;

use crate::Error;
use crate::powers::Powers;

/// How long a worker may take beyond the deadline to write down and tell what it stops; a little
/// longer than it gives itself.
const STOP_GRACE: Duration = Duration::from_millis(2_500);

/// A worker that requests may be routed to.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The launcher's number for it.
    pub(crate) id: u64,
    pub(crate) pid: u32,
    pub(crate) started_at: UnixMillis,
    pub(crate) version: String,
    /// What the kernel must say of it, now and at every inspection.
    pub(crate) expected: Expected,
    pub(crate) landlock_abi: u32,
    client: WorkerClient<pair::Client>,
    /// For replies that arrive in parts.
    parts: WorkerClient<pair::Client>,
    connection: pair::Client,
    gate: Gate,
    leash: Leash,
    /// Runs that no request waits for, as the worker says.
    pub(crate) background: AtomicU32,
    /// Its proportional set size in bytes, as measured last; 0 before.
    pub(crate) memory: AtomicU64,
    /// How many of its events were passed on.
    pub(crate) told: watch::Sender<u64>,
}

/// How long the end of a process is waited for that the kernel has begun to take apart.
const ENDING: Duration = Duration::from_millis(200);

/// How long an answer waits for the events before it.
const TELLING: Duration = Duration::from_secs(2);

/// The hold on a process: pulled, it is killed; it says when the process is gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leash {
    pub(crate) pulled: CancellationToken,
    pub(crate) gone: CancellationToken,
}

/// What [`Worker::new`] is made of.
pub(crate) struct Parts {
    pub(crate) id: u64,
    pub(crate) pid: u32,
    pub(crate) started_at: UnixMillis,
    pub(crate) version: String,
    pub(crate) expected: Expected,
    pub(crate) landlock_abi: u32,
    pub(crate) connection: pair::Client,
    pub(crate) leash: Leash,
}

/// The calling end. A worker may have been taken over, so what it answers is bounded by what a
/// whole one sends, not by the longest request.
pub(crate) fn client(connection: &pair::Client) -> WorkerClient<pair::Client> {
    reading(connection, limits::MAX_RESULT)
}

fn reading(connection: &pair::Client, longest: usize) -> WorkerClient<pair::Client> {
    WorkerClient::new(connection.clone())
        .max_decoding_message_size(longest + limits::MAX_AROUND)
        .max_encoding_message_size(limits::MAX_MESSAGE)
}

impl Worker {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            id: parts.id,
            pid: parts.pid,
            started_at: parts.started_at,
            version: parts.version,
            expected: parts.expected,
            landlock_abi: parts.landlock_abi,
            client: client(&parts.connection),
            parts: reading(&parts.connection, limits::MAX_PART),
            connection: parts.connection,
            gate: Gate::default(),
            leash: parts.leash,
            background: AtomicU32::new(0),
            memory: AtomicU64::new(0),
            told: watch::Sender::new(0),
        }
    }

    /// Waits until so many of its events were passed on: what it answers comes after what it has told
    /// of it. A worker that counts wrongly makes its own caller wait a moment.
    pub(crate) async fn has_told(&self, events: u64) {
        let mut told = self.told.subscribe();
        let is_told = told.wait_for(|told| *told >= events);
        drop(tokio::time::timeout(TELLING, is_told).await);
    }

    /// The right to send one request, unless the worker drains or is gone.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<(Arc<Self>, Pass)> {
        if self.is_gone() {
            return None;
        }
        self.gate.enter().ok().map(|pass| (Arc::clone(self), pass))
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.connection.is_closed() || self.leash.gone.is_cancelled()
    }

    /// Whether the process is gone within a moment. One that is being ended has left its control groups and
    /// closed its descriptors, so that the kernel says something else of it than was ordered.
    pub(crate) async fn is_ending(&self) -> bool {
        tokio::time::timeout(ENDING, self.leash.gone.cancelled()).await.is_ok()
    }

    /// Requests under way.
    pub(crate) fn passes(&self) -> usize {
        self.gate.passes()
    }

    pub(crate) async fn call(&self, request: CallRequest) -> Result<CallReply, Status> {
        self.client.clone().call(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn replies(
        &self,
        request: CallRequest,
    ) -> Result<Streaming<CallReply>, Status> {
        self.client.clone().replies(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn hear(&self, event: ChannelEvent) -> Result<(), Status> {
        self.client.clone().hear(event).await.map(|_| ())
    }

    pub(crate) async fn configure(&self, configuration: Configuration) -> Result<(), Status> {
        self.client.clone().configure(configuration).await.map(|_| ())
    }

    pub(crate) async fn events(&self) -> Result<Streaming<WorkerEvent>, Status> {
        self.parts.clone().events(EventsRequest {}).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn wake(&self, due_at_ms: u64) -> Result<(), Status> {
        self.client.clone().wake(WakeRequest { due_at_ms }).await.map(|_| ())
    }

    pub(crate) async fn serve(
        &self,
        request: ServeRequest,
    ) -> Result<Streaming<ServePart>, Status> {
        self.parts.clone().serve(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn export(&self) -> Result<Streaming<ArchivePart>, Status> {
        self.parts.clone().export(ExportRequest {}).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn outbound(
        &self,
        request: OutboundRequest,
    ) -> Result<Streaming<OutboundPart>, Status> {
        self.parts.clone().outbound(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn import(
        &self,
        parts: impl Stream<Item = ArchivePart> + Send + 'static,
    ) -> Result<ImportReply, Status> {
        self.parts.clone().import(parts).await.map(tonic::Response::into_inner)
    }

    /// Takes no new work, waits up to `deadline` for what is under way, has the worker stop what is
    /// left, and ends the process.
    pub(crate) async fn drain(&self, deadline: Duration) {
        self.leave(deadline, false).await;
    }

    /// The same, if there is nothing under way: a run can have begun of which nothing was heard yet. Says
    /// whether the process was ended.
    pub(crate) async fn rest(&self, deadline: Duration) -> bool {
        self.leave(deadline, true).await
    }

    async fn leave(&self, deadline: Duration, if_idle: bool) -> bool {
        self.gate.close();
        let by = Instant::now() + deadline;
        let finished = async {
            let emptied = tokio::time::timeout_at(by, self.gate.emptied()).await;
            let left = emptied.map_or(Duration::ZERO, |()| by.duration_since(Instant::now()));
            let deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
            self.client.clone().drain(DrainRequest { deadline_ms, if_idle }).await
        };
        match tokio::time::timeout_at(by + STOP_GRACE, finished).await {
            Ok(Ok(reply)) if reply.get_ref().busy && if_idle => {
                self.gate.reopen();
                return false;
            }
            Ok(Ok(_reply)) => {}
            Ok(Err(status)) => tracing::debug!(pid = self.pid, %status, "the worker did not drain"),
            Err(_elapsed) => tracing::info!(pid = self.pid, "drain deadline passed"),
        }
        self.end().await;
        true
    }

    /// Kills the process and waits until it is gone.
    pub(crate) async fn end(&self) {
        self.gate.close();
        self.leash.pulled.cancel();
        self.leash.gone.cancelled().await;
    }

    /// What a failed request means: the worker's answer, or its end.
    pub(crate) fn failure(&self, status: Status) -> Error {
        if self.is_gone() || is_transport(&status) {
            Error::WorkerGone
        } else {
            Error::Worker(Box::new(status))
        }
    }
}

/// Whether the status was made on this side because the connection broke.
fn is_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
        || matches!(status.code(), tonic::Code::Unavailable | tonic::Code::Cancelled)
}

/// Serves the host's powers on the worker's calling pair until the worker is gone.
pub(crate) fn serve_host(powers: Powers, socket: std::os::unix::net::UnixStream, tasks: &Tasks) {
    let scope = tasks.clone();
    drop(tasks.spawn(async move {
        if let Err(err) = pair::serve_untrusted(powers, socket, &scope).await {
            tracing::debug!(error = %types::Chain(&err), "the host's pair closed");
        }
    }));
}

/// A process's pidfd, readable when the process has ended.
pub(crate) type PidFd = tokio::io::unix::AsyncFd<OwnedFd>;

#[cfg(test)]
mod tests;
