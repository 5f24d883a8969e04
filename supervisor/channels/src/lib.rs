//! Chat networks, as the supervisor has them: what proves that an event is a network's, whose it is, who
//! may be answered, and how one calls the network.
//!
//! What an event says is read by the tenant's worker, and nothing here is a secret's home: adapters
//! translate, and hold nothing.

mod adapter;
mod answer;
mod discord;
mod door;
mod facts;
mod form;
mod handle;
mod holder;
mod inbound;
pub mod intake;
mod irc;
mod lines;
mod matrix;
mod pace;
pub mod pairing;
pub mod policy;
mod poller;
pub mod recipe;
pub mod sink;
mod slack;
mod source;
mod telegram;
pub mod webchat;
mod webhook;

pub use adapter::{
    Adapter, Answer, Call, Carries, Enclosed, Fetch, Letter, Method, Named, Outcome, Proof,
    Received, Reply, Request, Sending, Step,
};
pub use door::Door;
pub use facts::{Done, Facts, Kind, MAX_NAME, MAX_OPENING, Place, Room, Unreadable};
pub use handle::{MAX_HANDLE, Target};
pub use holder::Holder;
pub use inbound::{Inbound, Keeper, NotKept, Taken, Ways};
pub use lines::{Called, Heard, Lines, NotHad, Said, Watcher, Wire};
pub use poller::Poller;
pub use source::{Act, After, Came, Counts, Dial, Poll, Session};

use networks::Network;

/// Every adapter there is. Adding one is a row here and its file.
pub const ALL: &[&dyn Adapter] = &[
    &webchat::WebChat,
    &webhook::Webhook,
    &telegram::Telegram,
    &slack::Slack,
    &discord::Discord,
    &matrix::Matrix,
    &irc::Irc,
];

/// The adapter of a network.
pub fn adapter(name: &str) -> Option<&'static dyn Adapter> {
    ALL.iter().copied().find(|it| it.network().is.name == name)
}

/// The network of an adapter, which has a row among the networks.
fn known(name: &str) -> &'static Network {
    #[expect(clippy::expect_used, reason = "the suite holds every adapter against the networks")]
    networks::network(name).expect("an adapter has a network")
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
