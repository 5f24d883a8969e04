//! The tenant's own process: sessions on disk, agent turns, and the OpenAI-compatible surface.
//!
//! It holds no secret and reaches nothing but its two socket pairs and the tenant's root, which
//! is a parameter here so that tests run on a directory of their own.

mod adopted;
mod agent;
mod agents;
pub mod app;
pub mod archive;
mod channels;
mod cron;
mod error;
mod events;
mod heartbeat;
mod hooks;
pub mod log;
mod memory;
mod methods;
mod openai;
mod runs;
mod service;
mod sessions;
mod settings;
mod skills;
mod store;
#[cfg(test)]
mod testing;
mod tools;
mod upcalls;

pub use agent::session_key;
pub use error::Error;
pub use events::EventStream;
pub use service::{Held, Worker};
pub use skills::{InvalidFront, InvalidSkill, SkillFile};
