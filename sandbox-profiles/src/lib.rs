//! The boundary around one worker: the privileged launcher and its client, seccomp profiles, the
//! worker's own confinement, and the check from outside. It knows no protocol, holds no secret and
//! starts no runtime.

mod cgroup;
mod client;
pub mod confine;
mod cursor;
mod disk;
mod error;
pub mod facts;
mod fds;
mod host;
mod ids;
pub mod inherited;
pub mod init;
mod launcher;
pub mod memory;
mod mode;
pub mod pairs;
mod privilege;
pub mod probes;
mod process;
mod profile;
pub mod program;
mod record;
mod run;
mod sealed;
mod steps;
mod sys;
mod verify;

pub use cgroup::Layout as CgroupLayout;
pub use client::{Exit, Launched, Launcher, Order, Prepared, Root, Status, WorkerFds, WorkerUsage};
pub use disk::Disk;
pub use error::Error;
pub use facts::{Facts, RawFacts};
pub use host::{Degradation, GUARANTEES, HostReport, probe};
pub use launcher::{Options, Side, split};
pub use mode::Mode;
pub use privilege::become_supervisor;
pub use profile::Profile;
pub use program::{Backend, Class, resize};
pub use run::{RunFds, RunOrder, Started};
pub use steps::{SECCOMP_FILTERS_BEFORE_EXEC, STEPS, Step};
pub use verify::{Expected, Finding, verify};
