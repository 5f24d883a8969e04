//! Events on their way to workers: kept first, and whoever has brought one told what comes of it. How
//! they are handed over is in `handing`.
//!
//! What an event says is for its worker alone; here it is bytes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use delivery::event_id;
use delivery::inbox::{Accepted, Failure, Inbox, New, Progress};
use egress::Journal as _;
use prost::Message as _;
use proto::worker::kept::What;
use proto::worker::{CallReply, CallRequest, Kept, ServePart, ServeRequest};
use records::{InboxRow, OutboxRow, Shelf};
use tokio::sync::watch;

use crate::handing::{ask, failed, pump};
use crate::tenant::{Cause, Tenant};
use crate::{CALL_DEADLINE, Error, Inner, Tenants, Ticket};

/// How long whoever brings a hook waits for its worker: a little longer than the worker lets it wait
/// for the end of a run.
pub(crate) const HOOK_DEADLINE: Duration = Duration::from_mins(11);

/// How long what has just become of an event may take to be written, before whoever has brought it is
/// told to send it again.
const LAST_WORD: Duration = Duration::from_secs(5);

/// What may be done about an event that was given up and is still there.
const RETRY: &str = "inbox.retry with this id has it tried again";

/// The same for one that is gone.
const RENAME: &str = "send it under another name";

/// An event as whoever brings it names it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Where it came in.
    pub source: &'static str,
    /// Over which account.
    pub account: &'a str,
    /// In which conversation: events of one are handed over in their order.
    pub lane: &'a str,
    /// Its name in there.
    pub event: &'a str,
}

/// What whoever brought an event is told.
#[derive(Debug)]
pub enum Delivered<T> {
    /// What the worker says.
    Answer(T),
    /// It is kept under this name and will be dealt with.
    Later(String),
}

impl Tenants {
    /// Keeps a method's call until the worker has dealt with it, and waits for the worker's answer.
    ///
    /// # Errors
    /// When it could not be kept; nothing will come of it then, unless the records failed.
    pub async fn deliver_call(
        &self,
        ticket: Ticket,
        event: Event<'_>,
        mut request: CallRequest,
    ) -> Result<Delivered<CallReply>, Error> {
        request.event_id = event_id(event.account, event.lane, event.event);
        let kept = Kept { what: Some(What::Call(request)) };
        let delivered = self.deliver(ticket, event, kept, CALL_DEADLINE).await?;
        decoded(delivered)
    }

    /// The same for a hook. The whole answer comes at once.
    ///
    /// # Errors
    /// As [`Tenants::deliver_call`].
    pub async fn deliver_hook(
        &self,
        ticket: Ticket,
        event: Event<'_>,
        mut request: ServeRequest,
    ) -> Result<Delivered<ServePart>, Error> {
        request.event_id = event_id(event.account, event.lane, event.event);
        let kept = Kept { what: Some(What::Serve(request)) };
        let delivered = self.deliver(ticket, event, kept, HOOK_DEADLINE).await?;
        decoded(delivered)
    }

