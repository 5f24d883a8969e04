//! Handing events over to workers in their turn, and again where a worker was lost before it had dealt
//! with them; what workers say has become of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use delivery::inbox::{Failure, Job};
use egress::Journal as _;
use futures_util::future::{BoxFuture, join_all};
use prost::Message as _;
use proto::worker::call_reply::Outcome;
use proto::worker::kept::What;
use proto::worker::{Kept, ServePart, ServeRequest, Settled};
use runtime::limits;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Code;

use crate::deliveries::HOOK_DEADLINE;
use crate::tenant::Tenant;
use crate::worker::Worker;
use crate::{CALL_DEADLINE, Error, Inner};

/// How long after a worker was lost what it had is handed to the next one.
const AFTER_LOSS: Duration = Duration::from_millis(120);

/// What a worker has said of events and is yet to be written: beyond that it is listened to no further.
pub(crate) const MAX_UNWRITTEN: usize = 64;

/// Of these, those that are written at once, which the records do in one go.
const WRITTEN: usize = 16;

/// Hands over whatever has its turn.
pub(crate) fn pump<'a>(inner: &'a Arc<Inner>, tenant: &'a Arc<Tenant>) -> BoxFuture<'a, ()> {
    // Handing over may start a worker, whose end hands over again: a type that ends somewhere.
    Box::pin(async move {
        if inner.tasks.is_stopping() {
            return;
        }
        match tenant.inbox.begin().await {
            Ok(jobs) => {
                for job in jobs {
                    let (scope, tenant) = (Arc::clone(inner), Arc::clone(tenant));
                    drop(inner.tasks.spawn(async move { hand(&scope, &tenant, job).await }));
                }
            }
            Err(err) => failed(tenant, &err),
        }
    })
}

async fn hand(inner: &Arc<Inner>, tenant: &Arc<Tenant>, mut job: Job) {
    let answered = match tenant.ready(inner).await {
        Ok((worker, pass)) => {
            let answered = match tenant.inbox.claim(&mut job, worker.id).await {
                // It has its turn later, or needs none any more.
                Ok(None) => {
                    drop(pass);
                    return pump(inner, tenant).await;
                }
                Ok(Some(content)) => match Kept::decode(content) {
                    Ok(mut kept) => {
                        if job.is_again {
                            again(&mut kept);
                        }
                        ask(&worker, kept).await
                    }
                    Err(err) => Err(Failure::Refused(Bytes::new(), err.to_string())),
                },
                Err(err @ delivery::Error::Sealed(_)) => {
                    Err(Failure::Refused(Bytes::new(), err.to_string()))
                }
                Err(err) => {
                    failed(tenant, &err);
                    Err(Failure::Records(err.to_string()))
                }
            };
            tenant.last_used.fetch_max(inner.clock.now(), Ordering::Relaxed);
            drop(pass);
            answered.map(|answer| (worker.id, answer))
        }
        Err(err) => Err(Failure::NoWorker(err.public())),
    };
    match answered {
        Ok((id, answer)) => {
            if !tenant.inbox.given(&job, id, answer) {
                lost(inner, tenant, id).await;
            }
        }
        Err(failure) => {
            let over = tenant.inbox.failed(&job, failure).await;
            told(tenant, &job.event_id, over);
        }
    }
    pump(inner, tenant).await;
}

/// Says of a request that it was handed over before.
fn again(kept: &mut Kept) {
    match &mut kept.what {
        Some(What::Call(request)) => request.redelivered = true,
        Some(What::Serve(request)) => request.redelivered = true,
        Some(What::Channel(event)) => event.redelivered = true,
        None => {}
    }
}

/// Asks the worker. What it answers is for whoever has brought the event.
pub(crate) async fn ask(worker: &Worker, kept: Kept) -> Result<Bytes, Failure> {
    let lost = |status: tonic::Status| Failure::Unknown(worker.failure(status).public());
    match kept.what {
        Some(What::Call(request)) => {
            let reply = tokio::time::timeout(CALL_DEADLINE, worker.call(request)).await;
            let reply = reply.map_err(|_elapsed| Failure::Unknown(Error::Timeout.public()))?;
            let reply = reply.map_err(lost)?;
            let answer = Bytes::from(reply.encode_to_vec());
            match reply.outcome {
                Some(Outcome::Error(error)) if error.code == "INVALID_REQUEST" => {
                    Err(Failure::Refused(answer, error.message))
                }
                Some(Outcome::Error(error)) => Err(Failure::Busy(answer, error.message)),
                Some(Outcome::Result(_) | Outcome::Interim(_)) | None => Ok(answer),
            }
        }
        Some(What::Serve(request)) => {
            let whole = tokio::time::timeout(HOOK_DEADLINE, whole(worker, request)).await;
            let whole = whole.map_err(|_elapsed| Failure::Unknown(Error::Timeout.public()))?;
            let whole = whole.map_err(lost)?;
            let status = whole.head.as_ref().map_or(503, |head| head.status);
            let answer = Bytes::from(whole.encode_to_vec());
            let why = || format!("the worker answered {status}");
            match status {
                200..=299 => Ok(answer),
                429 | 500..=599 => Err(Failure::Busy(answer, why())),
                _ => Err(Failure::Refused(answer, why())),
            }
        }
        Some(What::Channel(event)) => {
            let heard = tokio::time::timeout(CALL_DEADLINE, worker.hear(event)).await;
            let heard = heard.map_err(|_elapsed| Failure::Unknown(Error::Timeout.public()))?;
            heard.map(|()| Bytes::new()).map_err(|status| {
                let why = status.message().to_owned();
                if status.code() == Code::InvalidArgument {
                    Failure::Refused(Bytes::new(), why)
                } else if status.code() == Code::ResourceExhausted {
                    Failure::Busy(Bytes::new(), why)
                } else {
                    lost(status)
                }
            })
        }
        None => Err(Failure::Refused(Bytes::new(), "it says nothing".to_owned())),
    }
}

