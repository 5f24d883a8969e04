//! Terminals for whoever is no connection of the tenant: bytes as they come, and how one ended.

use bytes::Bytes;
use types::UnixMillis;

use super::screen::{End, Heard};
use super::{View, lock};
use crate::{Error, Programs};

/// Terminals of one tenant that are over and whose end is still known.
const MAX_OVER: usize = 16;

/// Operators who have typed into one terminal that are known.
const MAX_OPERATORS: usize = 64;

/// A terminal that is open, or one that is over.
#[derive(Debug, Clone)]
pub enum Found {
    /// It is open.
    Open(View),
    /// It is over.
    Over(End),
}

impl Programs {
    /// What a terminal has shown of late, and what it shows from then on, until it ends. The shell
    /// waits for a listener that does not read, and after a while goes on without it. That this
    /// operator looks on is noted in the tenant's log.
    ///
    /// # Errors
    /// When there is no such terminal, or too many see it.
    pub fn listen_to_terminal(&self, id: &str, operator: &str) -> Result<Heard, Error> {
        let terminal = self.find_terminal(id)?;
        let heard = lock(&terminal.screen).listen()?;
        self.note(&format!("terminal {}: the operator {operator} looks on", terminal.number));
        Ok(heard)
    }

    /// Types into a terminal as an operator; that this one does is noted once in the tenant's log.
    ///
    /// # Errors
    /// As [`Programs::type_into`].
    pub async fn type_as_operator(
        &self,
        id: &str,
        operator: &str,
        bytes: Bytes,
        now: UnixMillis,
    ) -> Result<(), Error> {
        let terminal = self.find_terminal(id)?;
        let is_new = {
            let mut operators = lock(&terminal.operators);
            // Beyond so many, some are noted again.
            if operators.len() >= MAX_OPERATORS {
                operators.clear();
            }
            operators.insert(operator.to_owned())
        };
        if is_new {
            self.note(&format!("terminal {}: the operator {operator} types", terminal.number));
        }
        self.type_bytes(id, bytes, now).await
    }

    /// One terminal, open or lately over.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn find(&self, id: &str) -> Result<Found, Error> {
        if let Ok(terminal) = self.find_terminal(id) {
            return Ok(Found::Open(terminal.view()));
        }
        let over = lock(&self.over);
        let end = over.iter().find(|(known, _)| known == id).map(|(_, end)| *end);
        end.map(Found::Over).ok_or(Error::NoTerminal)
    }

    /// One is over. Whoever hears its last byte can ask how.
    pub(super) fn remember(&self, id: &str, end: End) {
        let mut over = lock(&self.over);
        if over.len() >= MAX_OVER {
            over.pop_front();
        }
        over.push_back((id.to_owned(), end));
        drop(over);
        self.terminals().remove(id);
    }
}
