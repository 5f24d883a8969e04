//! Where the result of a run goes that no client waits for: into the main session, or to a webhook by
//! way of the supervisor's outbox. There is no channel yet.

use api::cron::{DeliveryMode, DeliveryStatus, Job};

use crate::agent::{self, SessionKey};
use crate::heartbeat;
use crate::service::Core;

/// Characters of a result that goes into another session.
const MAX_TEXT: usize = 16_000;

/// Delivers the result of a job's run that took place in the session `key`.
pub(super) async fn result(
    core: &Core,
    job: &Job,
    (key, run_id): (&SessionKey, &str),
    text: &str,
) -> (DeliveryStatus, Option<String>) {
    let failed = |why: String| (DeliveryStatus::NotDelivered, Some(why));
    let Some(delivery) = &job.delivery else { return (DeliveryStatus::NotRequested, None) };
    match delivery.mode {
        DeliveryMode::None => (DeliveryStatus::NotRequested, None),
        DeliveryMode::Webhook => {
            let url = delivery.to.as_deref().unwrap_or_default().trim();
            match webhook(core, job, run_id, url, text).await {
                // It is in the outbox: what becomes of it is told there.
                Ok(()) => (DeliveryStatus::Unknown, None),
                Err(why) => failed(why),
            }
        }
        DeliveryMode::Announce => {
            if heartbeat::says_nothing(text) {
                return (DeliveryStatus::NotRequested, None);
            }
            if let Some(channel) = delivery.channel.as_deref().filter(|it| *it != "last") {
                return failed(format!("the channel {channel} is not connected"));
            }
            match announce(core, key, (&job.name, run_id), text).await {
                Ok(()) => (DeliveryStatus::Delivered, None),
                Err(why) => failed(why),
            }
        }
    }
}

/// How often what could not be kept is handed over again, and how long after.
const TRIES: usize = 5;
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Characters of the name of who says something.
const MAX_LABEL: usize = 100;

/// Hands the result over to be posted. The same run again is posted once.
async fn webhook(
    core: &Core,
    job: &Job,
    run_id: &str,
    url: &str,
    text: &str,
) -> Result<(), String> {
    let text: String = text.chars().take(MAX_TEXT).collect();
    let told = serde_json::json!({
        "action": "finished", "jobId": job.id, "jobName": job.name, "runId": run_id,
        "status": "ok", "summary": text,
    });
    let mut tries = tokio::time::interval(AGAIN);
    let mut last = String::new();
    for _ in 0..TRIES {
        tries.tick().await;
        match core.outbox.post(run_id, url, told.to_string()).await {
            Ok(()) => return Ok(()),
            Err(status) if status.code() == tonic::Code::InvalidArgument => {
                return Err(status.message().to_owned());
            }
            Err(status) if status.message().is_empty() => {
                status.code().description().clone_into(&mut last);
            }
            Err(status) => status.message().clone_into(&mut last),
        }
    }
    Err(last)
}

/// Puts it into the main session, where that goes within a few tries.
async fn announce(
    core: &Core,
    from: &SessionKey,
    by: (&str, &str),
    text: &str,
) -> Result<(), String> {
    let mut tries = tokio::time::interval(AGAIN);
    let mut last = Ok(());
    for _ in 0..TRIES {
        tries.tick().await;
        last = post(core, from, by, text).await;
        if last.is_ok() {
            break;
        }
    }
    last
}

/// Puts what a run has said into the main session of the agent of `from`, once, unless it was said
/// there.
pub(crate) async fn post(
    core: &Core,
    from: &SessionKey,
    (label, run_id): (&str, &str),
    text: &str,
) -> Result<(), String> {
    let main = format!("agent:{}:main", from.agent());
    if from.as_str() == main {
        return Ok(());
    }
    let key = SessionKey::parse(&main).map_err(|fault| fault.message)?;
    let label: String = label.trim().chars().take(MAX_LABEL).collect();
    let message: String = text.chars().take(MAX_TEXT).collect();
    let message = if label.is_empty() { message } else { format!("[{label}]\n\n{message}") };
    let posted = agent::inject(core, &key, &message, Some(&format!("post:{run_id}"))).await;
    posted.map(drop).map_err(|fault| fault.message)
}
