//! Files with messages: asked for from the worker that has set them aside, and sent step by step.

use bytes::Bytes;
use delivery::outbox::Fate;
use networks::File;

use super::{Ready, Sink};
use crate::adapter::{Answer, Call, Carries, Enclosed, Letter, Outcome, Step};
use crate::form;
use crate::lines::{Called, NotHad};

/// Steps of one file at most: more than any network has.
const MAX_STEPS: usize = 6;

/// A file that is to be sent.
#[derive(Debug)]
pub(super) struct Held {
    is: File,
    bytes: Bytes,
}

/// What a step has come to.
enum After {
    /// The next is asked for.
    Next,
    Over(Result<Outcome, Fate>),
}

impl Sink {
    /// Looks whether the network takes the file, and has it from the worker.
    pub(super) async fn held(&self, file: Option<&File>) -> Result<Option<Held>, Fate> {
        let Some(is) = file else { return Ok(None) };
        let most = self.adapter.network().is.media.outward;
        if is.size > most {
            return Err(Fate::Failed(format!("the file has {} of at most {most} bytes", is.size)));
        }
        let size = usize::try_from(is.size).unwrap_or(usize::MAX);
        let bytes = self.shared.lines.file(&self.tenant, &is.id, size).await;
        let bytes = bytes.map_err(|why| match why {
            NotHad::Never(why) => Fate::Failed(why),
            NotHad::Away(why) => Fate::Retry(why),
            NotHad::Busy(wait) => Fate::Wait(wait, "other files are sent".to_owned()),
        })?;
        Ok(Some(Held { is: is.clone(), bytes }))
    }

    /// Sends a file, from its first step on.
    pub(super) async fn upload(
        &self,
        ready: &Ready,
        letter: Letter<'_>,
        held: &Held,
    ) -> Result<Outcome, Fate> {
        let file = Enclosed { is: &held.is, bytes: &held.bytes };
        let mut before = Vec::new();
        for _ in 0..MAX_STEPS {
            let step = self.adapter.upload(letter, file, &before);
            if let After::Over(outcome) = self.step(ready, letter, (step, held), &mut before).await
            {
                return outcome;
            }
        }
        Ok(Outcome::Refused("it takes too many steps".to_owned()))
    }

    async fn step(
        &self,
        ready: &Ready,
        letter: Letter<'_>,
        (step, held): (Step, &Held),
        before: &mut Vec<Vec<u8>>,
    ) -> After {
        let (is_last, is_tried) =
            (!matches!(step, Step::Before(..)), matches!(step, Step::Try(..)));
        let called = match step {
            Step::Before(call, carries) | Step::Try(call, carries) | Step::Last(call, carries) => {
                self.carried(ready, call, (carries, held)).await
            }
            Step::Page(frame) => {
                let room = &ready.place.room;
                let called = self.shared.lines.show(&ready.account, room, frame).await;
                return After::Over(self.shown(called, letter));
            }
            Step::Over(outcome) => return After::Over(Ok(outcome)),
        };
        let (status, retry_after, body) = match called {
            Called::Answered { status, retry_after, body } => (status, retry_after, body),
            // Of what is not seen it does not matter whether it arrived.
            Called::Unknown(why) if !is_last => return After::Over(Err(Fate::Retry(why))),
            Called::Unknown(why) => return After::Over(Err(Fate::Unknown(why))),
            Called::Unsent(why) => return After::Over(Err(Fate::Retry(why))),
        };
        if !is_last && (200..300).contains(&status) {
            before.push(body);
            return After::Next;
        }
        let answer = Answer { status, retry_after: retry_after.as_deref(), body: &body };
        match self.adapter.outcome(answer) {
            Outcome::Refused(_) if is_tried => {
                before.push(body);
                After::Next
            }
            Outcome::Unknown(why) if !is_last => After::Over(Err(Fate::Retry(why))),
            outcome @ (Outcome::Sent(_)
            | Outcome::Wait(_)
            | Outcome::Refused(_)
            | Outcome::Shut(_)
            | Outcome::Moved(_)
            | Outcome::Unknown(_)) => After::Over(Ok(outcome)),
        }
    }

    async fn carried(
        &self,
        ready: &Ready,
        call: Call,
        (carries, held): (Carries, &Held),
    ) -> Called {
        let lines = &self.shared.lines;
        match carries {
            Carries::Own => lines.call(&ready.account, call).await,
            Carries::File => {
                let (kind, body) = (&held.is.media_type, held.bytes.clone());
                lines.upload(&ready.account, call, kind, body).await
            }
            Carries::Form(fields, field) => {
                let file = Enclosed { is: &held.is, bytes: &held.bytes };
                match form::multipart(&fields, (field, file)) {
                    Some((kind, body)) => lines.upload(&ready.account, call, &kind, body).await,
                    None => Called::Unsent("the system gives no random bytes".to_owned()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
