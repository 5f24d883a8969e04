//! A model's answer on its way through: asked for while the prompt is being stored, and passed on
//! event by event.

use proto::host::LlmBatch;
use tonic::{Status, Streaming};

use super::output::Output;
use super::turn::Cut;
use crate::Error;
use crate::openai::{Fault, Fold};

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

/// Passes the model's events on until they end; gives why that was too early.
pub(super) async fn relay(
    opened: Result<Result<Streaming<LlmBatch>, Status>, Cut>,
    fold: &mut Fold,
    output: &mut Output,
) -> Option<Cut> {
    match opened {
        Ok(Ok(llm)) => pass_on(llm, fold, output).await.err(),
        Ok(Err(status)) => Some(Cut::Failed(Fault::from(&status))),
        Err(cut) => Some(cut),
    }
}

async fn pass_on(
    mut llm: Streaming<LlmBatch>,
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
            output.event(event);
        }
        output.flush().await?;
    }
}
