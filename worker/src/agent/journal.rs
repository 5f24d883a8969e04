//! What the tenant's log says of each turn: that it ended, how, and what it took; never what was
//! said in it.

use types::UnixMillis;

use super::run::RunStatus;
use super::turn::{Failed, Turn};
use crate::openai::Fold;

/// Says how a turn ended that began `began` and ended `now`.
pub(super) fn turn_ended(
    turn: &Turn,
    answered: &Result<Fold, Failed>,
    began: UnixMillis,
    now: UnixMillis,
) {
    let (session, took_ms) = (turn.key.as_str(), now.saturating_sub(began));
    let run = turn.mark.as_deref().unwrap_or(&turn.request_id);
    match answered {
        Ok(fold) => {
            let (model, reason) = (&fold.started().model, fold.reason());
            let output_tokens = fold.usage().map(|usage| usage.output_tokens);
            tracing::info!(session, run, model, reason, output_tokens, took_ms, "turn answered");
        }
        Err(Failed { status: RunStatus::Aborted, .. }) => {
            tracing::info!(session, run, took_ms, "turn stopped");
        }
        Err(Failed { fault, .. }) => {
            let (status, why) = (fault.status, &fault.message);
            tracing::warn!(session, run, took_ms, status, why, "turn failed");
        }
    }
}
