//! Any program at all: signed requests in both directions, in a form of ours.

use std::time::Duration;

use serde::Deserialize;

use crate::describe::{
    Description, Dialect, Grade, Length, MAX_OUTWARD, Media, Pace, Rooms, Twice, Unit, Way,
};
use crate::message::{Attachment, MAX_ATTACHMENTS, Message, Reply, Unreadable, Us, What};

pub(crate) const IS: Description = Description {
    name: "webhook",
    title: "Webhook",
    ways: &[Way::Webhook],
    text: Length { max: 32_768, unit: Unit::Bytes },
    dialect: Dialect::Markdown,
    edits: None,
    typing: None,
    rooms: Rooms::Threads,
    media: Media { inward: 10 << 20, outward: MAX_OUTWARD },
    // What the standard asks of a receiver.
    ack: Some(Duration::from_secs(15)),
    again: Duration::from_hours(7 * 24),
    twice: Twice::Known,
    ids: Grade::Asserted,
    capitals: false,
    pace: Pace { conversation: Duration::ZERO, account: Duration::ZERO },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    id: String,
    body: Body,
}

#[derive(Deserialize)]
struct Body {
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    sender: Sender,
    #[serde(default)]
    text: String,
    at: Option<u64>,
    reply_to: Option<String>,
    #[serde(default)]
    attachments: Vec<File>,
}

#[derive(Deserialize)]
struct Sender {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    url: String,
    name: Option<String>,
    media_type: Option<String>,
    size: Option<u64>,
}

pub(crate) fn read(event: &[u8], _us: Us<'_>) -> Result<Message, Unreadable> {
    let Event { id, body: Body { data } } = serde_json::from_slice(event)?;
    let files = data.attachments.into_iter().take(MAX_ATTACHMENTS).map(|it| Attachment {
        reference: it.url,
        name: it.name,
        media_type: it.media_type,
        size: it.size,
    });
    Ok(Message {
        id,
        what: What::Said,
        called: data.sender.name,
        at: data.at,
        text: data.text,
        reply: data.reply_to.map(|id| Reply { id, text: None }),
        attachments: files.collect(),
    })
}
