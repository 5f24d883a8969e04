//! Our own page: what a visitor's browser sends, with who the visitor is, which the supervisor knows.

use std::time::Duration;

use serde::Deserialize;

use crate::describe::{Description, Dialect, Grade, Length, Media, Pace, Rooms, Twice, Unit, Way};
use crate::message::{Attachment, MAX_ATTACHMENTS, Message, Reply, Unreadable, Us, What};

pub(crate) const IS: Description = Description {
    name: "webchat",
    title: "WebChat",
    ways: &[Way::Page],
    text: Length { max: 32_768, unit: Unit::Bytes },
    dialect: Dialect::Markdown,
    edits: Some(Duration::from_millis(100)),
    typing: Some(Duration::from_secs(5)),
    rooms: Rooms::Direct,
    // What a conversation keeps of one message, without what base64 adds.
    media: Media { inward: 720 << 10, outward: 720 << 10 },
    ack: None,
    again: Duration::from_hours(7 * 24),
    twice: Twice::Known,
    ids: Grade::Asserted,
    capitals: false,
    pace: Pace { conversation: Duration::ZERO, account: Duration::ZERO },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    visitor: Visitor,
    message: Said,
    /// In base64, one for each of the message's attachments.
    #[serde(default)]
    files: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Visitor {
    #[serde(rename = "id")]
    _id: String,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Said {
    id: String,
    #[serde(default)]
    text: String,
    at: Option<u64>,
    reply_to: Option<String>,
    #[serde(default)]
    attachments: Vec<File>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    reference: String,
    name: Option<String>,
    media_type: Option<String>,
    size: Option<u64>,
    /// What pages show of it.
    #[serde(rename = "preview")]
    _preview: Option<serde::de::IgnoredAny>,
}

pub(crate) fn read(event: &[u8], _us: Us<'_>) -> Result<Message, Unreadable> {
    let Event { visitor, message, files } = serde_json::from_slice(event)?;
    let mut files = files.into_iter();
    let attachments = message.attachments.into_iter().take(MAX_ATTACHMENTS).map(|it| Attachment {
        reference: match files.next() {
            Some(file) => Attachment::inline(it.media_type.as_deref(), &file),
            None => it.reference,
        },
        name: it.name,
        media_type: it.media_type,
        size: it.size,
    });
    Ok(Message {
        id: message.id,
        what: What::Said,
        called: visitor.name,
        at: message.at,
        text: message.text,
        reply: message.reply_to.map(|id| Reply { id, text: None }),
        attachments: attachments.collect(),
    })
}
