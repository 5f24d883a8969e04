//! Chat networks, from what somebody says to the answer that arrives: against a genuine homeserver,
//! counterparts of the tests' own that the vendors' clients take for their networks, and signed webhooks
//! that the official library signs, and pages of our own.

mod discord;
mod files;
mod generic;
pub(crate) mod ground;
mod house;
mod irc;
mod kills;
mod matrix;
mod pairing;
mod sdk;
mod sent;
mod shared;
mod slack;
mod soak;
mod stream;
mod telegram;
mod webchat;
mod webhook;
