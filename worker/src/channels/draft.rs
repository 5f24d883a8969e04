//! An answer that is shown while it is written: where the network lets a message be changed, by a message
//! that the whole answer takes the place of in the end; everywhere by a sign that somebody writes.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Heard, files};
use crate::agent::RunHandle;
use crate::heartbeat;
use crate::service::Core;

/// The shortest time between two looks at what has been said, whatever the network allows.
const SHORTEST: Duration = Duration::from_millis(250);

/// A sign of typing is renewed so long before it goes.
const EARLY: Duration = Duration::from_secs(1);

/// How often one looks where a network shows neither.
const SELDOM: Duration = Duration::from_mins(1);

/// The intent of a run's first message, which the answer takes the place of.
pub(super) fn id(run_id: &str) -> String {
    format!("{run_id}.draft")
}

/// What is shown of one answer.
struct Draft<'a> {
    core: &'a Core,
    heard: &'a Heard,
    id: String,
    /// The message as it was shown last; empty as long as none was.
    shown: Vec<u8>,
    /// When a sign of typing was sent last: the supervisor sends the first when it keeps the event.
    typed: Instant,
}

/// Shows what the answer has come to until the run has ended. Whatever is lost of it, the whole answer says
/// it in the end.
pub(super) async fn show(
    core: &Core,
    heard: &Heard,
    run: &RunHandle,
    growth: watch::Receiver<String>,
) {
    let is = heard.network.is;
    let apart = is.edits.map(|apart| apart.max(SHORTEST));
    let every = apart.or_else(|| is.typing.map(typing)).unwrap_or(SELDOM);
    let (id, typed) = (id(run.id()), Instant::now());
    let mut draft = Draft { core, heard, id, shown: Vec::new(), typed };
    let mut done = std::pin::pin!(run.done());
    loop {
        tokio::select! {
            _outcome = &mut done => return,
            () = tokio::time::sleep_until(Instant::now() + every) => {}
        }
        // Nothing of this is given up half-way: what is older must not come after the answer.
        let text = growth.borrow().clone();
        if apart.is_none() || !draft.write(&text).await {
            draft.renew().await;
        }
    }
}

fn typing(shown: Duration) -> Duration {
    shown.saturating_sub(EARLY).max(SHORTEST)
}

impl Draft<'_> {
    /// Shows the text, where that is another than before; gives whether it did.
    async fn write(&mut self, text: &str) -> bool {
        if heartbeat::may_say_nothing(text) {
            return false;
        }
        let text = files::shown(text);
        let first = networks::parts(&text, self.heard.network.is).into_iter().next();
        let Some(part) = first.and_then(|part| serde_json::to_vec(&part).ok()) else {
            return false;
        };
        if part == self.shown {
            return false;
        }
        let (outbox, handle) = (&self.core.outbox, &self.heard.event.handle);
        let shown = if self.shown.is_empty() {
            outbox.say(&self.id, handle, vec![part.clone()], None).await.map(|()| true)
        } else {
            outbox.show(handle, Some((&self.id, part.clone()))).await
        };
        match shown {
            Ok(true) => {
                self.shown = part;
                true
            }
            // It is not there yet, or too much is shown at once.
            Ok(false) => false,
            Err(status) => {
                tracing::debug!(
                    why = status.message(),
                    "an answer is not shown while it is written"
                );
                false
            }
        }
    }

    async fn renew(&mut self) {
        let Some(shown) = self.heard.network.is.typing else { return };
        if self.typed.elapsed() < typing(shown) {
            return;
        }
        self.typed = Instant::now();
        if let Err(status) = self.core.outbox.show(&self.heard.event.handle, None).await {
            tracing::debug!(why = status.message(), "typing is not shown");
        }
    }
}
