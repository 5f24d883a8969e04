//! What is known of a session beside its transcript: what its key says, when it is begun anew, and
//! how clients see it.
//!
//! Reads and writes no file itself.

mod fresh;
mod kind;
mod row;
#[cfg_attr(not(test), expect(dead_code, reason = "its caller is the first channel"))]
mod scope;
mod settings;

pub(crate) use kind::{Kind, Plain};
pub(crate) use row::{View, session_row, split};
pub(crate) use settings::SessionSettings;