    async fn deliver(
        &self,
        ticket: Ticket,
        event: Event<'_>,
        kept: Kept,
        deadline: Duration,
    ) -> Result<Delivered<Bytes>, Error> {
        let Ticket { tenant, admission } = ticket;
        let (name, request_id) = match &kept.what {
            Some(What::Call(call)) => (call.event_id.clone(), call.request_id.clone()),
            Some(What::Serve(serve)) => (serve.event_id.clone(), serve.request_id.clone()),
            // Nobody waits for what comes over a network.
            Some(What::Channel(_)) | None => return Err(Error::WorkerGone),
        };
        let admission = admission.named(&request_id).lingering();
        // Refused before it is kept where no worker can be had: then nobody waits for nothing.
        let (_, pass) = tenant.ready(&self.0).await?;
        let inner = Arc::clone(&self.0);
        let source = event.source;
        let names = [event.account, event.lane, event.event].map(str::to_owned);
        let waits = Arc::clone(&tenant);
        // A task of its own: who hangs up must not leave it half kept.
        let keeping = self.0.tasks.spawn(async move {
            let [account, lane, event] = &names;
            let content = kept.encode_to_vec().into();
            let new = New { source, account, lane, event, content, is_acknowledged: false };
            let accepted = tenant.inbox.accept(new).await;
            drop(pass);
            match accepted? {
                Accepted::New(waiter) => {
                    pump(&inner, &tenant).await;
                    Ok(waiter)
                }
                Accepted::Known(waiter) => Ok(waiter),
                Accepted::GivenUp { why, is_there } => {
                    let (event, then) =
                        (event_id(account, lane, event), if is_there { RETRY } else { RENAME });
                    Err(Error::GivenUp { event, why, then })
                }
                Accepted::Settled => {
                    let (worker, pass) = tenant.ready(&inner).await?;
                    let answer = ask(&worker, settled(kept)).await;
                    drop(pass);
                    let given = match answer {
                        Ok(answer)
                        | Err(Failure::Busy(answer, _) | Failure::Refused(answer, _)) => {
                            Progress::Given(answer)
                        }
                        Err(Failure::Unknown(_) | Failure::NoWorker(_) | Failure::Records(_)) => {
                            Progress::Later
                        }
                    };
                    Ok::<_, Error>(watch::channel(given).1)
                }
            }
        });
        let waiter = keeping.await.map_err(Error::Task)??;
        let told = outcome(waiter, deadline, || waits.inbox.acknowledge(&name)).await;
        drop(admission);
        match told {
            Progress::Given(answer) => Ok(Delivered::Answer(answer)),
            Progress::GivenUp(why) => Err(Error::GivenUp { event: name, why, then: RETRY }),
            Progress::Pending | Progress::Failed => Err(Error::NotKept),
            Progress::Later => Ok(Delivered::Later(name)),
        }
    }
}

/// What came of an event until the deadline. That it is kept is said only where `acknowledge` says that
/// it still is: it may be taken away at the same moment, of which the box tells then.
async fn outcome(
    mut waiter: watch::Receiver<Progress>,
    deadline: Duration,
    acknowledge: impl FnOnce() -> bool,
) -> Progress {
    let is_told = |progress: &Progress| *progress != Progress::Pending;
    if let Ok(Ok(told)) = tokio::time::timeout(deadline, waiter.wait_for(is_told)).await {
        return told.clone();
    }
    if acknowledge() {
        return Progress::Later;
    }
    match tokio::time::timeout(LAST_WORD, waiter.wait_for(is_told)).await {
        Ok(Ok(told)) => told.clone(),
        // Sending it again finds out, and repeats nothing.
        Ok(Err(_)) | Err(_) => Progress::Failed,
    }
}

fn decoded<T: prost::Message + Default>(told: Delivered<Bytes>) -> Result<Delivered<T>, Error> {
    Ok(match told {
        Delivered::Later(name) => Delivered::Later(name),
        Delivered::Answer(answer) => {
            Delivered::Answer(T::decode(answer).map_err(|_not_ours| Error::WorkerGone)?)
        }
    })
}

/// The same request, of which the worker is to begin nothing.
fn settled(mut kept: Kept) -> Kept {
    match &mut kept.what {
        Some(What::Call(request)) => request.settled = true,
        Some(What::Serve(request)) => request.settled = true,
        Some(What::Channel(event)) => event.settled = true,
        None => {}
    }
    kept
}

/// Takes what was there when the gateway started.
pub(crate) async fn load(inner: &Inner) -> Result<(), Error> {
    let rows = inner.records.shelf_rows::<InboxRow>(Shelf::Inbox).await;
    for (id, row) in rows.map_err(Error::Records)? {
        if let Some(tenant) = inner.directory.find(&id) {
            tenant.inbox.restore(row);
        }
    }
    let rows = inner.records.shelf_rows::<OutboxRow>(Shelf::Outbox).await;
    for (id, row) in rows.map_err(Error::Records)? {
        if let Some(tenant) = inner.directory.find(&id) {
            tenant.outbox.restore(row);
        }
    }
    Ok(())
}

