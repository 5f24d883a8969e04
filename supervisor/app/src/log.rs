//! The log: JSON lines on standard error, or plain ones on a terminal.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

/// Starts writing the log. Nothing that a tenant wrote is logged above DEBUG.
pub(crate) fn start(level: Level) {
    let level = LevelFilter::from_level(level);
    let started = if std::io::stderr().is_terminal() {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).try_init()
    } else {
        let json = tracing_subscriber::fmt().json().flatten_event(true);
        json.with_writer(std::io::stderr).with_max_level(level).try_init()
    };
    if let Err(err) = started {
        tracing::debug!(%err, "a log is being written already");
    }
}
