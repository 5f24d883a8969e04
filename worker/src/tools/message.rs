//! `message`: something is said where a person reads it. There are no channels yet: it goes into a
//! session of the tenant.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::async_trait;

use super::arguments::Arguments;
use super::inside::MAX_KEY;
use super::{Context, Failure, Group, Outcome, Row, Tool, inside};
use crate::agent::{self, SessionKey};

/// Bytes of one message, as of any event that a session is told.
const MAX_TEXT: usize = 64 << 10;
/// How long the session may be busy: two sessions that wait for each other are to end.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Message;

static ROW: Row = Row {
    name: "message",
    label: "Message",
    group: Group::Messaging,
    is_read_only: false,
    description: "Sends a message into another session, where your user reads it: the main one where \
                  no target is named. What you answer goes to this session by itself.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["action","message"],"properties":{"action":{"type":"string","enum":["send"]},"message":{"type":"string","description":"The text."},"channel":{"type":"string","description":"Only webchat, as yet."},"target":{"type":"string","description":"A session's key; the main session if absent."}}}"#,
};

#[async_trait]
impl Tool for Message {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        arguments.word(&["action"], &["send"])?;
        let text = arguments.required(&["message"], MAX_TEXT)?;
        let channel = arguments.text(&["channel"], MAX_KEY)?;
        let target = arguments.text(&["target", "to"], MAX_KEY)?;
        arguments.end()?;
        if text.trim().is_empty() {
            return Err(Failure::Invalid("message must not be empty".to_owned()));
        }
        if let Some(channel) = channel.filter(|it| !matches!(&**it, "webchat" | "last")) {
            let shown: String = channel.chars().take(64).collect();
            let why = format!("The channel `{shown}` is not connected; only webchat is.");
            return Err(Failure::Refused(why));
        }
        let key = target_of(context, target.as_deref()).await?;
        let sent =
            tokio::time::timeout(PATIENCE, agent::inject(&context.core, &key, &text, None)).await;
        let busy = |_elapsed| {
            Failure::Failed(format!("The session `{}` is busy; try again later.", key.as_str()))
        };
        let id = sent.map_err(busy)?.map_err(inside::fault)?;
        inside::json(&json!({"ok": true, "sessionKey": key.as_str(), "messageId": id}))
    }
}

async fn target_of(context: &Context, target: Option<&str>) -> Result<SessionKey, Failure> {
    let key = inside::key(context, target.unwrap_or("main"))?;
    if key == context.key {
        let why = "That is this session: what you answer is read there.".to_owned();
        return Err(Failure::Refused(why));
    }
    inside::known(&context.core, key.agent()).await?;
    if target.is_some() && inside::entry(&context.core, &key).await?.is_none() {
        return Err(Failure::Invalid(format!("There is no session `{}`.", key.as_str())));
    }
    Ok(key)
}
