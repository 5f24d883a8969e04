//! The privileged process: started first, one thread, it clones, mounts, maps ids and sets limits
//! for the supervisor, and parses nothing but records of a fixed size. It ends with the supervisor
//! and every worker ends with it.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::process::threads;
use crate::{Error, Step, fds};

mod answer;
mod descriptors;
mod fork;
mod idmap;
mod probe;
mod resources;
mod roots;
mod serve;
mod spare;
mod trial;
mod workers;

/// What the launcher is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The state directory, which exists.
    pub state_dir: PathBuf,
    /// The worker's binary, linked statically.
    pub worker: PathBuf,
    /// The first of the reserved ids; a block of its own for each gateway where none is named.
    pub uid_base: Option<u32>,
    /// The steps of confinement: [`crate::STEPS`] but in tests of single steps.
    pub steps: &'static [Step],
}

/// Where one is after [`split`].
#[derive(Debug)]
pub enum Side {
    /// In the child, which becomes the supervisor.
    Supervisor {
        /// The launcher's socket.
        launcher: OwnedFd,
        /// The first of the reserved ids, for [`crate::become_supervisor`].
        uid_base: u32,
    },
    /// In the parent, after everything has ended; what to exit with.
    Launcher(ExitCode),
}

/// Opens what the launcher needs and forks: the parent is the launcher until the end.
///
/// Must be called first in `main`, with one thread and before any secret is read.
///
/// # Errors
/// When the host or the options make a launcher impossible; nothing is forked then.
#[expect(clippy::needless_pass_by_value, reason = "options are for one launcher")]
pub fn split(options: Options) -> Result<Side, Error> {
    if threads()? != 1 {
        return Err(Error::Unusable { reason: "the process has more than one thread".to_owned() });
    }
    let resources = resources::open(&options)?;
    let (near, far) = fds::record_pair().map_err(start("make the launcher's socket"))?;
    let signals = serve::block_signals().map_err(start("block signals"))?;
    match fork::supervisor().map_err(start("fork"))? {
        fork::Forked::Supervisor => {
            let uid_base = resources.ids.base;
            drop(near);
            drop(resources);
            signals.restore().map_err(start("unblock signals"))?;
            Ok(Side::Supervisor { launcher: far, uid_base })
        }
        fork::Forked::Launcher(supervisor) => {
            drop(far);
            serve::run(resources, near, &signals, supervisor).map(Side::Launcher)
        }
    }
}

fn start(what: &'static str) -> impl FnOnce(nix::Error) -> Error {
    move |source| Error::Start { what, source: source.into() }
}
