//! Where the result of a run goes that no client waits for: into the main session, so far. There
//! is no channel yet, and no way out for webhooks.

use api::chat::{Chat as _, InjectParams};
use api::cron::{DeliveryMode, DeliveryStatus, Job};

use crate::agent::SessionKey;
use crate::heartbeat;
use crate::methods::Call;
use crate::service::Core;

/// Characters of a result that goes into another session.
const MAX_TEXT: usize = 16_000;

/// Delivers the result of a job's run that took place in the session `key`.
pub(super) async fn result(
    core: &Core,
    job: &Job,
    key: &SessionKey,
    text: &str,
) -> (DeliveryStatus, Option<String>) {
    let failed = |why: String| (DeliveryStatus::NotDelivered, Some(why));
    let Some(delivery) = &job.delivery else { return (DeliveryStatus::NotRequested, None) };
    match delivery.mode {
        DeliveryMode::None => (DeliveryStatus::NotRequested, None),
        DeliveryMode::Webhook => failed(
            "webhooks cannot be called yet: this gateway has no egress for tenants".to_owned(),
        ),
        DeliveryMode::Announce => {
            if heartbeat::says_nothing(text) {
                return (DeliveryStatus::NotRequested, None);
            }
            if let Some(channel) = delivery.channel.as_deref().filter(|it| *it != "last") {
                return failed(format!("the channel {channel} is not connected"));
            }
            match post(core, key, &job.name, text).await {
                Ok(()) => (DeliveryStatus::Delivered, None),
                Err(why) => failed(why),
            }
        }
    }
}

/// Puts a message into the main session of the agent of `from`, unless it was said there.
pub(crate) async fn post(
    core: &Core,
    from: &SessionKey,
    label: &str,
    text: &str,
) -> Result<(), String> {
    let main = format!("agent:{}:main", from.agent());
    if from.as_str() == main {
        return Ok(());
    }
    let message: String = text.chars().take(MAX_TEXT).collect();
    let params = serde_json::json!({"sessionKey": main, "message": message, "label": label});
    let params: InjectParams = serde_json::from_value(params).map_err(|err| err.to_string())?;
    let call = Call {
        core,
        caller: proto::worker::Caller::default(),
        request_id: String::new(),
        interim: None,
    };
    call.inject(params).await.map(drop).map_err(|err| err.message)
}