/// The parts of an answer as one.
async fn whole(worker: &Worker, request: ServeRequest) -> Result<ServePart, tonic::Status> {
    let mut parts = worker.serve(request).await?;
    let (mut head, mut data) = (None, BytesMut::new());
    while let Some(part) = parts.message().await? {
        head = head.or(part.head);
        data.extend_from_slice(&part.data);
        if data.len() > limits::MAX_RESULT {
            return Err(tonic::Status::resource_exhausted("the answer is too long"));
        }
    }
    Ok(ServePart { head, data: data.freeze() })
}

/// Writes what a worker says has become of events, until whoever listens to it has no more: some at
/// once, and beside what else the worker says, which waits for no disk.
pub(crate) async fn settle_all<F: Future<Output = ()>>(
    mut said: mpsc::Receiver<Settled>,
    settle: impl Fn(Settled) -> F,
) {
    let mut some = Vec::with_capacity(WRITTEN);
    while said.recv_many(&mut some, WRITTEN).await > 0 {
        join_all(some.drain(..).map(&settle)).await;
    }
}

/// The worker says what has become of an event.
pub(crate) async fn settle(tenant: &Tenant, settled: Settled) {
    let Settled { event_id, again, why } = settled;
    let over = tenant.inbox.settled(&event_id, again, &why).await;
    told(tenant, &event_id, over);
}

/// A worker is gone: what it had goes to the next one.
pub(crate) async fn lost(inner: &Arc<Inner>, tenant: &Arc<Tenant>, worker: u64) {
    for seq in tenant.inbox.lost(worker) {
        let why = "its worker ended each time";
        let over = tenant.inbox.give_up(seq, why).await;
        told(tenant, "", over.map(|()| Some(why.to_owned())));
    }
    if tenant.inbox.waits() {
        let (inner, tenant) = (Arc::clone(inner), Arc::clone(tenant));
        let scope = inner.tasks.clone();
        scope.spawn_until_stopped(async move {
            tokio::time::sleep_until(Instant::now() + AFTER_LOSS).await;
            if !tenant.row.load().suspended {
                pump(&inner, &tenant).await;
            }
        });
    }
}

/// Writes into the tenant's log what was given up.
fn told(tenant: &Tenant, event: &str, over: Result<Option<String>, delivery::Error>) {
    match over {
        Ok(None) => {}
        Ok(Some(why)) => {
            tenant.log.note(&format!("the event {event} is given up (see inbox.list): {why}"));
        }
        Err(err) => failed(tenant, &err),
    }
}

pub(crate) fn failed(tenant: &Tenant, err: &delivery::Error) {
    tenant.failures.tell(&tenant.id, err, "inbox");
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn what_a_worker_says_next_waits_for_no_disk() {
        let (say, said) = mpsc::channel(MAX_UNWRITTEN);
        let (disk, writing, written) =
            (Semaphore::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let writer = settle_all(said, async |_| {
            writing.fetch_add(1, Ordering::Relaxed);
            drop(disk.acquire().await);
            written.fetch_add(1, Ordering::Relaxed);
        });
        let listener = async {
            // The disk takes for ever: the worker is heard all the same, so far and no further.
            let mut heard = 0;
            while say.try_send(Settled::default()).is_ok() {
                heard += 1;
            }
            assert_eq!(heard, MAX_UNWRITTEN);
            // Some are written at once.
            drop(say.reserve_many(WRITTEN).await.unwrap());
            assert_eq!(writing.load(Ordering::Relaxed), WRITTEN);
            assert_eq!(written.load(Ordering::Relaxed), 0);
            disk.close();
            drop(say);
        };
        tokio::join!(writer, listener);
        let written = written.load(Ordering::Relaxed);
        assert_eq!(written, MAX_UNWRITTEN, "none is lost when the worker is gone");
    }
}
