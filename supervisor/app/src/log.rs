//! The log: JSON lines on standard error, or plain ones on a terminal.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Our own crates. What libraries say below WARN can hold pieces of what clients sent.
const OURS: [&str; 9] =
    ["openclawmu", "auth", "control", "front", "host", "records", "runtime", "sandbox", "tenants"];

/// Starts writing the log. Nothing that a tenant wrote is logged above DEBUG.
pub(crate) fn start(level: Level) {
    let level = LevelFilter::from_level(level);
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OURS.map(|target| (target, level)));
    let registry = tracing_subscriber::registry().with(targets);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        registry.with(lines).try_init()
    } else {
        registry.with(lines.json().flatten_event(true)).try_init()
    };
    if let Err(err) = started {
        tracing::debug!(%err, "a log is being written already");
    }
}
