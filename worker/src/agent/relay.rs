//! A model's answer on its way through: asked for while the prompt is being stored, and passed on
//! event by event.

use proto::host::llm_event::Event;
use proto::host::{LlmBatch, ToolCallDelta};
use tonic::{Status, Streaming};

use super::offer::Offer;
use super::output::Output;
use super::turn::Cut;
use crate::Error;
use crate::openai::{Fault, Fold, GAP};

/// Asks the model while the prompt is being stored. Gives the call once the prompt is durable;
/// where it cannot be stored the call is cancelled at once.
pub(super) async fn beside<T>(
    stored: impl Future<Output = Result<(), Error>>,
    opened: impl Future<Output = T>,
) -> Result<T, Error> {
    tokio::pin!(stored, opened);
    tokio::select! {
        biased;
        stored = &mut stored => {
            stored?;
            Ok(opened.await)
        }
        opened = &mut opened => {
            stored.await?;
            Ok(opened)
        }
    }
}

/// What of one answer whoever listens gets: all but the calls of the agent's own tools.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    offer: &'a Offer,
    /// Whether it is the first answer of its run.
    is_first: bool,
    /// Whether its text follows on other text.
    follows: bool,
    /// The calls that go through, by the numbers that the model gave them.
    calls: Vec<u32>,
}

impl<'a> Pass<'a> {
    /// For the first answer of a run.
    pub(super) const fn first(offer: &'a Offer) -> Self {
        Self { offer, is_first: true, follows: false, calls: Vec::new() }
    }

    /// For a later one, which `follows` on text that has been said.
    pub(super) const fn later(offer: &'a Offer, follows: bool) -> Self {
        Self { offer, is_first: false, follows, calls: Vec::new() }
    }

    fn event(&mut self, event: &Event, output: &mut Output) {
        match event {
            Event::Started(_) if !self.is_first => {}
            Event::Started(_) | Event::Finished(_) => output.event(event),
            Event::Text(text) => {
                if !text.is_empty() && std::mem::take(&mut self.follows) {
                    output.event(&Event::Text(GAP.to_owned()));
                }
                output.event(event);
            }
            Event::ToolCall(delta) => self.call(delta, event, output),
        }
    }

    fn call(&mut self, delta: &ToolCallDelta, event: &Event, output: &mut Output) {
        // Its name comes with the first piece of a call.
        if self.offer.is_clients(&delta.name) && !self.calls.contains(&delta.index) {
            self.calls.push(delta.index);
        }
        let Some(at) = self.calls.iter().position(|index| *index == delta.index) else { return };
        match u32::try_from(at) {
            Ok(index) if index != delta.index => {
                output.event(&Event::ToolCall(ToolCallDelta { index, ..delta.clone() }));
            }
            Ok(_) | Err(_) => output.event(event),
        }
    }
}

/// Passes the model's events on until they end; gives why that was too early.
pub(super) async fn relay(
    opened: Result<Result<Streaming<LlmBatch>, Status>, Cut>,
    mut pass: Pass<'_>,
    fold: &mut Fold,
    output: &mut Output,
) -> Option<Cut> {
    match opened {
        Ok(Ok(llm)) => pass_on(llm, &mut pass, fold, output).await.err(),
        Ok(Err(status)) => Some(Cut::Failed(Fault::from(&status))),
        Err(cut) => Some(cut),
    }
}

async fn pass_on(
    mut llm: Streaming<LlmBatch>,
    pass: &mut Pass<'_>,
    fold: &mut Fold,
    output: &mut Output,
) -> Result<(), Cut> {
    loop {
        let batch = match output.next(llm.message()).await? {
            Ok(Some(batch)) => batch,
            _ if fold.is_finished() => return Ok(()),
            Ok(None) => return Err(Cut::Failed(Fault::cut_short())),
            Err(status) => return Err(Cut::Failed(Fault::from(&status))),
        };
        for event in batch.events.iter().filter_map(|event| event.event.as_ref()) {
            fold.push(event).map_err(|_too_long| Cut::TooLong)?;
            pass.event(event, output);
        }
        output.flush().await?;
    }
}
