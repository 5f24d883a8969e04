//! What a hook tells a session: once, however often its event comes.

use api::cron::WakeMode;
use proto::worker::ServeRequest;

use crate::Error;
use crate::agent::{self, RunRequest, SessionKey, Source, Stand};
use crate::heartbeat::{self, Queued};
use crate::service::Core;
use crate::settings::QueueMode;

/// Tells the session a text, at once or with its next turn.
pub(super) async fn tell(
    core: &Core,
    key: &SessionKey,
    text: &str,
    (mode, request): (WakeMode, &ServeRequest),
) -> Result<Queued, Error> {
    let event = request.event_id.as_str();
    if event.is_empty() {
        return match mode {
            WakeMode::Now => heartbeat::tell(core, key, text, None).await,
            WakeMode::NextHeartbeat => heartbeat::queue(core, key, text, None).await,
        };
    }
    let run_id = format!("wake:{event}");
    let stand = agent::stand(core, key, &run_id, event).await?;
    if request.settled {
        return Ok(Queued::Coalesced);
    }
    let resumes = match stand {
        Stand::Known(run) => {
            agent::follow(core, event, key, &run);
            return Ok(Queued::Coalesced);
        }
        Stand::Answered => {
            agent::over(core, event, key, &run_id, None).await;
            return Ok(Queued::Coalesced);
        }
        Stand::New => false,
        Stand::Cut(_) => true,
    };
    // Of the event's name: a turn that has told it before does not tell it again.
    let queued = if resumes {
        Queued::Coalesced
    } else {
        heartbeat::queue_as(core, key, text, event.to_owned()).await?
    };
    if mode == WakeMode::NextHeartbeat {
        agent::over(core, event, key, &run_id, None).await;
        return Ok(queued);
    }
    let mut wake = RunRequest::new(key.clone(), heartbeat::WAKE, Source::Wake);
    wake.run_id = run_id;
    wake.queue = Some(QueueMode::Followup);
    wake.event = event.into();
    wake.resumes = resumes;
    if let Err(fault) = agent::run(core, wake).await {
        tracing::warn!(why = fault.message, "a session was not told; it is with its next turn");
        core.events.settled(event, true, &fault.message).await;
    }
    Ok(queued)
}
