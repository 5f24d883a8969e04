//! Slack: events as they come signed over HTTP or through Socket Mode, and slash commands.

use std::time::Duration;

use serde::Deserialize;

use crate::describe::{
    Description, Dialect, Grade, Length, MAX_OUTWARD, Media, Pace, Rooms, Twice, Unit, Way,
};
use crate::form;
use crate::message::{Attachment, MAX_ATTACHMENTS, Message, Reply, Unreadable, Us, What};

pub(crate) const IS: Description = Description {
    name: "slack",
    title: "Slack",
    ways: &[Way::Webhook, Way::Socket],
    // What Slack advises; it cuts at 40,000 without saying so.
    text: Length { max: 4000, unit: Unit::Characters },
    dialect: Dialect::Mrkdwn,
    edits: Some(Duration::from_secs(1)),
    typing: None,
    rooms: Rooms::Threads,
    media: Media { inward: 20 << 20, outward: MAX_OUTWARD },
    ack: Some(Duration::from_secs(3)),
    again: Duration::from_hours(2),
    twice: Twice::Seen,
    ids: Grade::Verified,
    capitals: true,
    pace: Pace { conversation: Duration::from_secs(1), account: Duration::from_millis(50) },
};

#[derive(Deserialize)]
struct Envelope {
    event: Option<Event>,
    // What follows is of a command that came through a socket: over HTTP it is a form.
    command: Option<String>,
    text: Option<String>,
    trigger_id: Option<String>,
    user_name: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    subtype: Option<String>,
    message: Option<Said>,
    ts: Option<String>,
    text: Option<String>,
    thread_ts: Option<String>,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
struct Said {
    ts: Option<String>,
    text: Option<String>,
    thread_ts: Option<String>,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    id: String,
    name: Option<String>,
    mimetype: Option<String>,
    size: Option<u64>,
}

pub(crate) fn read(event: &[u8], us: Us<'_>) -> Result<Message, Unreadable> {
    if !event.trim_ascii_start().starts_with(b"{") {
        return form_command(event);
    }
    let envelope: Envelope = serde_json::from_slice(event)?;
    if let Some(name) = envelope.command {
        return command(&name, envelope.text, envelope.trigger_id, envelope.user_name);
    }
    let event = envelope.event.ok_or(Unreadable::Missing("event"))?;
    let is_edit = event.subtype.as_deref() == Some("message_changed");
    let said = match event.message {
        Some(message) if is_edit => message,
        Some(_) | None => {
            let Event { ts, text, thread_ts, files, .. } = event;
            Said { ts, text, thread_ts, files }
        }
    };
    let id = said.ts.ok_or(Unreadable::Missing("ts"))?;
    let reply = said.thread_ts.filter(|thread| *thread != id);
    let files = said.files.into_iter().take(MAX_ATTACHMENTS).map(|it| Attachment {
        reference: it.id,
        name: it.name,
        media_type: it.mimetype,
        size: it.size,
    });
    Ok(Message {
        what: if is_edit { What::Edited } else { What::Said },
        called: None,
        at: millis(&id),
        text: spoken(&said.text.unwrap_or_default(), us),
        reply: reply.map(|id| Reply { id, text: None }),
        attachments: files.collect(),
        id,
    })
}

/// A slash command, which is a form.
fn form_command(body: &[u8]) -> Result<Message, Unreadable> {
    let (mut text, mut name, mut id, mut called) = (None, None, None, None);
    for (field, value) in form::fields(body) {
        let slot = match field.as_str() {
            "text" => &mut text,
            "command" => &mut name,
            "trigger_id" => &mut id,
            "user_name" => &mut called,
            _ => continue,
        };
        *slot = Some(value);
    }
    command(&name.ok_or(Unreadable::Missing("command"))?, text, id, called)
}

fn command(
    name: &str,
    text: Option<String>,
    id: Option<String>,
    called: Option<String>,
) -> Result<Message, Unreadable> {
    let text = text.filter(|it| !it.is_empty()).map(|it| format!(" {it}")).unwrap_or_default();
    Ok(Message {
        id: id.ok_or(Unreadable::Missing("trigger_id"))?,
        text: format!("{name}{text}"),
        called,
        ..Message::default()
    })
}

/// A time as Slack writes it: seconds, a dot, and what makes it unique.
fn millis(ts: &str) -> Option<u64> {
    let (seconds, part) = ts.split_once('.')?;
    let millis = part.get(..3).unwrap_or("0").parse().unwrap_or(0);
    Some(seconds.parse::<u64>().ok()?.saturating_mul(1000).saturating_add(millis))
}

/// The text as people read it: what stands between angle brackets is an address, a name or a person.
fn spoken(text: &str, us: Us<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let Some((inside, after)) = after.split_once('>') else {
            out.push('<');
            rest = after;
            break;
        };
        let (target, label) = inside.split_once('|').unwrap_or((inside, ""));
        let shown = if label.is_empty() { target.get(1..).unwrap_or_default() } else { label };
        match target.as_bytes().first() {
            Some(b'@') if target.get(1..) == Some(us.id) => {
                // Addressed to us: no part of what is said.
                rest = after.trim_start();
                continue;
            }
            Some(b'@' | b'!') => out.extend(["@", shown]),
            Some(b'#') => out.extend(["#", shown]),
            _ if label.is_empty() || label == target => out.push_str(target),
            _ => out.extend([label, " (", target, ")"]),
        }
        rest = after;
    }
    out.push_str(rest);
    out.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").trim().to_owned()
}
