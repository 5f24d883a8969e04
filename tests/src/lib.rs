//! The harness: the real gateway as its users start it, a model provider on loopback with a
//! script, and a client. Nothing of the gateway is replaced; every process and filter is the
//! production one.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a harness fails by panicking, starts programs and waits"
)]

pub mod account;
pub mod client;
mod crowd;
mod failure;
pub mod farm;
mod gateway;
pub mod house;
mod log;
pub mod memory;
pub mod networks;
mod official;
pub mod page;
pub mod provider;
pub mod telegram;
pub mod toolbox;
pub mod weed;
mod wire;
pub mod ws;

pub use account::{Amount, Entry};
pub use client::{Client, Reply, Stream};
pub use crowd::{Crowd, MAX_TOKENS, Tally};
pub use farm::Farm;
pub use gateway::{Builder, Gateway, Tenant, is_alive, peak, program, resident, until};
pub use official::{Official, control_ui};
pub use provider::Provider;
pub use telegram::Telegram;
pub use toolbox::{Hands, Shell, Toolbox};
pub use wire::Wire;