/// Looks at every box. A suspended tenant's waits for its resumption, a parked one's for the end of its
/// parking; what needs no worker is done at once.
pub(crate) fn look(inner: &Arc<Inner>) {
    let now = inner.clock.now();
    for tenant in inner.directory.all() {
        if inner.tasks.is_stopping() || tenant.is_ending() {
            continue;
        }
        let is_untidy = tenant.inbox.is_untidy();
        if !is_untidy && !tenant.inbox.is_due() {
            continue;
        }
        let is_awake = tenant.worker.load().as_ref().is_some_and(|worker| !worker.is_gone());
        let is_parked = !is_awake && tenant.parked_until.load(Ordering::Relaxed) > now;
        let is_served = !is_parked && !tenant.row.load().suspended;
        if !is_untidy && !is_served {
            continue;
        }
        // Whoever waits for this tenant's worker already looks when it is there.
        let Ok(looking) = Arc::clone(&tenant.looking).try_lock_owned() else { continue };
        let inner = Arc::clone(inner);
        let scope = inner.tasks.clone();
        drop(scope.spawn(async move {
            if is_untidy {
                tidy(&tenant).await;
            }
            if !is_served || !tenant.inbox.is_due() {
                return;
            }
            if !is_awake && let Err(err) = tenant.ready_for(&inner, Cause::Upkeep).await {
                let error = types::Chain(&err);
                tracing::warn!(tenant = %tenant.id, %error, "events wait for a worker");
                return;
            }
            drop(looking);
            pump(&inner, &tenant).await;
        }));
    }
}

/// Writes what is yet to be written, and lets go of what was given up and is too much or too old.
async fn tidy(tenant: &Tenant) {
    if let Err(err) = tenant.inbox.tidy().await {
        return failed(tenant, &err);
    }
    evict(&tenant.inbox, |line| tenant.log.note(line))
        .await
        .unwrap_or_else(|err| failed(tenant, &err));
}

/// Lets go of what has to go; each in the tenant's log, where whoever misses it finds it.
async fn evict(inbox: &Inbox, note: impl Fn(&str)) -> Result<(), delivery::Error> {
    while let Some(gone) = inbox.evict().await? {
        let delivery::inbox::Evicted { id, why, because } = gone;
        note(&format!("the event {id}, which was given up ({why}), is gone: {because}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_away_at_the_deadline_is_not_told_as_kept() {
        let deadline = Duration::from_secs(1);
        let check = async |is_kept: bool, last: Option<Progress>, want: Progress| {
            let (tell, waiter) = watch::channel(Progress::Pending);
            let (ask, asked) = oneshot::channel();
            let told = outcome(waiter, deadline, || {
                ask.send(()).unwrap();
                is_kept
            });
            // The removal is being written, and told of a moment later.
            let removal = async {
                asked.await.unwrap();
                last.clone().map(|last| tell.send_replace(last));
                drop(tell);
            };
            let (told, ()) = tokio::join!(told, removal);
            assert_eq!(told, want, "{is_kept} {last:?}");
        };
        let answer = Progress::Given("no".into());
        check(true, None, Progress::Later).await;
        check(false, Some(answer.clone()), answer).await;
        check(false, Some(Progress::Failed), Progress::Failed).await;
        check(false, None, Progress::Failed).await;
        let given_up = Progress::GivenUp("why".to_owned());
        check(false, Some(given_up.clone()), given_up).await;
    }

    #[test]
    fn whoever_sends_what_was_given_up_hears_which_and_what_to_do() {
        let check = |then: &'static str| {
            let (event, why) = ("e1".to_owned(), "the worker answered 422".to_owned());
            let err = Error::GivenUp { event, why, then };
            assert_eq!((err.http_status(), err.retry_after_s()), (409, None));
            let said = err.public();
            assert!(said.contains("e1 was given up: the worker answered 422"), "{said}");
            assert!(said.ends_with(then), "{said}");
        };
        check(RETRY);
        check(RENAME);
        assert!(RETRY.contains("inbox.retry"));
    }
}
