//! Telegram's Bot API: updates as `getUpdates` and webhooks bring them.

use std::time::Duration;

use serde::Deserialize;

use crate::describe::{
    Description, Dialect, Grade, Length, MAX_OUTWARD, Media, Pace, Rooms, Twice, Unit, Way,
};
use crate::message::{Attachment, Message, Reply, Unreadable, Us, What};

pub(crate) const IS: Description = Description {
    name: "telegram",
    title: "Telegram",
    ways: &[Way::Poll, Way::Webhook],
    // Without the tags, which are not counted.
    text: Length { max: 4096, unit: Unit::Utf16 },
    dialect: Dialect::Tags,
    edits: Some(Duration::from_secs(1)),
    typing: Some(Duration::from_secs(5)),
    rooms: Rooms::Threads,
    media: Media { inward: 20 << 20, outward: MAX_OUTWARD },
    ack: None,
    again: Duration::from_hours(24),
    twice: Twice::Doubled,
    ids: Grade::Verified,
    capitals: false,
    pace: Pace { conversation: Duration::from_secs(1), account: Duration::from_millis(34) },
};

#[derive(Deserialize)]
struct Update {
    message: Option<Box<Said>>,
    edited_message: Option<Box<Said>>,
    channel_post: Option<Box<Said>>,
    edited_channel_post: Option<Box<Said>>,
}

#[derive(Deserialize)]
struct Said {
    message_id: i64,
    date: Option<u64>,
    from: Option<User>,
    sender_chat: Option<Chat>,
    text: Option<String>,
    caption: Option<String>,
    reply_to_message: Option<Answered>,
    #[serde(default)]
    photo: Vec<File>,
    document: Option<File>,
    voice: Option<File>,
    audio: Option<File>,
    video: Option<File>,
}

#[derive(Deserialize)]
struct Answered {
    message_id: i64,
    text: Option<String>,
    caption: Option<String>,
}

#[derive(Deserialize)]
struct User {
    first_name: Option<String>,
    last_name: Option<String>,
}

#[derive(Deserialize)]
struct Chat {
    title: Option<String>,
}

#[derive(Deserialize)]
struct File {
    file_id: String,
    file_name: Option<String>,
    mime_type: Option<String>,
    file_size: Option<u64>,
}

pub(crate) fn read(event: &[u8], us: Us<'_>) -> Result<Message, Unreadable> {
    let Update { message, edited_message, channel_post, edited_channel_post } =
        serde_json::from_slice(event)?;
    let (what, said) = match (message.or(channel_post), edited_message.or(edited_channel_post)) {
        (Some(said), _) => (What::Said, said),
        (None, Some(said)) => (What::Edited, said),
        (None, None) => return Err(Unreadable::Missing("message")),
    };
    let said = *said;
    let called = said.from.map(|it| {
        let names = [it.first_name, it.last_name];
        names.into_iter().flatten().collect::<Vec<_>>().join(" ")
    });
    let called = called.or_else(|| said.sender_chat.and_then(|it| it.title));
    let photo = said.photo.into_iter().next_back().map(|it| File {
        // Telegram makes every photo one.
        mime_type: Some("image/jpeg".to_owned()),
        ..it
    });
    let files = [photo, said.document, said.voice, said.audio, said.video];
    Ok(Message {
        id: said.message_id.to_string(),
        what,
        called,
        at: said.date.map(|it| it.saturating_mul(1000)),
        text: spoken(&said.text.or(said.caption).unwrap_or_default(), us),
        reply: said
            .reply_to_message
            .map(|it| Reply { id: it.message_id.to_string(), text: it.text.or(it.caption) }),
        attachments: files.into_iter().flatten().map(attachment).collect(),
    })
}

fn attachment(file: File) -> Attachment {
    Attachment {
        reference: file.file_id,
        name: file.file_name,
        media_type: file.mime_type,
        size: file.file_size,
    }
}

/// The text without our own name at its beginning or after its command.
fn spoken(text: &str, us: Us<'_>) -> String {
    let Some(name) = us.name.filter(|name| !name.is_empty()) else { return text.to_owned() };
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let (before, called) = first.split_once('@').unwrap_or((first, ""));
    if !called.eq_ignore_ascii_case(name) {
        return text.to_owned();
    }
    match (before, rest.trim_start()) {
        ("", rest) => rest.to_owned(),
        (command, "") => command.to_owned(),
        (command, rest) => format!("{command} {rest}"),
    }
}
