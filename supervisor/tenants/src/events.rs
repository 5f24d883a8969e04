//! What a worker says of itself without being asked, passed on to whoever listens.
//!
//! A worker may have been taken over: it sends the events that are a worker's to send, to its own
//! tenant, as JSON, and nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hub::Message;
use proto::worker::Event;
use proto::worker::worker_event::What;
use runtime::Tasks;
use serde_json::value::RawValue;

use crate::tenant::Tenant;
use crate::worker::Worker;
use crate::{Error, Inner};

/// The longest session key, in bytes.
const MAX_KEY: usize = 512;

/// Passes the worker's events on until it is gone.
pub(crate) async fn follow(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    worker: &Arc<Worker>,
    tasks: &Tasks,
) -> Result<(), Error> {
    let mut events = worker.events().await.map_err(|status| worker.failure(status))?;
    let (inner, tenant, worker) = (Arc::clone(inner), Arc::clone(tenant), Arc::clone(worker));
    let following = async move {
        while let Ok(Some(event)) = events.message().await {
            match event.what {
                Some(What::Event(event)) => {
                    if let Some(message) = checked(event) {
                        inner.hub.publish(&tenant.id, &message);
                    } else {
                        tracing::warn!(tenant = %tenant.id, "a worker sent what is no event of workers");
                    }
                }
                Some(What::Runs(runs)) => {
                    tenant.last_used.fetch_max(inner.clock.now(), Ordering::Relaxed);
                    worker.background.store(runs, Ordering::Relaxed);
                }
                None => {}
            }
        }
    };
    drop(tasks.spawn(following));
    Ok(())
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
