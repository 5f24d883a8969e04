//! IRC: what somebody says in one line, as the account's connection has written it down.

use std::time::Duration;

use serde::Deserialize;

use crate::describe::{Description, Dialect, Grade, Length, Media, Pace, Rooms, Twice, Unit, Way};
use crate::message::{Message, Unreadable, Us, What};

pub(crate) const IS: Description = Description {
    name: "irc",
    title: "IRC",
    ways: &[Way::Socket],
    // Of the 512 bytes of a line the server takes some for who writes and to whom.
    text: Length { max: 350, unit: Unit::Bytes },
    dialect: Dialect::Plain,
    edits: None,
    typing: None,
    rooms: Rooms::Groups,
    media: Media { inward: 0, outward: 0 },
    ack: None,
    // A server says everything once.
    again: Duration::ZERO,
    twice: Twice::Doubled,
    // Whoever comes first has a name.
    ids: Grade::Mutable,
    capitals: false,
    pace: Pace { conversation: Duration::from_millis(500), account: Duration::from_millis(500) },
};

#[derive(Deserialize)]
struct Event {
    id: String,
    us: String,
    from: String,
    text: String,
}

pub(crate) fn read(event: &[u8], _us: Us<'_>) -> Result<Message, Unreadable> {
    let Event { id, us, from, text } = serde_json::from_slice(event)?;
    let rest = text.get(..us.len()).filter(|name| !us.is_empty() && name.eq_ignore_ascii_case(&us));
    let rest = rest.and_then(|_| text.get(us.len()..)?.strip_prefix([':', ',']));
    let text = rest.map_or(text.as_str(), str::trim_start).to_owned();
    Ok(Message { id, what: What::Said, called: Some(from), text, ..Message::default() })
}
