//! What a worker says of itself without being asked, passed on to whoever listens.
//!
//! A worker may have been taken over: it sends the events that are a worker's to send, to its own
//! tenant, as JSON, and nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hub::Message;
use proto::worker::worker_event::What;
use proto::worker::{Event, WorkerEvent};
use runtime::Tasks;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::cut::Runs;
use crate::tenant::Tenant;
use crate::worker::Worker;
use crate::{Error, Inner, handing};

/// The longest session key, in bytes.
const MAX_KEY: usize = 512;

/// In which events are counted.
const SPAN: Duration = Duration::from_secs(1);

/// Events of one worker in that time: what a hundred runs that stream at once say.
const MAX_EVENTS: usize = 2000;

/// Bytes of events in that time.
const MAX_BYTES: usize = 8 << 20;

/// How fast a worker is listened to: what it says beyond that waits in its own memory.
#[derive(Debug)]
struct Pace {
    since: Instant,
    events: usize,
    bytes: usize,
}

impl Pace {
    const fn new(now: Instant) -> Self {
        Self { since: now, events: 0, bytes: 0 }
    }

    /// Counts an event of so many bytes; gives when to read on where it was one too many.
    fn count(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        if now >= self.since + SPAN {
            *self = Self::new(now);
        }
        self.events = self.events.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        let over = self.events > MAX_EVENTS || self.bytes > MAX_BYTES;
        over.then(|| self.since + SPAN)
    }
}

/// Passes the worker's events on until it is gone.
pub(crate) async fn follow(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    worker: &Arc<Worker>,
    tasks: &Tasks,
) -> Result<(), Error> {
    let mut events = worker.events().await.map_err(|status| worker.failure(status))?;
    let (inner, tenant, worker) = (Arc::clone(inner), Arc::clone(tenant), Arc::clone(worker));
    let (say, said) = mpsc::channel(handing::MAX_UNWRITTEN);
    let settled = Arc::clone(&tenant);
    let writing = tasks.spawn(async move {
        handing::settle_all(said, |it| handing::settle(&settled, it)).await;
    });
    let following = async move {
        let mut runs = Runs::default();
        let mut pace = Pace::new(Instant::now());
        while let Ok(Some(event)) = events.message().await {
            if let Some(until) = pace.count(bytes(&event), Instant::now()) {
                tokio::time::sleep_until(until).await;
            }
            match event.what {
                Some(What::Event(event)) => {
                    if let Some(message) = checked(event) {
                        runs.note(&message);
                        inner.hub.publish(&tenant.id, &message);
                        worker.told.send_modify(|told| *told = told.saturating_add(1));
                    } else {
                        tracing::warn!(
                            tenant = %tenant.id,
                            "a worker sent what is no event of workers, and is ended"
                        );
                        worker.end().await;
                        break;
                    }
                }
                Some(What::Runs(runs)) => {
                    let before = worker.background.swap(runs, Ordering::Relaxed);
                    // The same number again is nothing new, and keeps no worker awake.
                    if before != runs {
                        tenant.last_used.fetch_max(inner.clock.now(), Ordering::Relaxed);
                    }
                }
                Some(What::Settled(settled)) => match say.send(settled).await {
                    Ok(()) => {}
                    Err(_closed) => break,
                },
                None => {}
            }
        }
        // What it has dealt with is not handed to the next one.
        drop(say);
        if let Err(err) = writing.await {
            tracing::error!(tenant = %tenant.id, error = %types::Chain(&err), "events were not settled");
        }
        // A run that deals with an event goes on in the next worker.
        for message in runs.cut(|run_id| tenant.inbox.is_run_of(run_id)) {
            inner.hub.publish(&tenant.id, &message);
        }
        handing::lost(&inner, &tenant, worker.id).await;
    };
    drop(tasks.spawn(following));
    Ok(())
}

fn bytes(event: &WorkerEvent) -> usize {
    match &event.what {
        Some(What::Event(Event { name, payload, session_key })) => {
            name.len() + payload.len() + session_key.len()
        }
        Some(What::Settled(settled)) => settled.event_id.len() + settled.why.len(),
        Some(What::Runs(_)) | None => 0,
    }
}

fn checked(event: Event) -> Option<Message> {
    let row = api::events::event(&event.name)?;
    let json = serde_json::from_slice::<&RawValue>(&event.payload).is_ok();
    let sound = row.from == api::events::From::Worker && json && event.session_key.len() <= MAX_KEY;
    sound.then_some(Message { event: row, payload: event.payload, session_key: event.session_key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_listened_to_so_fast_and_no_faster() {
        let check = |bytes: usize, most: usize| {
            let now = Instant::now();
            let mut pace = Pace::new(now);
            assert!((0..most).all(|_| pace.count(bytes, now).is_none()));
            assert_eq!(pace.count(bytes, now), Some(now + SPAN));
            assert_eq!(pace.count(bytes, now + SPAN), None);
        };
        check(10, MAX_EVENTS);
        check(1 << 20, 8);
    }

    #[test]
    fn a_worker_sends_what_is_a_workers() {
        let check = |name: &str, payload: &'static [u8], session_key: &str, sound: bool| {
            let (name, session_key) = (name.to_owned(), session_key.to_owned());
            let event = Event { name, payload: payload.into(), session_key };
            assert_eq!(checked(event.clone()).is_some(), sound, "{event:?}");
        };
        check("chat", b"{}", "agent:main:main", true);
        check("chat", b"{},\"seq\":1", "", false);
        check("chat", b"", "", false);
        check("chat", b"{}", &"x".repeat(600), false);
        check("tick", b"{}", "", false);
        check("node.invoke.request", b"{}", "", false);
        check("other", b"{}", "", false);
    }
}
