//! What the chat networks have in common and what tells them apart: their descriptions, what their
//! events say, and how an answer is written for each. Pure: a worker reads and writes with it, and
//! whoever talks to a network is another.
//!
//! Nothing here decides whose an event is: it is read when that is known.

mod cut;
mod describe;
mod discord;
mod file;
pub mod form;
mod irc;
mod matrix;
mod message;
mod render;
mod rich;
mod slack;
mod telegram;
mod webchat;
mod webhook;

pub use cut::parts;
pub use describe::{Description, Dialect, Grade, Length, Media, Pace, Rooms, Twice, Unit, Way};
pub use file::File;
pub use message::{Attachment, MAX_ATTACHMENTS, Message, Reply, Unreadable, Us, What};
pub use render::Part;
pub use rich::Rich;

/// Reads one event.
pub type Read = fn(event: &[u8], us: Us<'_>) -> Result<Message, Unreadable>;

/// A chat network: what is said of it, and how its events are read.
#[derive(Debug)]
pub struct Network {
    /// What is said of it.
    pub is: &'static Description,
    /// Reads one event of it, of which it is known whose it is.
    pub read: Read,
}

/// Every network that there is. Adding one is a row here, its file, and its samples.
pub const ALL: &[Network] = &[
    Network { is: &webchat::IS, read: webchat::read },
    Network { is: &webhook::IS, read: webhook::read },
    Network { is: &telegram::IS, read: telegram::read },
    Network { is: &slack::IS, read: slack::read },
    Network { is: &discord::IS, read: discord::read },
    Network { is: &matrix::IS, read: matrix::read },
    Network { is: &irc::IS, read: irc::read },
];

/// The network of this name.
pub fn network(name: &str) -> Option<&'static Network> {
    ALL.iter().find(|it| it.is.name == name)
}

#[cfg(test)]
mod tests;
