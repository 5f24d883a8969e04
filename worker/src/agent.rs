//! The agent: one turn from a prompt to a stored answer.

mod history;
mod key;
mod output;
mod prompt;
mod record;
mod turn;
mod workspace;

pub(crate) use key::SessionKey;
pub(crate) use turn::{Turn, start};

#[cfg(test)]
mod tests;
