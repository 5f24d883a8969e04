//! Consent to what cannot be undone.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::error::Error;

/// Goes on where `yes` was given or a person types `name`.
pub(crate) fn destroying(name: &str, what: &str, yes: bool) -> Result<(), Error> {
    if yes {
        return Ok(());
    }
    let (input, mut errors) = (std::io::stdin(), std::io::stderr());
    if !input.is_terminal() || !errors.is_terminal() {
        return Err(Error::Unconfirmed);
    }
    write!(errors, "{what} This cannot be undone. Type {name} to go on: ")
        .and_then(|()| errors.flush())
        .map_err(Error::Terminal)?;
    let mut line = String::new();
    input.lock().read_line(&mut line).map_err(Error::Terminal)?;
    if line.trim() == name { Ok(()) } else { Err(Error::Declined) }
}
