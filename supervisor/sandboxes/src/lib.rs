//! Programs of tenants: commands and terminals, from the wish to run one to its last byte. Policy and
//! approval come first, the launcher makes the sandbox, bytes are relayed, bounds hold.
//!
//! Opens no file of a tenant and believes nothing that a worker says of its tenant's settings.

pub mod approvals;
mod bounds;
mod command;
mod consent;
mod environment;
mod error;
mod lap;
mod launch;
mod master;
mod metrics;
mod pace;
mod places;
mod policy;
mod process;
mod programs;
mod relay;
mod run;
mod service;
pub mod terminal;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use hub::Hub;
use prometheus_client::registry::Registry;
use runtime::Tasks;
use sandbox::{Backend, HostReport, Launcher};
use serde::Deserialize;
use settings::Settings;

use error::Bound;
use launch::Launch;
use metrics::Metrics;
use places::Places;

pub use bounds::Bounds;
pub use error::{Error, Refusal, StartError};
pub use programs::{Owner, Programs};
pub use service::Service;

/// Which way sandboxes are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The launcher's own, which is always there.
    #[default]
    Auto,
    /// The launcher's own.
    Native,
    /// Through bubblewrap.
    Bwrap,
}

/// What the operator says of programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Which way sandboxes are made.
    pub choice: Choice,
    /// How much programs may take.
    pub bounds: Bounds,
}

/// Everybody's programs. Clones are the same.
#[derive(Debug, Clone)]
pub struct Sandboxes(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    launch: Arc<dyn Launch>,
    backend: Backend,
    bounds: Bounds,
    settings: Settings,
    hub: Hub,
    tasks: Tasks,
    metrics: Metrics,
    commands: Places,
    terminals: Places,
}

/// What [`Sandboxes`] are made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The process that makes sandboxes.
    pub launcher: Launcher,
    /// What the launcher found on this machine.
    pub report: &'a HostReport,
    /// What the operator says.
    pub config: Config,
    /// What tenants let programs do.
    pub settings: Settings,
    /// Who sees terminals.
    pub hub: Hub,
    /// The scope in which every task of every program runs.
    pub tasks: Tasks,
    /// Where the metrics are shown.
    pub registry: &'a mut Registry,
}

impl Sandboxes {
    /// Puts the parts together; makes no sandbox.
    ///
    /// # Errors
    /// When bounds cannot be, or the backend that was asked for does not work here.
    pub fn new(parts: Parts<'_>) -> Result<Self, StartError> {
        let Config { choice, bounds } = parts.config;
        let mistakes = bounds.mistakes();
        if !mistakes.is_empty() {
            return Err(StartError::Bounds(mistakes));
        }
        let backend = match choice {
            Choice::Auto | Choice::Native => Backend::Native,
            Choice::Bwrap if parts.report.bwrap.is_some() => Backend::Bwrap,
            Choice::Bwrap => return Err(StartError::Backend("bwrap")),
        };
        Ok(Self(Arc::new(Inner {
            launch: Arc::new(parts.launcher),
            backend,
            commands: Places::new(bounds.concurrency, bounds.total, Bound::Commands),
            terminals: Places::new(bounds.terminals, bounds.total, Bound::Terminals),
            bounds,
            settings: parts.settings,
            hub: parts.hub,
            tasks: parts.tasks,
            metrics: Metrics::register(parts.registry),
        })))
    }

    /// The programs of one tenant.
    pub fn programs(&self, owner: Owner) -> Arc<Programs> {
        Programs::new(&self.0, owner)
    }
}
