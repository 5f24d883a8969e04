//! Discord: messages as its gateway dispatches them, and interactions as it posts them.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;

use crate::describe::{
    Description, Dialect, Grade, Length, MAX_OUTWARD, Media, Pace, Rooms, Twice, Unit, Way,
};
use crate::message::{Attachment, MAX_ATTACHMENTS, Message, Reply, Unreadable, Us, What};

pub(crate) const IS: Description = Description {
    name: "discord",
    title: "Discord",
    ways: &[Way::Socket, Way::Webhook],
    // Characters, which are never more than these units.
    text: Length { max: 2000, unit: Unit::Utf16 },
    dialect: Dialect::Markdown,
    edits: Some(Duration::from_millis(1500)),
    typing: Some(Duration::from_secs(10)),
    rooms: Rooms::Groups,
    media: Media { inward: 10 << 20, outward: MAX_OUTWARD },
    ack: Some(Duration::from_secs(3)),
    again: Duration::from_hours(1),
    twice: Twice::KnownFor(Duration::from_mins(2)),
    ids: Grade::Verified,
    capitals: false,
    pace: Pace { conversation: Duration::from_secs(1), account: Duration::from_millis(25) },
};

/// Milliseconds since the epoch at which Discord's ids begin.
const EPOCH: u64 = 1_420_070_400_000;

#[derive(Deserialize)]
struct Dispatch {
    t: Option<String>,
    d: Option<Said>,
    // What follows is of interactions.
    id: Option<String>,
    data: Option<Command>,
    user: Option<User>,
    member: Option<Member>,
}

#[derive(Deserialize)]
struct Said {
    id: String,
    #[serde(default)]
    content: String,
    author: Option<User>,
    #[serde(default)]
    attachments: Vec<File>,
    referenced_message: Option<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    id: String,
    content: Option<String>,
}

#[derive(Deserialize)]
struct User {
    username: Option<String>,
    global_name: Option<String>,
}

#[derive(Deserialize)]
struct File {
    filename: Option<String>,
    content_type: Option<String>,
    size: Option<u64>,
    url: String,
}

#[derive(Deserialize)]
struct Member {
    user: Option<User>,
}

#[derive(Deserialize)]
struct Command {
    name: Option<String>,
    #[serde(default)]
    options: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    value: Option<serde_json::Value>,
}

impl User {
    fn called(self) -> Option<String> {
        self.global_name.or(self.username)
    }
}

pub(crate) fn read(event: &[u8], us: Us<'_>) -> Result<Message, Unreadable> {
    let mut dispatch: Dispatch = serde_json::from_slice(event)?;
    let Some(said) = dispatch.d.take() else { return command(dispatch) };
    let files = said.attachments.into_iter().take(MAX_ATTACHMENTS).map(|it| Attachment {
        reference: it.url,
        name: it.filename,
        media_type: it.content_type,
        size: it.size,
    });
    let is_edit = dispatch.t.as_deref() == Some("MESSAGE_UPDATE");
    Ok(Message {
        what: if is_edit { What::Edited } else { What::Said },
        called: said.author.and_then(User::called),
        at: millis(&said.id),
        text: spoken(&said.content, us),
        reply: said.referenced_message.map(|it| Reply { id: it.id, text: it.content }),
        attachments: files.collect(),
        id: said.id,
    })
}

/// An interaction: a command with what was chosen for it.
fn command(asked: Dispatch) -> Result<Message, Unreadable> {
    let id = asked.id.ok_or(Unreadable::Missing("id"))?;
    let data = asked.data.ok_or(Unreadable::Missing("data"))?;
    let mut text = format!("/{}", data.name.ok_or(Unreadable::Missing("name"))?);
    for value in data.options.into_iter().take(MAX_ATTACHMENTS).filter_map(|it| it.value) {
        let written = match value.as_str() {
            Some(value) => write!(text, " {value}"),
            None => write!(text, " {value}"),
        };
        // Writing to a string does not fail.
        written.unwrap_or_default();
    }
    let user = asked.user.or_else(|| asked.member.and_then(|it| it.user));
    Ok(Message {
        at: millis(&id),
        id,
        called: user.and_then(User::called),
        text,
        ..Message::default()
    })
}

/// When an id was given out.
fn millis(id: &str) -> Option<u64> {
    Some((id.parse::<u64>().ok()? >> 22).saturating_add(EPOCH))
}

/// The text without our own name at its beginning.
fn spoken(text: &str, us: Us<'_>) -> String {
    let ours = [format!("<@{}>", us.id), format!("<@!{}>", us.id)];
    let rest = ours.iter().find_map(|it| text.trim_start().strip_prefix(it.as_str()));
    rest.map_or(text, str::trim_start).to_owned()
}
