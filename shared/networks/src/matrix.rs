//! Matrix: events of a room as `/sync` brings them, with the room. Nothing that is encrypted is read.

use std::time::Duration;

use serde::Deserialize;

use crate::describe::{
    Description, Dialect, Grade, Length, MAX_OUTWARD, Media, Pace, Rooms, Twice, Unit, Way,
};
use crate::message::{Attachment, Message, Reply, Unreadable, Us, What};

pub(crate) const IS: Description = Description {
    name: "matrix",
    title: "Matrix",
    ways: &[Way::Poll],
    // An event has 65,536 bytes: both forms, each of whose bytes may be escaped.
    text: Length { max: 24_000, unit: Unit::Bytes },
    dialect: Dialect::Html,
    edits: Some(Duration::from_secs(1)),
    typing: Some(Duration::from_secs(30)),
    rooms: Rooms::Threads,
    media: Media { inward: 20 << 20, outward: MAX_OUTWARD },
    ack: None,
    again: Duration::from_hours(7 * 24),
    twice: Twice::Known,
    ids: Grade::Verified,
    capitals: false,
    pace: Pace { conversation: Duration::from_millis(200), account: Duration::from_millis(100) },
};

#[derive(Deserialize)]
struct Event {
    event: Said,
}

#[derive(Deserialize)]
struct Said {
    event_id: String,
    origin_server_ts: Option<u64>,
    content: Content,
}

#[derive(Deserialize)]
struct Content {
    msgtype: Option<String>,
    body: Option<String>,
    filename: Option<String>,
    url: Option<String>,
    info: Option<Info>,
    #[serde(rename = "m.relates_to")]
    relates: Option<Relates>,
    #[serde(rename = "m.new_content")]
    new: Option<Box<Content>>,
}

#[derive(Deserialize)]
struct Info {
    mimetype: Option<String>,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct Relates {
    rel_type: Option<String>,
    event_id: Option<String>,
    #[serde(rename = "m.in_reply_to")]
    reply: Option<InReply>,
    #[serde(default)]
    is_falling_back: bool,
}

#[derive(Deserialize)]
struct InReply {
    event_id: String,
}

pub(crate) fn read(event: &[u8], us: Us<'_>) -> Result<Message, Unreadable> {
    let Event { event: said } = serde_json::from_slice(event)?;
    let mut content = said.content;
    let replaced =
        content.relates.as_mut().filter(|it| it.rel_type.as_deref() == Some("m.replace"));
    let replaced = replaced.and_then(|it| it.event_id.take());
    let (what, id) = match (replaced, content.new.take()) {
        (Some(replaced), Some(new)) => {
            content = *new;
            (What::Edited, replaced)
        }
        (_, _) => (What::Said, said.event_id),
    };
    // A thread names its newest message for those who know no threads: nobody answered that.
    let reply = content.relates.filter(|it| !it.is_falling_back).and_then(|it| it.reply);
    let body = content.body.unwrap_or_default();
    let is_file = content.url.is_some() && content.msgtype.as_deref() != Some("m.text");
    let (info, url) = (content.info, content.url);
    let file = url.filter(|_| is_file).map(|url| Attachment {
        reference: url,
        name: Some(content.filename.clone().unwrap_or_else(|| body.clone())),
        media_type: info.as_ref().and_then(|it| it.mimetype.clone()),
        size: info.as_ref().and_then(|it| it.size),
    });
    // The body of a file is its name, unless it has one beside it.
    let is_name = is_file && content.filename.as_ref().is_none_or(|name| *name == body);
    let text = if is_name { String::new() } else { spoken(&body, reply.is_some(), us) };
    Ok(Message {
        id,
        what,
        called: None,
        at: said.origin_server_ts,
        text,
        reply: reply.map(|it| Reply { id: it.event_id, text: None }),
        attachments: file.into_iter().collect(),
    })
}

/// The text without what it answers, which older clients put before it, and without our own name at
/// its beginning.
fn spoken(body: &str, is_reply: bool, us: Us<'_>) -> String {
    let mut text = body;
    while let Some(quoted) = text.strip_prefix("> ").filter(|_| is_reply) {
        text = quoted.split_once('\n').map_or("", |(_, rest)| rest);
    }
    let text = text.trim_start_matches('\n');
    let names = [Some(us.id), us.name].into_iter().flatten().filter(|it| !it.is_empty());
    for name in names {
        let called = text.strip_prefix('@').filter(|_| !name.starts_with('@')).unwrap_or(text);
        if let Some(rest) = called.strip_prefix(name) {
            let rest = rest.trim_start_matches([':', ',']);
            if rest.is_empty() || rest.starts_with(char::is_whitespace) {
                return rest.trim_start().to_owned();
            }
        }
    }
    text.to_owned()
}
