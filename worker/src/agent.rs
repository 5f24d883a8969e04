//! The agent: turns from a prompt to a stored answer, whoever starts them and wherever they go.

mod adoption;
mod anew;
mod announce;
mod asking;
mod calls;
mod choice;
pub(crate) mod command;
mod compact;
mod desk;
mod earlier;
mod guard;
mod history;
mod inject;
mod journal;
mod keep;
mod key;
mod offer;
mod output;
mod prompt;
mod record;
mod relay;
mod resume;
mod run;
mod steps;
mod told;
mod turn;
mod workspace;

pub(crate) use adoption::{Stand, conclude, follow, hand_back, is_over, kept, over, stand};
pub(crate) use announce::changed;
pub(crate) use choice::{Asked, MAX_MODELS, models_of, thinking};
pub(crate) use compact::compact;
pub(crate) use desk::{Desk, Waiting};
pub(crate) use earlier::{Earlier, look};
pub(crate) use history::{Mark, marked};
pub(crate) use inject::inject;
pub(crate) use key::SessionKey;
pub use key::session_key;
pub(crate) use offer::allowed_in;
pub(crate) use output::Writer;
pub(crate) use run::{RunHandle, RunOutcome, RunRequest, RunStatus, Source, run};
pub(crate) use turn::{Turn, start};
pub(crate) use workspace::seed_workspace;

#[cfg(test)]
mod tests;
